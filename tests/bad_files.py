"""A folder of files that are damaged, odd or no images at all, made at run time."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["encoded", "make_bad_files", "png"]


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """An image as the bytes of a file."""
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(width: int, height: int, rows: bytes = b"", *, wrong_sum_of: bytes = b"") -> bytes:
    """A PNG file put together by hand, with whatever its header promises."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data) ^ (kind == wrong_sum_of)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_bad_files(folder: Path) -> dict[str, str]:
    """Fill a folder; return what each file should come to: an ``error.type``, or ``ok`` where it is only odd.

    What the system or the user here does not allow is left out. Two hidden files are there besides, which
    are nowhere to be seen.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, str] = {}
    for name, (data, outcome) in {**_damaged(), **_disguised(), **_odd(), **_oddly_named()}.items():
        try:
            (folder / name).write_bytes(data)
        except (OSError, UnicodeError):  # a name that is not allowed here
            continue
        expected[name] = outcome
    for name in (".x.jpg", "._x.jpg"):
        (folder / name).write_bytes(encoded(_noise(), "JPEG"))
    return expected | _no_files(folder)


def _noise(size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.effect_noise(size, 80).convert("RGB")


def _half(form: str) -> bytes:
    data = encoded(_noise(), form)
    return data[: len(data) // 2]


def _damaged() -> dict[str, tuple[bytes, str]]:
    tiff_of_tags = b"II*\0" + struct.pack("<IH", 8, 65535) + struct.pack("<HHII", 256, 4, 0xFFFFFFFF, 12) * 4
    bmp = encoded(_noise(), "BMP")
    return {
        "cut.jpg": (_half("JPEG"), "truncated"),
        "cut.png": (_half("PNG"), "truncated"),
        "cut.webp": (_half("WEBP"), "unreadable"),
        "cut.gif": (_half("GIF"), "truncated"),
        "cut.bmp": (_half("BMP"), "truncated"),
        "empty.jpg": (b"", "empty"),
        "one-byte.jpg": (b"\xff", "not_an_image"),
        "start-only.jpg": (b"\xff\xd8\xff\xe0", "unreadable"),
        "random.jpg": (bytes(np.random.default_rng(0).integers(0, 256, 4096, np.uint8)), "not_an_image"),
        "wrong-sum-of-size.png": (png(4, 4, bytes(4 * 13), wrong_sum_of=b"IHDR"), "unreadable"),
        "wrong-sum-of-pixels.png": (png(4, 4, bytes(4 * 13), wrong_sum_of=b"IDAT"), "ok"),  # Pillow looks past it
        "bomb.png": (png(30_000, 30_000), "too_large"),
        "no-size.png": (png(0, 0), "unreadable"),
        "many-tags.tif": (tiff_of_tags, "unreadable"),
        "no-tags.tif": (b"II*\0" + struct.pack("<I", 0xFFFFFFF0), "unreadable"),
        "negative.bmp": (bmp[:18] + struct.pack("<ii", -64, -48) + bmp[26:], "too_large"),
        "absurd.bmp": (bmp[:18] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + bmp[26:], "too_large"),
        "none.ico": (b"\0\0\1\0\0\0", "not_an_image"),
    }


def _disguised() -> dict[str, tuple[bytes, str]]:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("photo.jpg", encoded(_noise(), "JPEG"))
    return {
        "text.jpg": ("just some words, Ёлка\n".encode(), "not_an_image"),
        "page.png": (b"<!doctype html><html><body>404</body></html>", "not_an_image"),
        "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        "letter.jpg": (b"%PDF-1.7\n%%EOF\n", "not_an_image"),
        "zip.jpg": (archive.getvalue(), "not_an_image"),
        "really-a-jpeg.png": (encoded(_noise(), "JPEG"), "ok"),
        "no-suffix": (encoded(_noise(), "PNG"), "ok"),
        "wrong-suffix.txt": (encoded(_noise(), "GIF"), "ok"),
    }


def _odd() -> dict[str, tuple[bytes, str]]:
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    odd = {
        "one-pixel.png": (encoded(_noise((1, 1)), "PNG"), "ok"),
        "thin.png": (encoded(_noise((1, 20_000)), "PNG"), "ok"),
        "flat.png": (encoded(_noise((20_000, 1)), "PNG"), "ok"),
        "grey-alpha.png": (encoded(Image.new("LA", (8, 8), (90, 40)), "PNG"), "ok"),
        "sixteen-bit.png": (encoded(Image.fromarray(np.full((8, 8), 40_000, np.uint16)), "PNG"), "ok"),
        "cmyk.jpg": (encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), "ok"),
        "palette.png": (encoded(palette, "PNG", transparency=0), "ok"),
        "broken-exif.jpg": (encoded(_noise(), "JPEG", exif=b"Exif\0\0" + b"garbage" * 9), "ok"),
        "end-missing.jpg": (encoded(_noise(), "JPEG").removesuffix(b"\xff\xd9"), "truncated"),
        "more-after-end.jpg": (encoded(_noise(), "JPEG") + bytes(5000), "ok"),
    }
    try:
        import pillow_heif
    except ImportError:
        return odd
    pillow_heif.register_heif_opener()
    return odd | {"phone.heic": (encoded(_noise(), "HEIF"), "ok"), "cut.heic": (_half("HEIF"), "truncated")}


def _oddly_named() -> dict[str, tuple[bytes, str]]:
    names = [
        os.fsdecode(b"latin-\xe9\xff.png"), "two\nlines.png", "it's \"quoted\".png", "a\ttab.png", "-dash.png",
        "猫のしゃしん.png", "Ёлка-🎄.png", "=cmd.png", " space .png", "[*?].png", "back\\slash.png", "x" * 251 + ".png",
    ]  # fmt: skip
    return {name: (encoded(_noise((8, 8)), "PNG"), "ok") for name in names}


def _no_files(folder: Path) -> dict[str, str]:
    """Put things there that are no files, or none that can be read."""
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "folder.jpg").mkdir()
    expected = {"dangling.jpg": "not_found", "loop.jpg": "unreadable", "folder.jpg": "not_a_file"}
    for name, kind in {"pipe.jpg": stat.S_IFIFO, "socket.jpg": stat.S_IFSOCK}.items():
        try:
            os.mknod(folder / name, kind | 0o600)
        except (AttributeError, OSError):  # no such thing on this system
            continue
        expected[name] = "not_a_file"
    if hasattr(os, "geteuid") and os.geteuid() != 0:  # root may read everything
        (folder / "forbidden.jpg").write_bytes(encoded(_noise(), "JPEG"))
        (folder / "forbidden.jpg").chmod(0)
        expected["forbidden.jpg"] = "unreadable"
    return expected
