"""Zip archives of images: read as tar archives are, whoever wrote them."""

from __future__ import annotations

import io
import shutil
import stat
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image

from clipcli.inputs.counting import count_files
from clipcli.inputs.discover import BadInput, Input, MemberInput, Source, discover
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.zip_images import member_name
from tests.bad_files import encoded

PHOTO = encoded(Image.new("RGB", (8, 8), "red"), "PNG")


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return path


def found(path: Path, exclusion: Exclusion = Exclusion()) -> list[Input]:  # noqa: B008 - a value
    return list(discover(Source((str(path),), exclusion=exclusion)))


def outcome(item: Input) -> tuple[str, str]:
    if isinstance(item, BadInput):
        return item.name.rpartition("s.zip")[2], item.problem.kind
    assert isinstance(item, MemberInput)
    assert item.data == PHOTO
    return item.name.rpartition("s.zip")[2], "read"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_images_are_read_in_order_and_other_members_passed_over(method: int, tmp_path: Path) -> None:
    members = {
        "b/": b"",
        "b/2.png": PHOTO,
        "notes.txt": b"no image",
        "no suffix": PHOTO,
        ".hidden.png": PHOTO,
        "1.png": PHOTO,
    }
    items = found(archive(tmp_path / "s.zip", members, method))
    assert list(map(outcome, items)) == [("/b/2.png", "read"), ("/no suffix", "read"), ("/1.png", "read")]
    assert count_files(Source((str(tmp_path / "s.zip"),))) is None


def test_names_are_only_names_wherever_they_lead(tmp_path: Path) -> None:
    members = {"../../up.png": PHOTO, "/etc/root.png": PHOTO, "a\\..\\b.png": PHOTO}
    items = found(archive(tmp_path / "s.zip", members))
    assert [kind for _, kind in map(outcome, items)] == ["read"] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["s.zip"]


def test_exclusion_holds_for_members(tmp_path: Path) -> None:
    path = archive(tmp_path / "s.zip", {"a_thumb.png": PHOTO, "a.png": PHOTO})
    assert [outcome(item) for item in found(path, Exclusion(("*_thumb.png",)))] == [("/a.png", "read")]


def test_one_damaged_member_does_not_hide_the_others(tmp_path: Path) -> None:
    path = archive(tmp_path / "s.zip", {"a.png": PHOTO, "b.png": PHOTO}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(PHOTO) + 20] ^= 0xFF
    path.write_bytes(data)
    assert list(map(outcome, found(path))) == [("/a.png", "truncated"), ("/b.png", "read")]


@pytest.mark.parametrize("cut", [0, 10, 60, -1, -30])
def test_a_damaged_archive_is_one_failure(cut: int, tmp_path: Path) -> None:
    path = archive(tmp_path / "s.zip", {"a.png": PHOTO, "b.png": PHOTO})
    path.write_bytes(path.read_bytes()[:cut])
    assert list(map(outcome, found(path))) == [("", "truncated")]


def test_an_encrypted_member_and_one_in_lzma_are_failures(tmp_path: Path) -> None:
    """The header of an LZMA member can ask for gigabytes."""
    path = archive(tmp_path / "s.zip", {"a.png": PHOTO}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert list(map(outcome, found(path))) == [("/a.png", "unsupported")]
    assert list(map(outcome, found(archive(path, {"a.png": PHOTO}, zipfile.ZIP_LZMA)))) == [("/a.png", "unsupported")]


def test_a_member_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "s.zip", {"a.png": PHOTO}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 24, 3 << 30)
    path.write_bytes(data)
    assert list(map(outcome, found(path))) == [("/a.png", "too_large")]


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    """Of such a bomb, every entry has the same data, so that a small file holds any number of images."""
    path = archive(tmp_path / "s.zip", {"a.png": PHOTO, "b.png": PHOTO}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 42, 0)
    path.write_bytes(data)
    (item,) = found(path)
    assert isinstance(item, BadInput)
    assert item.problem.kind == "truncated"
    assert "overlapping entries" in str(item.problem)


def test_a_link_in_an_archive_is_no_image(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as opened:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
        opened.writestr("a.png", PHOTO)
    assert list(map(outcome, found(tmp_path / "s.zip"))) == [("/a.png", "read")]


def test_an_archive_inside_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as opened:
        opened.writestr("a.png", PHOTO)
    path = archive(tmp_path / "s.zip", {"inner.zip": inner.getvalue(), "b.png": PHOTO})
    assert list(map(outcome, found(path))) == [("/b.png", "read")]


NAME = "Übergröße/Böse – 猫.png"


def marked_otherwise(path: Path, raw: bytes, extra: bytes = b"") -> Path:
    """Write an archive whose member has these bytes as its name, without the mark of UTF-8."""
    info = zipfile.ZipInfo("x" * len(raw))
    info.extra = extra
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(info, PHOTO)
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    assert zipfile.ZipFile(path).infolist()[0].flag_bits & 0x800 == 0
    return path


def unicode_path(raw: bytes, name: str) -> bytes:
    data = struct.pack("<BL", 1, zlib.crc32(raw)) + name.encode()
    return struct.pack("<HH", 0x7075, len(data)) + data


def test_a_name_in_utf_8_without_the_mark_is_read_as_such(tmp_path: Path) -> None:
    path = marked_otherwise(tmp_path / "s.zip", NAME.encode())
    assert list(map(outcome, found(path))) == [(f"/{NAME}", "read")]


def test_a_name_in_the_old_code_page_is_still_read(tmp_path: Path) -> None:
    path = marked_otherwise(tmp_path / "s.zip", "Übung.png".encode("cp437"))
    assert list(map(outcome, found(path))) == [("/Übung.png", "read")]


@pytest.mark.parametrize("before", [b"", struct.pack("<HH", 0x5455, 5) + b"\3\0\0\0\0"])
def test_the_name_in_the_extra_field_goes_before(before: bytes, tmp_path: Path) -> None:
    raw = b"B#U00f6se.png"
    path = marked_otherwise(tmp_path / "s.zip", raw, before + unicode_path(raw, NAME))
    assert list(map(outcome, found(path))) == [(f"/{NAME}", "read")]


@pytest.mark.parametrize(
    "extra", [unicode_path(b"another name", "evil.png"), unicode_path(b"a.png", "evil.png")[:-3], b"\x75\x70\xff"]
)
def test_an_extra_field_that_does_not_belong_to_the_name_is_ignored(extra: bytes, tmp_path: Path) -> None:
    path = marked_otherwise(tmp_path / "s.zip", b"a.png")
    with zipfile.ZipFile(path) as opened:
        info = opened.infolist()[0]
    info.extra = extra
    assert member_name(info) == "a.png"


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs zip")
def test_an_archive_of_the_zip_program_has_the_names_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "böse bilder").mkdir()
    (tmp_path / "böse bilder/ß.png").write_bytes(PHOTO)
    subprocess.run(["zip", "-qr", "s.zip", "böse bilder"], cwd=tmp_path, check=True)
    assert list(map(outcome, found(tmp_path / "s.zip"))) == [("/böse bilder/ß.png", "read")]


def test_tar_archives_have_the_names_of_their_files_too(tmp_path: Path) -> None:
    for number, form in enumerate((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        with tarfile.open(tmp_path / f"{number}.tar", "w", format=form) as opened:
            info = tarfile.TarInfo(NAME)
            info.size = len(PHOTO)
            opened.addfile(info, io.BytesIO(PHOTO))
        (item,) = found(tmp_path / f"{number}.tar")
        assert item.name.endswith(f".tar/{NAME}")
