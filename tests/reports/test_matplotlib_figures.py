"""Figures are written alike each time, and leave the caller's matplotlib settings alone."""

from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib
import pytest

from clipcli.reports.matplotlib_figures import empty_figure, ink_on, legible_size, save_as


def test_figures_leave_the_settings_of_matplotlib_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    drawn = empty_figure(2, 2)
    axes = drawn.subplots()
    axes.set_xticks([0], ["a"])
    save_as(drawn, tmp_path / "a.svg")
    assert dict(matplotlib.rcParams) == before


def test_the_same_figure_is_the_same_file_and_dollars_are_dollars(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        drawn = empty_figure(2, 2)
        axes = drawn.subplots()
        axes.set_title("costs $5 or $7")  # as mathematics, "5 or " would be set in italics
        axes.set_xticks([0], [r"$\bad{$"])  # as mathematics, an error
        save_as(drawn, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"<!-- costs $5 or $7 -->" in (tmp_path / "a.svg").read_bytes()


def test_text_on_a_colour_is_black_or_white_whichever_has_more_contrast() -> None:
    assert [ink_on(shade, shade, shade) for shade in (0, 0.3, 0.44, 0.48, 0.7, 1)] == ["white"] * 3 + ["black"] * 3
    assert (ink_on(0, 0, 1), ink_on(0, 1, 0)) == ("white", "black")


def test_text_is_as_large_as_its_space_allows_and_never_too_small_to_read() -> None:
    assert [legible_size(width, 1.0, 4) for width in (1.0, 0.3, 0.25, 0.2)] == [9, 8, 6, None]
    assert legible_size(1.0, 0.1, 4) is None


def test_characters_without_a_font_are_named_in_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    drawn = empty_figure(2, 2)
    drawn.subplots().set_title("\U0001cd00\U0001cd01")  # newer than any font
    with warnings.catch_warnings(), caplog.at_level("WARNING", "clipcli"):
        warnings.simplefilter("error")
        save_as(drawn, tmp_path / "a.png")
    assert [record.message for record in caplog.records] == [
        "some characters of names are not drawn: no installed font has them (install the fonts 'Noto Sans')"
    ]
