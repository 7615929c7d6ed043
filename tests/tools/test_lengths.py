"""The check of lengths counts what a reader has to read."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import lengths  # noqa: E402 - a tool of the repository, not a package


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("def f():\n    pass\n", 1),
        ('def f():\n    """Say it.\n\n    At length.\n    """\n', 0),
        ('def f(\n    a,\n    b,\n):\n    """Say it."""\n    x = a\n\n    return x + b\n', 3),
        ("def f():\n    def g():\n        pass\n\n    return g\n", 4),
    ],
)
def test_signature_and_docstring_are_not_counted(text: str, lines: int) -> None:
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert lengths.body_lines(function) == lines


def test_long_modules_and_functions_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lengths, "ROOT", tmp_path)
    file = tmp_path / "long.py"
    file.write_text("def f():\n" + "    pass\n" * 46 + "x = 1\n" * 260, "utf-8")
    module, function = lengths.problems_of(file)
    assert "long.py: 307 lines" in module
    assert "long.py:1: f has 46 lines" in function
