"""The documentation site builds without a warning, and its pages load nothing from the network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
LOADED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']([^"']+)|<link\b[^>]*\bhref=["']([^"']+)""")
LOADED_BY_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?(https?:[^"')]+|//[^"')]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    done = subprocess.run([*command, "-d", folder / "cache", DOCS, folder / "html"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "html"


def test_each_page_is_built(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_pages_load_nothing_from_the_network(site: Path) -> None:
    for path in site.rglob("*.html"):
        loaded = [name for pair in LOADED.findall(path.read_text("utf-8")) for name in pair if name]
        assert loaded
        assert [name for name in loaded if re.match(r"(?:\w+:)?//", name)] == [], path
    styles = list(site.rglob("*.css"))
    assert styles
    for path in styles:
        assert LOADED_BY_STYLES.findall(path.read_text("utf-8")) == [], path


def test_a_number_and_its_percent_sign_are_on_one_line(site: Path) -> None:
    page = (site / "measurements" / "accuracy.html").read_text("utf-8")
    prose = re.sub(r"<(code|pre)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert re.search(r"\d\u00a0%", prose)
    assert not re.search(r"\d %", prose)
