"""Charts of evaluations, as PNG and SVG, with matplotlib.

Colours are those of Okabe and Ito 2008 and matplotlib's ``cividis`` and ``viridis``, which colour-blind people can
tell apart. Charts must be readable with five classes and with a thousand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipcli.errors import OutputError
from clipcli.evaluate import Evaluation, confusion_table
from clipcli.metrics import BINS, reliability

__all__ = ["draw_evaluations", "figure", "plain", "save"]

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#767676"
_NAMED = 60  # classes whose names fit along an axis
_COUNTED = 25  # classes whose counts fit into a matrix's cells
_BARS = 50  # classes that fit into one chart of bars; more are shown as their worst and best
_DOTS = 200  # an inch


def draw_evaluations(evaluations: Sequence[Evaluation], folder: Path) -> Iterator[Path]:
    """Draw three charts of each evaluation into a folder, yielding each file as it is there.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    for number, each in enumerate(evaluations, start=1):
        suffix = f"-{number}" if len(evaluations) > 1 else ""
        for name, draw in (("confusion", _confusion), ("reliability", _reliability), ("classes", _classes)):
            yield from save(draw(each), folder / f"{name}{suffix}")


def figure(width: float, height: float) -> tuple[Any, Any]:
    """Return a figure of that many inches, and its axes; no window is ever opened."""
    drawn = _empty_figure(width, height)
    return drawn, drawn.subplots()


def _empty_figure(width: float, height: float) -> Any:
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    rcParams["text.parse_math"] = False  # a label may hold a dollar sign
    rcParams["svg.hashsalt"] = "clipcli"  # the same chart is the same file
    return Figure(figsize=(width, height), layout="constrained")


def save(drawn: Any, stem: Path) -> Iterator[Path]:
    """Write a figure as PNG and as SVG."""
    for suffix in (".png", ".svg"):
        file = stem.with_name(stem.name + suffix)
        try:
            drawn.savefig(file, dpi=_DOTS, metadata={"Date": None} if suffix == ".svg" else None)
        except OSError as problem:
            raise OutputError(f"{file}: cannot be written ({problem.strerror or problem})") from None
        yield file


def plain(text: str, longest: int = 32) -> str:
    """Return a label on one line, cut where it is too long."""
    shown = " ".join(text.split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _confusion(evaluation: Evaluation) -> Any:
    """Draw how often each class got each label, as shares of the class."""
    counts = confusion_table(evaluation)
    sizes = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, sizes, out=np.full(counts.shape, np.nan), where=sizes > 0)
    classes = len(evaluation.labels)
    side = float(np.clip(2.5 + 0.3 * classes, 4.5, 16.0)) if classes <= _NAMED else 10.0
    drawn, axes = figure(side + 1.0, side)
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    bar = drawn.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label("share of the class's images")
    axes.set_xlabel("predicted label")
    axes.set_ylabel("true class")
    axes.set_title(_title(evaluation, f"top-1 {evaluation.top1.value:.1%}"), fontsize="medium")
    _name_ticks(axes, evaluation.labels)
    if classes <= _COUNTED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "black" if shares[row, column] > 0.6 else "white"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    return drawn


def _name_ticks(axes: Any, labels: Sequence[str]) -> None:
    """Name all classes where there is room, else number some of them."""
    if len(labels) > _NAMED:
        axes.set_xlabel("predicted label (number in the order of the labels)")
        axes.set_ylabel("true class (number in the order of the labels)")
        return
    names = [plain(label) for label in labels]
    size = 9 if len(labels) <= 30 else 7
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)


def _reliability(evaluation: Evaluation) -> Any:
    """Draw how often the label was right where it was that probable."""
    hits = evaluation.hits
    rows = reliability(evaluation.probability, hits)
    drawn = _empty_figure(5.5, 6.5)
    upper, lower = drawn.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    filled = [row for row in rows if row[0]]
    upper.plot([0, 1], [0, 1], color=_GREY, linestyle="--", label="as sure as right")
    means, shares = [row[1] for row in filled], [row[2] for row in filled]
    upper.plot(means, shares, color=_BLUE, marker="o", label="this model")
    upper.set_ylabel("share that was right")
    upper.set_ylim(0, 1.02)
    upper.set_xlim(0, 1)
    upper.legend(loc="upper left", frameon=False)
    upper.set_title(_title(evaluation, f"calibration error {evaluation.calibration.error:.3f}"), fontsize="medium")
    middles = (np.arange(BINS) + 0.5) / BINS
    lower.bar(middles, [row[0] for row in rows], width=0.9 / BINS, color=_BLUE)
    lower.set_ylabel("images")
    lower.set_xlabel("probability of the label")
    return drawn


def _classes(evaluation: Evaluation) -> Any:
    """Draw precision and recall of each class, worst first; of very many, the distribution beside the worst."""
    reports = sorted((each for each in evaluation.classes if each.support), key=lambda each: (each.f1, each.recall))
    shown = reports[:_BARS]
    drawn, axes = figure(7.5, max(3.0, 1.3 + 0.26 * len(shown)))
    places = np.arange(len(shown))
    axes.barh(places - 0.2, [each.recall for each in shown], height=0.38, color=_BLUE, label="recall")
    axes.barh(places + 0.2, [each.precision for each in shown], height=0.38, color=_ORANGE, label="precision")
    names = [f"{plain(each.label)} ({each.support})" for each in shown]
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of images")
    axes.set_ylabel("class (images)")
    left = f"the {len(shown)} worst of {len(reports)} classes" if len(reports) > len(shown) else ""
    axes.set_title(_title(evaluation, left), fontsize="medium")
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -1.0 / max(3.0, 1.3 + 0.26 * len(shown))), ncols=2, frameon=False
    )
    return drawn


def _title(evaluation: Evaluation, more: str) -> str:
    name = plain(evaluation.name, 70)
    return f"{name}\n{more}" if more else name
