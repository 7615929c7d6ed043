"""Encoders for pictures that Pillow does not write: deep PNGs and TIFFs of every layout, made at run time."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

__all__ = ["pillow_tiff", "png_chunk", "png_file", "raw_tiff", "tiff_file", "to_bits"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def to_bits(levels: NDArray[np.uint8], bits: int) -> NDArray[np.uint16]:
    """Scale 8-bit levels to a number of bits."""
    return np.round(levels / 255 * (2**bits - 1)).astype(np.uint16)


def png_chunk(kind: bytes, data: bytes = b"", *, wrong_sum: bool = False) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ wrong_sum)


def png_file(
    samples: NDArray[Any], colour: int, bits: int, *, before: bytes = b"", after: bytes = b"", palette: bytes = b"",
    transparency: bytes = b"",
) -> bytes:  # fmt: skip
    """Write a PNG of any colour type and bit depth, with any other chunks before and after the pixels."""
    height, width = samples.shape[:2]
    flat = samples.reshape(height, -1)
    weights = np.arange(bits)[::-1]
    rows = np.packbits(((flat[:, :, None] >> weights) & 1).astype(np.uint8).reshape(height, -1), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    colours = png_chunk(b"PLTE", palette) if palette else b""
    key = png_chunk(b"tRNS", transparency) if transparency else b""
    pixels = png_chunk(b"IDAT", zlib.compress(data))
    return PNG_SIGNATURE + header + before + colours + key + pixels + after + png_chunk(b"IEND")


def tiff_file(samples: NDArray[Any], photometric: str = "minisblack", **options: Any) -> bytes:
    """Write a TIFF; planes apart where ``planarconfig`` says so."""
    file = BytesIO()
    if options.get("planarconfig") == "separate":
        samples = np.ascontiguousarray(np.moveaxis(samples, -1, 0))
    nodata = options.pop("nodata", None)
    extra = [(42113, 2, len(nodata) + 1, nodata, True)] if nodata else []
    tifffile.imwrite(file, samples, photometric=photometric, extratags=extra, **options)
    return file.getvalue()


def pillow_tiff(samples: NDArray[Any], compression: str) -> bytes:
    file = BytesIO()
    Image.fromarray(samples).save(file, "TIFF", compression=compression)
    return file.getvalue()


def raw_tiff(data: bytes, *tags: tuple[int, int]) -> bytes:
    """Write a TIFF of one strip, put together by hand, with whatever its tags promise."""
    start = 8 + 2 + 12 * (len(tags) + 2) + 4
    every = [*tags, (273, start), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(every))
    return b"II*\0" + struct.pack("<IH", 8, len(every)) + entries + bytes(4) + data
