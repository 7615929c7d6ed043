"""Folders are walked in the order of names, whatever links, pipes or permissions stand in the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcli.inputs.walk import Found, walk

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes or owners here")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def walked(root: Path) -> list[str]:
    """What is found, by its path below the root, as it was found."""
    return [os.path.relpath(found.path, root) for found in walk(str(root))]


def problems(root: Path) -> dict[str, str]:
    return {os.path.relpath(found.path, root): found.problem.kind for found in walk(str(root)) if found.problem}


@contextmanager
def not_root() -> Iterator[None]:
    """Go on as a user whom permissions apply to."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_files_come_depth_first_in_the_order_of_names(tmp_path: Path) -> None:
    names = ["a", "b/c", "b/d/e", "b/f", "b.png", "Z", "é", "猫"]
    touch(tmp_path, *reversed(names))
    assert walked(tmp_path) == ["Z", "a", "b/c", "b/d/e", "b/f", "b.png", "é", "猫"]


@given(
    st.sets(st.text("abAB-_. é猫", min_size=1, max_size=4).filter(lambda name: not name.startswith(".")), max_size=8)
)
def test_the_order_is_that_of_the_names_and_not_of_the_disk(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("names")
    touch(folder, *names)
    assert walked(folder) == sorted(names)


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, ".a.png", "._b.png", ".git/c.png", "d/.e/f.png", "g.png")
    assert walked(tmp_path) == ["g.png"]


def test_a_hidden_folder_that_was_named_is_walked(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden/a.png")
    assert walked(tmp_path / ".hidden") == ["a.png"]


def test_a_folder_that_sort_made_is_entered_only_if_it_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "album/cat/a.png", "album/.clipcli-sort.jsonl", "b/c.png")
    passed: list[str] = []
    names = [os.path.relpath(found.path, tmp_path) for found in walk(str(tmp_path), passed_over=passed.append)]
    assert names == ["a.png", "b/c.png"]
    assert passed == [str(tmp_path / "album")]
    assert walked(tmp_path / "album") == ["cat/a.png"]


def test_names_that_are_no_text_come_through(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\xff.png")
    try:
        touch(tmp_path, name)
    except OSError:
        pytest.skip("the file system here does not allow this name")
    assert walked(tmp_path) == [name]


def test_some_hundred_folders_within_each_other_are_walked(tmp_path: Path) -> None:
    deep = Path(*["d"] * 400)
    touch(tmp_path, str(deep / "a.png"))
    assert walked(tmp_path) == [str(deep / "a.png")]


@posix
def test_folders_deeper_than_paths_can_be_long_are_a_problem_and_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(25):
        os.mkdir("x" * 200)  # noqa: PTH102 - the whole path is longer than any system call takes
        os.chdir("x" * 200)
    touch(Path(), "a.png")
    os.chdir(tmp_path)
    (found,) = walk(".")
    assert found.problem is not None
    assert found.problem.kind == "unreadable"


# --- links ----------------------------------------------------------------------------------------------


def test_links_to_files_are_files(tmp_path: Path) -> None:
    touch(tmp_path, "root/a.png", "elsewhere.png")
    (tmp_path / "root/b.png").symlink_to(tmp_path / "root/a.png")
    (tmp_path / "root/c").symlink_to("../elsewhere.png")
    assert walked(tmp_path / "root") == ["a.png", "b.png", "c"]


@pytest.mark.parametrize("target", [".", "..", "../..", "sub", "../root/sub"])
def test_a_link_to_a_folder_that_is_walked_anyway_or_holds_the_root_is_not_followed(
    target: str, tmp_path: Path
) -> None:
    touch(tmp_path, "root/a.png", "root/sub/b.png")
    (tmp_path / "root/link").symlink_to(target)
    assert walked(tmp_path / "root") == ["a.png", "sub/b.png"]


def test_links_that_run_in_circles_do_no_harm(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert walked(tmp_path) == ["a.png"]


def test_a_link_that_leads_outside_is_followed(tmp_path: Path) -> None:
    touch(tmp_path, "root/a.png", "outside/b.png", "outside/c/d.png")
    (tmp_path / "root/link").symlink_to(tmp_path / "outside")
    assert walked(tmp_path / "root") == ["a.png", "link/b.png", "link/c/d.png"]


def test_a_folder_with_a_name_that_begins_like_the_root_is_outside(tmp_path: Path) -> None:
    touch(tmp_path, "root/a.png", "root-2/b.png")
    (tmp_path / "root/link").symlink_to(tmp_path / "root-2")
    assert walked(tmp_path / "root") == ["a.png", "link/b.png"]


def test_a_folder_outside_is_entered_once_however_many_links_lead_there(tmp_path: Path) -> None:
    touch(tmp_path, "root/a.png", "outside/b.png", "outside/in/c.png")
    (tmp_path / "root/l1").symlink_to(tmp_path / "outside/in")
    (tmp_path / "root/l2").symlink_to(tmp_path / "outside")
    (tmp_path / "root/l3").symlink_to(tmp_path / "outside")
    assert walked(tmp_path / "root") == ["a.png", "l1/c.png", "l2/b.png"]


def test_links_from_outside_back_and_up_do_not_run_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "root/a.png", "outside/in/b.png", "outside/c.png")
    (tmp_path / "root/link").symlink_to(tmp_path / "outside/in")
    (tmp_path / "outside/in/up").symlink_to(tmp_path / "outside")
    (tmp_path / "outside/in/root").symlink_to(tmp_path / "root")
    assert walked(tmp_path / "root") == ["a.png", "link/b.png", "link/up/c.png"]


def test_a_root_that_is_a_link_itself_is_walked(tmp_path: Path) -> None:
    touch(tmp_path, "root/a.png", "root/sub/b.png")
    (tmp_path / "root/self").symlink_to(tmp_path / "link")
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert walked(tmp_path / "link") == ["a.png", "sub/b.png"]


# --- problems -------------------------------------------------------------------------------------------


def test_a_dangling_link_is_found_where_an_image_was_to_be_expected(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("nowhere")
    (tmp_path / "notes").symlink_to("nowhere")
    assert list(walk(str(tmp_path))) == [Found(str(tmp_path / "a.png"))]


@posix
def test_a_pipe_is_found_where_an_image_was_to_be_expected(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe")
    assert walked(tmp_path) == ["a.png"]


def test_an_empty_folder_named_like_an_image_is_a_problem_in_its_place(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png/.hidden", "c.png", "d/.hidden")
    assert walked(tmp_path) == ["a.png", "b.png", "c.png"]
    assert problems(tmp_path) == {"b.png": "not_a_file"}


def test_a_folder_named_like_an_image_that_holds_files_is_just_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "b.png/c.png")
    assert list(walk(str(tmp_path))) == [Found(str(tmp_path / "b.png/c.png"))]


@posix
@pytest.mark.parametrize("mode", [0o000, 0o300, 0o400], ids=["nothing", "no listing", "names only"])
def test_a_folder_that_cannot_be_listed_is_one_problem_and_the_others_go_on(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.png", "locked/b.png", "locked/c.txt", "z.png")
    if os.geteuid() == 0:
        os.chown(tmp_path / "locked", 65534, 65534)
        tmp_path.chmod(0o755)
    (tmp_path / "locked").chmod(mode)
    monkeypatch.chdir(tmp_path)
    with not_root():
        found = list(walk("."))
    (tmp_path / "locked").chmod(0o700)
    assert [(each.path, each.problem and each.problem.kind) for each in found] == [
        ("./a.png", None), ("./locked", "unreadable"), ("./z.png", None),
    ]  # fmt: skip


def test_a_root_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    (found,) = walk(str(tmp_path / "nowhere"))
    assert found.problem is not None


def test_a_folder_is_not_listed_before_its_turn(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b/c.png")
    found = walk(str(tmp_path))
    next(found)
    touch(tmp_path, "b/d.png")
    assert [os.path.relpath(each.path, tmp_path) for each in found] == ["b/c.png", "b/d.png"]
