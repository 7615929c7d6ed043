"""Figures are written alike each time, and leave the caller's matplotlib settings alone."""

from __future__ import annotations

from pathlib import Path

import matplotlib

from clipcli.reports.matplotlib_figures import empty_figure, save_as


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
