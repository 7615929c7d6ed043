"""A file is written whole or not at all, and text is read as people write it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcli.errors import OutputError, TemplateError
from clipcli.storage import atomic
from clipcli.storage.atomic import check_writable, replacing
from clipcli.text import near_matches, numbered_lines, read_text


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- writing ----------------------------------------------------------------------------------------


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert files_in(tmp_path) == ["out.csv"]


def test_the_temporary_file_has_the_suffix_of_the_real_one(tmp_path: Path) -> None:
    with replacing(tmp_path / "out.npy") as temporary:
        assert temporary.suffix == ".npy"


@pytest.mark.parametrize("problem", [ValueError, OSError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(problem: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(problem), replacing(path) as temporary:
        temporary.write_text("half")
        raise problem("stopped")
    assert path.read_text() == "old"
    assert files_in(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_appeared_meanwhile_is_replaced_only_if_asked(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:  # as on FAT
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "not permitted")))
    path = tmp_path / "out.csv"
    for number, place in enumerate(("out.new.csv", "out.new1.csv")):
        with pytest.raises(OutputError) as problem, replacing(path, overwrite=False) as temporary:
            temporary.write_text(f"mine {number}")
            path.write_text("of another program")
        assert str(problem.value) == (
            f"cannot write {path}: another program created it during the run (the output is in {tmp_path / place})"
        )
        assert (path.read_text(), (tmp_path / place).read_text()) == ("of another program", f"mine {number}")
        path.unlink()
    assert files_in(tmp_path) == ["out.new.csv", "out.new1.csv"]
    for overwrite in (True, False):
        with replacing(path, overwrite=overwrite) as temporary:
            temporary.write_text("mine")
            if overwrite:
                path.write_text("of another program")
        assert path.read_text() == "mine"
        path.unlink()


def test_a_signal_right_after_the_temporary_file_was_created_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, fault_of: Path) -> None:
        create(path, fault_of)
        raise KeyboardInterrupt

    create = atomic._create
    monkeypatch.setattr(atomic, "_create", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "out.csv"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no files without a name")
def test_whether_a_file_can_be_written_is_found_out_without_a_name_in_the_folder(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    check_writable(tmp_path / "out.csv", overwrite=False)
    assert tmp_path.stat().st_mtime_ns == before


def test_an_error_of_the_block_is_not_mistaken_for_one_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"weights\.bin"), replacing(tmp_path / "out.csv"):
        (tmp_path / "weights.bin").read_bytes()


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    ordinary, path = tmp_path / "ordinary", tmp_path / "out.csv"
    ordinary.touch()
    with replacing(path):
        pass
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "private.csv"
    path.touch(mode=0o600)
    with replacing(path):
        pass
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_keeps_its_place_and_its_target_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen([sys.executable, "-c", f"print(open({str(pipe)!r}).read())"], stdout=subprocess.PIPE)
    with replacing(pipe) as temporary:
        temporary.write_text("new")
    assert reader.communicate(timeout=30)[0].strip() == b"new"
    assert pipe.is_fifo()


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".csv")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_missing_folder_is_an_output_error_that_names_the_file(tmp_path: Path) -> None:
    complaint = r"cannot write .*out\.csv: the folder .*missing does not exist \(create it with: mkdir -p .*missing\)"
    with pytest.raises(OutputError, match=complaint), replacing(tmp_path / "missing" / "out.csv"):
        pass


def test_a_path_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write "), replacing(tmp_path / "file" / "out.csv"):
        pass


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"it is a folder \(name a file in it\)"), replacing(tmp_path):
        pass


def test_a_full_disk_is_an_output_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    program = f"""
import resource
from pathlib import Path
from clipcli.errors import OutputError
from clipcli.storage import atomic
from clipcli.storage.atomic import check_writable, replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with replacing(Path({str(path)!r})) as temporary:
        temporary.write_bytes(b"x" * 5000)
except OutputError as problem:
    print(problem)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == f"cannot write {path}: File too large\n"
    assert path.read_text() == "old"
    assert files_in(tmp_path) == ["out.csv"]


# --- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_is_read_with_or_without_a_bom(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("кошка\r\n犬".encode(encoding))
    assert read_text(path, TemplateError) == "кошка\r\n犬"


def test_a_file_that_cannot_be_read_raises_the_error_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TemplateError, match="Not a directory"):
        read_text(tmp_path / "file" / "below", TemplateError)


def test_lines_keep_their_numbers_when_blank_ones_are_skipped() -> None:
    assert list(numbered_lines("one\r\n\r\n two\rthree\n")) == [(1, "one"), (3, "two"), (4, "three")]


@given(st.text())
def test_no_line_is_blank_or_holds_a_line_ending(text: str) -> None:
    lines = list(numbered_lines(text))
    assert all(line.strip() == line != "" and "\n" not in line and "\r" not in line for _, line in lines)
    assert [number for number, _ in lines] == sorted({number for number, _ in lines})


def test_a_near_match_is_offered_whatever_its_case() -> None:
    assert near_matches("vit-b-23", ["ViT-B-32", "RN50"]) == "did you mean ViT-B-32?"


def test_where_nothing_is_near_what_is_known_is_listed() -> None:
    assert near_matches("xyz", ["a", "b"]) == "known: a, b"
    assert near_matches("xyz", "abcdefghij") == "known: a, b, c, d, e, f, g, h, …"


def test_an_output_that_is_one_of_the_inputs_is_refused(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("label\ncat\n")
    with pytest.raises(OutputError, match="is one of the inputs"):
        check_writable(labels, [None, "other", tmp_path / "." / "labels.csv"], overwrite=True)


def test_an_output_that_is_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    with pytest.raises(OutputError, match="is an image"):
        check_writable(tmp_path / "out.csv", overwrite=True)


def test_an_output_behind_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.csv").symlink_to(tmp_path / "out.csv")
    with pytest.raises(OutputError, match="cannot write "):
        check_writable(tmp_path / "out.csv", overwrite=True)
