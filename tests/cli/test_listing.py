"""Lists on a terminal: names that people type again are never shortened."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import pytest

from clipcli.cli.listing import fitting_widths, print_figures, print_table
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
    words = " ".join(drawn.replace(",", " ").split())
    for row in ROWS:
        assert all(word in words for cell in row[2:] for word in cell.replace(",", "").split())


def test_words_get_the_room_that_is_left() -> None:
    assert fitting_widths(HEADER, ROWS, 2, 50) == []
    assert fitting_widths(HEADER, ROWS, 2, 200) == [max(map(len, column)) for column in zip(*ROWS, strict=True)]
    assert sum(fitting_widths(HEADER, ROWS, 2, 110)) + 6 == 110


def listed(width: int, rows: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> str:
    screen: Any = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(("model", "tag", "million parameters", "ImageNet %", "licence"), rows)
    return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())


def test_one_very_long_name_does_not_push_columns_out(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "hf-hub:organisation/" + 40 * "x"
    drawn = listed(80, [("pocket", "", "24", "", "apache-2.0"), (long, "", "150", "", "mit")], monkeypatch)
    lines = [line.split() for line in drawn.splitlines()]
    assert lines[-2:] == [[long], ["150", "mit"]]


def test_numbers_on_narrow_terminals_have_their_units(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = listed(16, [("a-model-of-20-letter", "", "24", "71.5", "mit")], monkeypatch)
    assert "24 million parameters, ImageNet 71.5 %, mit" in " ".join(drawn.split())


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
            assert any(number in line.replace(",", "").split() for line in lines), number
    assert "\N{HORIZONTAL ELLIPSIS}" not in drawn
    letters = re.sub(r"\s", "", drawn)
    assert width > 40 or "photos/a_rather_long_name_of_an_image_0001.jpg" in letters
