"""Print evaluations of tags: tables for people, TSV for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from clipcli.cli.listing import print_figures
from clipcli.evaluation.vocabulary import shown_names
from clipcli.outputs.records import round_score
from clipcli.text import one_line

if TYPE_CHECKING:
    from clipcli.evaluation.tags import TagEvaluation, TagReport
    from clipcli.pipeline.calibration import FittedCalibration

__all__ = ["print_calibration", "print_tag_tables", "print_tag_tsv"]


def print_tag_tsv(evaluations: Sequence[TagEvaluation]) -> None:
    """Print one line per figure: name, metric, label (empty for all labels), value and its 95 % interval."""
    print("name", "metric", "label", "value", "low", "high", sep="\t")  # noqa: T201
    for each in evaluations:
        for metric, label, value, bounds in _figures(each):
            numbers = [f"{round_score(number):g}" for number in (value, *(bounds or ()))]
            print(one_line(each.name), metric, one_line(label), *numbers, *[""] * (3 - len(numbers)), sep="\t")  # noqa: T201
    sys.stdout.flush()


def _figures(each: TagEvaluation) -> Iterator[tuple[str, str, float, tuple[float, float] | None]]:
    yield "images", "", len(each.paths), None
    yield "labels_per_image", "", float(each.truth.sum(axis=1).mean()), None
    yield "tags_per_image", "", float(each.predicted.sum(axis=1).mean()), None
    found = each.intervals
    known = {} if found is None else {
        "mAP": found.mean_average_precision, "micro_precision": found.precision, "micro_recall": found.recall,
        "micro_f1": found.f1,
    }  # fmt: skip
    values = {"mAP": each.mean_average_precision, "micro_AP": each.micro_average_precision}
    values |= {
        f"{kind}_{name}": value
        for kind, figures in (("micro", each.micro), ("macro", each.macro))
        for name, value in vars(figures).items()
    }
    for name, value in {**values, "calibration_error": each.calibration_error}.items():
        interval = known.get(name)
        if value is not None:
            yield name, "", value, None if interval is None else (interval.low, interval.high)
    for report in each.reports:
        yield "images", report.label, report.support, None
        figures = (
            ("AP", report.average_precision, None), ("precision", report.precision, report.precision_interval),
            ("recall", report.recall, report.recall_interval), ("f1", report.f1, None),
        )  # fmt: skip
        for name, value, bounds in figures:
            if value is not None:
                yield name, report.label, value, bounds


def print_calibration(fitted: FittedCalibration) -> None:
    """Print the figures of a calibration on stderr, for people."""
    shown = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in fitted.figures.items())
    typer.echo(f"calibration on {fitted.images} images (measured out of fold): {shown}", err=True)
    never = [label for label, least in zip(fitted.labels, fitted.thresholds, strict=False) if least >= 1]
    if never:
        of = f"{len(never)} of {len(fitted.labels)} labels"
        typer.echo(f"{of} do not reach the target and are never given: {one_line(shown_names(never))}", err=True)


def print_tag_tables(evaluations: Sequence[TagEvaluation], failures: int) -> None:
    """Print the figures over all labels, and those of each label of the best evaluation, worst first."""
    from clipcli.terminal import console as open_console

    console, first = open_console(), evaluations[0]
    failed = f", {failures} failed" if failures else ""
    average = first.truth.sum(axis=1).mean()
    console.print(f"{len(first.paths)} images with {average:.1f} of {len(first.labels)} labels on average{failed}\n")
    rows = [
        (
            one_line(each.name), _percent(each.mean_average_precision), _bounds(each), _percent(each.micro.precision),
            _percent(each.micro.recall), _percent(each.micro.f1), _percent(each.macro.f1),
            f"{each.predicted.sum(axis=1).mean():.1f}",
            "" if each.calibration_error is None else f"{each.calibration_error:.3f}",
        )
        for each in evaluations
    ]  # fmt: skip
    print_figures(
        console, ("", "mAP", "95 %", "precision", "recall", "F1", "F1 of labels", "tags per image", "ECE"), rows
    )
    best = max(evaluations, key=lambda each: (each.mean_average_precision or 0.0, each.micro.f1))
    of = f" of {one_line(best.name)}" if len(evaluations) > 1 else ""
    labels = [
        (
            one_line(each.label), str(each.support), _percent(each.average_precision), _percent(each.precision),
            _percent(each.recall), _percent(each.f1), "" if each.threshold is None else f"{each.threshold:.3g}",
        )
        for each in sorted(best.reports, key=_worst_first)
    ]  # fmt: skip
    console.print()
    print_figures(console, (f"labels{of}", "images", "AP", "precision", "recall", "F1", "threshold"), labels)


def _worst_first(report: TagReport) -> tuple[bool, float, float]:
    """Sort labels by their average precision, then F1; those that no image has come last."""
    return not report.support, report.average_precision or 0.0, report.f1 or 0.0


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _bounds(each: TagEvaluation) -> str:
    """Return the interval of the mean average precision in percent."""
    mean = None if each.intervals is None else each.intervals.mean_average_precision
    return "" if mean is None else f"{mean.low * 100:.1f}-{mean.high * 100:.1f}"
