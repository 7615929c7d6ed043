"""``clipcli classify``: images in, ranked labels out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.cli.progress import with_progress
from clipcli.errors import InputError, Interrupted, LabelError, OutputError

if TYPE_CHECKING:
    from clipcli.classifier import Classifier
    from clipcli.inputs import Input, Source
    from clipcli.records import Result
    from clipcli.results import ResultFile
    from clipcli.writers import Layout

__all__ = ["classify"]

_OUT, _SCORES = "Output", "Scores"


class Format(str, Enum):
    """How results are written; the names of :data:`clipcli.writers.FORMATS`."""

    table = "table"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


@dataclass(frozen=True)
class _Destination:
    """Where results go: ``file``, or stdout where that is ``None``; in which form; and what may stand there."""

    file: Path | None
    form: Format
    resume: bool
    overwrite: bool

    def __post_init__(self) -> None:
        if self.resume and self.file is None:
            raise OutputError("--resume needs a file to go on with: name it with -o FILE")
        if self.form is Format.parquet:
            from clipcli.parquet import pyarrow_or_error

            pyarrow_or_error()
            if self.file is None:
                raise OutputError("Parquet cannot be written to a pipe: name a file with -o FILE")
        if self.resume and not self.is_resumable():
            raise OutputError(f"{self.file}: --resume works with jsonl, csv, tsv and parquet files")

    def is_resumable(self) -> bool:
        """Tell whether records are kept as they come: in a regular file of a format made of rows."""
        from clipcli.results import RESUMABLE

        special = self.file is not None and self.file.exists() and not self.file.is_file()
        return self.file is not None and not special and self.form.value in RESUMABLE

    def is_complete(self) -> bool:
        """Tell whether there is nothing to resume, because the file is whole."""
        from clipcli.results import is_complete

        return self.resume and self.file is not None and is_complete(self.file)


def classify(
    context: typer.Context,
    inputs: options.Inputs,
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
    engine: options.Engine = "torch",
    offline: options.Offline = False,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", "-k", metavar="N", min=1, rich_help_panel=_SCORES, show_default=False,
                     help="How many labels to list. [default: 5; 1 for tsv and csv]"),
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(metavar="P", min=0.0, max=1.0, rich_help_panel=_SCORES,
                     help="Say 'unknown' below this probability."),
    ] = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(metavar="COSINE", min=-1.0, max=1.0, rich_help_panel=_SCORES,
                     help="Say 'unknown' below this cosine similarity."),
    ] = None,
    min_margin: Annotated[
        float | None,
        typer.Option(metavar="P", min=0.0, max=1.0, rich_help_panel=_SCORES,
                     help="Say 'unknown' where the best leads the second by less probability."),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", "-f", rich_help_panel=_OUT, show_default=False,
                     help="How to write. [default: by the suffix of -o; else table on a terminal, tsv in a pipe]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", rich_help_panel=_OUT, help="Write here, not to stdout."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", rich_help_panel=_OUT, help="Go on where an interrupted run to -o FILE stopped.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", rich_help_panel=_OUT, help="Forget an interrupted run to -o FILE.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", rich_help_panel=_OUT, help="Draw each photograph beside its bars, on a terminal.")
    ] = False,
    null_separated: options.NullSeparated = False,
    path_column: options.PathColumn = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    cache_dir: options.CacheDir = None,
    no_cache: options.NoCache = False,
    cache_size: options.CacheSize = "4GB",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Classify images among the labels you name.

    clipcli classify photo.jpg -l cat -l dog -l "a cup of coffee"

    clipcli classify holiday/ --labels labels.txt -o results.csv
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    chosen = _choose_format(form, output)
    if output is not None:
        from clipcli.files import check_writable

        check_writable(output, [*inputs, labels, text_embeddings, pretrained, *(prompts or ())])
    destination = _Destination(output, chosen, resume, overwrite)
    if show:
        from clipcli.cli.show import can_show

        show = can_show(chosen.value, messages)
    if destination.is_complete():
        messages.warn(f"{output}: complete already, nothing to do; leave --resume out to make it anew")
        return
    if not all(inputs):
        raise InputError("an INPUT is empty; name an image file or a folder")
    if path_column is not None and "-" in inputs:
        raise InputError("--path-column goes with tables, not with '-': stdin holds plain paths")
    if text_embeddings is not None and _set_by_variable(context, "labels"):
        labels = None  # what is named on the command line goes before a default
    if text_embeddings is not None and (labels or label or template or prompts):
        raise LabelError("--text-embeddings takes the place of labels and templates; leave those out")
    from clipcli.classifier import Classifier
    from clipcli.inputs import Source
    from clipcli.labels import load_labels
    from clipcli.zeroshot import Thresholds

    classifier = Classifier(
        model,
        None if text_embeddings is not None else load_labels(labels, label or ()),
        pretrained=pretrained, templates=template or (), prompts=prompts or (), text_embeddings=text_embeddings,
        device=device, precision=precision, engine=engine, batch_size=batch_size, workers=workers,
        top_k=top_k or (1 if chosen in (Format.csv, Format.tsv) else 5),
        thresholds=Thresholds(min_probability, min_similarity, min_margin),
        cache=options.cache_setting(cache_dir, no_cache), cache_limit=options.bytes_in(cache_size),
        offline=offline, warn=messages.warn,
    )  # fmt: skip
    _tell_text(classifier, messages)
    source = Source(tuple(inputs), sys.stdin.buffer, null_separated, path_column)
    done, failed = _run(classifier, source, destination, messages, show=show)
    _tell_images(classifier, messages)
    if failed:
        messages.warn(f"{failed} of {done} images failed")
        raise typer.Exit(1)


def _set_by_variable(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "ENVIRONMENT"


def _choose_format(form: Format | None, output: Path | None) -> Format:
    if form is not None:
        return form
    if output is None:
        return Format.table if sys.stdout.isatty() else Format.tsv
    suffix = output.suffix.lower().lstrip(".")
    if suffix in Format.__members__ and suffix != "table":
        return Format[suffix]
    raise OutputError(
        f"{output}: cannot tell the format from its name; use .jsonl, .json, .csv, .tsv or .parquet, or --format"
    )


def _tell_text(classifier: Classifier, messages: Messages) -> None:
    """With ``-v``, say what the labels took."""
    count, statistics = len(classifier.classes.labels), classifier.text_statistics
    if statistics is not None:
        messages.detail(f"text: {statistics.cached} prompts from the cache, {statistics.encoded} encoded")
    facts = classifier.classes.facts
    messages.detail(
        f"model: {classifier.source.title}, {count} label{'s' if count != 1 else ''}, "
        f"logit scale {facts.logit_scale:.4g}, images in {classifier.precision}"
    )


def _tell_images(classifier: Classifier, messages: Messages) -> None:
    """With ``-v``, say what the images took."""
    statistics = classifier.image_statistics
    where = f" on {classifier.ran_on}" if classifier.ran_on else ""
    where += "" if classifier.is_loaded else ", the model was not loaded"
    messages.detail(f"images: {statistics.cached} from the cache, {statistics.encoded} encoded{where}")


def _layout(classifier: Classifier, form: Format) -> Layout:
    from clipcli.writers import Layout

    classes = classifier.classes
    return Layout(form.value, min(classifier.top_k, len(classes.labels)), any(classes.groups))


def _run(
    classifier: Classifier, source: Source, destination: _Destination, messages: Messages, *, show: bool
) -> tuple[int, int]:
    """Classify and write; return how many images there were and how many of them failed."""
    from clipcli.inputs import count_files, discover
    from clipcli.records import Failure, printable
    from clipcli.writers import write_results

    layout = _layout(classifier, destination.form)
    items = discover(source, messages.warn)
    kept: ResultFile | None = None
    done = failed = 0
    if destination.file is None:
        results, to_people = classifier.classify(items), destination.form is Format.table and sys.stdout.isatty()
        if show:
            from clipcli.cli.show import show_results

            written = show_results(results)
        else:
            written = write_results(results, sys.stdout, layout)
    elif destination.is_resumable():
        to_people = False
        kept = _kept_in(destination, classifier.settings() | vars(layout), layout)
        written = _into_file(classifier, items, destination.file, kept)
    else:
        to_people = False
        written = _at_once(classifier, items, destination.file, layout)
    shown = written if to_people else with_progress(written, lambda: count_files(source), messages, kept)
    for result in shown:
        done += 1
        if isinstance(result, Failure):
            failed += 1
            if not to_people:
                messages.error(f"{printable(result.path)}: {result.message}")
    if kept is not None:
        return done + kept.earlier, failed + kept.earlier_failures
    return done, failed


def _at_once(classifier: Classifier, items: Iterable[Input], file: Path, layout: Layout) -> Iterator[Result]:
    """Write a file that appears at the end or not at all."""
    from clipcli.files import replacing
    from clipcli.writers import write_results

    with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as opened:
        yield from write_results(classifier.classify(items), opened, layout)


def _kept_in(destination: _Destination, settings: dict[str, Any], layout: Layout) -> ResultFile:
    from clipcli.results import ResultFile

    assert destination.file is not None  # noqa: S101
    resume, overwrite = destination.resume, destination.overwrite
    return ResultFile(destination.file, layout, settings, resume=resume, overwrite=overwrite)


def _into_file(classifier: Classifier, items: Iterable[Input], target: Path, kept: ResultFile) -> Iterator[Result]:
    """Write a file whose records are kept as they come, and go on with an interrupted one."""
    from clipcli.results import skip_done

    rest = skip_done(items, kept.done(), target)
    try:
        yield from kept.write(classifier.classify(rest, even_batches=True))
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {kept.how_to_go_on()}") from None
