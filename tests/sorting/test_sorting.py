"""Photographs are sorted into folders that any label may name, never over another file, and back again."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pathvalidate import is_valid_filename

from clipcli.errors import InputError, OutputError
from clipcli.outputs.readers import ReadRecord
from clipcli.outputs.resume import ResultFile
from clipcli.outputs.run_settings import RunSettings
from clipcli.outputs.text_formats import Layout, write_results
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.scoring.zeroshot import Score
from clipcli.sorting.placement import LOG_NAME, Placement, carry_out, folder_names, plan, undo
from clipcli.text import printable
from tests.conftest import Run, lines_of

ACTIONS = ("copy", "link", "move")
LABELS = st.text(min_size=1, max_size=40) | st.text('./\\ :*?"<>|~\0\nCONcon.19é', min_size=1, max_size=8)
SURROGATE = "\ud800"


def record(path: str, label: str | None = "cat") -> ReadRecord:
    return ReadRecord(path, label, 0.5, None if label else "broken")


def make(folder: Path, *names: str) -> None:
    """Make files each of which holds its own name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.fsencode(name))


def place(root: Path, records: Iterable[ReadRecord], action: str = "copy") -> list[Placement]:
    return list(carry_out(plan(records, root / "sorted", root), action, root / "sorted"))


def sorted_files(root: Path) -> dict[str, str]:
    """What lies in the labels' folders, by path, with the name it had before."""
    files = (path for path in (root / "sorted").rglob("*") if path.is_file() and path.name != LOG_NAME)
    return {str(path.relative_to(root / "sorted")): os.fsdecode(path.read_bytes()) for path in files}


def taken_back(root: Path) -> dict[str, str | None]:
    return {str(path.relative_to(root / "sorted")): problem for path, problem in undo(root / "sorted")}


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# --- folder names -------------------------------------------------------------------------------------------


@given(st.lists(LABELS, max_size=12, unique=True))
@example(["..", ".", "/", "\\", " ", "\0", "~", "...", "\x85"])
@example(["CON", "con", "CON.", "con.txt", "aux ", " nul", "COM¹", "LPT9.tar.gz"])
@example(["a/b", "a_b", "a:b", "A_B", "a_b-2", "a_b "])
@example(["é", "e\u0301", "É", "E\u0301", "ß", "SS", "ss", "ſ"])
@example(["猫" * 300, "猫" * 301, "🐈" * 90, "x" * 300, "x" * 301, "é" * 300])
@example([SURROGATE, "a" + SURROGATE, "?"])
def test_a_folder_name_is_one_valid_path_component_that_no_other_label_has(labels: list[str]) -> None:
    names = folder_names(labels)
    assert list(names) == labels
    for name in names.values():
        assert name not in ("", ".", "..")
        assert not set(name) & set('/\\:*?"<>|\0\n')
        assert name == name.strip(" .")
        assert len(name.encode()) <= 200
        assert is_valid_filename(name, platform="universal")
    folded = {unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()) for name in names.values()}
    assert len(folded) == len({unicodedata.normalize("NFC", label) for label in labels})


@pytest.mark.parametrize("label", ["cat", "a cup of coffee", "кошка", "猫", "it's #1 (really)", "a,b;c=d", "a.b"])
def test_a_label_that_can_name_a_folder_does(label: str) -> None:
    assert folder_names([label]) == {label: label}


@pytest.mark.parametrize(
    ("label", "name"),
    [("../x", "_x"), ("a/b", "a_b"), ("/etc", "_etc"), ("C:\\x", "C__x"), ("CON", "CON_"), ("..", "_"), ("\n", "_"),
     (".hidden", "hidden"), ("=cmd|x", "=cmd_x"), ("dots...", "dots")],
)  # fmt: skip
def test_a_label_that_cannot_comes_as_close_as_may_be(label: str, name: str) -> None:
    assert folder_names([label]) == {label: name}


def test_labels_that_differ_in_case_alone_get_a_number() -> None:
    assert folder_names(["Cat", "cat", "CAT"]) == {"Cat": "Cat", "cat": "cat-2", "CAT": "CAT-3"}


@given(label=LABELS)
def test_a_label_never_leads_out_of_the_folder(label: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("any")
    make(root, "a.png")
    (placed,) = place(root, [record("a.png", label)])
    assert placed.target is not None
    assert placed.target.resolve().parent.parent == (root / "sorted").resolve()


# --- placing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
def test_each_photograph_goes_into_the_folder_of_its_label(action: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sub/b.png", "猫.png")
    place(tmp_path, [record("a.png"), record("sub/b.png", "dog"), record("猫.png")], action)
    assert sorted_files(tmp_path) == {"cat/a.png": "a.png", "dog/b.png": "sub/b.png", "cat/猫.png": "猫.png"}


@pytest.mark.parametrize(("action", "stays"), [("copy", True), ("link", True), ("move", False)])
def test_only_what_is_moved_is_gone_from_its_place(action: str, stays: bool, tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")], action)
    assert (tmp_path / "a.png").exists() is stays


def test_a_copy_keeps_the_time_of_its_photograph(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    os.utime(tmp_path / "a.png", (1e9, 1e9))
    place(tmp_path, [record("a.png")])
    assert (tmp_path / "sorted/cat/a.png").stat().st_mtime == 1e9


@pytest.mark.parametrize("action", ACTIONS)
def test_names_that_collide_get_a_number(action: str, tmp_path: Path) -> None:
    make(tmp_path, "1/a.png", "2/a.png", "3/A.PNG", "4/a-2.png")
    place(tmp_path, [record(name) for name in ("1/a.png", "2/a.png", "3/A.PNG", "4/a-2.png")], action)
    assert sorted_files(tmp_path) == {
        "cat/a.png": "1/a.png", "cat/a-2.png": "2/a.png", "cat/A-3.PNG": "3/A.PNG", "cat/a-2-2.png": "4/a-2.png",
    }  # fmt: skip


@pytest.mark.parametrize("again", ["copy", "link"])
@pytest.mark.parametrize("action", ["copy", "link"])
def test_an_image_that_gets_another_label_leaves_its_old_folder(action: str, again: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    place(tmp_path, [record("a.png"), record("b.png", "dog")], action)
    place(tmp_path, [record("a.png"), record("b.png")], again)
    assert sorted_files(tmp_path) == {"cat/a.png": "a.png", "cat/b.png": "b.png"}
    assert not (tmp_path / "sorted/dog").exists()
    assert set(taken_back(tmp_path).values()) == {None}
    assert tree(tmp_path) == {"a.png": b"a.png", "b.png": b"b.png"}


def test_an_old_copy_that_is_not_a_copy_any_more_stays(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    place(tmp_path, [record("a.png", "dog"), record("b.png", "dog")])
    (tmp_path / "sorted/dog/a.png").write_bytes(b"painted over")
    (tmp_path / "b.png").write_bytes(b"another picture")  # the only copy of the earlier one is that in the folder
    place(tmp_path, [record("a.png"), record("b.png")])
    assert sorted_files(tmp_path) == {
        "cat/a.png": "a.png", "cat/b.png": "another picture", "dog/a.png": "painted over", "dog/b.png": "b.png",
    }  # fmt: skip


def test_a_log_cannot_make_a_second_run_remove_files_elsewhere(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "other/a.png")
    place(tmp_path, [record("a.png", "dog")])
    (tmp_path / "other/a.png").write_bytes(b"a.png")
    shutil.rmtree(tmp_path / "sorted/dog")
    (tmp_path / "sorted/dog").symlink_to(tmp_path / "other")
    place(tmp_path, [record("a.png")])
    assert (tmp_path / "other/a.png").read_bytes() == b"a.png"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_file_that_is_there_is_never_overwritten(action: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sorted/cat/a.png")
    (tmp_path / "sorted/cat/a-2.png").symlink_to("nowhere")
    place(tmp_path, [record("a.png")], action)
    assert sorted_files(tmp_path) == {"cat/a.png": "sorted/cat/a.png", "cat/a-3.png": "a.png"}


@pytest.mark.parametrize("action", ACTIONS)
def test_sorting_again_changes_nothing(action: str, tmp_path: Path) -> None:
    make(tmp_path, "1/a.png", "2/a.png", "b.png", "c.png")
    records = [record("1/a.png"), record("2/a.png"), record("b.png", "dog")]
    place(tmp_path, records, action)
    before = tree(tmp_path)
    again = place(tmp_path, [*records, record("c.png")], action)
    assert [(each.is_there, each.problem) for each in again] == [(True, None)] * 3 + [(False, None)]
    (tmp_path / "sorted/cat/c.png").unlink()
    after = tree(tmp_path)
    after.pop("c.png", None)
    before.pop("c.png")
    log = "sorted/" + LOG_NAME
    assert {name: data for name, data in after.items() if name != log} == {
        name: data for name, data in before.items() if name != log
    }


def test_equal_photographs_of_one_run_are_both_sorted_and_found_again(tmp_path: Path) -> None:
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(b"the same")
    records = [record("1/a.png"), record("2/a.png")]
    assert [each.is_there for each in place(tmp_path, records)] == [False, False]
    assert sorted(sorted_files(tmp_path)) == ["cat/a-2.png", "cat/a.png"]
    assert [each.is_there for each in place(tmp_path, records)] == [True, True]


def test_a_copy_of_other_content_is_not_taken_for_the_photograph(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")])
    (tmp_path / "a.png").write_bytes(b"new!!")
    assert [each.is_there for each in place(tmp_path, [record("a.png")])] == [False]
    assert sorted_files(tmp_path) == {"cat/a.png": "a.png", "cat/a-2.png": "new!!"}


def test_a_photograph_that_was_moved_and_has_another_label_now_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")], "move")
    (again,) = place(tmp_path, [record("a.png", "dog")], "move")
    assert again.problem == f"it was moved to {tmp_path / 'sorted/cat/a.png'} before (undo that first)"


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_another_thing_in_the_place_of_a_photograph_is_not_opened(kind: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "other.png")
    (tmp_path / "sorted/cat").mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(tmp_path / "sorted/cat/a.png")
    else:
        (tmp_path / "other.png").write_bytes((tmp_path / "a.png").read_bytes())
        (tmp_path / "sorted/cat/a.png").symlink_to(tmp_path / "other.png")
    (placed,) = place(tmp_path, [record("a.png")])
    assert (placed.target, placed.is_there) == (tmp_path / "sorted/cat/a-2.png", False)


def test_photographs_can_be_sorted_by_group(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png", "c.png", "d.png")
    records = [
        ReadRecord("a.png", "cat", 0.5, None, group="animal"), ReadRecord("b.png", "dog", 0.5, None, group="animal"),
        ReadRecord("c.png", "unknown", 0.5, None, group="unknown"), record("d.png", "car"),
    ]  # fmt: skip
    *_, without = carry_out(plan(records, tmp_path / "sorted", tmp_path, by="group"), "copy", tmp_path / "sorted")
    assert sorted(sorted_files(tmp_path)) == ["animal/a.png", "animal/b.png", "unknown/c.png"]
    assert without.problem == "its label 'car' has no group"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_file_that_came_since_it_was_planned_is_not_overwritten(action: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    planned = list(plan([record("a.png")], tmp_path / "sorted", tmp_path))
    make(tmp_path, "sorted/cat/a.png")
    (placed,) = carry_out(planned, action, tmp_path / "sorted")
    assert placed.problem == "File exists"
    assert tree(tmp_path)["a.png"] == b"a.png"
    assert sorted_files(tmp_path) == {"cat/a.png": "sorted/cat/a.png"}


def test_photographs_are_moved_to_another_disk_and_back(tmp_path: Path) -> None:
    memory = Path("/dev/shm")  # noqa: S108
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is but one disk here")
    make(tmp_path, "a.png", "b.png")
    before = tree(tmp_path)
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        into = Path(folder)
        list(carry_out(plan([record("a.png"), record("b.png")], into, tmp_path), "move", into))
        assert (tree(tmp_path), (into / "cat/a.png").read_bytes()) == ({}, b"a.png")
        assert [problem for _, problem in undo(into)] == [None, None]
    assert tree(tmp_path) == before


def test_failed_inputs_are_passed_over(tmp_path: Path) -> None:
    assert place(tmp_path, [record("a.png", None)]) == []


@pytest.mark.parametrize("path", ["nowhere.png", "shard.tar/a.png", "", ".", "x" * 300, "nul\0.png", SURROGATE])
def test_what_cannot_be_found_is_said_and_the_others_go_on(path: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    missing, placed = place(tmp_path, [record(path), record("a.png")])
    assert (missing.target, missing.problem) == (None, "no such file")
    assert placed.target is not None


def test_a_file_where_a_folder_should_be_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png", "sorted/cat")
    stays, placed = place(tmp_path, [record("a.png"), record("b.png", "dog")])
    assert (stays.target, stays.problem) == (None, "File exists")
    assert placed.target is not None


def test_a_link_in_the_place_of_a_labels_folder_is_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sorted/x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sorted/cat").symlink_to(tmp_path / "elsewhere")
    (stays,) = place(tmp_path, [record("a.png")])
    assert "is a link" in (stays.problem or "")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_relative_link_is_not_moved_as_it_would_lead_nowhere(tmp_path: Path) -> None:
    make(tmp_path, "store/a.png")
    (tmp_path / "a.png").symlink_to("store/a.png")
    (stays,) = place(tmp_path, [record("a.png")], "move")
    assert "a relative link" in (stays.problem or "")
    assert (tmp_path / "a.png").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sorted")
    with pytest.raises(OutputError, match="cannot write "):
        place(tmp_path, [record("a.png")])


@pytest.mark.parametrize("name", [b"caf\xe9\xff.png", b"\\xe9.png", "Ёлка 🎄.png".encode()])
def test_a_file_is_found_by_the_path_that_results_show(name: bytes, tmp_path: Path) -> None:
    path = os.fsdecode(name)
    try:
        make(tmp_path, path)
    except OSError:
        pytest.skip("the file system here does not allow this name")
    place(tmp_path, [record(printable(path))])
    assert sorted_files(tmp_path) == {f"cat/{path}": path}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_longest_name_there_is_may_collide(action: str, tmp_path: Path) -> None:
    name = "猫" * 83 + ".png"
    make(tmp_path, f"1/{name}", f"2/{name}")
    place(tmp_path, [record(f"1/{name}"), record(f"2/{name}")], action)
    assert sorted(sorted_files(tmp_path).values()) == [f"1/{name}", f"2/{name}"]


# --- and back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
def test_all_can_be_taken_back(action: str, tmp_path: Path) -> None:
    names = ["1/a.png", "2/a.png", os.fsdecode(b"caf\xe9.png"), "two\nlines.png"]
    make(tmp_path, *names)
    before = tree(tmp_path)
    place(tmp_path, [record(printable(name)) for name in names], action)
    assert set(taken_back(tmp_path).values()) == {None}
    assert tree(tmp_path) == before
    assert list((tmp_path / "sorted").iterdir()) == []


@pytest.mark.parametrize("action", ACTIONS)
def test_several_sortings_are_taken_back_at_once(action: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    before = tree(tmp_path)
    place(tmp_path, [record("a.png")], action)
    place(tmp_path, [record("b.png")], "copy")
    taken_back(tmp_path)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_what_others_put_there_stays(action: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")], action)
    make(tmp_path, "sorted/cat/mine.png")
    assert taken_back(tmp_path) == {"cat/a.png": None}
    assert sorted_files(tmp_path) == {"cat/mine.png": "sorted/cat/mine.png"}


def test_a_copy_that_was_changed_is_left(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    place(tmp_path, [record("a.png"), record("b.png")])
    (tmp_path / "sorted/cat/a.png").write_bytes(b"a.pnG")
    assert taken_back(tmp_path) == {"cat/a.png": "it has changed", "cat/b.png": None}
    assert sorted_files(tmp_path) == {"cat/a.png": "a.pnG"}


def test_what_was_left_can_be_taken_back_later(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")])
    (tmp_path / "sorted/cat/a.png").write_bytes(b"a.pnG")
    taken_back(tmp_path)
    (tmp_path / "sorted/cat/a.png").write_bytes(b"a.png")
    assert taken_back(tmp_path) == {"cat/a.png": None}


@pytest.mark.parametrize("leads", [False, True], ids=["gone", "a link to the copy"])
def test_a_copy_is_left_where_it_is_the_only_one(leads: bool, tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")])
    (tmp_path / "a.png").unlink()
    if leads:
        (tmp_path / "a.png").symlink_to(tmp_path / "sorted/cat/a.png")
    assert list(taken_back(tmp_path).values()) != [None]
    assert sorted_files(tmp_path) == {"cat/a.png": "a.png"}


def test_a_link_that_was_replaced_by_a_file_is_left(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")], "link")
    (tmp_path / "sorted/cat/a.png").unlink()
    make(tmp_path, "sorted/cat/a.png")
    assert taken_back(tmp_path) == {"cat/a.png": "it is now a different file"}


def test_a_moved_photograph_does_not_go_back_over_another(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")], "move")
    (tmp_path / "a.png").write_bytes(b"another")
    assert taken_back(tmp_path) == {"cat/a.png": f"{tmp_path}/a.png already exists"}
    assert (tmp_path / "a.png").read_bytes() == b"another"


def test_a_moved_photograph_that_was_changed_is_left_until_it_is_as_it_was(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")], "move")
    moved = tmp_path / "sorted/cat/a.png"
    before = moved.stat()
    moved.write_bytes(b"retouched")
    assert taken_back(tmp_path) == {"cat/a.png": "it has changed"}
    assert not (tmp_path / "a.png").exists()
    moved.write_bytes(b"a.png")
    os.utime(moved, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert taken_back(tmp_path) == {"cat/a.png": None}


@pytest.mark.parametrize("second", ["sort", "undo"])
def test_a_folder_is_sorted_into_by_one_run_at_a_time(second: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    into = tmp_path / "sorted"
    first = carry_out(plan([record("a.png"), record("b.png")], into, tmp_path), "move", into)
    next(first)
    with pytest.raises(OutputError, match="another run is writing it"):
        list(undo(into) if second == "undo" else carry_out(plan([record("b.png")], into, tmp_path), "copy", into))
    assert len(list(first)) == 1
    assert taken_back(tmp_path) == {"cat/a.png": None, "cat/b.png": None}
    assert set(tree(tmp_path)) == {"a.png", "b.png"}


def test_where_nothing_was_sorted_there_is_nothing_to_undo(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot undo .*: it has no "):
        list(undo(tmp_path))


def test_what_is_taken_back_is_not_taken_back_again(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")])
    taken_back(tmp_path)
    with pytest.raises(InputError, match=r"cannot undo .*: it has no "):
        taken_back(tmp_path)


@pytest.mark.parametrize("damage", [b"\xff}", b"{x}", b'{"action": "copy"}'])
def test_a_damaged_log_is_refused_before_anything_is_done(damage: bytes, tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")])
    with (tmp_path / "sorted" / LOG_NAME).open("ab") as log:
        log.write(b"\n" + damage)
    with pytest.raises(InputError, match="damaged"):
        taken_back(tmp_path)
    assert sorted_files(tmp_path) == {"cat/a.png": "a.png"}


def test_a_line_of_the_log_that_was_cut_off_does_not_hide_the_others(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    place(tmp_path, [record("a.png")])
    with (tmp_path / "sorted" / LOG_NAME).open("ab") as log:
        log.write(b'\n{"action": "co')
    place(tmp_path, [record("b.png")])
    assert taken_back(tmp_path) == {"cat/b.png": None, "cat/a.png": None}


def test_a_sorted_folder_that_was_moved_is_undone_where_it_is(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")], "move")
    (tmp_path / "sorted").rename(tmp_path / "elsewhere")
    assert [problem for _, problem in undo(tmp_path / "elsewhere")] == [None]
    assert (tmp_path / "a.png").read_text() == "a.png"


def test_a_moved_photograph_that_is_nowhere_is_named_and_the_log_stays(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    place(tmp_path, [record("a.png"), record("b.png")], "move")
    (tmp_path / "sorted" / "cat" / "a.png").unlink()
    outcome = [problem for _, problem in undo(tmp_path / "sorted")]
    assert outcome[0] is None
    assert str(outcome[1]).startswith("neither it nor ")
    assert (tmp_path / "sorted" / LOG_NAME).exists()


@pytest.mark.parametrize("action", ACTIONS)
def test_undoing_can_be_tried_dry(action: str, tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png", "b.png")
    place(tmp_path, [record("a.png"), record("b.png", "dog")], action)
    before = tree(tmp_path)
    done = run("sort", "--undo", "sorted", "--dry-run", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "undo\tsorted/dog/b.png\nundo\tsorted/cat/a.png\n")
    assert tree(tmp_path) == before
    assert run("sort", "--undo", "sorted", cwd=tmp_path).stdout == "2 undone\n"


@pytest.mark.parametrize("change", ["damaged", "replaced", "a folder"])
def test_the_copy_of_an_original_that_has_changed_since_is_the_only_one_and_stays(change: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    place(tmp_path, [record("a.png"), record("b.png")])
    original = tmp_path / "a.png"
    original.unlink()
    if change == "a folder":
        original.mkdir()
    else:
        original.write_text("" if change == "damaged" else "another image")
    for dry_run in (True, False):
        outcome = {path.name: problem for path, problem in undo(tmp_path / "sorted", dry_run=dry_run)}
        assert outcome["b.png"] is None
        assert str(outcome["a.png"]).endswith("is no longer the image that was copied, so this is the only copy")
    assert (tmp_path / "sorted/cat/a.png").read_text() == "a.png"
    assert not (tmp_path / "sorted/cat/b.png").exists()


def test_a_file_that_cannot_be_undone_is_named_with_the_way_out(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")], "move")
    (tmp_path / "sorted/cat/a.png").unlink()
    done = run("sort", "--undo", "sorted", cwd=tmp_path)
    assert done.returncode == 1
    assert "delete it to forget them" in done.stderr


KILLED = """
import os, signal, sys
from pathlib import Path
from clipcli.outputs.readers import ReadRecord
from clipcli.sorting.placement import carry_out, plan

root, action, calls = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def count(event, _):
    global calls
    if event in ("open", "os.mkdir", "os.rename", "os.symlink", "os.remove", "os.utime", "os.chmod", "shutil.copystat"):
        calls -= 1
        if calls == 0:
            os.kill(os.getpid(), signal.SIGKILL)

records = [ReadRecord(f"{number}.png", f"label {number % 2}", 0.5, None) for number in range(4)]
sys.addaudithook(count)
for _ in carry_out(plan(records, root / "sorted", root), action, root / "sorted"):
    pass
"""


@pytest.mark.parametrize("action", ACTIONS)
def test_a_sorting_killed_at_any_moment_can_be_taken_back(action: str, tmp_path: Path) -> None:
    make(tmp_path, *(f"{number}.png" for number in range(4)))
    before = tree(tmp_path)
    killed = moment = 0
    while killed == moment:
        moment += 1
        done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), action, str(moment)], check=False)
        killed += done.returncode == -signal.SIGKILL
        if (tmp_path / "sorted" / LOG_NAME).exists():
            assert set(taken_back(tmp_path).values()) <= {None}
        assert tree(tmp_path) == before
    assert killed > 8
    assert list((tmp_path / "sorted").iterdir()) == []


@pytest.mark.parametrize("action", ACTIONS)
def test_a_sorting_killed_at_any_moment_can_be_done_again(action: str, tmp_path: Path) -> None:
    make(tmp_path, *(f"{number}.png" for number in range(4)))
    moment, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        moment += 3
        line = [sys.executable, "-c", KILLED, str(tmp_path), action]
        subprocess.run([*line, str(moment)], check=False)
        code = subprocess.run([*line, str(moment + 1)], check=False).returncode
    subprocess.run([*line, "0"], check=True)
    found = sorted(str(path.relative_to(tmp_path / "sorted")) for path in (tmp_path / "sorted").rglob("*.png"))
    assert found == ["label 0/0.png", "label 0/2.png", "label 1/1.png", "label 1/3.png"]
    assert set(taken_back(tmp_path).values()) <= {None}


@pytest.mark.parametrize("size", [0, 1, 9_999])
@pytest.mark.parametrize("action", ["copy", "move"])
def test_half_a_copy_that_a_kill_left_behind_is_completed(action: str, size: int, tmp_path: Path) -> None:
    data, place_of = os.urandom(10_000), tmp_path / "sorted/cat/a.png"
    (tmp_path / "a.png").write_bytes(data)
    place(tmp_path, [record("a.png")], action)
    (tmp_path / "a.png").write_bytes(data)
    place_of.write_bytes(data[:size])
    place(tmp_path, [record("a.png")], action)
    assert sorted(path.name for path in place_of.parent.iterdir()) == ["a.png"]
    assert place_of.read_bytes() == data
    assert taken_back(tmp_path)["cat/a.png"] is None
    assert tree(tmp_path) == {"a.png": data}


def test_a_file_that_no_run_placed_is_never_taken_for_half_a_copy(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"image")
    (tmp_path / "sorted/cat").mkdir(parents=True)
    (tmp_path / "sorted/cat/a.png").write_bytes(b"ima")
    place(tmp_path, [record("a.png")], "copy")
    assert (tmp_path / "sorted/cat/a.png").read_bytes() == b"ima"
    assert (tmp_path / "sorted/cat/a-2.png").read_bytes() == b"image"


@pytest.mark.parametrize("size", [0, 1, 5_000_000 - 1])
@pytest.mark.parametrize("action", ["copy", "move"])
def test_half_a_copy_that_a_kill_left_behind_is_removed(action: str, size: int, tmp_path: Path) -> None:
    data = os.urandom(5_000_000)
    (tmp_path / "a.png").write_bytes(data)
    place(tmp_path, [record("a.png")], action)
    (tmp_path / "a.png").write_bytes(data)  # also a move copies first, where it leads to another disk
    (tmp_path / "sorted/cat/a.png").write_bytes(data[:size])
    assert taken_back(tmp_path) == {"cat/a.png": None}
    assert tree(tmp_path) == {"a.png": data}


FULL = """
import resource, signal, sys
from pathlib import Path
from clipcli.outputs.readers import ReadRecord
from clipcli.sorting.placement import carry_out, plan

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1))
root = Path(sys.argv[1])
records = [ReadRecord(name, "cat", 0.5, None) for name in ("big.png", "small.png")]
for placed in carry_out(plan(records, root / "sorted", root), "copy", root / "sorted"):
    print(placed.source.name, placed.problem)
"""


def test_a_full_disk_leaves_no_half_photograph(tmp_path: Path) -> None:
    make(tmp_path, "small.png")
    (tmp_path / "big.png").write_bytes(bytes(200_000))
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout == "big.png File too large\nsmall.png None\n"
    assert sorted_files(tmp_path) == {"cat/small.png": "small.png"}


# --- hostile logs: a sorted folder may come from others -----------------------------------------------------


@dataclass
class Trap:
    """A sorted folder whose log an attacker can write, and a victim's folder outside it."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / "sorted" / LOG_NAME

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_bytes().split(b"\n") if line]

    def write(self, *entries: object) -> None:
        """Write a log in place, as whoever may write the folder can; it keeps its inode."""
        self.log.write_text("".join(f"{json.dumps(each)}\n" for each in entries), "utf-8")

    def rewrite(self, **changes: Any) -> None:
        self.write(*({**each, **changes} for each in self.entries()))


@pytest.fixture(params=ACTIONS)
def trap(request: pytest.FixtureRequest, tmp_path: Path) -> Trap:
    make(tmp_path, "a.png", "victim/f", "victim/a.png")
    place(tmp_path, [record("a.png")], request.param)
    return Trap(tmp_path)


OUTSIDE = [
    "../victim/f", "cat/../../victim/f", "/etc/passwd", "{root}/victim/f", "cat/../a.png", "..", ".", "", "cat", "cat/",
    "cat/.", "/cat/a.png", "cat//a.png", "./a.png", "cat/sub/", "cat/sub/../a.png", "cat/../cat/sub/a.png",
    "cat/sub//a.png", "cat/\0", "cat/\ud800", LOG_NAME, f"./{LOG_NAME}",
]  # fmt: skip
NO_ORIGIN = [
    "",
    "a.png",
    "../a.png",
    "{root}/victim/../b.png",
    "{root}//b.png",
    "{root}/b\0",
    "/",
    "/\ud800",
    "~/b.png",
]
WRONG = [None, True, 1, -1, 1.5, float("nan"), float("inf"), 10**30, "", "1", [], {}, ["a"], {"a": 1}]
FIELDS = ["action", "from", "to", "size", "mtime_ns", "inode", "log"]


def assert_refused(trap: Trap) -> None:
    before = tree(trap.root)
    with pytest.raises(InputError, match="damaged"):
        taken_back(trap.root)
    assert tree(trap.root) == before


@pytest.mark.parametrize("to", OUTSIDE)
def test_an_entry_that_leads_out_of_the_folder_is_refused(to: str, trap: Trap) -> None:
    trap.rewrite(to=to.format(root=trap.root))
    assert_refused(trap)


@pytest.mark.parametrize("source", NO_ORIGIN)
def test_an_entry_without_an_absolute_origin_is_refused(source: str, trap: Trap) -> None:
    trap.rewrite(**{"from": source.format(root=trap.root)})
    assert_refused(trap)


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_the_wrong_type_is_refused_or_does_no_harm(field: str, value: Any, trap: Trap) -> None:
    before = tree(trap.root / "victim")
    trap.rewrite(**{field: value})
    may_be = (isinstance(value, int) and field in ("size", "mtime_ns", "inode", "log")) or (
        value is None and field in ("inode", "log")
    )
    if may_be and not isinstance(value, bool) and value != 10**30:
        taken_back(trap.root)
    else:
        assert_refused(trap)
    assert tree(trap.root / "victim") == before


@pytest.mark.parametrize("field", ["action", "from", "to", "size", "mtime_ns"])
def test_an_entry_that_lacks_a_field_is_refused(field: str, trap: Trap) -> None:
    trap.write(*({name: value for name, value in each.items() if name != field} for each in trap.entries()))
    assert_refused(trap)


@pytest.mark.parametrize("line", [b"[]", b"1", b"null", b'"x"', b"x", b"[" * 50_000, b"1" * 5000, b"\xff", b'{"a": 1}',
                                  b'{"action": "' + b"x" * 70_000])  # fmt: skip
def test_a_line_that_is_no_entry_is_refused(line: bytes, trap: Trap) -> None:
    with trap.log.open("ab") as log:
        log.write(b"\n" + line + b"\n")
    assert_refused(trap)


@given(data=st.binary(max_size=200))
def test_any_bytes_for_a_log_are_refused_or_do_nothing(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("any")
    make(root, "sorted/cat/a.png")
    (root / "sorted" / LOG_NAME).write_bytes(data)
    with suppress(InputError):
        taken_back(root)
    assert (root / "sorted/cat/a.png").exists()


def test_a_file_is_not_planted_where_it_never_was(tmp_path: Path) -> None:
    make(tmp_path, "sorted/cat/evil", "home/known")
    status = (tmp_path / "sorted/cat/evil").stat()
    trap = Trap(tmp_path)
    entry = {"action": "move", "from": f"{tmp_path}/home/.profile", "to": "cat/evil", "size": status.st_size,
             "mtime_ns": status.st_mtime_ns}  # fmt: skip
    for more in ({}, {"inode": status.st_ino}, {"inode": status.st_ino, "log": 1}, {"inode": 1, "log": 1}):
        trap.write({**entry, **more})
        ((_, problem),) = undo(tmp_path / "sorted")
        assert "does not prove" in str(problem)
    trap.write({**entry, "from": f"{tmp_path}/home/new/folder/.profile"})
    list(undo(tmp_path / "sorted", tmp_path))
    assert sorted(tree(tmp_path / "home")) == ["known"]
    assert not (tmp_path / "home/new").exists()


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_log_that_others_may_write_moves_nothing_back(mode: int, tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")], "move")
    (tmp_path / "sorted" / LOG_NAME).chmod(mode)
    assert "--root" in str(taken_back(tmp_path)["cat/a.png"])
    assert not (tmp_path / "a.png").exists()


def test_a_log_is_for_its_owner_alone(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")])
    assert (tmp_path / "sorted" / LOG_NAME).stat().st_mode & 0o777 == 0o600


def test_a_sorted_folder_that_was_copied_moves_back_only_into_a_folder_that_is_named(tmp_path: Path) -> None:
    make(tmp_path, "photos/a.png")
    place(tmp_path, [record("photos/a.png")], "move")
    shutil.copytree(tmp_path / "sorted", tmp_path / "copied")
    copied = tmp_path / "copied"
    assert "does not prove" in str(next(undo(copied))[1])
    assert "is not in" in str(next(undo(copied, tmp_path / "copied"))[1])
    assert [problem for _, problem in undo(copied, tmp_path / "photos")] == [None]
    assert (tmp_path / "photos/a.png").read_text() == "photos/a.png"


def test_no_folder_is_made_to_move_a_file_back(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.png")
    place(tmp_path, [record("sub/a.png")], "move")
    (tmp_path / "sub").rmdir()
    assert taken_back(tmp_path) == {"cat/a.png": f"its folder {tmp_path}/sub no longer exists"}
    (tmp_path / "sub").mkdir()
    assert taken_back(tmp_path) == {"cat/a.png": None}


def test_an_origin_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.png", "victim/f")
    place(tmp_path, [record("sub/a.png")], "move")
    (tmp_path / "sub").rmdir()
    (tmp_path / "sub").symlink_to("victim")
    assert "is now a link to another folder" in str(taken_back(tmp_path)["cat/a.png"])
    assert sorted(tree(tmp_path / "victim")) == ["f"]


def test_photographs_reached_through_a_link_go_back_to_where_they_were(tmp_path: Path) -> None:
    make(tmp_path, "store/a.png")
    (tmp_path / "photos").symlink_to("store")
    before = tree(tmp_path)
    place(tmp_path, [record("photos/a.png")], "move")
    assert taken_back(tmp_path) == {"cat/a.png": None}
    assert tree(tmp_path) == before


def test_a_labels_folder_that_became_a_link_is_not_followed(trap: Trap) -> None:
    shutil.rmtree(trap.root / "sorted/cat")
    (trap.root / "sorted/cat").symlink_to(trap.root / "victim")
    before = tree(trap.root / "victim")
    assert "is a link" in str(taken_back(trap.root)["cat/a.png"])
    assert tree(trap.root / "victim") == before


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_another_thing_in_the_place_of_an_image_is_left_at_once(kind: str, trap: Trap) -> None:
    placed = trap.root / "sorted/cat/a.png"
    placed.unlink()
    (trap.root / "a.png").write_bytes(b"a.png")
    if kind == "pipe":
        os.mkfifo(placed)
    elif kind == "link":
        placed.symlink_to(trap.root / "victim/a.png")
    else:
        placed.mkdir()
    before = tree(trap.root / "victim")
    assert taken_back(trap.root)["cat/a.png"] is not None
    assert os.path.lexists(placed)
    assert tree(trap.root / "victim") == before


def _log_instead(log: Path, kind: str) -> None:
    kept = log.rename(log.parent.parent / "real.jsonl") if log.exists() else None
    if kind == "pipe":
        os.mkfifo(log)
    elif kind == "folder":
        log.mkdir()
    else:
        log.symlink_to(kept or "nowhere")


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_log_that_is_no_regular_file_is_neither_read_nor_written(kind: str, trap: Trap) -> None:
    _log_instead(trap.log, kind)
    before = tree(trap.root)
    with pytest.raises(InputError, match="cannot undo"):
        taken_back(trap.root)
    with pytest.raises(OutputError, match="cannot write"):
        place(trap.root, [record("victim/f")])
    assert tree(trap.root) == before


def test_a_log_with_a_second_name_is_not_written(trap: Trap) -> None:
    (trap.root / "second").hardlink_to(trap.log)
    with pytest.raises(OutputError, match="second name"):
        place(trap.root, [record("victim/f")])


@pytest.mark.parametrize("times", [2, 5])
def test_an_entry_that_is_repeated_is_taken_back_once(times: int, trap: Trap) -> None:
    trap.write(*trap.entries() * times)
    assert taken_back(trap.root) == {"cat/a.png": None}
    assert (trap.root / "a.png").read_bytes() == b"a.png"


def test_an_entry_for_a_place_that_is_taken_twice_overwrites_nothing(trap: Trap) -> None:
    (entry,) = trap.entries()
    trap.write(entry, {**entry, "from": str(trap.root / "victim/f")}, {**entry, "from": str(trap.root / "victim/g")})
    list(undo(trap.root / "sorted"))
    assert (trap.root / "victim/f").read_bytes() == b"victim/f"


def test_a_log_of_an_earlier_version_moves_back_into_a_folder_that_is_named(trap: Trap) -> None:
    trap.write(
        *({name: each[name] for name in ("action", "from", "to", "size", "mtime_ns")} for each in trap.entries())
    )
    assert [problem for _, problem in undo(trap.root / "sorted", trap.root)] == [None]
    assert (trap.root / "a.png").read_bytes() == b"a.png"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_label_has_one_folder_however_its_letters_are_composed(form: Any, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    (tmp_path / "sorted" / unicodedata.normalize(form, "café")).mkdir(parents=True)
    place(tmp_path, [record("a.png", "caf\u00e9"), record("b.png", "cafe\u0301")])
    assert sorted(sorted_files(tmp_path).values()) == ["a.png", "b.png"]
    assert [each.name for each in (tmp_path / "sorted").iterdir() if each.is_dir()] == [
        unicodedata.normalize(form, "café")
    ]


# --- the command --------------------------------------------------------------------------------------------


def save(file: Path, results: list[Result]) -> Path:
    layout = Layout(file.suffix[1:], 1, grouped=False)
    if layout.form == "parquet":
        list(ResultFile(file, layout, RunSettings("classify")).write(results))
        return file
    text = io.StringIO(newline="")
    list(write_results(results, text, layout))
    file.write_bytes(text.getvalue().encode())
    return file


def predicted(path: str, label: str = "cat") -> Prediction:
    return Prediction(path, label, (Score(label, 0.5, 0.3),), "pocket")


AWKWARD = ["a.png", "=x, 'y\".png", "tab\tand\nline.png", "猫.png", os.fsdecode(b"caf\xe9.png")]


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "tsv", "parquet"])
def test_results_of_every_format_are_sorted(form: str, tmp_path: Path, run: Run) -> None:
    make(tmp_path, *AWKWARD)
    save(tmp_path / f"r.{form}", [*map(predicted, AWKWARD), Failure("broken.png", "empty", "empty")])
    done = run("sort", f"r.{form}", "--into", "sorted")
    assert (done.returncode, done.stdout, done.stderr) == (0, "cat\t5\n", "")
    assert sorted_files(tmp_path) == {f"cat/{name}": name for name in AWKWARD}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_command_sorts_and_undoes(action: str, tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png", "b.png")
    save(tmp_path / "r.jsonl", [predicted("a.png"), predicted("b.png", "a/dog")])
    before = tree(tmp_path)
    assert run("sort", "r.jsonl", "--into", "sorted", f"--{action}").stdout == "a/dog\t1\ncat\t1\n"
    assert (tmp_path / "sorted/cat/a.png").is_symlink() is (action == "link")
    assert (tmp_path / "a.png").exists() is (action != "move")
    undone = run("sort", "--undo", "sorted")
    assert (undone.returncode, undone.stdout) == (0, "2 undone\n")
    assert tree(tmp_path) == before


def tagged(path: str, *labels: str) -> Prediction:
    scores = tuple(Score(label, 0.5, 0.3) for label in labels)
    return Prediction(
        path, labels[0] if labels else "unknown", scores or (Score("x", 0.1, 0.1),), "pocket", labels=scores
    )


def save_tags(file: Path, *results: Result) -> None:
    text = io.StringIO(newline="")
    list(write_results(results, text, Layout("jsonl", 1, grouped=False, tagged=True)))
    file.write_bytes(text.getvalue().encode())


def test_an_image_goes_into_the_folder_of_each_of_its_labels_and_back(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png", "b.png", "c.png")
    save_tags(tmp_path / "r.jsonl", tagged("a.png", "cat", "outdoor"), tagged("b.png", "outdoor"), tagged("c.png"))
    before = tree(tmp_path)
    first, again = (run("sort", "r.jsonl", "--into", "sorted") for _ in range(2))
    assert (first.returncode, first.stdout) == (0, "cat\t1\noutdoor\t2\nunknown\t1\n")
    assert sorted_files(tmp_path) == {
        "cat/a.png": "a.png", "outdoor/a.png": "a.png", "outdoor/b.png": "b.png", "unknown/c.png": "c.png"
    }  # fmt: skip
    assert (again.stdout, again.stderr) == ("", "4 images were already there\n")
    assert run("sort", "--undo", "sorted").stdout == "4 undone\n"
    assert tree(tmp_path) == before


def test_an_image_with_several_labels_is_not_moved(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png", "b.png")
    save_tags(tmp_path / "r.jsonl", tagged("b.png", "cat"), tagged("a.png", "cat", "outdoor"))
    done = run("sort", "r.jsonl", "--into", "sorted", "--move")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: cannot move a.png: it has several labels, cat, outdoor (use --copy or --link)\n"
    assert not (tmp_path / "sorted").exists()


def test_checked_labels_of_an_image_take_the_place_of_its_tags(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png", "b.png")
    save_tags(tmp_path / "r.jsonl", tagged("a.png", "cat", "outdoor"), tagged("b.png", "cat"))
    (tmp_path / "checked.csv").write_text("path,label,clipcli\na.png,cat,checked\nb.png,dog|sun,checked\n", "utf-8")
    assert run("sort", "r.jsonl", "--into", "sorted", "--checked", "checked.csv").stdout == "cat\t1\ndog\t1\nsun\t1\n"


def test_the_half_of_a_copy_in_each_folder_of_an_image_is_completed(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    several = [ReadRecord("a.png", "cat", 0.5, None, labels=("cat", "dog"))]
    place(tmp_path, several)
    for label in ("cat", "dog"):
        (tmp_path / "sorted" / label / "a.png").write_bytes(b"a.")
    place(tmp_path, several)
    assert sorted_files(tmp_path) == {"cat/a.png": "a.png", "dog/a.png": "a.png"}


def test_a_dry_run_lists_what_would_be_done_and_does_nothing(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "1/a.png", "2/a.png")
    save(tmp_path / "r.jsonl", [predicted("1/a.png"), predicted("2/a.png")])
    before = tree(tmp_path)
    done = run("sort", "r.jsonl", "--into", "sorted", "--move", "--dry-run")
    assert done.stdout == "move\t1/a.png\tsorted/cat/a.png\nmove\t2/a.png\tsorted/cat/a-2.png\n"
    assert (tree(tmp_path), (tmp_path / "sorted").exists()) == (before, False)


def test_paths_may_be_relative_to_another_folder(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "photos/a.png")
    save(tmp_path / "r.jsonl", [predicted("a.png")])
    assert run("sort", "r.jsonl", "--into", "sorted", "--root", "photos").returncode == 0
    assert sorted_files(tmp_path) == {"cat/a.png": "photos/a.png"}


def test_photographs_that_stay_are_named_and_the_exit_code_is_1(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png")
    save(tmp_path / "r.jsonl", [predicted("gone.png"), predicted("a.png")])
    done = run("sort", "r.jsonl", "--into", "sorted")
    assert (done.returncode, done.stdout) == (1, "cat\t1\n")
    assert done.stderr.splitlines()[0] == "error: gone.png: no such file"


def test_the_command_says_how_many_were_there_already(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png", "b.png")
    save(tmp_path / "r.jsonl", [predicted("a.png"), predicted("b.png")])
    place(tmp_path, [record("a.png")])
    done = run("sort", "r.jsonl", "--into", "sorted")
    assert (done.returncode, done.stdout, done.stderr) == (0, "cat\t1\n", "1 images were already there\n")


def test_many_missing_photographs_are_named_in_part(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "r.jsonl", [predicted(f"{number}.png") for number in range(30)])
    done = run("sort", "r.jsonl", "--into", "sorted")
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (1, 12)
    assert lines[9:] == [
        "error: 9.png: no such file", "error: 20 more files: no such file", "warning: 30 images were not sorted",
    ]  # fmt: skip


def test_results_without_groups_are_not_sorted_by_group(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png")
    save(tmp_path / "r.jsonl", [predicted("a.png")])
    done = run("sort", "r.jsonl", "--into", "sorted", "--by", "group")
    assert (done.returncode, (tmp_path / "sorted").exists()) == (2, False)
    assert "has no groups (give the labels groups in a label file)" in done.stderr


def test_photographs_that_cannot_be_taken_back_are_named_and_the_exit_code_is_1(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png")
    place(tmp_path, [record("a.png")])
    (tmp_path / "sorted/cat/a.png").write_bytes(b"changed")
    done = run("sort", "--undo", "sorted")
    assert (done.returncode, done.stdout) == (1, "0 undone\n")
    problem, note = lines_of(done.stderr)
    assert problem == "error: cannot undo sorted/cat/a.png: it has changed"
    assert note.startswith(f"{Path('sorted') / LOG_NAME} still lists files that were not undone")


def test_a_damaged_results_file_is_refused_before_anything_is_placed(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "a.png")
    save(tmp_path / "r.jsonl", [predicted("a.png")])
    with (tmp_path / "r.jsonl").open("a", encoding="utf-8") as file:
        file.write("{")
    done = run("sort", "r.jsonl", "--into", "sorted")
    assert (done.returncode, (tmp_path / "sorted").exists()) == (2, False)
    assert "record 2" in done.stderr


def test_the_command_moves_back_into_a_folder_that_is_named(tmp_path: Path, run: Run) -> None:
    make(tmp_path, "photos/a.png")
    place(tmp_path, [record("photos/a.png")], "move")
    shutil.copytree(tmp_path / "sorted", tmp_path / "copied")
    left = run("sort", "--undo", "copied")
    assert (left.returncode, left.stderr.count("\n"), "--root DIR" in left.stderr) == (1, 2, True)
    assert run("sort", "--undo", "copied", "--root", "photos").stdout == "1 undone\n"


def test_results_in_a_pipe_are_refused_and_not_waited_for(tmp_path: Path, run: Run) -> None:
    os.mkfifo(tmp_path / "r.jsonl")
    done = run("sort", "r.jsonl", "--into", "sorted")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pipe" in done.stderr


REFUSED: list[tuple[tuple[str, ...], str]] = [
    ((), "give a results file"),
    (("r.jsonl",), "--into"),
    (("r.jsonl", "--into", "sorted", "--copy", "--move"), "cannot use --copy with --move (leave one out)"),
    (("r.jsonl", "--undo", "sorted"), "cannot use --undo with RESULTS or --into"),
    (("--undo", "nowhere"), "cannot undo nowhere: it has no "),
    (("nowhere.jsonl", "--into", "sorted"), "no such file"),
    (("r.txt", "--into", "sorted"), "unknown extension '.txt'"),
]


@pytest.mark.parametrize(("arguments", "told"), REFUSED, ids=lambda value: " ".join(value) if value else "nothing")
def test_what_makes_no_sense_is_refused_in_one_line(arguments: tuple[str, ...], told: Any, run: Run) -> None:
    done = run("sort", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr


def test_images_in_archives_and_behind_urls_are_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(b"PK")
    records = [record("b.zip/fish.png"), record("s3://photos/in/1.jpg"), record("s3://photos/b.tar/1.jpg")]
    found = list(plan(records, tmp_path / "sorted", tmp_path))
    assert [(each.name, str(each.problem).split(" (")[0]) for each in found] == [
        ("b.zip/fish.png", "it is in an archive"), ("s3://photos/in/1.jpg", "it is behind a URL"),
        ("s3://photos/b.tar/1.jpg", "it is behind a URL"),
    ]  # fmt: skip
    assert all(each.target is None for each in found)


def test_a_folder_that_is_named_like_an_archive_is_sorted(tmp_path: Path) -> None:
    make(tmp_path, "old.zip/a.png")
    place(tmp_path, [record("old.zip/a.png")])
    assert sorted_files(tmp_path) == {"cat/a.png": "old.zip/a.png"}


# --- the page of images that were moved --------------------------------------------------------------------------


def test_the_page_of_results_shows_and_links_images_that_were_moved(
    run: Run, tmp_path: Path, photos: dict[str, Path]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("cat", "coffee"):
        shutil.copy(photos[name], tmp_path / "in" / f"{name}.png")
    results = [predicted(f"in/{name}.png", "a b") for name in ("cat", "coffee")]
    list(ResultFile(tmp_path / "r.csv", Layout("csv", 1, False), RunSettings("classify")).write(results))
    assert run("sort", "r.csv", "--into", "sorted", "--move").returncode == 0
    without, given = run("report", "r.csv", "-o", "a.html"), run("report", "r.csv", "-o", "b.html", "--root", "sorted")
    assert "2 of 2 images have no thumbnail" in without.stderr
    assert "name the folder that they were sorted into with --root" in without.stderr
    assert (given.returncode, given.stderr) == (0, "")
    page = (tmp_path / "b.html").read_text("utf-8")
    assert json.dumps(str(tmp_path / "sorted" / "a b" / "cat.png")) in page
