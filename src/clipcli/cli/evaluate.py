"""``clipcli evaluate``: measure accuracy on images whose classes are known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import options
from clipcli.cli.calibration_options import Calibrating
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages
from clipcli.cli.score_options import TagScore, TagThreshold
from clipcli.errors import InputError, LabelError, OutputError
from clipcli.scoring.thresholds import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from clipcli.evaluation.compare import Comparison

__all__ = ["check_extra", "evaluate"]

_WHAT, _OUT = "Comparison", "Output"
_NO_MODEL = (
    "cannot use --truth with --template, --prompts, --compare-model or --few-shot: "
    "it evaluates an existing results file (leave them out)"
)


class Level(str, Enum):
    """What an answer is."""

    label = "label"
    group = "group"


@dataclass(frozen=True)
class _Labels(options.Labels):
    """Labels and prompts, of which several sets can be compared."""

    labels: Annotated[
        Path | None,
        typer.Option("--labels", "-L", metavar="FILE", envvar="CLIPCLI_LABELS", rich_help_panel="Labels and prompts",
                     help="Label file, as for classify; a column folder names the classes in the ground truth. "
                          "[default: the class names in SOURCE]"),
    ] = None  # fmt: skip
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompts", "-p", metavar="NAME|FILE", rich_help_panel="Labels and prompts",
                     help="Built-in set of prompt templates (see 'clipcli prompts list'), or a file with one "
                          "template per line; repeat to compare several sets."),
    ] = None  # fmt: skip


@with_groups
def evaluate(
    *,
    context: typer.Context,
    source: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE", show_default=False,
                       help="A folder with one folder per class, or a .csv or .tsv file with the columns 'path' and "
                            "'label'. With --truth: results of 'clipcli classify', which are compared with the truth, "
                            "and several with each other."),
    ],
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="DIR|FILE",
                     help="Ground truth for results: a folder with one folder per class, or a .csv or .tsv file with "
                          "the columns 'path' and 'label'."),
    ] = None,
    by: Annotated[
        Level, typer.Option("--by", help="An answer is right if its label is right, or if its group is. With group, "
                                         "the ground truth can name labels or groups.")
    ] = Level.label,
    tags: Annotated[
        bool, typer.Option("--tags", help="Evaluate tags: in the ground truth, labels of one image are separated by |, "
                                          "as in cat|outdoor, and unknown stands for none.")
    ] = False,
    score: TagScore = None,
    threshold: TagThreshold = DEFAULT_THRESHOLD,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", show_default=False,
                     help="Folder that relative paths in tables and results are relative to. [default: the folder of a "
                          "table, or the current folder, where the images are]"),
    ] = None,
    path_column: options.TruthPath = None,
    label_column: options.TruthLabel = None,
    labels: _Labels,
    classes: options.ClassesFile = None,
    compare_model: Annotated[
        list[str] | None,
        typer.Option("--compare-model", metavar="NAME[@TAG|@FILE]", rich_help_panel=_WHAT,
                     help="Compare with another model: NAME as for --model, TAG or FILE as for --pretrained; "
                          "repeat for more models."),
    ] = None,
    few_shot: Annotated[
        list[int] | None,
        typer.Option("--few-shot", metavar="K", min=1, rich_help_panel=_WHAT,
                     help="Measure also a linear probe: a logistic regression on the embeddings of K images per class, "
                          "tested on the other images; repeat for more values of K."),
    ] = None,
    probe_strength: Annotated[
        float,
        typer.Option("--probe-c", metavar="C", min=1e-6, rich_help_panel=_WHAT,
                     help="Inverse regularisation strength of the linear probe: with higher values, it fits the K "
                          "images more closely."),
    ] = 31.6,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, rich_help_panel=_WHAT,
                                      help="Random seed for choosing the --few-shot images.")] = 0,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", rich_help_panel=_OUT, help="Write all metrics to this JSON file.")
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", metavar="DIR", rich_help_panel=_OUT,
                     help="Folder for plots of the confusion matrix, reliability diagram and per-class metrics, as "
                          "PNG and SVG."),
    ] = None,
    calibrating: Calibrating,
    overwrite: options.Overwrite = False,
    model: options.Model,
    image_embeddings: options.ImageEmbeddingsFile = None,
    exclude: options.Exclude = None,
    include_hidden: options.IncludeHidden = False,
    running: options.Running,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Measure accuracy on images whose classes are known.

    clipcli evaluate photos/ --prompts photo --plots plots/

    clipcli evaluate truth.csv --labels labels.txt --prompts photo --few-shot 4

    clipcli evaluate truth.csv --classes classes.safetensors

    clipcli evaluate results.csv --truth truth.csv

    clipcli evaluate truth.csv --labels labels.txt --tags
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    check_extra()
    if truth is not None and (labels.template or labels.prompts or compare_model or few_shot):
        raise InputError(_NO_MODEL)
    if truth is None and len(source) > 1:
        raise InputError("cannot evaluate several sources without --truth: only results files can be compared")
    if classes is not None:
        labels.check_unused(context)
    given = [*source, truth, image_embeddings, classes, calibrating.calibration, *labels.files, model.pretrained]
    files = [json_file, *calibrating.files]
    context.with_resource(_outputs(files, plots, given, overwrite=overwrite))
    from clipcli.cli.reporter import TerminalReporter, end
    from clipcli.evaluation.compare import evaluate as compare
    from clipcli.evaluation.compare import evaluate_results
    from clipcli.evaluation.ground_truth import TruthColumns
    from clipcli.inputs.exclusion import Exclusion

    chosen = labels.load() if classes is None and (labels.labels or labels.label) else None
    reading: dict[str, Any] = {
        "by_group": by is Level.group, "columns": TruthColumns(path_column, label_column),
        "exclusion": Exclusion(tuple(exclude or ()), include_hidden), "root": root,
        "reporter": TerminalReporter(messages),
    }  # fmt: skip
    if truth is not None:
        comparison = evaluate_results(source, truth, chosen, **reading)
    else:
        comparison = compare(
            source[0], [(model.model, model.pretrained), *map(_named, compare_model or ())], chosen,
            tags=tags, score=score.value if score else None, threshold=threshold, **calibrating.parameters,
            few_shot=few_shot or (), probe_strength=probe_strength, seed=seed, image_embeddings=image_embeddings,
            classes=classes, **reading,
            **labels.prompt_parameters, **model.running, **running.parameters,
        )  # fmt: skip
    _save(comparison, json_file, plots, messages, overwrite=overwrite)
    calibrating.save(comparison, overwrite=overwrite)
    _tell(comparison)  # last: the reader may close the pipe early
    end(comparison.outcome, messages)


@contextmanager
def _outputs(files: list[Path | None], plots: Path | None, inputs: list[Any], *, overwrite: bool) -> Iterator[None]:
    """Check what is written, and keep other runs from writing it meanwhile."""
    from clipcli.outputs.own_files import check_output
    from clipcli.storage.locks import locked

    for file in filter(None, files):
        check_output(file, inputs, overwrite=overwrite)
    if plots is not None:
        from clipcli.evaluation.charts import check_charts

        _check_folder(plots)
        check_charts(plots, overwrite=overwrite)
    with locked(*files, plots):
        yield


def _save(
    comparison: Comparison, json_file: Path | None, plots: Path | None, messages: Messages, *, overwrite: bool
) -> None:
    if json_file is not None:
        import json

        from clipcli._version import __version__
        from clipcli.storage.atomic import replacing

        with replacing(json_file, overwrite=overwrite) as temporary:
            text = json.dumps({"clipcli": __version__, **comparison.as_json}, indent=1, ensure_ascii=False) + "\n"
            temporary.write_text(text, "utf-8")
    if plots is not None:
        from clipcli.evaluation.charts import draw_evaluations, draw_tag_evaluations

        tagged = draw_tag_evaluations(comparison.tags, plots, overwrite=overwrite)
        for file in tagged if comparison.tags else draw_evaluations(comparison.evaluations, plots, overwrite=overwrite):
            messages.detail(f"drew {file}")


def _named(text: str) -> tuple[str, str | None]:
    name, _, pretrained = text.partition("@")
    if not name:
        raise LabelError(f"cannot use --compare-model {text!r}: it has no model name (write it like NAME or NAME@TAG)")
    return name, pretrained or None


def check_extra(doing: str = "evaluate") -> None:
    """Raise :class:`InputError` if what an evaluation, or teaching, needs is not installed."""
    from importlib.util import find_spec

    if find_spec("sklearn") is None or find_spec("matplotlib") is None:
        raise InputError(f"cannot {doing}: it needs an extra (pip install 'clipcli[evaluate]')")


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"cannot use --plots {folder}: it is a file (name a folder)") from None
    except OSError as problem:
        raise OutputError(f"cannot use --plots {folder}: {problem.strerror or problem}") from None


def _tell(comparison: Comparison) -> None:
    import sys

    from clipcli.cli.evaluation_tables import print_tables, print_tsv
    from clipcli.cli.tag_tables import print_calibration, print_tag_tables, print_tag_tsv

    if comparison.calibration is not None:
        print_calibration(comparison.calibration)
    if comparison.tags:
        if sys.stdout.isatty():
            print_tag_tables(comparison.tags, len(comparison.failed))
        else:
            print_tag_tsv(comparison.tags)
        return
    evaluations, probes = comparison.evaluations, comparison.probes
    if sys.stdout.isatty():
        print_tables(evaluations, probes, len(comparison.failed))
    else:
        print_tsv(evaluations, probes)
