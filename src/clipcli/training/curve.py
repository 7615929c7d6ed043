"""The training curve of a run: loss by step, and the measures by epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from clipcli.reports.matplotlib_figures import empty_figure
from clipcli.training.validation import MEASURES

__all__ = ["draw_curve"]

_BLUE, _ORANGE, _GREEN, _PINK, _GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"  # Okabe and Ito 2008
_SMOOTHED = 50  # number of intervals in which the loss is averaged


def draw_curve(rows: Iterable[Mapping[str, Any]], title: str) -> Any:
    """Draw the content of ``training/metrics.jsonl`` as a matplotlib figure."""
    from matplotlib.ticker import MaxNLocator

    rows = list(rows)
    steps = [row for row in rows if "loss" in row]
    epochs = [row for row in rows if "validation" in row]
    drawn = empty_figure(7.5, 8.5 if epochs else 3.5)
    upper, *lower = drawn.subplots(1 + 2 * bool(epochs), 1, sharex=True, squeeze=False)[:, 0]
    _draw_losses(upper, steps)
    upper.set_title(title, fontsize="medium")
    if lower:
        _draw_held_out(lower[0], epochs)
        _draw_shares(lower[1], epochs)
    last = lower[-1] if lower else upper
    last.set_xlabel("step")
    last.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no half step
    return drawn


def _draw_losses(axes: Any, steps: list[Mapping[str, Any]]) -> None:
    """Draw the loss of each batch as a dot, and their mean over intervals as a line."""
    places, losses = (np.array([row[name] for row in steps], dtype=float) for name in ("step", "loss"))
    side = 3 if len(losses) > _SMOOTHED else 8
    axes.plot(places, losses, color=_GREY, linestyle="none", marker=".", markersize=side, label="batch")
    if len(losses) > _SMOOTHED:
        parts = np.array_split(np.arange(len(losses)), _SMOOTHED)
        means = [[values[part].mean() for part in parts] for values in (places, losses)]
        axes.plot(*means, color=_BLUE, label="mean")
    axes.set_ylabel("training loss")
    _begin_at_zero(axes, losses)
    axes.legend(frameon=False)


def _draw_held_out(axes: Any, epochs: list[Mapping[str, Any]]) -> None:
    """Draw the loss of the held-out pairs by itself: it depends on the batch size, which is another one there."""
    held = [row["validation"]["loss"] for row in epochs]
    axes.plot([row["step"] for row in epochs], held, color=_ORANGE, marker="o", markersize=3)
    axes.set_ylabel("held-out loss")
    _begin_at_zero(axes, np.array(held, dtype=float))


def _begin_at_zero(axes: Any, values: Any) -> None:
    """Let an axis begin at zero, with room above the highest value."""
    finite = values[np.isfinite(values)]
    axes.set_ylim(0, 1.08 * (finite.max(initial=0.0) or 1.0))


def _draw_shares(axes: Any, epochs: list[Mapping[str, Any]]) -> None:
    places = [row["step"] for row in epochs]
    for name, colour in (("image_recall_1", _GREEN), ("text_recall_1", _PINK), ("accuracy", _ORANGE)):
        if name in epochs[0]["validation"]:
            values = [row["validation"][name] for row in epochs]
            axes.plot(places, values, color=colour, marker="o", markersize=3, label=MEASURES[name])
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share of held-out pairs")
    axes.legend(frameon=False)
