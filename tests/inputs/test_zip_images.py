"""Zip archives of images: read as tar archives are, whoever wrote them."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from clipcli.inputs.discover import BadInput, Input, MemberInput, Source, count_files, discover
from clipcli.inputs.exclusion import Exclusion
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
