"""``clipcli evaluate``: how well are images told apart whose classes are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.cli.progress import with_progress
from clipcli.errors import InputError, LabelError, OutputError

if TYPE_CHECKING:
    from clipcli.classifier import Classifier
    from clipcli.evaluation.evaluate import Embedded, Evaluation
    from clipcli.evaluation.ground_truth import LabelledImage
    from clipcli.evaluation.linear_probe import ProbeResult
    from clipcli.inputs.exclusion import Exclusion
    from clipcli.labels.files import Label
    from clipcli.labels.templates import Template

__all__ = ["evaluate"]

_WHAT, _OUT = "What to compare", "Output"


def evaluate(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", show_default=False,
                       help="A folder with a folder for each class; a CSV or TSV with columns path and label; "
                            "or, with --truth, results of 'clipcli classify'."),
    ],
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="DIR|FILE", help="What the images of a results file show: folder or table."),
    ] = None,
    labels: options.LabelsFile = None,
    label: options.ExtraLabels = None,
    template: options.Templates = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompts", "-p", metavar="NAME|FILE", rich_help_panel=_WHAT,
                     help="A template set; repeat to compare several."),
    ] = None,
    compare_model: Annotated[
        list[str] | None,
        typer.Option("--compare-model", metavar="NAME[@TAG|@FILE]", rich_help_panel=_WHAT,
                     help="Another model to compare with, as --model and --pretrained; may be repeated."),
    ] = None,
    few_shot: Annotated[
        list[int] | None,
        typer.Option("--few-shot", metavar="K", min=1, rich_help_panel=_WHAT,
                     help="Fit a linear probe on K images of each class, test it on the others; may be repeated."),
    ] = None,
    probe_strength: Annotated[
        float,
        typer.Option("--probe-c", metavar="C", min=1e-6, rich_help_panel=_WHAT, help="scikit-learn's C of the probe."),
    ] = 31.6,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, rich_help_panel=_WHAT,
                                      help="Draws the images for --few-shot.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", rich_help_panel=_OUT, help="Write all figures there.")
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", metavar="DIR", rich_help_panel=_OUT,
                     help="Draw confusion matrix, reliability and classes there, as PNG and SVG."),
    ] = None,
    model: options.ModelName = "auto",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    engine: options.Engine = "torch",
    offline: options.Offline = False,
    exclude: options.Exclude = None,
    include_hidden: options.IncludeHidden = False,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    cache_dir: options.CacheDir = None,
    no_cache: options.NoCache = False,
    cache_size: options.CacheSize = "4GB",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Measure how well labels fit images whose classes are known.

    clipcli evaluate photos/ --prompts photo --plots plots/

    clipcli evaluate truth.csv --labels labels.txt -t "a photo of a {label}" --prompts photo --few-shot 4

    clipcli evaluate results.csv --truth truth.csv
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    _check_extra()
    if json_file is not None:
        from clipcli.storage.atomic import check_writable

        check_writable(json_file, [source, truth, labels, pretrained, *(prompts or ())])
    if plots is not None:
        _check_folder(plots)
    from clipcli.storage.locks import locked

    context.with_resource(locked(json_file, plots))
    failures: list[str] = []

    def failed(path: str, reason: str) -> None:
        from clipcli.text import printable

        failures.append(path)
        messages.error(f"{printable(path)}: {reason}")

    from clipcli.evaluation.ground_truth import read_truth
    from clipcli.inputs.exclusion import Exclusion

    exclusion = Exclusion(tuple(exclude or ()), include_hidden)
    probes: list[ProbeResult] = []
    if truth is not None:
        if template or prompts or compare_model or few_shot:
            raise InputError("--truth goes with results that are there already: leave templates, models and shots out")
        labelled = read_truth(truth, exclusion)
        evaluations = [_from_results(source, labelled, labels, label or [], failed)]
    else:
        from clipcli.labels.files import load_labels

        chosen = load_labels(labels, label or ()) if labels or label else None
        shared: dict[str, Any] = {
            "device": device, "precision": precision, "engine": engine, "batch_size": batch_size, "workers": workers,
            "cache": options.cache_setting(cache_dir, no_cache), "cache_limit": options.bytes_in(cache_size),
            "offline": offline,
        }  # fmt: skip
        models = [(model, pretrained), *map(_named, compare_model or ())]
        wanted = _Wanted(source, chosen, template or [], prompts or [], few_shot or [], probe_strength, seed, exclusion)
        evaluations = _from_images(wanted, models, shared, failed, messages, probes)
    if json_file is not None:
        _write_json(json_file, evaluations, probes, failures)
    if plots is not None:
        from clipcli.evaluation.charts import draw_evaluations

        for file in draw_evaluations(evaluations, plots):
            messages.detail(f"drew {file}")
    _tell(evaluations, probes, len(failures))  # last: whoever reads may leave early
    if failures:
        messages.warn(f"{len(failures)} of {len(failures) + len(evaluations[0].paths)} images failed")
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Wanted:
    """What is to be evaluated, whatever the model."""

    source: Path
    labels: list[Label] | None
    templates: list[str]
    sets: list[str]
    shots: list[int]
    strength: float
    seed: int
    exclusion: Exclusion

    def variants(self) -> list[tuple[str, list[Template]]]:
        """Return each set of templates under its name."""
        from clipcli.labels.templates import resolve_templates

        found = []
        if self.templates or not self.sets:
            name = " + ".join(self.templates) if self.templates else "default prompt"
            found.append((name, resolve_templates(self.templates, [])))
        return found + [(Path(name).stem, resolve_templates([], [name])) for name in self.sets]


def _from_results(
    results: Path,
    labelled: list[LabelledImage],
    labels: Path | None,
    extra: list[str],
    failed: Callable[[str, str], None],
) -> Evaluation:
    from clipcli.evaluation.evaluate import evaluate_records
    from clipcli.evaluation.ground_truth import match_records
    from clipcli.inputs.path_base import PathBase
    from clipcli.labels.files import load_labels
    from clipcli.outputs.readers import read_results

    locate = PathBase(str(results), own=True).locate
    matched = match_records(read_results(results), labelled, locate)
    for record, _ in matched:
        if record.error is not None:
            failed(record.path, record.error)
    return evaluate_records(str(results), matched, load_labels(labels, extra) if labels or extra else None)


def _from_images(
    wanted: _Wanted,
    models: list[tuple[str, str | None]],
    shared: dict[str, Any],
    failed: Callable[[str, str], None],
    messages: Messages,
    probes: list[ProbeResult],
) -> list[Evaluation]:
    """Evaluate every model with every set of templates, and its linear probes."""
    from clipcli.classifier import Classifier
    from clipcli.evaluation.evaluate import evaluate_embeddings
    from clipcli.evaluation.ground_truth import classes_of, indices_of, read_truth
    from clipcli.evaluation.linear_probe import probe
    from clipcli.labels.files import Label

    labelled = read_truth(wanted.source, wanted.exclusion)
    labels = wanted.labels or [Label(name) for name in classes_of(labelled)]
    indices_of(classes_of(labelled), labels)  # before anything takes time
    variants = wanted.variants()
    evaluations: list[Evaluation] = []
    classifiers = [Classifier(name, labels, pretrained=pretrained, **shared) for name, pretrained in models]
    for number, classifier in enumerate(classifiers):
        classifier.warn_of_single_label()
        images = _embedded(classifier, labelled, failed if not number else lambda *_: None, messages)
        title = classifier.source.title
        first = len(evaluations)
        for variant, templates in variants:
            classes = classifier.embed_labels(templates)
            evaluations.append(evaluate_embeddings(f"{title}, {variant}", images, labels, classes))
        probes += [
            probe(title, images.vectors, evaluations[first], shots, wanted.strength, wanted.seed)
            for shots in wanted.shots
        ]
    return evaluations


def _embedded(
    classifier: Classifier, labelled: list[Any], failed: Callable[[str, str], None], messages: Messages
) -> Embedded:
    import numpy as np

    from clipcli.evaluation.evaluate import Embedded, embed_labelled

    rows = list(with_progress(embed_labelled(classifier, labelled, failed), lambda: len(labelled), messages))
    statistics = classifier.image_statistics
    messages.detail(f"images: {statistics.cached} from the cache, {statistics.encoded} encoded")
    if not rows:
        raise InputError("not one of the images can be read")
    paths, labels, vectors = zip(*rows, strict=True)
    return Embedded(paths, labels, np.stack(vectors))


def _named(text: str) -> tuple[str, str | None]:
    name, _, pretrained = text.partition("@")
    if not name:
        raise LabelError(f"--compare-model {text!r}: name a model, with a tag or file after an @ where it needs one")
    return name, pretrained or None


def _check_extra() -> None:
    from importlib.util import find_spec

    if find_spec("sklearn") is None or find_spec("matplotlib") is None:
        raise InputError("evaluate needs an extra: pip install 'clipcli[evaluate]'")


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"--plots {folder}: is a file; name a folder") from None
    except OSError as problem:
        raise OutputError(f"--plots {folder}: {problem.strerror or problem}") from None


def _tell(evaluations: list[Evaluation], probes: list[ProbeResult], failures: int) -> None:
    import sys

    from clipcli.cli.evaluation_tables import print_tables, print_tsv

    if sys.stdout.isatty():
        print_tables(evaluations, probes, failures)
    else:
        print_tsv(evaluations, probes)


def _write_json(file: Path, evaluations: list[Evaluation], probes: list[ProbeResult], failures: list[str]) -> None:
    import json

    from clipcli.evaluation.evaluate import as_json
    from clipcli.evaluation.linear_probe import probes_as_json
    from clipcli.storage.atomic import replacing
    from clipcli.text import printable

    found = {
        "evaluations": as_json(evaluations),
        "linear_probes": probes_as_json(probes),
        "failed": [printable(path) for path in failures],
    }
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
