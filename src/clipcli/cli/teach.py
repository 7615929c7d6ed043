"""``clipcli teach``: make classes of words and examples."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli import options
from clipcli.cli.evaluate import check_extra
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages

if TYPE_CHECKING:
    from clipcli.teaching.teach import Lesson

__all__ = ["teach"]

_HOW, _OUT = "Method", "Output"


class Method(str, Enum):
    """How classes are made; the names of :data:`clipcli.teaching.methods.METHODS`."""

    auto = "auto"
    text = "text"
    prototypes = "prototypes"
    mixed = "mixed"
    logistic = "logistic"


@with_groups
def teach(
    *,
    context: typer.Context,
    examples: Annotated[
        Path,
        typer.Argument(metavar="EXAMPLES", show_default=False,
                       help="A folder with one folder per class, or a .csv or .tsv file with the columns 'path' and "
                            "'label', such as the table that is saved on the page of 'clipcli report'. Each image has "
                            "one label."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", rich_help_panel=_OUT, show_default=False,
                     help="Classes file: .safetensors or .json."),
    ],
    overwrite: options.Overwrite = False,
    path_column: options.TruthPath = None,
    label_column: options.TruthLabel = None,
    labels: options.Labels,
    method: Annotated[
        Method,
        typer.Option("--method", rich_help_panel=_HOW,
                     help="text: from the words alone; prototypes: the mean of the examples; mixed: both; logistic: a "
                          "logistic regression on the examples, with the words; auto: the best of these in "
                          "cross-validation on the examples."),
    ] = Method.auto,
    folds: Annotated[
        int, typer.Option("--folds", metavar="N", min=2, rich_help_panel=_HOW,
                          help="Number of folds of the cross-validation; fewer if all classes have fewer examples.")
    ] = 5,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, rich_help_panel=_HOW,
                          help="Random seed for dividing the examples into folds.")
    ] = 0,
    model: options.Model,
    image_embeddings: options.ImageEmbeddingsFile = None,
    exclude: options.Exclude = None,
    include_hidden: options.IncludeHidden = False,
    running: options.Running,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Make classes from a few example images of each.

    The classes file is for 'clipcli classify --classes'. The model is not changed.

    clipcli teach examples/ -o classes.safetensors

    clipcli teach corrected.csv --labels labels.txt -o classes.safetensors

    clipcli classify photos/ --classes classes.safetensors

    Labels of --labels or --label without examples are recognised by their words, as in 'clipcli classify'.
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    check_extra("teach")
    from clipcli.outputs.class_embeddings import check_suffix
    from clipcli.outputs.own_files import check_output
    from clipcli.storage.locks import locked

    check_suffix(output, taught=True)
    inputs = [examples, image_embeddings, *labels.files, model.pretrained]
    check_output(output, inputs, overwrite=overwrite)
    context.with_resource(locked(output))
    from clipcli.cli.reporter import TerminalReporter, end
    from clipcli.evaluation.ground_truth import TruthColumns
    from clipcli.inputs.exclusion import Exclusion
    from clipcli.teaching.teach import teach as make

    lesson = make(
        examples, labels.load() if labels.labels or labels.label else None, method=method.value, folds=folds,
        seed=seed, image_embeddings=image_embeddings, columns=TruthColumns(path_column, label_column),
        exclusion=Exclusion(tuple(exclude or ()), include_hidden), reporter=TerminalReporter(messages),
        **labels.prompt_parameters, **model.parameters, **running.parameters,
    )  # fmt: skip
    lesson.save(output, overwrite=overwrite)
    _tell(lesson, output, messages)
    end(lesson.outcome, messages)


def _tell(lesson: Lesson, output: Path, messages: Messages) -> None:
    """Print the methods with their accuracy on left-out examples, and the chosen one."""
    taught = lesson.classes.taught
    if taught is None:
        return
    counts = sorted(int(count) for count in taught.counts if count)
    of_words = len(taught.counts) - len(counts)
    each = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
    more = f"; {of_words} more by words" if of_words else ""
    plural = "class" if len(counts) == 1 else "classes"
    messages.note(f"{len(counts)} {plural}, {len(taught.owners)} examples ({each} per class){more}")
    chosen = _title(lesson.chosen.method, lesson.chosen.weight)
    if lesson.trials:
        for line in _table(lesson):
            messages.note(line)
    else:
        messages.note(
            f"method: {chosen} (not compared: cross-validation needs examples of all classes, and two of one)"
        )
    messages.note(f"next: clipcli classify IMAGES --classes {shlex.quote(str(output))}")


def _table(lesson: Lesson) -> Sequence[str]:
    """Return the lines of a table."""
    rows = [("method", "top-1", "95 %", "loss", "")]
    for trial in lesson.trials:
        accuracy = trial.accuracy
        rows.append((
            _title(trial.candidate.method, trial.candidate.weight), f"{accuracy.value:.1%}",
            f"{accuracy.low * 100:.1f}-{accuracy.high * 100:.1f}", f"{trial.loss:.3f}",
            "chosen" if trial.candidate == lesson.chosen else "",
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) if not place else cell.rjust(width) for place, (cell, width) in
                  enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]  # fmt: skip


def _title(method: str, weight: float) -> str:
    """Return a method with the weight of the examples, if it has one."""
    return f"{method}, {weight:.0%} examples" if method in ("mixed", "logistic") else method
