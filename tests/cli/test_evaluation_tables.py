"""The tables of ``clipcli evaluate`` on terminals of any width."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import pytest

from clipcli.cli.evaluation_tables import print_tables
from clipcli.evaluation.evaluate import Evaluation
from clipcli.evaluation.records import evaluate_records
from clipcli.outputs.readers import ReadRecord


class Terminal(io.StringIO):
    """A terminal that keeps what was written."""

    def isatty(self) -> bool:
        """Return true."""
        return True


def evaluation(classes: int, mistakes: int) -> Evaluation:
    """Return an evaluation of three images per class, in which one image of the first classes is wrong."""
    names = [f"class {number:02} with a long name" for number in range(classes)]
    matched = [
        (
            ReadRecord(f"photos/{name}/{image}.jpg", names[-1] if image == 0 and place < mistakes else name, 0.8, None),
            name,
        )
        for place, name in enumerate(names)
        for image in range(3)
    ]
    return evaluate_records("results.csv", matched)


def printed(width: int, evaluations: list[Evaluation], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    screen: Any = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    print_tables(evaluations, [], 0)
    return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()).splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_no_number_is_cut_off(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = evaluation(20, 6)
    lines = printed(width, [measured], monkeypatch)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).replace(",", "").split()
    for number in ("90.0%", f"{measured.top1.low * 100:.1f}-{measured.top1.high * 100:.1f}", "66.7%", "33.3%"):
        assert number in words
    assert "…" not in " ".join(lines)


def test_no_class_without_an_error_is_among_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(120, [evaluation(20, 3)], monkeypatch)
    start = next(place for place, line in enumerate(lines) if line.startswith("worst classes"))
    worst = lines[start + 1 : lines.index("", start)]
    assert sorted(line[:8] for line in worst) == ["class 00", "class 01", "class 02", "class 19"]
