"""Print evaluations: tables for people, TSV for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clipcli.cli.listing import print_figures
from clipcli.evaluation.evaluate import Evaluation, compare
from clipcli.evaluation.linear_probe import ProbeResult
from clipcli.evaluation.metrics import Interval
from clipcli.evaluation.vocabulary import shown_names
from clipcli.outputs.records import round_score
from clipcli.text import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_tables", "print_tsv"]

_WORST = 10  # classes and confusions shown; the JSON file has all


def print_tsv(evaluations: Sequence[Evaluation], probes: Sequence[ProbeResult]) -> None:
    """Print one line per metric: name, metric, value and its 95 % interval."""
    print("name", "metric", "value", "low", "high", sep="\t")  # noqa: T201
    for name, metric, figure in _figures(evaluations, probes):
        bounds = (figure.value, figure.low, figure.high) if isinstance(figure, Interval) else (figure,)
        numbers = [f"{round_score(number):g}" for number in bounds] + [""] * (3 - len(bounds))
        print(one_line(name), metric, *numbers, sep="\t")  # noqa: T201
    sys.stdout.flush()


def _figures(
    evaluations: Sequence[Evaluation], probes: Sequence[ProbeResult]
) -> Iterator[tuple[str, str, Interval | float]]:
    for each in evaluations:
        yield each.name, "images", len(each.paths)
        yield each.name, "top1", each.top1
        if each.top5 is not None:
            yield each.name, "top5", each.top5
        yield each.name, "mean_per_class", each.mean_per_class
        yield each.name, "macro_f1", each.macro_f1
        if each.top1_of_answers is not None:
            yield each.name, "answered", float(each.answered.mean())
            yield each.name, "top1_of_answers", each.top1_of_answers
        if each.top1_of_labels is not None:
            yield each.name, "with_label", float(each.has_label.mean())
            yield each.name, "top1_of_labels", each.top1_of_labels
        if each.tree is not None:
            for level in each.tree.levels:
                yield each.name, f"level_{level.level}", level.accuracy
            yield each.name, "hierarchical_precision", each.tree.precision
            yield each.name, "hierarchical_recall", each.tree.recall
            yield each.name, "hierarchical_f1", each.tree.f1
        yield each.name, "calibration_error", each.calibration.error
        if each.calibration.temperature is not None:
            yield each.name, "temperature", each.calibration.temperature
        if each.calibration.error_after is not None:
            yield each.name, "calibration_error_after", each.calibration.error_after
        gain = compare(evaluations[0], each)
        if each is not evaluations[0] and gain is not None:
            yield each.name, "top1_more_than_first", gain
    for probe in probes:
        name = f"{probe.name}, linear probe on {probe.shots}"
        yield name, "images", probe.tested
        yield name, "top1", probe.accuracy
        yield name, "zero_shot_top1", probe.zero_shot
        yield name, "top1_more_than_zero_shot", probe.gain


def print_tables(evaluations: Sequence[Evaluation], probes: Sequence[ProbeResult], failures: int) -> None:
    """Print accuracies, significant differences, the worst classes and the most frequent mistakes."""
    from clipcli.terminal import console as open_console

    console = open_console()
    first = evaluations[0]
    supported = sum(report.support > 0 for report in first.classes)
    failed = f", {failures} failed" if failures else ""
    console.print(f"{len(first.paths)} images of {supported} classes, among {first.label_count} labels{failed}\n")
    _print_accuracies(console, evaluations)
    for each in evaluations:
        _print_shares(console, each, named=len(evaluations) > 1)
    for each in evaluations[1:]:
        gain = compare(first, each)
        if gain is not None:
            console.print(f"{one_line(each.name)}: {_gain(gain)}", markup=False)
    _print_trees(console, evaluations)
    if probes:
        _print_probes(console, probes)
    best = max(evaluations, key=lambda each: each.top1.value)
    _print_worst(console, best, named=len(evaluations) > 1)


def _print_accuracies(console: Console, evaluations: Sequence[Evaluation]) -> None:
    header = ("", "top-1", "95 %", "top-5", "per class", "macro F1", "ECE", "temperature")
    rows = [
        (
            one_line(each.name),
            f"{each.top1.value:.1%}",
            f"{each.top1.low * 100:.1f}-{each.top1.high * 100:.1f}",
            f"{each.top5.value:.1%}" if each.top5 else "",
            f"{each.mean_per_class.value:.1%}",
            f"{each.macro_f1:.1%}",
            f"{each.calibration.error:.3f}",
            "" if each.calibration.temperature is None else f"{each.calibration.temperature:.2f}",
        )
        for each in evaluations
    ]
    print_figures(console, header, rows)


def _print_shares(console: Console, each: Evaluation, *, named: bool) -> None:
    """Print the shares of images without an answer, and of images that no label is right for."""
    of = f"{one_line(each.name)}: " if named else ""
    if each.top1_of_answers is not None:
        share, accuracy = 1 - each.answered.mean(), each.top1_of_answers.value
        console.print(f"{of}{share:.1%} of the images are unknown; top-1 of the others is {accuracy:.1%}", markup=False)
    if each.not_labels:
        count, names = int((~each.has_label).sum()), one_line(shown_names(each.not_labels))
        rest = f"; top-1 of the others is {each.top1_of_labels.value:.1%}" if each.top1_of_labels is not None else ""
        console.print(
            f"{of}{count} images ({count / len(each.paths):.1%}) count as wrong because their class is not a label "
            f"({names}){rest}", markup=False,
        )  # fmt: skip


def _print_trees(console: Console, evaluations: Sequence[Evaluation]) -> None:
    """Print the accuracy at each level of the groups, and the hierarchical figures."""
    trees = [(one_line(each.name), each.tree) for each in evaluations if each.tree is not None]
    if not trees:
        return
    depth = max(len(tree.levels) for _, tree in trees)
    header = ("tree of groups", *(f"level {level}" for level in range(1, depth + 1)), "precision", "recall", "F1")
    rows = [
        (
            name, *(f"{level.accuracy.value:.1%}" for level in tree.levels), *[""] * (depth - len(tree.levels)),
            *(f"{value:.1%}" for value in (tree.precision, tree.recall, tree.f1)),
        )
        for name, tree in trees
    ]  # fmt: skip
    console.print()
    print_figures(console, header, rows)


def _print_probes(console: Console, probes: Sequence[ProbeResult]) -> None:
    header = ("linear probe", "images per class", "top-1", "zero-shot", "difference", "95 %")
    rows = [
        (
            one_line(each.name), str(each.shots), f"{each.accuracy.value:.1%}", f"{each.zero_shot.value:.1%}",
            f"{each.gain.value * 100:+.1f}", f"{each.gain.low * 100:+.1f} to {each.gain.high * 100:+.1f}",
        )
        for each in probes
    ]  # fmt: skip
    console.print()
    print_figures(console, header, rows)


def _print_worst(console: Console, best: Evaluation, *, named: bool) -> None:
    """Print the worst classes, among which none is without an error, and the most frequent mistakes."""
    of = f" of {one_line(best.name)}" if named else ""
    imperfect = (report for report in best.classes if report.support and report.f1 != 1)
    if worst := sorted(imperfect, key=lambda each: each.f1 or 0.0)[:_WORST]:
        console.print()
        rows = [
            (
                one_line(each.label), str(each.support), _percent(each.precision), _bounds(each.precision_interval),
                _percent(each.recall), _bounds(each.recall_interval), _percent(each.f1),
            )
            for each in worst
        ]  # fmt: skip
        columns = (f"worst classes{of}", "images", "precision", "95 %", "recall", "95 %", "F1")
        print_figures(console, columns, rows)
    if best.confusions:
        console.print()
        mistakes = [
            (one_line(each.truth), one_line(each.predicted), str(each.count),
             one_line(printable(best.paths[each.images[0]])))
            for each in best.confusions[:_WORST]
        ]  # fmt: skip
        header = ("most frequent mistakes", "taken for", "times", "for example")
        print_figures(console, header, mistakes, names=(0, 1, 3))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _bounds(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0] * 100:.0f}-{interval[1] * 100:.0f}"


def _gain(gain: Interval) -> str:
    points = f"{gain.value * 100:+.1f} points vs. the first ({gain.low * 100:+.1f} to {gain.high * 100:+.1f})"
    return f"{points}, {'significant' if gain.is_beyond_noise else 'not significant'}"
