"""The structure of TIFF files: directories and tags, with limits on all sizes that a file declares."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from clipcli.errors import ImageError

__all__ = ["Directory", "Photometric", "Tag", "Values", "directories", "first_directory", "is_tiff", "with_first"]

Values = tuple[int, ...] | tuple[float, ...] | bytes

_MOST_DIRECTORIES = 256
_MOST_TAGS = 4096
_MOST_VALUES = 1 << 22  # of a tag: offsets of four million strips
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}


class Tag(IntEnum):
    """The tags that are read."""

    SUBFILE_TYPE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_COUNTS = 279
    PLANAR = 284
    PREDICTOR = 317
    COLOUR_MAP = 320
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_COUNTS = 325
    SUB_DIRECTORIES = 330
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    JPEG_OFFSET = 513
    JPEG_COUNT = 514
    GDAL_NODATA = 42113
    DNG_VERSION = 50706


class Photometric(IntEnum):
    """The meanings of the samples of an image."""

    WHITE_IS_ZERO = 0
    BLACK_IS_ZERO = 1
    RGB = 2
    PALETTE = 3
    MASK = 4
    CMYK = 5
    CFA = 32803
    LINEAR_RAW = 34892


@dataclass(frozen=True)
class Directory:
    """One image of a TIFF file.

    Parameters
    ----------
    offset
        Its offset in the file, in bytes.
    order
        ``<`` or ``>``: the byte order, as in :mod:`struct`.
    tags
        Values by tag; those that cannot be read are left out.
    """

    offset: int
    order: str
    tags: dict[int, Values] = field(repr=False)

    def numbers(self, tag: Tag, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return a tag's integers; the default if it is missing or of another type."""
        values = self.tags.get(tag, default)
        if isinstance(values, bytes) or not all(isinstance(value, int) for value in values[:1]):
            return default
        return values  # type: ignore[return-value]

    def number(self, tag: Tag, default: int) -> int:
        """Return a tag's first number."""
        return next(iter(self.numbers(tag)), default)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.number(Tag.WIDTH, 0), self.number(Tag.HEIGHT, 0)

    @property
    def is_reduced(self) -> bool:
        """Whether it is a smaller version of another image of the file."""
        return bool(self.number(Tag.SUBFILE_TYPE, 0) & 1)

    @property
    def is_raw(self) -> bool:
        """Whether it holds sensor data of a camera, rather than an image."""
        return self.number(Tag.PHOTOMETRIC, -1) in (Photometric.CFA, Photometric.LINEAR_RAW)


def is_tiff(data: bytes) -> bool:
    """Return, by its first bytes, whether a file is a TIFF, classic or big."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def first_directory(data: bytes) -> Directory:
    """Read the first directory.

    Raises
    ------
    ImageError
        If there is no valid directory.
    """
    found = next(directories(data), None)
    if found is None:
        raise ImageError("unreadable", "damaged image (a TIFF without a directory)")
    return found


def directories(data: bytes) -> Iterator[Directory]:
    """Yield the directories of a file and their subdirectories, each once, even if they form loops."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    at, form = (8, order + "Q") if big else (4, order + "I")
    if len(data) < at + struct.calcsize(form):
        return
    waiting = list(struct.unpack_from(form, data, at))
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        offset = waiting.pop(0)
        if offset in seen or not 0 < offset < len(data):
            continue
        seen.add(offset)
        directory, following = _directory(data, offset, order, big=big)
        if directory is not None:
            yield directory
            waiting[:0] = directory.numbers(Tag.SUB_DIRECTORIES)[:_MOST_DIRECTORIES]
            waiting.append(following)


def _directory(data: bytes, offset: int, order: str, *, big: bool) -> tuple[Directory | None, int]:
    """Read one directory; return it, if it is complete, and the offset of the next one."""
    counted, entry, link = ("Q", 20, "Q") if big else ("H", 12, "I")
    start = offset + struct.calcsize(order + counted)
    if start > len(data):
        return None, 0
    count = struct.unpack_from(order + counted, data, offset)[0]
    end = start + count * entry
    if count > _MOST_TAGS or end > len(data):
        return None, 0
    tags: dict[int, Values] = {}
    for position in range(start, end, entry):
        tag, values = _entry(data, position, order, big=big)
        if values is not None:
            tags.setdefault(tag, values)
    whole = end + struct.calcsize(order + link) <= len(data)
    return Directory(offset, order, tags), struct.unpack_from(order + link, data, end)[0] if whole else 0


def _entry(data: bytes, position: int, order: str, *, big: bool) -> tuple[int, Values | None]:
    tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, position)
    size = _SIZES.get(kind, 0) * count
    field_at, room = (position + 12, 8) if big else (position + 8, 4)
    if not size or count > _MOST_VALUES:
        return tag, None
    at = field_at if size <= room else struct.unpack_from(order + ("Q" if big else "I"), data, field_at)[0]
    if at + size > len(data):
        return tag, None
    if kind not in _CODES:
        return tag, data[at : at + size]
    return tag, struct.unpack_from(f"{order}{count}{_CODES[kind]}", data, at)


def with_first(data: bytes, directory: Directory) -> bytes:
    """Return the file with another directory as its first one, for readers that only read the first."""
    if data[2:4] in (b"+\0", b"\0+"):
        return data[:8] + struct.pack(directory.order + "Q", directory.offset) + data[16:]
    return data[:4] + struct.pack(directory.order + "I", directory.offset) + data[8:]
