"""The table of scores on terminals of any width."""

from __future__ import annotations

import pytest
from rich.console import Console

from clipcli.outputs.terminal_table import bars
from clipcli.pipeline.predictions import Prediction
from clipcli.scoring.zeroshot import Score

LONG = "a very long label about something else entirely, and more than that"
RESULT = Prediction(
    "x.jpg", "cup", (Score("cup", 1.0, 0.425), Score(LONG, 0.104, -0.103), Score("dog", 0.04, 0.1)), "pocket", None,
    {"drink": 0.99},
)  # fmt: skip


def lines_at(width: int) -> list[str]:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(bars(RESULT, width))
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [12, 20, 24, 25, 30, 36, 46, 60, 80, 120, 300])
def test_no_number_is_cut_off_and_no_line_is_too_long(width: int) -> None:
    lines = lines_at(width)
    for number in ("100.0%", "10.4%", "4.0%", "99.0%", "0.425", "-0.103", "0.100"):
        assert any(number in line for line in lines), number
    assert max(map(len, lines)) <= width


def test_bars_shrink_before_labels_do() -> None:
    wide, narrow = lines_at(120)[0], lines_at(76)[0]
    assert wide.count("█") == 24
    assert 4 <= narrow.count("█") < 24
    assert lines_at(76)[1].split("…")[0] == lines_at(120)[1].split("…")[0]
