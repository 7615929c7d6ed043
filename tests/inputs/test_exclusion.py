"""What is passed over where folders, archives and patterns are walked: by the system, by a file, by an option."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clipcli.errors import InputError
from clipcli.evaluation.ground_truth import read_truth
from clipcli.inputs.counting import count_files
from clipcli.inputs.discover import Source, discover
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.system_files import SYSTEM_NAMES
from clipcli.training.pairs import read_pairs
from tests.bad_files import encoded
from tests.conftest import RunHere

PHOTO = encoded(Image.new("RGB", (8, 8), "red"), "PNG")
FOLDERS = [name for name in SYSTEM_NAMES if "." not in name[1:]]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PHOTO)


def names_in(folder: Path, *patterns: str, include_hidden: bool = False) -> list[str]:
    source = Source((str(folder),), exclusion=Exclusion(patterns, include_hidden))
    names = [os.path.relpath(item.name, folder) for item in discover(source)]
    assert count_files(source) == len(names)
    return names


# --- what systems leave behind --------------------------------------------------------------------------


@pytest.mark.parametrize("include_hidden", [False, True])
def test_what_systems_leave_behind_is_passed_over(include_hidden: bool, tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "album/b.png", "@home/c.png", "#1.png", "recycle/d.png", "thumbs/e.png")
    touch(tmp_path, *(f"{name}/x.png" for name in FOLDERS), *(f"album/{name.upper()}/x.png" for name in FOLDERS))
    touch(tmp_path, "._a.png", "album/._b.png", ".Trash-1000/files/x.png", ".Trashes/501/x.png", "album/.nfs0001.png")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 200)
    expected = ["#1.png", "@home/c.png", "a.png", "album/b.png", "recycle/d.png", "thumbs/e.png"]
    assert names_in(tmp_path, include_hidden=include_hidden) == expected


def test_a_system_folder_that_is_named_is_walked(tmp_path: Path) -> None:
    touch(tmp_path, "@eaDir/SYNOPHOTO.png")
    assert names_in(tmp_path / "@eaDir") == ["SYNOPHOTO.png"]


def test_patterns_pass_over_system_folders_that_they_do_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "s/a.png", "s/@eaDir/b.png", "@eaDir/c.png")
    monkeypatch.chdir(tmp_path)

    def found(pattern: str) -> list[str]:
        return [item.name for item in discover(Source((pattern,)))]

    assert found("*/*.png") == found("**/*.png") == ["s/a.png"]
    assert found("@eaDir/*.png") == ["@eaDir/c.png"]


def test_hidden_names_count_where_they_are_included(tmp_path: Path) -> None:
    touch(tmp_path, ".a.png", ".b/c.png", "d.png", ".clipcli.png")
    assert names_in(tmp_path) == ["d.png"]
    assert names_in(tmp_path, include_hidden=True) == [".a.png", ".b/c.png", ".clipcli.png", "d.png"]


# --- patterns -------------------------------------------------------------------------------------------

FILES = ("a.png", "a_thumb.png", "old/b.png", "old/keep/c.png", "trip/old/d.png", "trip/e.png")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("*_thumb.png",), ["a.png", "old/b.png", "old/keep/c.png", "trip/e.png", "trip/old/d.png"]),
        (("old/",), ["a.png", "a_thumb.png", "trip/e.png"]),
        (("/old",), ["a.png", "a_thumb.png", "trip/e.png", "trip/old/d.png"]),
        (("trip/*.png",), ["a.png", "a_thumb.png", "old/b.png", "old/keep/c.png", "trip/old/d.png"]),
        (("**/d.png", "a*"), ["old/b.png", "old/keep/c.png", "trip/e.png"]),
        (("*.png", "!a.png"), ["a.png"]),
        (("old/*", "!old/keep/"), ["a.png", "a_thumb.png", "old/keep/c.png", "trip/e.png", "trip/old/d.png"]),
        (("a.png/",), ["a.png", "a_thumb.png", "old/b.png", "old/keep/c.png", "trip/e.png", "trip/old/d.png"]),
    ],
)
def test_patterns_are_those_of_gitignore_whether_in_a_file_or_in_an_option(
    patterns: tuple[str, ...], expected: list[str], tmp_path: Path
) -> None:
    touch(tmp_path, *FILES)
    assert names_in(tmp_path, *patterns) == expected
    (tmp_path / ".clipcliignore").write_text("# not these\n\n" + "\n".join(patterns) + "\n", "utf-8")
    assert names_in(tmp_path) == expected


def test_an_ignore_file_counts_below_its_folder_and_the_innermost_decides(tmp_path: Path) -> None:
    touch(tmp_path, *FILES)
    (tmp_path / ".clipcliignore").write_text("old\n*_thumb.png\n", "utf-8")
    (tmp_path / "trip" / ".clipcliignore").write_text("!old/\n/e.png\n", "utf-8-sig")
    assert names_in(tmp_path) == ["a.png", "trip/old/d.png"]
    assert names_in(tmp_path / "trip") == ["old/d.png"]
    assert names_in(tmp_path, "!e.png") == ["a.png", "trip/e.png", "trip/old/d.png"]


def test_a_folder_that_is_left_out_is_not_looked_into(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "old/b.png")
    (tmp_path / "old" / ".clipcliignore").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "z.png")
    assert names_in(tmp_path, "old") == ["z.png"]


def test_an_ignore_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / ".clipcliignore").write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError, match=r"\.clipcliignore: it is not UTF-8 text"):
        names_in(tmp_path)


@pytest.mark.parametrize("pattern", ["", " ", "!"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="--exclude"):
        Exclusion((pattern,))


def test_what_is_named_or_listed_is_left_out_by_the_option_and_not_by_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, *FILES)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".clipcliignore").write_text("*\n", "utf-8")

    def found(*names: str, **options: Any) -> list[str]:
        return [item.name for item in discover(Source(names, exclusion=Exclusion(("*_thumb.png", "old")), **options))]

    assert found("a.png", "a_thumb.png", "./old/b.png", "trip/e.png") == ["a.png", "trip/e.png"]
    assert found(str(tmp_path / "a.png"), str(tmp_path / "a_thumb.png")) == [str(tmp_path / "a.png")]
    assert found("-", stream=io.BytesIO(b"a_thumb.png\na.png\n")) == ["a.png"]
    (tmp_path / "t.csv").write_text("f\na.png\nold/b.png\n", "utf-8")
    assert found("t.csv", path_column="f") == ["a.png"]
    with pytest.raises(InputError, match="no images found after --exclude"):
        found("a_thumb.png")


def test_members_of_an_archive_are_left_out_by_the_same_rules(tmp_path: Path) -> None:
    names = ["a.png", "__MACOSX/._a.png", "x/@eaDir/b.png", ".h/c.png", "old/d.png", "x/e_thumb.png", "../up.png"]
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(PHOTO)
            archive.addfile(member, io.BytesIO(PHOTO))
    source = Source((str(tmp_path / "s.tar"),), exclusion=Exclusion(("old", "*_thumb.png"), include_hidden=True))
    found = [item.name.removeprefix(f"{tmp_path}/s.tar/") for item in discover(source)]
    assert found == ["a.png", ".h/c.png", "../up.png"]


# --- commands -------------------------------------------------------------------------------------------


def test_ground_truth_and_training_pairs_follow_the_same_rules(tmp_path: Path) -> None:
    touch(tmp_path, "cat/a.png", "cat/@eaDir/b.png", "cat/c_thumb.png", "@eaDir/d.png", "dog/.e.png", "dog/f.png")
    for exclusion, expected in (
        (Exclusion(), ["cat/a.png", "cat/c_thumb.png", "dog/f.png"]),
        (Exclusion(("*_thumb.png",), include_hidden=True), ["cat/a.png", "dog/.e.png", "dog/f.png"]),
    ):
        truth = [os.path.relpath(each.image.name, tmp_path) for each in read_truth(tmp_path, exclusion=exclusion)]
        pairs = [os.path.relpath(each.name, tmp_path) for each in read_pairs([str(tmp_path)], exclusion).examples]
        assert truth == pairs == expected


def test_every_command_that_walks_folders_takes_the_options(
    tmp_path: Path, photos: dict[str, Path], run_here: RunHere
) -> None:
    for name in ("cat/a.png", "cat/b_thumb.png", "cat/.c.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos["cat"], tmp_path / "in" / name)
    shutil.copy(photos["coffee"], tmp_path / "in" / "cat" / "d.png")
    options = ("--exclude", "*_thumb.png", "--exclude", "d.*", "--include-hidden", "-m", "pocket", "--no-cache")
    done = run_here(
        ("classify", "in", "-l", "cat", "-l", "dog", *options, "-f", "tsv"),
        ("matrix", "in", "-x", "a cat", *options),
        ("export", "images", "in", *options, "-o", "e.jsonl"),
        ("evaluate", "in", *options, "-l", "cat", "-l", "dog"),
    )
    assert [each.returncode for each in done] == [0] * 4
    rows = [[line.split("\t")[0] for line in each.stdout.splitlines()[1:]] for each in done[:2]]
    assert rows == [["in/cat/.c.png", "in/cat/a.png"]] * 2
    assert len((tmp_path / "e.jsonl").read_text().splitlines()) == 2
    assert "images\t2" in done[3].stdout
