"""What is found where the user pointed: in a fixed order, each once, nothing lost, nothing read ahead."""

from __future__ import annotations

import io
import os
import signal
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipcli.errors import ImageError, InputError
from clipcli.images.files import open_image, read_file
from clipcli.inputs.counting import count_files
from clipcli.inputs.discover import BadInput, FileInput, Input, MemberInput, Source, discover
from clipcli.inputs.repetition import Repetition
from clipcli.outputs.readers import ReadRecord
from clipcli.sorting.placement import plan
from clipcli.training.pairs import read_pairs
from tests.bad_files import encoded, make_bad_files

PHOTO = encoded(Image.new("RGB", (8, 8), "red"), "PNG")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PHOTO)


def found(*names: object, **options: Any) -> list[Input]:
    return list(discover(Source(tuple(map(str, names)), **options)))


def found_names(*names: object, **options: Any) -> list[str]:
    return [item.name for item in found(*names, **options)]


def listed(text: bytes, **options: Any) -> list[str]:
    return found_names("-", stream=io.BytesIO(text), **options)


def kind_of(item: Input) -> str:
    assert isinstance(item, BadInput)
    return item.problem.kind


def refusal(*names: object, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        found(*names, **options)
    return str(caught.value)


def outcome(item: Input) -> str:
    """What an input comes to in the end: the type of its error, or ``ok``."""
    try:
        if isinstance(item, BadInput):
            raise item.problem
        assert isinstance(item, FileInput | MemberInput)
        open_image(item.data if isinstance(item, MemberInput) else read_file(item.path))
    except ImageError as error:
        return error.kind
    return "ok"


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    """Turn what would hang for ever, on a pipe for one, into a failure."""

    class Hung(BaseException):
        """Not an OSError, as TimeoutError is: readers of archives take those for damage."""

    def stop(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# --- bad files ------------------------------------------------------------------------------------------


def test_every_bad_or_odd_file_comes_to_one_outcome_in_the_order_of_names(tmp_path: Path) -> None:
    expected = make_bad_files(tmp_path)
    assert len(expected) >= 28
    with no_longer_than(120):
        outcomes = [(os.path.relpath(item.name, tmp_path), outcome(item)) for item in found(tmp_path)]
    assert outcomes == sorted(expected.items())


def test_every_bad_or_odd_file_that_is_named_comes_to_the_same_outcome(tmp_path: Path) -> None:
    expected = make_bad_files(tmp_path)
    del expected["folder.jpg"]  # it is walked where it is named, and nothing is in it
    with no_longer_than(120):
        outcomes = {name: [outcome(item) for item in found(tmp_path / name)] for name in expected}
    assert outcomes == {name: [kind] for name, kind in expected.items()}


# --- files and folders ----------------------------------------------------------------------------------


def test_what_is_named_comes_in_the_order_it_was_named(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.png", "c/d.png")
    assert found_names(tmp_path / "c", tmp_path / "b.png", tmp_path / "a.png") == [
        str(tmp_path / name) for name in ("c/d.png", "b.png", "a.png")
    ]


def test_a_file_that_was_named_is_always_there_even_if_hidden_or_missing(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in (".hidden.png", "nowhere.png")]
    touch(tmp_path, ".hidden.png")
    assert found(*names) == [FileInput(name, name) for name in names]


def test_a_folder_yields_images_by_suffix_or_content_and_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "photo", "sub/photo.txt")
    (tmp_path / "broken.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no image", "utf-8")
    names = [os.path.relpath(name, tmp_path) for name in found_names(tmp_path)]
    assert names == ["broken.jpg", "photo", str(Path("sub/photo.txt"))]


def test_the_name_of_an_input_begins_as_the_user_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "photos/a.png")
    monkeypatch.chdir(tmp_path)
    assert found_names("photos", "./photos/", "photos/../photos/a.png", distinct=False) == [
        "photos/a.png", "./photos/a.png", "photos/../photos/a.png",
    ]  # fmt: skip


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: no images found"


@pytest.mark.parametrize("empty_comes", [0, 1], ids=["first", "last"])
def test_an_empty_folder_beside_others_is_only_warned_of(empty_comes: int, tmp_path: Path, logged: list[str]) -> None:
    touch(tmp_path, "full/a.png")
    (tmp_path / "empty").mkdir()
    names = [str(tmp_path / "full")]
    names.insert(empty_comes, str(tmp_path / "empty"))
    items = list(discover(Source(tuple(names))))
    assert ([item.name for item in items], logged) == (
        [str(tmp_path / "full/a.png")], [f"{tmp_path / 'empty'}: no images found"],
    )  # fmt: skip


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    items = discover(Source((str(tmp_path / "a.png"), str(tmp_path / "later"))))
    next(items)
    touch(tmp_path, "later/b.png")
    assert next(items).name == str(tmp_path / "later/b.png")


def test_a_name_with_nul_in_it_is_a_failure_of_its_own() -> None:
    (item,) = found("a\0b.png")
    assert kind_of(item) == "not_found"


@pytest.mark.parametrize("url", ["ftp://h/a.jpg", "file:///etc/a.png", "memory://a.jpg"])
def test_a_url_of_an_unknown_kind_is_a_failure_that_says_so(url: str) -> None:
    (item,) = found(url)
    assert kind_of(item) == "unsupported"


# --- patterns -------------------------------------------------------------------------------------------


def in_folder(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> None:
    touch(folder, *names)
    monkeypatch.chdir(folder)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["a.png", "b.png"]),
        ("?.png", ["a.png", "b.png"]),
        ("*/*.png", ["s-t/d.png", "s/c.png"]),
        ("[sx]", ["s/c.png", "s/u/e.png"]),
        ("**/*.png", ["a.png", "b.png", "s-t/d.png", "s/c.png", "s/u/e.png"]),
        ("s/**/*.png", ["s/c.png", "s/u/e.png"]),
        ("s*/**/*.png", ["s-t/d.png", "s/c.png", "s/u/e.png"]),
        ("**/u/**/*.png", ["s/u/e.png"]),
        ("**/u", ["s/u/e.png"]),
        ("./**/?.png", ["./a.png", "./b.png", "./s-t/d.png", "./s/c.png", "./s/u/e.png"]),
    ],
)
def test_a_pattern_stands_for_what_matches_in_the_order_of_names(
    pattern: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folder(monkeypatch, tmp_path, "b.png", "a.png", "s/c.png", "s-t/d.png", "s/u/e.png", ".h/f.png", ".g.png")
    assert found_names(pattern) == expected


def test_matches_are_sorted_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_folder(monkeypatch, tmp_path, "c.png", "B.png", "a.png", "é.png")
    assert found_names("*.png") == ["B.png", "a.png", "c.png", "é.png"]


@pytest.mark.parametrize("pattern", ["s/**", "**"])
def test_two_stars_at_the_end_give_each_file_once(
    pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folder(monkeypatch, tmp_path, "s/a.png", "s/t/b.png")
    assert [os.path.normpath(name) for name in found_names(pattern)] == ["s/a.png", "s/t/b.png"]


def test_two_stars_do_not_run_in_circles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_folder(monkeypatch, tmp_path, "s/a.png")
    for name in ("one", "two", "three"):
        (tmp_path / "s" / name).symlink_to(tmp_path)
    with no_longer_than(60):
        assert found_names("**/*.png") == ["s/a.png"]


def test_a_file_that_is_named_like_a_pattern_is_meant_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_folder(monkeypatch, tmp_path, "[ab].png", "a.png")
    assert found_names("[ab].png") == ["[ab].png"]


def test_folders_named_like_patterns_are_walked_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_folder(monkeypatch, tmp_path, "[s]/x.png", "s/y.png")
    assert found_names("**/x.png") == ["[s]/x.png"]


def test_a_pattern_without_a_match_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folder(monkeypatch, tmp_path, "a.png")
    with pytest.raises(InputError, match=r"nothing\*: no file matches this pattern"):
        next(discover(Source(("a.png", "nothing*"))))


# --- paths on a stream ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a.png\nb c.png\n", ["a.png", "b c.png"]),
        (b"a.png\r\nb.png\r\n", ["a.png", "b.png"]),
        (b"\n\na.png\n \n\r\n\nb.png", ["a.png", "b.png"]),
        ("猫.png\n".encode(), ["猫.png"]),
        (b"caf\xe9\xff.png\n", [os.fsdecode(b"caf\xe9\xff.png")]),
        (b"'=x\".png\n*.png\n-", ["'=x\".png", "*.png", "-"]),
    ],
    ids=["lines", "CRLF", "blank lines", "script", "bytes", "as they are"],
)
def test_paths_are_read_line_by_line(text: bytes, expected: list[str]) -> None:
    assert listed(text) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"], ids=["LF", "CRLF", "NUL"])
@pytest.mark.parametrize("size", [1, 3, 1 << 16])
def test_a_list_is_read_in_every_encoding_that_names_itself(encoding: str, end: str, size: int) -> None:
    class Slow(io.BytesIO):
        def read1(self, _: int | None = -1) -> bytes:
            return self.read(size)

    names = ["nowhere/first.png", "nowhere/Kätzchen 猫.png", "nowhere/last.png"]
    text = (end.join(names) + end).encode(encoding)
    assert found_names("-", stream=Slow(text), null_separated=end == "\0") == names


def test_a_mark_within_a_list_is_part_of_a_name() -> None:
    assert listed("a.png\n\ufeffb.png\n".encode()) == ["a.png", "\ufeffb.png"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("a.png\nb.png\n".encode("utf-16-le"), "look like UTF-16 without a byte-order mark"),
        ("a.png\nb.png\n".encode("utf-16-be"), "look like UTF-16 without a byte-order mark"),
        ("a.png\n".encode("utf-16")[:-1], "damaged UTF-16 text"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_the_remedy(data: bytes, told: str) -> None:
    text = refusal("-", stream=io.BytesIO(data))
    assert told in text
    assert "write the list in UTF-8" in text


def test_a_missing_folder_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    missing, file = f"{tmp_path}/nowhere/", f"{tmp_path}/a.png/"
    assert refusal(tmp_path / "a.png", missing) == f"cannot read {missing}: no such folder (check the name)"
    assert refusal(file) == f"cannot read {file}: a file, not a folder (check the name)"
    (item,) = found("-", stream=io.BytesIO(f"{missing}\n".encode()))
    assert (kind_of(item), str(item.problem)) == ("not_found", "no such folder")  # type: ignore[union-attr]


def test_paths_that_nul_separates_may_have_newlines_in_them() -> None:
    assert listed(b"two\nlines.png\0cr\r\0\0last.png", null_separated=True) == ["two\nlines.png", "cr\r", "last.png"]


def test_nul_where_newlines_were_expected_is_refused_with_the_remedy() -> None:
    assert "(use -0)" in refusal("-", stream=io.BytesIO(b"a.png\0b.png\0"))


def test_a_folder_on_the_stream_is_walked(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png")
    assert listed(os.fsencode(tmp_path)) == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


def test_an_empty_stream_is_refused() -> None:
    assert refusal("-", stream=io.BytesIO(b"\n")).startswith("standard input: ")


@given(st.lists(st.binary(min_size=1).filter(lambda name: b"\0" not in name)), st.integers(1, 9))
def test_any_bytes_come_through_however_the_stream_is_cut(names: list[bytes], size: int) -> None:
    class Slow(io.BytesIO):
        def read1(self, _: int | None = -1) -> bytes:
            return self.read(size)

    paths = [b"nowhere/" + name for name in [*names, b"end"]]
    items = discover(Source(("-",), Slow(b"\0".join(paths)), null_separated=True, distinct=False))
    assert [os.fsencode(item.name) for item in items] == paths


def test_a_stream_without_end_is_read_no_further_than_needed() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read1(self, _: int = -1) -> bytes:
            self.given += 1
            return b"photo%04d.png\n" % self.given

    stream: Any = Endless()
    items = islice(discover(Source(("-",), stream)), 1000)
    assert (len(list(items)), stream.given) == (1000, 1000)


# --- tables ---------------------------------------------------------------------------------------------


def table(folder: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_column_of_paths_is_relative_to_the_folder_of_its_table(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = table(tmp_path / "data", f"id,file\n1,a.png\n2,sub/b.png\n3,{tmp_path}/c.png\n")
    assert found(path, path_column="file") == [
        FileInput("a.png", str(tmp_path / "data/a.png")),
        FileInput("sub/b.png", str(tmp_path / "data/sub/b.png")),
        FileInput(f"{tmp_path}/c.png", f"{tmp_path}/c.png"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("t.csv", '\ufefffile,n\r\n"a, ""b"".png",1\r\n"two\nlines.png",2\r\n', ['a, "b".png', "two\nlines.png"]),
        ("t.tsv", "n\tfile\n1\ta,b.png\n2\t猫.png\n", ["a,b.png", "猫.png"]),
        ("t.TSV", "file\tn\na.png\t1", ["a.png"]),
        ("t.csv", b"file\ncaf\xe9.png\n", [os.fsdecode(b"caf\xe9.png")]),
        ("t.csv", "file\n\n\na.png\n", ["a.png"]),
        ("t.csv", "file\n*.png\n-\n", ["*.png", "-"]),
    ],
    ids=["quotes and BOM", "TSV", "short TSV", "bytes", "blank lines", "no patterns"],
)
def test_tables_are_read_as_they_come(name: str, text: str | bytes, expected: list[str], tmp_path: Path) -> None:
    assert found_names(table(tmp_path, text, name), path_column="file") == expected


def test_a_column_that_is_missing_is_refused_with_those_there_are(tmp_path: Path) -> None:
    path = table(tmp_path, "id,file\n1,a.png\n")
    assert refusal(path, path_column="path") == f"cannot read {path}: no column 'path' (it has: id, file)"


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    assert "it has: none" in refusal(table(tmp_path, ""), path_column="path")


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nowhere.csv", path_column="path")


@pytest.mark.parametrize("cell", ['""', '"  "', ""])
def test_a_blank_cell_is_a_failure_that_names_its_line(cell: str, tmp_path: Path) -> None:
    path = table(tmp_path, f"id,file\n1,a.png\n2,{cell}\n3,c.png\n")
    first, blank, last = found(path, path_column="file")
    assert (first.name, blank.name, last.name) == ("a.png", f"{path}:3", "c.png")
    assert kind_of(blank) == "not_found"


def test_a_row_that_is_too_short_is_a_failure_of_its_own(tmp_path: Path) -> None:
    (item,) = found(table(tmp_path, "id,file\n1\n"), path_column="file")
    assert kind_of(item) == "not_found"


def test_several_tables_follow_each_other(tmp_path: Path) -> None:
    one, two = table(tmp_path, "f\na.png\n", "1.csv"), table(tmp_path, "f\nb.png\n", "2.csv")
    assert found_names(one, two, path_column="f") == ["a.png", "b.png"]


# --- archives -------------------------------------------------------------------------------------------

MEMBERS = {"b.png": PHOTO, "a.png": PHOTO, "notes.txt": b"no image", "sub/c": PHOTO, "broken.jpg": b"x"}


def archive(path: Path, members: dict[str, bytes] | None = None) -> Path:
    kind: Any = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix]
    with tarfile.open(path, kind) as opened:
        for name, data in (MEMBERS if members is None else members).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz", "s.tgz", "s.tar.bz2", "s.tar.xz"])
def test_an_archive_yields_its_images_in_their_order(name: str, tmp_path: Path) -> None:
    path = archive(tmp_path / name)
    assert [(item.name, outcome(item)) for item in found(path)] == [
        (f"{path}/b.png", "ok"),
        (f"{path}/a.png", "ok"),
        (f"{path}/sub/c", "ok"),
        (f"{path}/broken.jpg", "not_an_image"),
    ]


def test_hidden_members_are_passed_over(tmp_path: Path) -> None:
    names = [".a.png", "._b.png", "./c.png", ".git/d.png", "sub/.e/f.png", "../g.png"]
    path = archive(tmp_path / "s.tar", dict.fromkeys(names, PHOTO))
    assert found_names(path) == [f"{path}/./c.png", f"{path}/../g.png"]


def test_members_that_are_no_files_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as opened:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo("x.png")
            member.type = kind
            opened.addfile(member)
        member = tarfile.TarInfo("y.png")
        member.size = len(PHOTO)
        opened.addfile(member, io.BytesIO(PHOTO))
    assert found_names(tmp_path / "s.tar") == [f"{tmp_path / 's.tar'}/y.png"]


@pytest.mark.parametrize("name", ["猫-🎄.png", os.fsdecode(b"\xff\xe9.png"), "x" * 300 + ".png", "two\nlines.png"])
def test_members_may_have_any_name(name: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "s.tar", {name: PHOTO})
    assert found_names(path) == [f"{path}/{name}"]


def test_an_archive_without_images_is_refused(tmp_path: Path) -> None:
    assert "no images found" in refusal(archive(tmp_path / "s.tar", {}))


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz", "s.tar.bz2", "s.tar.xz"])
def test_an_archive_that_is_cut_off_is_one_failure_after_what_came_before(name: str, tmp_path: Path) -> None:
    noise = Image.effect_noise((200, 200), 80)
    path = archive(tmp_path / name, {f"{number}.png": encoded(noise, "PNG") for number in range(9)})
    data = path.read_bytes()
    whole = [item.name for item in found(path)]
    path.write_bytes(data[: len(data) * 2 // 3])
    *good, last = found(path)
    assert [item.name for item in good] == whole[: len(good)]
    assert (last.name, kind_of(last)) == (str(path), "truncated")


def test_an_archive_cut_off_anywhere_tells(tmp_path: Path) -> None:
    path = archive(tmp_path / "s.tar", {"a.png": PHOTO, "b.png": PHOTO})
    data = path.read_bytes()
    for size in range(0, 2048, 64):
        path.write_bytes(data[:size])
        *good, last = found(path)
        assert (kind_of(last), len(good)) == (
            "truncated",
            sum(size >= end for end in (512 + len(PHOTO), 1536 + len(PHOTO))),
        )


def test_rubbish_within_an_archive_is_not_taken_for_its_end(tmp_path: Path) -> None:
    path = archive(tmp_path / "s.tar", {"a.png": PHOTO, "b.png": PHOTO})
    data = path.read_bytes()
    path.write_bytes(data[:1024] + b"?" * 512 + data[1536:])
    first, last = found(path)
    assert (first.name, kind_of(last)) == (f"{path}/a.png", "truncated")


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header as GNU tar writes it, with any size."""
    made = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    made[124:136] = (size & ((1 << 96) - 1)).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
    made[156:157] = kind
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


PAX_SIZE = b"16 size=-1000000\n"
HOSTILE = {
    "a size below nought": header("a.png", -1024) + b"\0" * 1024,
    "a size beyond all memory": header("a.png", 1 << 80) + b"\0" * 1024,
    "a size that leads back": header("p", len(PAX_SIZE) + 1, tarfile.XHDTYPE) + b"17 size=-1000000\n".ljust(512, b"\0")
    + header("a.png", 512) + b"\0" * 1024,
    "a name of a gigabyte": header("a.png", 1 << 30, tarfile.GNUTYPE_LONGNAME) + b"x" * 4096,
    "descriptions of descriptions": (header("p", 512, tarfile.XHDTYPE) + b"\0" * 512) * 3000,
    "names of names": (header("p", 512, tarfile.GNUTYPE_LONGNAME) + b"x" * 512) * 3000,
    "a sparse file of a terabyte": header("a.png", 1 << 40, tarfile.GNUTYPE_SPARSE) + b"\0" * 1024,
    "a number that is none": header("p", 32, tarfile.XHDTYPE) + b"16 size=elephants\n".ljust(512, b"\0")
    + header("a.png", 0) + b"\0" * 1024,
}  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_archive_whose_headers_lie_is_a_failure_and_costs_neither_time_nor_memory(
    data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "s.tar").write_bytes(header("first.txt", 0) + data)
    with no_longer_than(30):
        for item in found(tmp_path / "s.tar"):
            assert outcome(item) != "ok"
        shard = read_pairs([str(tmp_path / "s.tar")])
    assert not shard.examples
    assert all(each.reason for each in shard.left_out)


@pytest.mark.parametrize("name", ["../../victim.png", "/etc/victim.png", "a/../../victim.png", "./victim.png"])
def test_the_name_of_a_member_leads_nowhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    touch(tmp_path, "victim.png")
    path = archive(tmp_path / "in" / "s.tar", {name: PHOTO})
    monkeypatch.chdir(tmp_path / "in")
    (item,) = found(path)
    assert (item.name, isinstance(item, MemberInput)) == (f"{path}/{name}", True)
    records = [ReadRecord(item.name, "cat", 1.0, None), ReadRecord(f"s.tar/{name}", "cat", 1.0, None)]
    assert [each.problem for each in plan(records, tmp_path / "sorted", Path())] == [
        "it is in an archive (extract the archive, classify that folder and use its results)"
    ] * 2


def test_what_is_no_archive_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(b"not a tar archive" * 100)
    (item,) = found(tmp_path / "s.tar")
    assert kind_of(item) == "truncated"


def test_a_folder_named_like_an_archive_is_walked(tmp_path: Path) -> None:
    touch(tmp_path, "s.tar/a.png")
    assert found_names(tmp_path / "s.tar") == [str(tmp_path / "s.tar/a.png")]


# --- counting -------------------------------------------------------------------------------------------


def test_inputs_are_counted_as_they_will_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_folder(monkeypatch, tmp_path, "a.png", "s/b.png", "s/t/c.png", "s/.d.png", "[x].png")
    source = Source(("a.png", "s", "**/*.png", "[x].png", "nowhere.png"))
    assert count_files(source) == len(list(discover(source)))


@pytest.mark.parametrize(
    "source", [Source(("-",)), Source(("t.csv",), path_column="path"), Source(("a.png", "s.tar"))], ids=str
)
def test_what_takes_reading_is_not_counted(source: Source) -> None:
    assert count_files(source) is None


# --- common mistakes --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_an_image_on_standard_input_is_read(form: str) -> None:
    data = encoded(Image.new("RGB", (40, 40), "red"), form)
    (item,) = found("-", stream=io.BytesIO(data))
    assert isinstance(item, MemberInput)
    assert (item.name, item.data) == ("-", data)


def test_an_image_that_comes_byte_by_byte_is_read() -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return super().read1(1)

    (item,) = found("-", stream=Slow(PHOTO))
    assert isinstance(item, MemberInput)
    assert item.data == PHOTO


def test_an_image_over_the_limit_on_standard_input_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipcli.inputs.discover.MAX_BYTES", 1000)
    (item,) = found("-", stream=io.BytesIO(PHOTO + b"0" * 100_000))
    assert kind_of(item) == "too_large"


RESULTS = "path,label,probability,similarity,model,pretrained,precision,error_type,error_message\na.png,cat,1,1,m,,,,\n"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "file,n\na.png,1\n", "a table, not an image (name its column of image paths: --path-column file)"),
        ("t.csv", "photo;n\na.png;1\n", "a table, not an image (name its column of image paths: --path-column NAME)"),
        ("t.tsv", "path\tn\na.png\t1\n", "--path-column path"),
        ("t.jsonl", '{"url": "a.png"}\n', "--path-column url"),
        (
            "r.csv",
            RESULTS,
            "results of clipcli classify, not an image (use them with clipcli report, sort or evaluate)",
        ),
        (
            "r.jsonl",
            '{"path": "a.png", "label": "cat", "top": [], "precision": "fp32"}\n',
            "results of clipcli classify",
        ),
        ("r.json", '[{"path": "a.png", "label": "cat", "top": []}]', "results of clipcli classify"),
    ],
)
def test_a_table_given_as_an_image_is_answered_with_the_remedy(
    name: str, content: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    assert f"cannot read {tmp_path / name}: " in refusal(tmp_path / name)
    assert says in refusal(tmp_path / name)
    touch(tmp_path, "b.png")
    table_item, photo = found(tmp_path / name, tmp_path / "b.png")  # as photos/* in a shell
    assert isinstance(table_item, BadInput)
    assert says in str(table_item.problem)
    assert photo.name.endswith("b.png")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_image_with_two_spellings_is_one_input_with_the_first_name(here: Path, logged: list[str]) -> None:
    touch(here, "a.png", "in/b.png")
    (here / "link").symlink_to("in")
    names = ["./a.png", "a.png", here / "a.png", "in/../a.png", "in/b.png", "link/b.png", "in//b.png"]
    assert found_names(*names) == ["./a.png", "in/b.png"]
    assert logged == [
        "5 inputs are left out: they were named before, so their images have records already; the first is a.png"
    ]


def test_overlapping_inputs_yield_each_image_once(here: Path, logged: list[str]) -> None:
    touch(here, "p/a.png", "p/in/b.png", "p/in/c.png")
    assert found_names("p/in/c.png", "p", "p/in") == ["p/in/c.png", "p/a.png", "p/in/b.png"]
    assert found_names("p", "p/*.png") == ["p/a.png", "p/in/b.png", "p/in/c.png"]
    assert found_names("p/**/*") == ["p/a.png", "p/in/b.png", "p/in/c.png"]
    assert "no images found" not in "".join(logged)


def test_overlapping_inputs_are_counted_once(here: Path) -> None:
    touch(here, "p/a.png", "p/in/b.png")
    assert count_files(Source(("p", "./p/in", "p/a.png"))) == 2


def test_a_path_that_a_list_holds_twice_is_one_input(here: Path, logged: list[str]) -> None:
    touch(here, "a.png", "b.png")
    assert listed(b"a.png\nb.png\n./a.png\n") == ["a.png", "b.png"]
    assert logged == ["./a.png is left out: it was named before, so its image has a record already"]


def test_an_archive_is_read_once(here: Path) -> None:
    touch(here, "x.png")
    with tarfile.open(here / "a.tar", "w") as archive:
        archive.add(here / "x.png", "x.png")
    assert found_names("a.tar", "./a.tar") == ["a.tar/x.png"]


def test_a_link_to_a_file_is_another_name_as_a_copy_is(here: Path) -> None:
    touch(here, "a.png")
    (here / "b.png").symlink_to("a.png")
    assert found_names("a.png", "b.png") == ["a.png", "b.png"]


def test_inputs_that_are_pairs_with_texts_can_repeat(here: Path) -> None:
    touch(here, "a.png")
    assert found_names("a.png", "a.png", distinct=False) == ["a.png", "a.png"]


def test_many_inputs_are_recognised_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipcli.inputs.repetition._LEAST_HELD", 10)
    items = [FileInput(f"{number}.png", f"{number}.png") for number in range(1000)]
    before = Repetition()
    assert all(map(before.is_new, items))
    assert not any(map(before.is_new, items))
    assert (before.count, len(before._recent) <= 125) == (1000, True)
