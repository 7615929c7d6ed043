"""PNG files: read without metadata, and with all 16 bits if these are needed.

Only the chunks of the image and its orientation are passed to the decoder. So text, colour profiles and animation of
any size, or with a wrong checksum, cannot make an image fail.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image, ImageFile

from clipcli.images.deep import DeepPicture, Samples, picture_of

__all__ = ["SIGNATURE", "Png", "read_png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CARRIERS = {b"eXIf": b"", b"iTXt": b"XML:com.adobe.xmp\0", b"zTXt": b"Raw profile type exif\0"}
_CARRIERS_OF_TEXT = b"Raw profile type exif\0"
_LARGEST_CARRIER = 1 << 20
_GREY, _COLOUR, _PALETTE, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
_DARK = 64  # maximum high byte of an image that uses only a quarter of its range of 16 bits


@dataclass(frozen=True)
class Png:
    """The parts of a PNG file.

    Parameters
    ----------
    bits, colour
        Bits per sample and colour type, as its header declares them; 0 and 0 without a header.
    key
        The colour that is transparent, in samples as they are stored.
    data
        The file, reduced to its image and orientation.
    plain
        The same without its orientation, which may be damaged.
    """

    bits: int
    colour: int
    key: tuple[int, ...] | None
    data: bytes = field(repr=False)
    plain: bytes = field(repr=False)


def read_png(data: bytes) -> Png:
    """Split a PNG file without decoding it; damage is left to the decoder."""
    bits = colour = 0
    key: tuple[int, ...] | None = None
    before: list[bytes] = []
    carriers: list[bytes] = []
    pixels: list[bytes] = []
    for kind, body, chunk, is_sound in _chunks(data):
        if kind == b"IHDR" and len(body) >= 13:
            bits, colour = body[8], body[9]
        if kind == b"tRNS":
            if is_sound and colour in (_GREY, _COLOUR):
                key = _key(body, colour, bits)
            elif is_sound and colour == _PALETTE:
                before.append(_chunk(kind, body[:256]))
        elif kind == b"IDAT":
            pixels.append(chunk)
        elif kind[:1].isupper():  # also unknown ones, which a decoder must not skip
            before.append(chunk)
        elif is_sound and _is_carrier(kind, body):
            carriers.append(chunk)
    end = [*pixels, _chunk(b"IEND", b"")]
    plain = b"".join([SIGNATURE, *before, *end])
    return Png(bits, colour, key, b"".join([SIGNATURE, *before, *carriers, *end]) if carriers else plain, plain)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes, bool]]:
    """Yield kind, content, whole chunk, and whether its checksum is right, up to the end of the image."""
    position, size = len(SIGNATURE), len(data)
    view = memoryview(data)
    while position + 8 <= size:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind == b"IEND":
            return
        if kind == b"IDAT":
            yield kind, b"", data[position:end], True  # up to the end or to damage
        else:
            body = data[position + 8 : end - 4]
            found = zlib.crc32(view[position + 4 : end - 4])
            yield kind, body, data[position:end], end <= size and found == struct.unpack_from(">I", data, end - 4)[0]
        position = end


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _is_carrier(kind: bytes, body: bytes) -> bool:
    """Return whether a chunk may contain the orientation."""
    if len(body) > _LARGEST_CARRIER:
        return False
    if kind == b"tEXt":
        return body.startswith(_CARRIERS_OF_TEXT)
    return kind in _CARRIERS and body.startswith(_CARRIERS[kind])


def _key(body: bytes, colour: int, bits: int) -> tuple[int, ...] | None:
    count = 1 if colour == _GREY else 3
    if len(body) < 2 * count:
        return None
    mask = (1 << bits) - 1  # the two bytes of a sample, of which only these matter
    return tuple(value & mask for value in struct.unpack_from(f">{count}H", body))


def open_png(png: Png, open_: Callable[[bytes], Image.Image]) -> Image.Image:
    """Open a PNG with its orientation, or without it if that is damaged."""
    try:
        return open_(png.data)
    except Exception:
        if png.data is png.plain:
            raise
        return open_(png.plain)


def set_key(image: Image.Image, png: Png) -> None:
    """Return the transparent colour as decoded samples, 0 to 255, for images of up to 8 bits."""
    if png.key is not None and png.bits <= 8:
        scale = 255 // ((1 << png.bits) - 1)
        image.info["transparency"] = png.key[0] * scale if len(png.key) == 1 else png.key


def deep_png(image: Image.Image, png: Png) -> DeepPicture | None:
    """Return an image with all 16 bits per sample, or ``None`` if the upper 8 are enough.

    Parameters
    ----------
    image
        The image opened by Pillow, loaded with the upper 8 bits, except for grey images.
    png
        The parts of the file.
    """
    if png.bits != 16:
        return None
    if png.colour == _GREY:
        return picture_of(image, png.key)
    colours = 1 if png.colour == _GREY_ALPHA else 3
    alpha = {_GREY_ALPHA: 1, _COLOUR_ALPHA: 3}.get(png.colour)
    if png.key is None and not _is_dark(image):
        return None
    size = (image.width, image.height)
    if png.colour == _GREY_ALPHA:
        return DeepPicture(*size, _reader_of_pairs(_decoded(png, "RGBA", "RGBA")), 16, 1, alpha)
    mode = "RGB" if png.colour == _COLOUR else "RGBA"
    low = _decoded(png, mode, f"{mode};16L")  # the lower bytes: the same data, read in the other byte order
    return DeepPicture(*size, _reader_of_halves(image, low), 16, colours, alpha, key=png.key)


def _reader_of_halves(high: Image.Image, low: Image.Image) -> Callable[[int, int], Samples]:
    def read(top: int, bottom: int) -> Samples:
        box = (0, top, high.width, bottom)
        upper, lower = (np.asarray(image.crop(box)) for image in (high, low))
        samples: Samples = upper.astype(np.uint16) << 8 | lower
        return samples

    return read


def _reader_of_pairs(image: Image.Image) -> Callable[[int, int], Samples]:
    """Read grey and opacity of 16 bits from pixels of four bytes."""

    def read(top: int, bottom: int) -> Samples:
        stored = np.asarray(image.crop((0, top, image.width, bottom))).astype(np.uint16)
        samples: Samples = stored[:, :, 0::2] << 8 | stored[:, :, 1::2]
        return samples

    return read


def _is_dark(image: Image.Image) -> bool:
    """Return whether nearly all colours are in the lowest quarter of the range."""
    counts = np.array(image.histogram()).reshape(-1, 256)[:3].sum(axis=0)
    return bool(counts[_DARK:].sum() <= 0.005 * counts.sum())


def _decoded(png: Png, mode: str, raw: str) -> Image.Image:
    image = Image.open(BytesIO(png.plain), formats=("PNG",))
    assert isinstance(image, ImageFile.ImageFile)  # noqa: S101 - it came from a file
    image._mode = mode  # noqa: SLF001 - Pillow has no public way to ask for another raw mode
    image.tile = [tile._replace(args=raw) for tile in image.tile]
    image.load()
    return image
