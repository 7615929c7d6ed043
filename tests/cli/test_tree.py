"""Groups that are paths in a tree, from end to end: real photos, the built-in model."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.conftest import RunHere, lines_of

POCKET = ("--model", "pocket", "--engine", "torch", "--precision", "fp32")


@pytest.fixture
def tree(tmp_path: Path, photos: dict[str, Path]) -> Path:
    """Two names for a cat, which tie, and other things."""
    rows = "cat,animal/pet\nkitty,animal/pet\nhorse,animal/farm\nrocket,machine\n"
    (tmp_path / "tree.csv").write_text(f"label,group\n{rows}", "utf-8")
    truth = f"path,label\n{photos['cat']},animal/pet\n{photos['rocket']},machine\n"
    (tmp_path / "truth.csv").write_text(truth, "utf-8")
    return tmp_path / "tree.csv"


def test_labels_that_tie_are_answered_by_their_group(run_here: RunHere, photos: dict[str, Path], tree: Path) -> None:
    line = ("classify", photos["cat"], photos["rocket"], "--labels", tree, *POCKET)
    backed, as_csv, level, evaluated = run_here(
        (*line, "--min-probability", 0.9, "--format", "jsonl"), (*line, "--min-probability", 0.9, "-o", "r.csv"),
        (*line, "--level", 1, "--format", "jsonl"), ("evaluate", "r.csv", "--truth", "truth.csv", "--by", "group"),
    )  # fmt: skip
    cat, rocket = map(json.loads, lines_of(backed.stdout))
    assert (cat["label"], cat["node"], cat["group"]) == ("unknown", "animal/pet", "unknown")
    assert (rocket["label"], rocket["node"]) == ("rocket", "machine/rocket")
    rows = list(csv.DictReader(io.StringIO((tree.parent / "r.csv").read_text("utf-8"))))
    assert [row["node"] for row in rows] == ["animal/pet", "machine/rocket"], as_csv.stderr
    assert [json.loads(each)["node"] for each in lines_of(level.stdout)] == ["animal", "machine"]
    assert evaluated.returncode == 0, evaluated.stderr
    figures = {line.split("\t")[1]: line.split("\t")[2] for line in lines_of(evaluated.stdout)}
    names = ("level_1", "level_2", "hierarchical_precision", "hierarchical_recall", "hierarchical_f1")
    assert [figures[name] for name in names] == ["1", "1", "1", "0.333333", "0.5"]  # the cat is unknown


def test_a_level_without_a_tree_is_refused(run_here: RunHere, photos: dict[str, Path]) -> None:
    (done,) = run_here(("classify", photos["cat"], "-l", "cat", "-l", "dog", *POCKET, "--level", 1, "-o", "r.csv"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot use --level: no group of the labels is a path" in done.stderr
