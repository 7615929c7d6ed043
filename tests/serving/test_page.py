"""The files of the page of ``clipcli serve``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import clipcli.reports
import clipcli.serving
from clipcli.serving.static import INDEX, static_files

PAGE = Path(clipcli.serving.__file__).parent / "page"
REPORT = Path(clipcli.reports.__file__).parent / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))


def colours(style: str) -> list[list[str]]:
    """Return the colours of a style sheet, of the light and the dark scheme."""
    return [re.findall(r"--[\w-]+: #[0-9a-f]{6}", block) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)]


def test_the_page_has_the_colours_of_the_report() -> None:
    mine, others = ((folder / name).read_text("utf-8") for folder, name in ((PAGE, "style.css"), (REPORT, "page.css")))
    assert colours(mine) == colours(others)
    assert [len(each) for each in colours(mine)] == [9, 9]


def test_scripts_and_styles_are_files_of_their_own() -> None:
    html = (PAGE / INDEX).read_text("utf-8")
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", html)
    named = set(re.findall(r'(?:href|src)="/page/([\w.]+)"', html))
    assert named and named <= static_files().keys()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_files_that_are_served_and_use_no_html(script: Path) -> None:
    source = script.read_text("utf-8")
    assert set(re.findall(r'from "\./([\w.]+)"', source)) <= static_files().keys()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", source)
    assert len(source.splitlines()) <= 300
