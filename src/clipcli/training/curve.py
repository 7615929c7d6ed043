"""The training curve of a run: loss by step, and the measures by epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from clipcli.reports.matplotlib_figures import empty_figure
from clipcli.training.validation import MEASURES

__all__ = ["draw_curve"]

_BLUE, _ORANGE, _GREEN, _PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"  # Okabe and Ito 2008
_SMOOTHED = 50  # number of intervals in which the loss is averaged


def draw_curve(rows: Iterable[Mapping[str, Any]], title: str) -> Any:
    """Draw the content of ``training/metrics.jsonl`` as a matplotlib figure."""
    rows = list(rows)
    steps = [row for row in rows if "loss" in row]
    epochs = [row for row in rows if "validation" in row]
    drawn = empty_figure(7.5, 6.0 if epochs else 3.5)
    upper, *lower = drawn.subplots(1 + bool(epochs), 1, sharex=True, squeeze=False)[:, 0]
    _draw_losses(upper, steps, epochs)
    upper.set_title(title, fontsize="medium")
    for axes in lower:
        _draw_shares(axes, epochs)
    (lower[0] if lower else upper).set_xlabel("step")
    return drawn


def _draw_losses(axes: Any, steps: list[Mapping[str, Any]], epochs: list[Mapping[str, Any]]) -> None:
    places, losses = (np.array([row[name] for row in steps], dtype=float) for name in ("step", "loss"))
    axes.plot(places, losses, color=_BLUE, linewidth=0.6, alpha=0.4)
    parts = [part for part in np.array_split(np.arange(len(losses)), _SMOOTHED) if len(part)]
    axes.plot(
        [places[part].mean() for part in parts],
        [losses[part].mean() for part in parts],
        color=_BLUE,
        label="training (per batch)",
    )
    if epochs:
        held = [row["validation"]["loss"] for row in epochs]
        axes.plot([row["step"] for row in epochs], held, color=_ORANGE, marker="o", markersize=3, label="held out")
    axes.set_ylabel(MEASURES["loss"])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _draw_shares(axes: Any, epochs: list[Mapping[str, Any]]) -> None:
    places = [row["step"] for row in epochs]
    for name, colour in (("image_recall_1", _GREEN), ("text_recall_1", _PINK), ("accuracy", _ORANGE)):
        if name in epochs[0]["validation"]:
            values = [row["validation"][name] for row in epochs]
            axes.plot(places, values, color=colour, marker="o", markersize=3, label=MEASURES[name])
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share of held-out pairs")
    axes.legend(frameon=False)
