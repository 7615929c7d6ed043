"""Decode the bytes of a file into an upright RGB image, with bounded memory and time."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from io import BytesIO

from PIL import Image, _imaging

from clipcli.errors import ImageError
from clipcli.images import png
from clipcli.images.deep import DeepPicture, conversion_bytes, deep_to_rgb
from clipcli.images.embedded import check_scans, embedded_png, merged_psd, picture_in_tiff, without_metadata
from clipcli.images.formats import SIGNATURE_BYTES, formats_of
from clipcli.images.limits import DECODING_BYTES, MAX_PIXELS, MAX_PYTHON_PIXELS, too_many_pixels
from clipcli.images.memory_budget import decoding
from clipcli.images.netpbm import deep_netpbm
from clipcli.images.rgb import WHOLE_PIXELS, is_deep, to_rgb
from clipcli.images.tiff import Directory, Photometric, Tag, is_tiff
from clipcli.images.tiff_layout import Layout, can_decompress, layout_of
from clipcli.images.tiff_samples import deep_tiff

__all__ = ["Resized", "decode", "scaled_to"]

Resized = Callable[[int, int], tuple[int, int]]

_SPARE = 2  # an image is decoded at no less than this multiple of the size it will be resized to
_ORIENTATION_TAG = 0x0112
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
_PILLOW_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # bytes per pixel, by mode; else 4
# Additional memory of a decoder, measured: planes of wavelets, of YUV, or a second canvas.
_DECODER_BYTES = {"JPEG2000": 16, "AVIF": 12, "HEIF": 12, "WEBP": 8, "TIFF": 8, "ICNS": 24, "ICO": 8}
_PROGRESSIVE_BYTES = 6  # coefficients of all colours, which are held until the last scan


def scaled_to(side: int, of: Callable[[int, int], int] = max) -> Resized:
    """Return a function from an image's size to the proportional one in which the longer side has ``side`` pixels.

    Parameters
    ----------
    of
        ``min`` for the shorter side.
    """

    def resized(width: int, height: int) -> tuple[int, int]:
        scale = side / of(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    return resized


def decode(data: bytes, resized: Resized | None, claims: ExitStack) -> Image.Image:
    """Decode one image.

    Parameters
    ----------
    data
        The encoded bytes.
    resized
        See :func:`clipcli.images.files.open_image`.
    claims
        Receives the claim on the memory of the image; close it when the image is no longer needed.

    Raises
    ------
    ImageError
        If it is too large or of an unsupported kind.
    Exception
        Any exception of a decoder, if it is damaged.
    """
    _silence()
    if data.startswith(png.SIGNATURE):
        return _decode_png(data, resized, claims)
    if is_tiff(data):
        return _decode_tiff(data, resized, claims)
    if data.startswith(b"\0\0\1\0") and (inner := embedded_png(data)):
        return _decode_png(inner, resized, claims)
    if (deep := deep_netpbm(data)) is not None:
        return _finish_deep(deep, None, resized, claims, len(data))
    has_alpha = True
    if data.startswith(b"8BPS"):
        data, has_alpha = merged_psd(data)
    if data.startswith(b"\xff\xd8\xff"):
        check_scans(data)
    with _open(data) as image:
        return _finish(image, resized, claims, len(data), has_alpha=has_alpha)


@cache
def _silence() -> None:
    """Prevent libtiff and Pillow from writing to stderr; they raise their errors too."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with suppress(OSError, AttributeError):  # a statically linked libtiff, whose warnings Pillow has muted
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            handler = getattr(library, name)
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)


def _open(data: bytes, form: str | None = None) -> Image.Image:
    """Open an image, without its metadata if it cannot be opened with them."""
    formats = formats_of(data[:SIGNATURE_BYTES]) if form is None else (form,)
    try:
        return Image.open(BytesIO(data), formats=formats)
    except Image.DecompressionBombError:
        raise
    except Exception:
        pixels = without_metadata(data)
        if pixels is None or pixels == data:
            raise
        return Image.open(BytesIO(pixels), formats=formats)


def _decode_png(data: bytes, resized: Resized | None, claims: ExitStack) -> Image.Image:
    parts = png.read_png(data)
    with png.open_png(parts, lambda encoded: _open(encoded, "PNG")) as image:
        _check_pixels(image)
        copies = 2 if parts.bits == 16 and parts.colour else 1
        _claim(claims, image, len(data), copies=copies, needed=resized)
        image.load()
        png.set_key(image, parts)
        turn = _turn_of(image)
        deep = png.deep_png(image, parts)
        factor = _factor(image.size, turn, resized)
        return _turned(to_rgb(image, factor) if deep is None else deep_to_rgb(deep, factor), turn)


def _decode_tiff(data: bytes, resized: Resized | None, claims: ExitStack) -> Image.Image:
    picture, directory, first = picture_in_tiff(data)
    turn = _TURNS.get(first.number(Tag.ORIENTATION, 1))
    if directory is None:
        check_scans(picture)
        with _open(picture, None) as image:
            own = image.getexif().get(_ORIENTATION_TAG)
            return _turned(_finish(image, resized, claims, len(data)), turn if own is None else None)
    if not _is_plain(directory):
        layout = layout_of(directory)
        return _finish_deep(deep_tiff(picture, layout), turn, resized, claims, len(data), _segment_bytes(layout))
    try:
        opened = _open(picture, "TIFF")
    except (OSError, SyntaxError, KeyError, ValueError):  # with channels that Pillow does not support
        layout = layout_of(directory)
        return _finish_deep(deep_tiff(picture, layout), turn, resized, claims, len(data), _segment_bytes(layout))
    with opened as image:
        found = _finish(image, resized, claims, len(data))
        return found if Tag.ORIENTATION in directory.tags else _turned(found, turn)


def _is_plain(directory: Directory) -> bool:
    """Return whether Pillow decodes a TIFF correctly: 8 bits per sample or bilevel."""
    channels = directory.number(Tag.SAMPLES, 1)
    bits = set(directory.numbers(Tag.BITS, (1,))[:channels])
    formats = set(directory.numbers(Tag.SAMPLE_FORMAT, (1,))[:channels])
    premultiplied = 1 in directory.numbers(Tag.EXTRA_SAMPLES)  # Pillow divides by opacity, even if it is zero
    if premultiplied or directory.number(Tag.PHOTOMETRIC, 1) == Photometric.PALETTE:
        return not can_decompress(directory)
    apart = directory.number(Tag.PLANAR, 1) == 2 and channels > 1 and can_decompress(directory)
    return formats <= {1, 4} and bits in ({8}, {1}) and not apart


def _segment_bytes(layout: Layout) -> int:
    """Return the memory for decompression: the bytes of a strip or tile, and the samples of a whole band."""
    if not layout.is_compressed:
        return 0
    area = layout.tile[0] * layout.tile[1]
    band = area * -(-layout.width // layout.tile[0]) * (layout.channels * layout.sample_bytes + 6)
    undone = layout.directory.number(Tag.PREDICTOR, 1) != 1
    return (4 if undone else 2) * layout.segment_bytes + band


def _finish(
    image: Image.Image, resized: Resized | None, claims: ExitStack, encoded: int, *, has_alpha: bool = True
) -> Image.Image:
    """Load an open image and return it as upright RGB."""
    _check_pixels(image)
    whole = image.size
    if resized is not None and image.format in ("JPEG", "MPO"):
        _decode_smaller(image, resized)
    progressive = _PROGRESSIVE_BYTES * whole[0] * whole[1] if image.info.get("progressive") else 0
    _claim(claims, image, encoded + progressive, needed=resized)
    image.load()
    turn = _turn_of(image)
    shown = image if has_alpha or image.mode != "RGBA" else image.convert("RGB")
    return _turned(to_rgb(shown, _factor(image.size, turn, resized)), turn)


def _finish_deep(
    picture: DeepPicture, turn: Image.Transpose | None, resized: Resized | None, claims: ExitStack, encoded: int,
    besides: int = 0,
) -> Image.Image:  # fmt: skip
    """Convert an image whose samples clipcli reads, and return it as upright RGB."""
    size = (picture.width, picture.height)
    if size[0] * size[1] > MAX_PIXELS:
        raise too_many_pixels(f"{size[0]} x {size[1]} pixels")
    factor = _factor(size, turn, resized)
    besides += conversion_bytes(size[0] * size[1])
    _claim_bytes(claims, encoded + besides + 4 * size[0] * size[1] // factor**2)
    return _turned(deep_to_rgb(picture, factor), turn)


def _check_pixels(image: Image.Image) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise too_many_pixels(f"{image.width} x {image.height} pixels")
    slow = [tile[0] for tile in getattr(image, "tile", ()) if tile[0] in Image.DECODERS]
    if slow and pixels > MAX_PYTHON_PIXELS:
        limit = f"over the limit of {MAX_PYTHON_PIXELS / 1e6:.0f} megapixels for {image.format} of this kind"
        raise ImageError("too_large", f"{image.width} x {image.height} pixels, {limit}; not decoded")


def _claim(
    claims: ExitStack, image: Image.Image, besides: int, *, copies: int = 1, needed: Resized | None = None
) -> None:
    """Wait until there is memory for decoding an image and converting it to RGB."""
    pixels = image.width * image.height
    each = copies * _PILLOW_BYTES.get(image.mode, 4) + _DECODER_BYTES.get(image.format or "", 0)
    is_copied = image.mode != "RGB" or "transparency" in image.info or copies > 1
    reduced = _factor(image.size, None, needed) ** 2
    besides += conversion_bytes(pixels) if is_deep(image) or copies > 1 else 0
    _claim_bytes(claims, besides + each * pixels + (4 * pixels // reduced if is_copied or is_deep(image) else 0))


def _claim_bytes(claims: ExitStack, size: int) -> None:
    if size > DECODING_BYTES:
        needs = f"needs {size / 2**30:.1f} GiB of memory to decode, over the limit of {DECODING_BYTES / 2**30:.1f} GiB"
        raise ImageError("too_large", f"{needs}; not decoded")
    claims.enter_context(decoding.claim(size))


def _needed(size: tuple[int, int], turn: Image.Transpose | None, resized: Resized) -> tuple[int, int]:
    """Return the target size of an image before it is rotated."""
    on_its_side = turn in _TURNS_ON_ITS_SIDE
    needed = resized(*(reversed(size) if on_its_side else size))
    return (needed[1], needed[0]) if on_its_side else needed


def _factor(size: tuple[int, int], turn: Image.Transpose | None, resized: Resized | None) -> int:
    """Return the factor by which to reduce a very large image, so that no second one of its size is needed."""
    if resized is None or size[0] * size[1] <= WHOLE_PIXELS:
        return 1
    width, height = _needed(size, turn, resized)
    return max(1, min(size[0] // (_SPARE * max(1, width)), size[1] // (_SPARE * max(1, height))))


def _decode_smaller(image: Image.Image, resized: Resized) -> None:
    """Let the JPEG decoder scale the image down if it will be resized to a much smaller size."""
    width, height = _needed(image.size, _turn_of(image), resized)
    image.draft(None, (width * _SPARE, height * _SPARE))


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return the rotation of the EXIF orientation; none if the EXIF data cannot be read."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - damaged EXIF must not make the image fail
        return None


def _turned(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    return image if turn is None else image.transpose(turn)
