"""Lists on a terminal: names that people type again are never shortened."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import pytest

from clipcli.cli.listing import fitting, print_figures, print_table
from clipcli.terminal import console

HEADER = ("model", "pretrained", "good for", "licence")
ROWS = [
    ("MobileCLIP2-S0", "dfndr2b", "fast on a laptop, and good at most everyday photos", "apple-amlr"),
    ("ViT-L-14-quickgelu-of-a-long-name", "datacomp_xl_s13b_b90k", "most accurate", "MIT"),
]


class Terminal(io.StringIO):
    """A terminal that keeps what was written."""

    def isatty(self) -> bool:
        """Return true."""
        return True


@pytest.mark.parametrize("width", [20, 30, 60, 80, 120, 200])
def test_names_are_whole_at_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen: Any = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(HEADER, ROWS, names=2)
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert max(map(len, drawn.splitlines())) <= width
    joined = drawn.replace("\n", "") if width < 40 else drawn
    for row in ROWS:
        for name in row[:2]:
            assert name in joined
    assert "\N{HORIZONTAL ELLIPSIS}" not in drawn
    assert ("left out" in drawn) == (width in (60, 80))


def test_columns_on_the_right_are_left_out_first() -> None:
    assert [fitting(HEADER, ROWS, 2, width) for width in (30, 60, 75, 85, 200)] == [0, 2, 3, 4, 4]


FIGURES = ("model", "top-1", "95 %", "mean per class", "for example")
NUMBERS = [
    ("pocket, photo", "71.2%", "65.0-77.0", "100.0%", "photos/a_rather_long_name_of_an_image_0001.jpg"),
    ("a model with a long name, and a set of templates", "100.0%", "99.9-100.0", "", "x.jpg"),
]


@pytest.mark.parametrize("width", [12, 20, 30, 40, 60, 80, 120])
def test_no_figure_is_cut_or_wrapped_at_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen: Any = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    print_figures(console(screen), FIGURES, NUMBERS, names=(0, 4))
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    lines = drawn.splitlines()
    assert max(map(len, lines)) <= width
    for row in NUMBERS:
        for number in filter(None, row[1:4]):
            assert any(number in line.split() for line in lines), number
    assert "\N{HORIZONTAL ELLIPSIS}" not in drawn
    letters = re.sub(r"\s", "", drawn)
    assert width > 40 or "photos/a_rather_long_name_of_an_image_0001.jpg" in letters
