"""Charts of evaluations, as PNG and SVG, with matplotlib.

Colours are those of Okabe and Ito 2008 and matplotlib's ``viridis``, which colour-blind people can
distinguish. Charts must be readable with five classes and with a thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.evaluation.evaluate import Evaluation, confusion_table
from clipcli.evaluation.metrics import BINS, ClassReport, Scores, expected_calibration_error, reliability
from clipcli.evaluation.tags import TagEvaluation, TagReport
from clipcli.outputs.own_files import check_output
from clipcli.reports.matplotlib_figures import empty_figure, ink_on, legible_size, plain, save, size_of
from clipcli.storage.atomic import already_exists

__all__ = ["check_charts", "draw_evaluations", "draw_tag_evaluations"]

_CHART_FILE = re.compile(r"(?:confusion|reliability|classes)(?:-.*)?\.(?:png|svg)")
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#767676"
_NAMED = 60  # classes whose names fit along an axis
_CONFUSED = 25  # of more, those with the most confusions are named
_BARS = 40  # classes that fit into one chart of bars


def check_charts(folder: Path, *, overwrite: bool) -> None:
    """Check that no chart of an earlier evaluation is replaced unasked.

    Raises
    ------
    OutputError
        If there are charts and ``overwrite`` is not set, or if a file with the name of a chart is none.
    """
    for file in sorted(folder.iterdir()):
        if _CHART_FILE.fullmatch(file.name):
            if not overwrite and not file.is_dir():
                raise already_exists(file, "folder")
            check_output(file, overwrite=True)


def draw_evaluations(evaluations: Sequence[Evaluation], folder: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Draw three charts of each evaluation into a folder, and yield the files.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    for number, each in enumerate(evaluations, start=1):
        suffix = f"-{number}" if len(evaluations) > 1 else ""
        for name, draw in (("confusion", _confusion), ("reliability", _reliability), ("classes", _classes)):
            yield from save(draw(each), folder / f"{name}{suffix}", overwrite=overwrite)


def _confusion(evaluation: Evaluation) -> Any:
    """Draw the confusion matrix, as shares of each class, without labels that never occur.

    Of many labels, those with the most confusions are drawn with their names, next to all of them.
    """
    counts = confusion_table(evaluation)
    sizes = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, sizes, out=np.full(counts.shape, np.nan), where=sizes > 0)
    occurring = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    many = len(occurring) > _NAMED
    named = _most_confused(counts) if many else occurring
    side = float(np.clip(2.5 + 0.3 * len(named), 4.5, 16.0))
    drawn = empty_figure(side + 1.0 + 9.0 * many, max(side, 9.0 * many))
    axes, *others = drawn.subplots(1, 1 + many, width_ratios=[side, 8.0][: 1 + many], squeeze=False)[0]
    block = np.ix_(named, named)
    image = axes.imshow(shares[block], cmap="viridis", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    names = [plain(evaluation.labels[place]) for place in named]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=9)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    title = _title(evaluation.name, f"top-1 {evaluation.top1.value:.1%}")
    confused = f"the {len(names)} labels with the most confusions" if evaluation.confusions else "no label is confused"
    axes.set_title(confused if many else title, fontsize="medium")
    for whole in others:
        _dots(whole, shares[np.ix_(occurring, occurring)], counts[np.ix_(occurring, occurring)])
        whole.set_title(f"all {len(occurring)} labels that occur, in the order of the label list", fontsize="medium")
        drawn.suptitle(title, fontsize="medium")
    for each in (axes, *others):
        each.set_xlabel("predicted label")
        each.set_ylabel("true class")
    drawn.colorbar(image, ax=[axes, *others], shrink=0.7).set_label("share of images of the class")
    _write_counts(axes, image, shares[block], counts[block])
    return drawn


def _most_confused(counts: Any) -> Any:
    """Return the labels of the most frequent confusions in (C, C) counts, each next to what it is confused with."""
    wrong = counts - np.diag(np.diag(counts))
    found: dict[int, None] = {}
    for pair in np.argsort(-wrong, axis=None, kind="stable"):
        row, column = np.unravel_index(pair, wrong.shape)
        if len(found) >= _CONFUSED or not wrong[row, column]:
            break
        found.update(dict.fromkeys((int(row), int(column))))
    return np.array(list(found)[:_CONFUSED] or range(min(_CONFUSED, len(counts))), dtype=np.intp)


def _write_counts(axes: Any, image: Any, shares: Any, counts: Any) -> None:
    """Write the number of images into each cell that has some, if all numbers are legible there."""
    width, height = size_of(axes)
    size = legible_size(width / len(counts), height / len(counts), len(str(counts.max())))
    if size is None:
        return
    colours = image.cmap(image.norm(shares))
    for row, column in zip(*np.nonzero(counts), strict=True):
        ink = ink_on(*colours[row, column, :3])
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=size)


def _dots(axes: Any, shares: Any, counts: Any) -> None:
    """Draw a dot for each pair that occurs: a cell would be too thin to see."""
    rows, columns = np.nonzero(counts)
    axes.set_facecolor("black")
    axes.set_xlim(-1, len(counts))
    axes.set_ylim(len(counts), -1)
    axes.set_aspect("equal")
    axes.scatter(columns, rows, s=9, c=shares[rows, columns], cmap="viridis", vmin=0, vmax=1, linewidths=0)


def draw_tag_evaluations(
    evaluations: Sequence[TagEvaluation], folder: Path, *, overwrite: bool = True
) -> Iterator[Path]:
    """Draw the charts of each evaluation of tags into a folder, and yield the files.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    for number, each in enumerate(evaluations, start=1):
        suffix = f"-{number}" if len(evaluations) > 1 else ""
        yield from save(_bars(each.name, each.reports), folder / f"classes{suffix}", overwrite=overwrite)
        if each.probability is not None:
            error = expected_calibration_error(each.probability.ravel(), each.truth.ravel())
            drawn = _diagram(each.name, each.probability.ravel(), each.truth.ravel(), error, "pairs", "a label")
            yield from save(drawn, folder / f"reliability{suffix}", overwrite=overwrite)


def _reliability(evaluation: Evaluation) -> Any:
    hits, error = evaluation.best == evaluation.truth, evaluation.calibration.error
    return _diagram(evaluation.name, evaluation.probability, hits, error, "images", "the best label")


def _diagram(name: str, probability: Scores, hits: NDArray[np.bool_], error: float, unit: str, of: str) -> Any:
    """Draw accuracy against probability; the area of a dot is proportional to its number of images, or of pairs."""
    from matplotlib.ticker import MaxNLocator

    rows = [row for row in reliability(probability, hits) if row[0]]
    drawn = empty_figure(5.5, 6.5)
    upper, lower = drawn.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    upper.plot([0, 1], [0, 1], color=_GREY, linestyle="--", label="perfectly calibrated")
    counts, means, shares = (np.array(column) for column in zip(*rows, strict=True))
    upper.plot(means, shares, color=_BLUE, linewidth=1, label="this model")
    upper.scatter(means, shares, s=15 + 200 * counts / counts.max(), color=_BLUE, zorder=3, clip_on=False)
    upper.set_ylabel("accuracy")
    upper.set_ylim(-0.03, 1.05)
    upper.set_xlim(0, 1.02)
    upper.legend(loc="lower right", frameon=False)
    upper.set_title(_title(name, f"calibration error {error:.3f}"), fontsize="medium")
    lower.hist(probability, bins=BINS, range=(0, 1), color=_BLUE, rwidth=0.9)
    lower.set_ylabel(unit)
    lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    lower.set_xlabel(f"probability of {of}")
    return drawn


def _classes(evaluation: Evaluation) -> Any:
    return _bars(evaluation.name, evaluation.classes)


def _bars(name: str, every: Sequence[ClassReport | TagReport]) -> Any:
    """Draw precision and recall per class, worst first; for many classes, the worst below an overview."""
    reports = sorted((each for each in every if each.support), key=lambda each: (each.f1 or 0.0, each.recall or 0.0))
    many = len(reports) > _BARS
    imperfect = [each for each in reports if each.f1 != 1]
    shown = (imperfect[:_BARS] or reports[:1]) if many else reports
    height = max(3.0, 1.6 + 0.26 * len(shown))
    drawn = empty_figure(7.5, height + 2.0 * many)
    *above, axes = drawn.subplots(1 + many, 1, height_ratios=[2.0, height][not many :], squeeze=False)[:, 0]
    for upper in above:
        found, _, bars = upper.hist(
            [each.f1 or 0.0 for each in reports], bins=20, range=(0, 1), color=_GREY, rwidth=0.9
        )
        upper.bar_label(bars, [f"{count:.0f}" if count else "" for count in found], fontsize=7)
        upper.margins(y=0.15)
        upper.set_xlabel("F1")
        upper.set_ylabel("classes")
        upper.set_title(_title(name, f"all {len(reports)} classes"), fontsize="medium")
    places = np.arange(len(shown))
    for figure, offset, colour in (("recall", -0.2, _BLUE), ("precision", 0.2, _ORANGE)):
        shares = [getattr(each, figure) for each in shown]
        bars = axes.barh(places + offset, [share or 0.0 for share in shares], 0.38, color=colour, label=figure)
        texts = ["–" if share is None else f"{share:.0%}" for share in shares]  # a share of 0 is seen too
        axes.bar_label(bars, texts, fontsize=6, padding=2)
    axes.set_yticks(places, [f"{plain(each.label)} ({each.support})" for each in shown], fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.07)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_xlabel("share of images")
    axes.set_ylabel("class (images)")
    axes.set_title(_worst(len(shown), len(imperfect)) if many else _title(name, ""), fontsize="medium")
    drawn.legend(loc="outside lower center", ncols=2, frameon=False)
    return drawn


def _worst(shown: int, imperfect: int) -> str:
    """Return the title of the chart of some classes: never are classes without an error called the worst."""
    if not imperfect:
        return "all classes are perfect; one of them"
    return f"the {shown} worst" if imperfect > shown else f"the {shown} that are not perfect"


def _title(name: str, more: str) -> str:
    shown = plain(name, 70)
    return f"{shown}\n{more}" if more else shown
