"""The check of wording finds words in prose, and leaves names and code alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import wording  # noqa: E402 - a tool of the repository, not a package

RULES = wording.read_rules(wording.RULES.read_text("utf-8"))


def found(path: Path, text: str) -> list[tuple[int, str]]:
    path.write_text(text, "utf-8")
    return [(line, words) for line, words, _ in wording.findings(path, RULES)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"""Nothing is kept."""\n', [(1, "kept")]),
        ('"""First line.\n\n    What it was is told\n    anew.\n"""\n', [(3, "told"), (4, "anew")]),
        ('x = f"{name} stands twice"\n', [(1, "stands")]),
        ("x = 1  # but for this\n", [(1, "but for")]),
        ('"""One a line, of its own."""\n', [(1, "One a line"), (1, "of its own")]),
        ("kept = told = 1\n", []),
        ('x = {"kept": 1}\n', []),
        ('"""Returns ``kept``.\n\n    Parameters\n    ----------\n    kept\n        A number.\n    """\n', []),
    ],
)
def test_python_is_checked_in_strings_and_comments_only(
    text: str, expected: list[tuple[int, str]], tmp_path: Path
) -> None:
    assert found(tmp_path / "m.py", text) == expected


def test_code_in_documents_is_not_checked(tmp_path: Path) -> None:
    text = 'It goes on.\n\n```console\n$ told\n```\n\nNot `kept`, not "said".\n'
    assert found(tmp_path / "d.md", text) == [(1, "goes on")]


def test_every_rule_has_a_remedy() -> None:
    assert all(rule.remedy for rule in RULES)
    assert len(RULES) > 20
