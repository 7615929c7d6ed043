"""Read the exact samples of a TIFF image: every bit depth, byte order, layout and predictor.

Pillow decodes 8-bit images correctly, but some deep ones wrongly without an error (separate planes, most extra
channels). Its libtiff is still used for decompression: each strip or tile is passed to it as an image of bytes of a
known size, so that no file can make it write more.
"""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipcli.errors import ImageError
from clipcli.images.deep import DeepPicture, Samples
from clipcli.images.tiff import Directory, Photometric, Tag
from clipcli.images.tiff_layout import Layout

__all__ = ["deep_tiff"]

_MOST_SEGMENTS = 1 << 17  # compressed strips or tiles; each takes about 0.1 ms
_ALPHA = {1: True, 2: False}  # values of ExtraSamples: premultiplied or not


def deep_tiff(data: bytes, layout: Layout) -> DeepPicture:
    """Return the image of a layout: grey, RGB or palette.

    Raises
    ------
    ImageError
        If its samples have an unsupported meaning.
    """
    directory = layout.directory
    photometric = directory.number(Tag.PHOTOMETRIC, Photometric.BLACK_IS_ZERO)
    colours = 3 if photometric == Photometric.RGB else 1
    if photometric == Photometric.CMYK and layout.channels >= 4 and (layout.kind, layout.bits) in (("u", 8), ("u", 16)):
        inks = _Inks(_Reader(data, layout), layout.bits)
        return DeepPicture(layout.width, layout.height, inks.rows, 8, 3, rows=_rows_together(layout))
    grey = (Photometric.WHITE_IS_ZERO, Photometric.BLACK_IS_ZERO, Photometric.MASK)
    if photometric not in (*grey, Photometric.RGB, Photometric.PALETTE) or layout.channels < colours:
        meaning = f"photometric interpretation {photometric}, {layout.channels} samples of {layout.bits} bits"
        raise ImageError("unsupported", f"unsupported kind of TIFF: {meaning} (convert it to RGB)")
    extra = directory.numbers(Tag.EXTRA_SAMPLES)[: layout.channels - colours]
    alpha = next((colours + place for place, kind in enumerate(extra) if kind in _ALPHA), None)
    reader = _Reader(data, layout)
    rows = _rows_together(layout)
    if photometric == Photometric.PALETTE:
        return DeepPicture(layout.width, layout.height, _Palette(reader, directory).rows, 8, 3, rows=rows)
    return DeepPicture(
        layout.width, layout.height, reader.rows, layout.bits, colours, alpha,
        premultiplied=alpha is not None and _ALPHA[extra[alpha - colours]],
        nodata=_nodata(directory), inverted=photometric == Photometric.WHITE_IS_ZERO, rows=rows,
    )  # fmt: skip


def _rows_together(layout: Layout) -> int:
    """Return the number of rows to read at once so that none is decompressed twice."""
    return layout.tile[1] if layout.is_compressed or layout.tile[0] != layout.width else 1


def _nodata(directory: Directory) -> float | None:
    text = directory.tags.get(Tag.GDAL_NODATA, b"")
    try:
        return float(text.split(b"\0")[0].strip().replace(b",", b".")) if isinstance(text, bytes) else None
    except ValueError:
        return None


class _Reader:
    """Reads rows of samples from strips and tiles."""

    def __init__(self, data: bytes, layout: Layout) -> None:
        self._data, self._layout = data, layout
        tiled = Tag.TILE_OFFSETS in layout.directory.tags
        self._offsets = layout.directory.numbers(Tag.TILE_OFFSETS if tiled else Tag.STRIP_OFFSETS)
        self._counts = layout.directory.numbers(Tag.TILE_COUNTS if tiled else Tag.STRIP_COUNTS)
        self._across, self._down = -(-layout.width // layout.tile[0]), -(-layout.height // layout.tile[1])
        planes = layout.channels if layout.apart else 1
        needed = self._across * self._down * planes
        if not self._counts and layout.directory.number(Tag.COMPRESSION, 1) == 1:
            self._counts = (layout.segment_bytes,) * needed
        if len(self._offsets) < needed or len(self._counts) < needed:
            raise ImageError("truncated", "damaged image (strips or tiles are missing)")
        if needed > _MOST_SEGMENTS:
            raise ImageError("too_large", f"{needed:,} strips or tiles, over the limit of {_MOST_SEGMENTS:,}")

    def rows(self, top: int, bottom: int) -> Samples:
        """Return some rows: (rows, width, channels)."""
        layout = self._layout
        found = np.empty((bottom - top, layout.width, layout.channels), _sample_type(layout).newbyteorder("="))
        height, across = layout.tile[1], layout.tile[0]
        for plane in range(layout.channels if layout.apart else 1):
            into = found[:, :, plane : plane + 1] if layout.apart else found
            for down in range(top // height, -(-bottom // height)):
                first, last = max(top, down * height), min(bottom, (down + 1) * height)
                for column in range(self._across):
                    index = (plane * self._down + down) * self._across + column
                    part = self._segment(index, first - down * height, last - down * height, down)
                    left = column * across
                    into[first - top : last - top, left : left + across] = part[:, : layout.width - left]
        return found

    def _segment(self, index: int, first: int, last: int, down: int) -> Samples:
        """Return some rows of one strip or tile."""
        layout = self._layout
        offset, count = self._offsets[index], self._counts[index]
        tiled = Tag.TILE_OFFSETS in layout.directory.tags
        height = layout.tile[1] if tiled else min(layout.tile[1], layout.height - down * layout.tile[1])
        if not offset and not count:  # GDAL does not store empty segments
            nodata = _nodata(layout.directory)
            return np.full((last - first, layout.tile[0], layout.channels_together), nodata or 0).astype(
                _sample_type(layout).newbyteorder("=")
            )
        if not layout.is_compressed:
            raw = self._data[offset + first * layout.row_bytes : offset + last * layout.row_bytes]
            return _unpacked(raw, last - first, layout)
        raw = _decompressed(self._data[offset : offset + count], height, layout)
        return _unpredicted(_unpacked(raw, height, layout), raw, layout)[first:last]


class _Palette:
    """Reads palette colours in place of their indices."""

    def __init__(self, reader: _Reader, directory: Directory) -> None:
        entries = directory.numbers(Tag.COLOUR_MAP)
        if not entries or len(entries) % 3:
            raise ImageError("unreadable", "damaged image (a palette without colours)")
        table = np.array(entries, np.uint32).reshape(3, -1).T  # (N, 3)
        self._table = (table if table.max() < 256 else table >> 8).astype(np.uint8)  # some writers store 8 bits
        self._reader = reader

    def rows(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Return some rows: (rows, width, 3)."""
        chosen = self._reader.rows(top, bottom)[:, :, 0]
        found: NDArray[np.uint8] = self._table[np.minimum(chosen, len(self._table) - 1)]
        return found


class _Inks:
    """Reads RGB colours in place of CMYK inks."""

    def __init__(self, reader: _Reader, bits: int) -> None:
        self._reader, self._bits = reader, bits

    def rows(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Return some rows: (rows, width, 3)."""
        inks = self._reader.rows(top, bottom)[:, :, :4] >> (self._bits - 8)
        return np.asarray(Image.fromarray(inks.astype(np.uint8), "CMYK").convert("RGB"))


def _sample_type(layout: Layout) -> np.dtype[np.generic]:
    packed = layout.bits not in (8, 16, 32, 64)  # across bytes, most significant bit first
    order = "=" if packed else layout.directory.order
    return np.dtype(f"{order}{layout.kind}{layout.sample_bytes}")


def _unpacked(raw: bytes, rows: int, layout: Layout) -> Samples:
    """Return the samples of some rows: (rows, width, channels)."""
    shape = (rows, layout.tile[0], layout.channels_together)
    needed = rows * layout.row_bytes
    if len(raw) < needed:
        raise ImageError("truncated", "damaged image (samples are missing)")
    kind = _sample_type(layout)
    if layout.bits in (8, 16, 32, 64):
        return np.frombuffer(raw, kind, needed // kind.itemsize).reshape(shape)
    lines = np.frombuffer(raw, np.uint8, needed).reshape(rows, layout.row_bytes)
    found = np.empty(shape, kind)
    weights = (1 << np.arange(layout.bits)[::-1]).astype(kind)
    count = shape[1] * shape[2]
    for row, line in enumerate(lines):
        bits = np.unpackbits(line, count=count * layout.bits).reshape(count, layout.bits)
        found[row] = (bits @ weights).reshape(shape[1:])
    return found


def _unpredicted(samples: Samples, raw: bytes, layout: Layout) -> Samples:
    """Undo the predictor, which stored differences to the sample on the left."""
    predictor = layout.directory.number(Tag.PREDICTOR, 1)
    if predictor == 1 or layout.directory.number(Tag.COMPRESSION, 1) == 1:
        return samples
    rows, width, channels = samples.shape
    if predictor == 2:
        whole = samples.view(samples.dtype.str.replace("f", "u").replace("i", "u")).astype(f"u{layout.sample_bytes}")
        return np.cumsum(whole, axis=1, dtype=whole.dtype).view(samples.dtype.newbyteorder("="))
    size = layout.sample_bytes  # the bytes of a row are grouped by significance, the most significant first
    differences = np.frombuffer(raw, np.uint8, samples.nbytes).reshape(rows, -1, channels)
    planes = np.cumsum(differences, axis=1, dtype=np.uint8).reshape(rows, size, width * channels)
    in_order = np.ascontiguousarray(planes.transpose(0, 2, 1))
    return in_order.view(f">{layout.kind}{size}").reshape(samples.shape)


def _decompressed(raw: bytes, rows: int, layout: Layout) -> bytes:
    """Let libtiff decompress a strip or tile as an image of bytes, four per pixel if that fits."""
    inks = 4 if layout.row_bytes % 4 == 0 else 1
    size = (layout.row_bytes // inks, rows)
    tags = {
        Tag.WIDTH: size[0], Tag.HEIGHT: size[1], Tag.BITS: 8,
        Tag.COMPRESSION: layout.directory.number(Tag.COMPRESSION, 1),
        Tag.PHOTOMETRIC: Photometric.CMYK if inks == 4 else Photometric.BLACK_IS_ZERO,
        Tag.FILL_ORDER: layout.directory.number(Tag.FILL_ORDER, 1), Tag.STRIP_OFFSETS: 10 + 12 * 10 + 4,
        Tag.SAMPLES: inks, Tag.ROWS_PER_STRIP: size[1], Tag.STRIP_COUNTS: len(raw),
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    with Image.open(BytesIO(head + raw), formats=("TIFF",)) as image:
        found: bytes = image.tobytes()
        return found
