"""``clipcli classify``: images in, ranked labels out."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.errors import LabelError, OutputError

if TYPE_CHECKING:
    from clipcli.classifier import Classifier
    from clipcli.records import Result

__all__ = ["classify"]

_OUT, _SCORES = "Output", "Scores"


class Format(str, Enum):
    """How results are written; the names of :data:`clipcli.writers.FORMATS`."""

    table = "table"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


def classify(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Image files, or folders of images.", show_default=False)],
    labels: options.LabelsFile = None,
    label: options.ExtraLabels = None,
    template: options.Templates = None,
    prompts: options.PromptSets = None,
    text_embeddings: Annotated[
        Path | None,
        typer.Option("--text-embeddings", metavar="FILE", rich_help_panel="Labels and prompts",
                     help="Class embeddings from 'clipcli export text', in place of labels."),
    ] = None,
    model: options.ModelName = "auto",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    offline: options.Offline = False,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", "-k", min=1, rich_help_panel=_SCORES, show_default=False,
                     help="How many labels to list. [default: 5; 1 for tsv and csv]"),
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, rich_help_panel=_SCORES, help="Say 'unknown' below this probability."),
    ] = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(min=-1.0, max=1.0, rich_help_panel=_SCORES, help="Say 'unknown' below this cosine similarity."),
    ] = None,
    min_margin: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, rich_help_panel=_SCORES,
                     help="Say 'unknown' where the best leads the second by less probability."),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", "-f", rich_help_panel=_OUT, show_default=False,
                     help="[default: by the suffix of -o; else table on a terminal, tsv in a pipe]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", rich_help_panel=_OUT, help="Write here, not to stdout.")
    ] = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    cache_dir: options.CacheDir = None,
    no_cache: options.NoCache = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Classify images among the labels you name.

    clipcli classify photo.jpg -l cat -l dog -l "a cup of coffee"

    clipcli classify holiday/ --labels labels.txt -o results.csv
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    chosen = _choose_format(form, output)
    if text_embeddings is not None and (labels or label or template or prompts):
        raise LabelError("--text-embeddings takes the place of labels and templates; leave those out")
    from clipcli.classifier import Classifier
    from clipcli.labels import load_labels
    from clipcli.zeroshot import Thresholds

    with _opened(output) as file:
        classifier = Classifier(
            model,
            None if text_embeddings is not None else load_labels(labels, label or ()),
            pretrained=pretrained, templates=template or (), prompts=prompts or (), text_embeddings=text_embeddings,
            device=device, precision=precision, batch_size=batch_size, workers=workers,
            top_k=top_k or (1 if chosen in (Format.csv, Format.tsv) else 5),
            thresholds=Thresholds(min_probability, min_similarity, min_margin),
            cache=options.cache_setting(cache_dir, no_cache), offline=offline, warn=messages.warn,
        )  # fmt: skip
        failed = _run(classifier, inputs, file, chosen, messages)
    if failed:
        messages.warn(f"{failed} of the inputs failed")
        raise typer.Exit(1)


def _choose_format(form: Format | None, output: Path | None) -> Format:
    if form is not None:
        return form
    if output is None:
        return Format.table if sys.stdout.isatty() else Format.tsv
    suffix = output.suffix.lower().lstrip(".")
    if suffix in Format.__members__ and suffix != "table":
        return Format[suffix]
    raise OutputError(f"{output}: cannot tell the format from its name; use .jsonl, .json, .csv or .tsv, or --format")


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    from clipcli.files import replacing

    with replacing(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def _run(classifier: Classifier, inputs: list[str], file: TextIO, form: Format, messages: Messages) -> int:
    """Classify and write; return how many inputs failed."""
    from clipcli.records import Failure
    from clipcli.writers import write_results

    classes = classifier.classes
    statistics = classifier.text_statistics
    if statistics is not None:
        messages.detail(f"text: {statistics.cached} prompts from the cache, {statistics.encoded} encoded")
    started = time.monotonic()
    model = classifier.model
    messages.detail(
        f"model: {classifier.source.title}, images in {model.precision} on {model.device}, {len(classes.labels)} labels, "
        f"logit scale {model.logit_scale:.4g} (loaded in {time.monotonic() - started:.1f} s)"
    )
    failed = 0
    results = classifier.classify(inputs)
    shown_on_terminal = form is Format.table and file is sys.stdout and sys.stdout.isatty()
    written = write_results(
        results if shown_on_terminal else _with_progress(results, messages), file, form.value,
        top_k=min(classifier.top_k, len(classes.labels)), grouped=any(classes.groups),
    )  # fmt: skip
    for result in written:
        if isinstance(result, Failure):
            failed += 1
            if not shown_on_terminal:
                messages.error(f"{result.path}: {result.message}")
    return failed


def _with_progress(results: Iterable[Result], messages: Messages) -> Iterable[Result]:
    """Count results on stderr, on a terminal only; a single quick image never gets as far as showing it."""
    if messages.quiet or not sys.stderr.isatty():
        return results
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

    progress = Progress(
        SpinnerColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )

    def counted() -> Iterator[Result]:
        with progress:
            task = progress.add_task("images", total=None)
            for result in results:
                progress.advance(task)
                yield result

    return counted()
