"""The training curve."""

from __future__ import annotations

from typing import Any

import pytest

from clipcli.training.curve import draw_curve


def run(steps: int, every: int) -> list[dict[str, Any]]:
    """Return the log of a run that validates after some steps."""
    rows: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        rows.append({"step": step, "loss": 3.0 / step})
        if step % every == 0:
            measures = {"loss": 1.0, "image_recall_1": 0.5, "text_recall_1": 0.4}
            rows.append({"step": step, "validation": measures})
    return rows


@pytest.mark.parametrize(("steps", "every"), [(2, 1), (3, 3), (400, 100)])
def test_a_step_is_a_whole_number_and_each_axis_has_one_kind_of_loss(steps: int, every: int) -> None:
    drawn = draw_curve(run(steps, every), "run")
    training, held_out, shares = drawn.axes
    drawn.draw_without_rendering()
    assert all(float(place).is_integer() for place in shares.get_xticks())
    assert [axes.get_ylabel() for axes in (training, held_out)] == ["training loss", "held-out loss"]
    assert len(training.lines) == (2 if steps > 50 else 1)  # the mean is that of several batches
    assert len(held_out.lines) == 1


def test_a_run_without_held_out_pairs_has_one_axis() -> None:
    (training,) = draw_curve(run(10, 99), "run").axes
    assert training.get_ylim()[0] == 0
