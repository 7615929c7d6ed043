"""What counts as an image, and opening images the way people mean them.

Opening means: the first frame, turned as its EXIF orientation says, transparency on white, and reduced
to 8-bit RGB. Formats are recognised by content; the suffix of a file says nothing about what it holds.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from clipcli.errors import ImageError

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "SIGNATURE_BYTES",
    "has_image_suffix",
    "looks_like_image",
    "open_image",
    "read_file",
    "read_signature",
    "to_rgb",
    "too_many_bytes",
]

MAX_PIXELS = 178_956_970
"""Most pixels an image may have: Pillow's own bound against decompression bombs (half a GiB of RGB)."""

MAX_BYTES = 2 << 30
"""Largest file that is read, in bytes; what is larger is no photograph."""

SIGNATURE_BYTES = 32
"""How many of a file's first bytes are looked at to tell its format."""

# Left out on purpose: EPS and WMF (run other programs), TGA and other formats without a signature
# (any file could pass for one).
_FORMATS = (
    "JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "ICO",
    "ICNS", "DDS", "QOI", "PSD", "SGI",
)  # fmt: skip
_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".gif", ".webp", ".avif", ".heic", ".heif", ".bmp", ".dib",
    ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".ico", ".icns", ".dds", ".qoi",
    ".psd", ".sgi",
)  # fmt: skip
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_ORIENTATION_TAG = 0x0112
_SPARE = 2  # a JPEG is decoded at no less than this many times the size it will be resized to
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNS_ON_ITS_SIDE = frozenset(_TURNS[orientation] for orientation in (5, 6, 7, 8))


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats Pillow can open here, after registering the HEIF plugin if it is installed."""
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def has_image_suffix(name: str) -> bool:
    """Tell by its name whether a file is meant to be an image."""
    return name.lower().endswith(_SUFFIXES)


def looks_like_image(signature: bytes) -> bool:
    """Tell by its first bytes whether a file is in a format that can be opened."""
    signature = signature.ljust(SIGNATURE_BYTES, b"\0")  # some of Pillow's tests trip over fewer bytes
    for name in _formats():
        accept = Image.OPEN[name][1]
        # A string from an accept function says: right format, but support for it is not compiled in.
        if accept is not None and accept(signature) is True:
            return True
    return signature[4:8] == b"ftyp" and signature[8:12] in _HEIF_BRANDS


def read_signature(path: str | Path) -> bytes:
    """Return the first bytes of a file; none where it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - also names that are no valid text
            return file.read(SIGNATURE_BYTES)
    except (OSError, ValueError):
        return b""


def read_file(path: str) -> bytes:
    """Read a file that should be an image.

    Raises
    ------
    ImageError
        If it is not there, no regular file, empty, over :data:`MAX_BYTES`, or cannot be read.
    """
    size = _check_file(Path(path))
    if size > MAX_BYTES:
        raise too_many_bytes(size)
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(size + 1)  # not more: room for all that is asked for is set aside at once
    except OSError as problem:
        raise ImageError("unreadable", problem.strerror or str(problem)) from None


def too_many_bytes(size: int) -> ImageError:
    """Return the error for a file over :data:`MAX_BYTES`."""
    return ImageError("too_large", f"{size / 2**30:.1f} GiB, over the limit of {MAX_BYTES >> 30} GiB; not read")


def open_image(
    source: Path | bytes | BinaryIO, resized: Callable[[int, int], tuple[int, int]] | None = None
) -> Image.Image:
    """Open and decode one image.

    Parameters
    ----------
    source
        A path, the encoded bytes, or a binary file object.
    resized
        Says to which (width, height) a picture of some (width, height) will be made smaller. A large JPEG is
        then decoded at a half, a quarter or an eighth of its size, never below twice what is needed.

    Returns
    -------
    An 8-bit RGB image, upright.

    Raises
    ------
    ImageError
        With a ``kind`` that says what is wrong; never anything else.
    """
    if isinstance(source, Path):
        _check_file(source)
    elif source == b"":
        raise _empty()
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=_formats()) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _too_large(f"{width} x {height} pixels")
            if resized is not None and image.format in ("JPEG", "MPO"):
                _decode_smaller(image, resized)
            image.load()
            return to_rgb(_upright(image))
    except ImageError:
        raise
    except Image.DecompressionBombError as problem:
        raise _too_large(_pixels_in(str(problem))) from None
    except UnidentifiedImageError:
        raise _unidentified(source) from None
    except MemoryError:
        raise ImageError("too_large", "not enough memory to decode it") from None
    except Exception as problem:  # noqa: BLE001 - decoders raise anything at all on damaged input
        raise _damaged(problem) from None


def _check_file(path: Path) -> int:
    """Return the size of a file in bytes, after looking whether it can be an image at all."""
    try:
        status = path.stat()
    except FileNotFoundError:
        kind = "dangling link" if path.is_symlink() else "no such file"
        raise ImageError("not_found", kind) from None
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        raise ImageError("unreadable", getattr(problem, "strerror", None) or str(problem)) from None
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise ImageError("not_a_file", f"{what}, not a file")
    if status.st_size == 0:
        raise _empty()
    return status.st_size


def _empty() -> ImageError:
    return ImageError("empty", "the file is empty (0 bytes)")


def _too_large(size: str) -> ImageError:
    return ImageError("too_large", f"{size}, over the limit of {MAX_PIXELS / 1e6:.0f} megapixels; not decoded")


def _pixels_in(message: str) -> str:
    digits = "".join(character if character.isdigit() else " " for character in message).split()
    return f"{int(digits[0]):,} pixels" if digits else "too many pixels"


def _unidentified(source: Path | bytes | BinaryIO) -> ImageError:
    signature = b""
    if isinstance(source, Path):
        signature = read_signature(source)
    elif isinstance(source, bytes):
        signature = source[:SIGNATURE_BYTES]
    if signature[4:8] == b"ftyp" and signature[8:12] in _HEIF_BRANDS and "HEIF" not in _formats():
        return ImageError("unsupported", "HEIC needs an extra: pip install 'clipcli[heif]'")
    if looks_like_image(signature):
        return ImageError(
            "unreadable", "starts like an image, but is cut off, damaged or of a kind that cannot be read"
        )
    return ImageError("not_an_image", "not an image in a known format")


def _damaged(problem: Exception) -> ImageError:
    if isinstance(problem, PermissionError):
        return ImageError("unreadable", problem.strerror or "permission denied")
    message = " ".join(str(problem).split()) or type(problem).__name__
    cut_off = any(word in message.lower() for word in ("truncated", "broken data", "unexpected end", "eof"))
    return ImageError("truncated" if cut_off else "unreadable", f"damaged image ({message})")


def _decode_smaller(image: Image.Image, resized: Callable[[int, int], tuple[int, int]]) -> None:
    """Let the JPEG decoder scale the picture down where it will be made much smaller anyway."""
    turned = _turn_of(image) in _TURNS_ON_ITS_SIDE
    needed = resized(*(reversed(image.size) if turned else image.size))
    width, height = reversed(needed) if turned else needed
    image.draft(None, (width * _SPARE, height * _SPARE))


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return how the EXIF orientation says to turn; EXIF that cannot be read turns nothing."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - broken EXIF must not cost the picture
        return None


def _upright(image: Image.Image) -> Image.Image:
    turn = _turn_of(image)
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """Reduce any mode to 8-bit RGB: transparency on white, 16-bit and float samples scaled."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return rgba.convert("RGB")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit or float samples to 8 bits; Pillow itself would clip them to white."""
    samples = np.nan_to_num(np.asarray(image, dtype=np.float64))  # (H, W)
    low, high = (float(samples.min()), float(samples.max())) if samples.size else (0.0, 0.0)
    if image.mode == "F" and low >= 0.0 and high <= 1.0:
        scaled = samples * 255.0
    elif low >= 0.0 and high <= 255.0 and image.mode != "I;16":
        scaled = samples
    elif low >= 0.0 and high <= 65535.0:
        scaled = samples / 257.0
    else:
        scaled = (samples - low) * (255.0 / max(high - low, 1e-12))
    return Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8)).convert("RGB")
