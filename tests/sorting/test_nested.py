"""Images are sorted into nested folders by groups that are paths, and back: animal/bird/owl."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pathvalidate import is_valid_filename

from clipcli.outputs.readers import ReadRecord
from clipcli.scoring.tree import levels_of
from clipcli.sorting.names import FolderNames
from clipcli.sorting.placement import LOG_NAME, By, Placement, carry_out, plan, undo
from tests.conftest import Run

ACTIONS = ("copy", "link", "move")
PARTS = st.text(min_size=1, max_size=12) | st.sampled_from(["..", ".", "~", "CON", "a", "A", "é", "e\u0301", "\ud800"])


def record(path: str, node: str, label: str | None = None, group: str | None = None) -> ReadRecord:
    """A record of a run with a tree; the label is the last part of the node unless another is given."""
    parent, _, last = node.rpartition("/")
    return ReadRecord(path, label or last, 0.5, None, group=group or parent or None, node=node)


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def place(
    root: Path, records: Iterable[ReadRecord], action: str = "copy", by: By = "group", level: int | None = None
) -> list[Placement]:
    into = root / "sorted"
    return list(carry_out(plan(records, into, root, by=by, level=level), action, into))


def files(root: Path) -> dict[str, str]:
    """The content of all files under a folder by path, without the log."""
    found = (path for path in root.rglob("*") if path.is_file() and path.name != LOG_NAME)
    return {path.relative_to(root).as_posix(): path.read_text() for path in found}


def undone(root: Path) -> dict[str, str | None]:
    return {path.relative_to(root / "sorted").as_posix(): problem for path, problem in undo(root / "sorted")}


@given(st.lists(st.lists(PARTS, min_size=1, max_size=4).map(tuple), max_size=8, unique=True))
@example([("a", "b"), ("A", "b"), ("a_b",), ("a/b",)])
@example([("..", "..", "etc"), (".", "x"), ("", "x")])
def test_every_level_is_a_valid_folder_name_of_its_own(paths: list[tuple[str, ...]]) -> None:
    names = FolderNames()
    folders = [names.of(path) for path in paths]
    for path, folder in zip(paths, folders, strict=True):
        assert len(folder.parts) == len(path)
        assert all(is_valid_filename(name, platform="universal") and name not in (".", "..") for name in folder.parts)
    for path, folder in zip(paths, folders, strict=True):
        for other, elsewhere in zip(paths, folders, strict=True):
            if other[:1] == path[:1]:
                assert elsewhere.parts[0] == folder.parts[0]


@pytest.mark.parametrize(
    ("path", "label", "levels"),
    [("animal/bird/owl", "owl", ("animal", "bird", "owl")), ("music/AC/DC", "AC/DC", ("music", "AC/DC")),
     ("AC/DC", "AC/DC", ("AC/DC",)), ("animal/bird", "unknown", ("animal", "bird")),
     ("unknown", "unknown", ("unknown",)),
     ("animal/bird", None, ("animal", "bird"))],
)  # fmt: skip
def test_a_label_with_a_slash_is_one_level(path: str, label: str | None, levels: tuple[str, ...]) -> None:
    assert levels_of(path, label) == levels


@pytest.mark.parametrize("action", ACTIONS)
def test_images_go_into_nested_folders_and_back(action: str, tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.png", "3.png")
    before = files(tmp_path)
    records = [record("1.png", "animal/bird/owl"), record("2.png", "animal/dog"), record("3.png", "machine/car")]
    assert {each.problem for each in place(tmp_path, records, action)} == {None}
    assert files(tmp_path / "sorted") == {
        "animal/bird/1.png": "1.png",
        "animal/2.png": "2.png",
        "machine/3.png": "3.png",
    }
    assert {each.is_there for each in place(tmp_path, records, action)} == {True}
    assert undone(tmp_path) == {"animal/bird/1.png": None, "animal/2.png": None, "machine/3.png": None}
    assert files(tmp_path) == before
    assert list((tmp_path / "sorted").iterdir()) == []


def test_images_are_sorted_by_the_answer_in_the_tree_up_to_a_level(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.png", "3.png")
    records = [
        record("1.png", "animal/bird/owl"), record("2.png", "animal/bird", "unknown", "animal/bird"),
        record("3.png", "unknown", "unknown", "machine"),
    ]  # fmt: skip
    place(tmp_path, records, by="node")
    assert sorted(files(tmp_path / "sorted")) == ["animal/bird/2.png", "animal/bird/owl/1.png", "unknown/3.png"]
    place(tmp_path, records, by="node", level=1)  # re-sorting: old copies go, with the folders that are empty then
    assert sorted(files(tmp_path / "sorted")) == ["animal/1.png", "animal/2.png", "unknown/3.png"]
    assert not (tmp_path / "sorted/animal/bird").exists()


def test_images_with_the_same_name_get_a_number_and_do_not_touch_other_files(tmp_path: Path) -> None:
    make(tmp_path, "x/a.png", "y/a.png", "sorted/animal/bird/a.png")
    place(tmp_path, [record("x/a.png", "animal/bird/owl"), record("y/a.png", "animal/bird/hawk")])
    assert files(tmp_path / "sorted") == {
        "animal/bird/a.png": "sorted/animal/bird/a.png", "animal/bird/a-2.png": "x/a.png",
        "animal/bird/a-3.png": "y/a.png",
    }  # fmt: skip


def test_undo_keeps_folders_in_which_something_else_is(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sorted/animal/mine.txt")
    place(tmp_path, [record("a.png", "animal/bird/owl")])
    undone(tmp_path)
    assert files(tmp_path / "sorted") == {"animal/mine.txt": "sorted/animal/mine.txt"}
    assert not (tmp_path / "sorted/animal/bird").exists()


@pytest.mark.parametrize("linked", ["animal", "animal/bird"])
def test_a_link_among_the_folders_is_not_followed(linked: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "victim/bird/a.png", "victim/a.png")
    (tmp_path / "sorted" / linked).parent.mkdir(parents=True)
    (tmp_path / "sorted" / linked).symlink_to(tmp_path / "victim")
    before = files(tmp_path / "victim")
    (placed,) = place(tmp_path, [record("a.png", "animal/bird/owl")])
    assert placed.problem == f"{tmp_path / 'sorted' / linked} is a link"
    assert files(tmp_path / "victim") == before


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("linked", ["animal", "animal/bird"])
def test_a_folder_that_became_a_link_is_not_followed_back(linked: str, action: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "victim/bird/a.png", "victim/a.png")
    place(tmp_path, [record("a.png", "animal/bird/owl")], action)
    shutil.rmtree(tmp_path / "sorted" / linked)
    (tmp_path / "sorted" / linked).symlink_to(tmp_path / "victim")
    before = files(tmp_path / "victim")
    assert undone(tmp_path) == {"animal/bird/a.png": f"{tmp_path / 'sorted' / linked} is a link"}
    place(tmp_path, [record("victim/a.png", "machine/car")], action="link")
    assert files(tmp_path / "victim") == before


def test_a_path_with_many_levels_is_refused_before_folders_are_made(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    deep = record("a.png", "/".join(["x"] * 5000))
    (placed,) = place(tmp_path, [deep])
    assert placed.problem == "its group has 4999 levels, and folders have at most 20 (use --level)"
    assert [each.name for each in (tmp_path / "sorted").iterdir()] == [LOG_NAME]
    (placed,) = place(tmp_path, [deep], level=2)
    assert files(tmp_path / "sorted") == {"x/x/a.png": "a.png"}


def test_a_log_of_before_is_undone_and_names_one_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sorted/cat/a.png")
    (tmp_path / "sorted/cat/a.png").write_text("a.png")
    status = (tmp_path / "a.png").stat()
    entry = {
        "action": "copy", "from": str(tmp_path / "a.png"), "to": "cat/a.png", "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }  # fmt: skip
    (tmp_path / "sorted" / LOG_NAME).write_text("\n" + json.dumps(entry))
    assert undone(tmp_path) == {"cat/a.png": None}
    assert list((tmp_path / "sorted").iterdir()) == []


def test_the_command_sorts_into_nested_folders_and_back(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png", "b.png", "c.png")
    lines = [
        {"path": path, "label": label, "probability": 0.5, "top": [], "group": group, "node": node}
        for path, label, group, node in (
            ("a.png", "owl", "animal/bird", "animal/bird/owl"), ("b.png", "unknown", "animal/bird", "animal/bird"),
            ("c.png", "dog", "animal", "animal/dog"),
        )
    ]  # fmt: skip
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "checked.csv").write_text("path,label,clipcli\nb.png,owl,checked\n")
    before = files(tmp_path)
    by_group = run("sort", "r.jsonl", "--into", "sorted", "--by", "group")
    assert (by_group.returncode, by_group.stdout) == (0, "animal\t1\nanimal/bird\t1\nunknown\t1\n")
    assert run("sort", "--undo", "sorted").stdout == "3 undone\n"
    by_node = run("sort", "r.jsonl", "--into", "sorted", "--by", "node", "--checked", "checked.csv")
    assert (by_node.stdout, by_node.stderr) == ("animal/bird/owl\t2\nanimal/dog\t1\n", "")
    assert run("sort", "r.jsonl", "--into", "sorted", "--by", "node", "--level", "1").stdout == "animal\t3\n"
    assert run("sort", "--undo", "sorted").returncode == 0
    assert files(tmp_path) == before
    refused = run("sort", "r.jsonl", "--into", "sorted", "--level", "1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--level only works with --by group or --by node" in refused.stderr


def test_results_without_a_tree_are_not_sorted_by_node(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png")
    (tmp_path / "r.csv").write_text("path,label,probability,similarity,group\na.png,cat,0.5,0.2,animal\n")
    done = run("sort", "r.csv", "--into", "sorted", "--by", "node")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: cannot sort by node: r.csv has no tree of groups (give the labels groups such as animal/bird in a "
        "label file)\n"
    )
