"""Recognise image files by their first bytes.

A signature of two bytes is not enough: text may start with "BM" or "P5". If Pillow's test checks fewer than four bytes,
the following header must be valid too.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import cache

__all__ = ["SIGNATURE_BYTES", "formats_of", "has_image_suffix", "is_heif", "looks_like_image", "open_formats"]

SIGNATURE_BYTES = 256
"""Number of bytes that are read to recognise a format."""

# Left out on purpose: EPS and WMF (run other programs), TGA and other formats without a signature
# (any file could be taken for one).
_FORMATS = (
    "JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "ICO",
    "ICNS", "DDS", "QOI", "PSD", "SGI",
)  # fmt: skip
_COMMON = ("JPEG", "PNG", "GIF", "BMP", "DIB", "PPM")  # those that Pillow imports first
_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".gif", ".webp", ".avif", ".heic", ".heif", ".bmp", ".dib",
    ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpx", ".ico", ".icns", ".dds",
    ".qoi", ".psd", ".sgi",
)  # fmt: skip
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

_GAP = rb"(?:\s+|#[^\r\n]*[\r\n])+"  # white space and comments between the numbers of a Netpbm header
_NUMBER = rb"[1-9][0-9]{0,8}"
_NETPBM = re.compile(
    rb"P1" + _GAP + _NUMBER + _GAP + _NUMBER + _GAP + rb"[01\s#]"
    rb"|P4" + _GAP + _NUMBER + _GAP + _NUMBER + rb"\s"
    rb"|P[2356]" + _GAP + _NUMBER + _GAP + _NUMBER + _GAP + rb"[1-9][0-9]{0,4}\s"
    rb"|Pf" + _GAP + _NUMBER + _GAP + _NUMBER + _GAP + rb"-?[0-9]+(?:\.[0-9]+)?\s"
)  # fmt: skip
_NETPBM_COMMENT = re.compile(rb"P[1-6f]\s(?:\s*[0-9]*\s*#[^\r\n]*[\r\n])*[^\r\n]*#[^\r\n]*\Z")
_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes of the header of a bitmap, by its version
_BITMAP_DEPTHS = (0, 1, 2, 4, 8, 16, 24, 32)


@cache
def open_formats() -> tuple[str, ...]:
    """Return the formats Pillow can open here, after registering the HEIF plugin if it is installed."""
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@cache
def _common_formats() -> tuple[str, ...]:
    from PIL import Image

    Image.preinit()
    return tuple(name for name in _COMMON if name in Image.OPEN)


def formats_of(signature: bytes) -> tuple[str, ...]:
    """Return the formats to try on a file that starts so: without the rare ones, whose import takes time, if possible.

    Parameters
    ----------
    signature
        The file's first :data:`SIGNATURE_BYTES` bytes, or fewer.
    """
    common = _common_formats()
    return common if _is_one_of(common, signature) else open_formats()


def has_image_suffix(name: str) -> bool:
    """Return whether a file has the extension of an image."""
    return name.lower().endswith(_SUFFIXES)


def is_heif(signature: bytes) -> bool:
    """Return, by its first bytes, whether a file is HEIF, even if HEIF cannot be opened here."""
    return signature[4:8] == b"ftyp" and signature[8:12] in _HEIF_BRANDS


def looks_like_image(signature: bytes) -> bool:
    """Return whether a file is an image, by its first :data:`SIGNATURE_BYTES` bytes, or fewer."""
    return _is_one_of(_common_formats(), signature) or _is_one_of(open_formats(), signature) or is_heif(signature)


def _is_one_of(formats: tuple[str, ...], signature: bytes) -> bool:
    from PIL import Image

    padded = signature.ljust(SIGNATURE_BYTES, b"\0")  # some of Pillow's tests fail on fewer bytes
    for name in formats:
        accept = Image.OPEN[name][1]
        # A string from an accept function means: the format is right, but support for it is not compiled in.
        if accept is not None and accept(padded) is True and _CHECKS.get(name, bool)(signature):
            return True
    return False


def _is_bitmap(header: bytes) -> bool:
    """Check the header of a bitmap after the file header of a BMP: size, planes and bits per pixel."""
    size = int.from_bytes(header[:4], "little")
    if size not in _BITMAP_HEADERS:
        return False
    start = 8 if size == 12 else 12  # after a width and height of two bytes each, or of four
    planes, bits = header[start : start + 2], header[start + 2 : start + 4]
    return planes == b"\x01\0" and int.from_bytes(bits, "little") in _BITMAP_DEPTHS


def _is_netpbm(signature: bytes) -> bool:
    unfinished = len(signature) >= SIGNATURE_BYTES and _NETPBM_COMMENT.match(signature)
    return bool(_NETPBM.match(signature) or unfinished)


def _is_icon(signature: bytes) -> bool:
    if len(signature) < 22:
        return False
    count, reserved = struct.unpack_from("<H", signature, 4)[0], signature[9]
    planes, bits, size, offset = struct.unpack_from("<HHII", signature, 10)
    return 0 < count <= 1024 and reserved in (0, 255) and planes <= 1 and bits <= 32 and size > 0 and offset >= 22


def _is_sgi(signature: bytes) -> bool:
    return signature[2:3] in (b"\0", b"\1") and signature[3:4] in (b"\1", b"\2") and signature[4:6] <= b"\0\3"


_CHECKS: dict[str, Callable[[bytes], bool]] = {
    "BMP": lambda signature: _is_bitmap(signature[14:]),
    "DIB": _is_bitmap,
    "PPM": _is_netpbm,
    "ICO": _is_icon,
    "SGI": _is_sgi,
    "DDS": lambda signature: signature[4:8] == b"\x7c\0\0\0",
    "QOI": lambda signature: signature[12:13] in (b"\3", b"\4"),
    "PSD": lambda signature: signature[4:6] in (b"\0\1", b"\0\2"),
}
"""Additional checks of a header, for formats whose test in Pillow is weak."""
