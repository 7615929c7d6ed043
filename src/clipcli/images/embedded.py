"""Find the image in files that also hold other data.

Damage outside the pixel data must not make an image fail. So metadata that a decoder may fail on is removed: always
if that is cheap (PSD), or after decoding failed with it (JPEG, WebP).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from clipcli.errors import ImageError
from clipcli.images import png
from clipcli.images.tiff import Directory, Photometric, Tag, directories, with_first

__all__ = ["check_scans", "embedded_png", "merged_psd", "picture_in_tiff", "without_metadata"]

MOST_SCANS = 100
"""Maximum number of scans of a JPEG; each is a pass over all of its pixels. Cameras and editors write 1 to 12."""

_LEAST_PREVIEW = 128  # minimum shorter side, in pixels, of a preview that is used instead of a raw image
_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_JPEG_KEPT = (0xE0, 0xEE)  # JFIF and Adobe: the colour space
_WEBP_DROPPED = {b"EXIF": 0x08, b"XMP ": 0x04, b"ICCP": 0x20}


def check_scans(data: bytes) -> None:
    """Reject a JPEG with so many scans that decoding it would take minutes.

    Raises
    ------
    ImageError
        If it has more than :data:`MOST_SCANS`.
    """
    if data.count(_SCAN) <= MOST_SCANS:  # also counts those in thumbnails
        return
    scans = sum(marker == 0xDA for marker, _, _ in _jpeg_segments(data))
    if scans > MOST_SCANS:
        raise ImageError("too_large", f"{scans:,} scans, over the limit of {MOST_SCANS} for a JPEG; not decoded")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment of the first image; a scan ends at the next marker."""
    position = 2
    while position + 4 <= len(data):
        found = _MARKER.search(data, position)
        if found is None or found.start() + 4 > len(data):
            return
        start, marker = found.start(), data[found.start() + 1]
        if marker == 0xD9:
            return
        end = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
        yield marker, start, end
        position = end


def without_metadata(data: bytes) -> bytes | None:
    """Return a JPEG or WebP without metadata, or ``None`` for other files."""
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg_pixels(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_pixels(data)
    return None


def _jpeg_pixels(data: bytes) -> bytes:
    kept = [data[:2]]
    for marker, start, end in _jpeg_segments(data):
        if marker == 0xDA:
            return b"".join([*kept, data[start:]])
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker in _JPEG_KEPT:
            kept.append(data[start:end])
    return data


def _webp_pixels(data: bytes) -> bytes:
    position, kept = 12, []
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        end = position + 8 + size + size % 2
        chunk = data[position:end]
        if kind == b"VP8X" and len(chunk) > 8:
            chunk = chunk[:8] + bytes([chunk[8] & ~sum(_WEBP_DROPPED.values())]) + chunk[9:]
        if kind not in _WEBP_DROPPED:
            kept.append(chunk)
        position = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def embedded_png(data: bytes) -> bytes | None:
    """Return the largest image of an icon file if that is a PNG, which has separate limits and metadata."""
    count = struct.unpack_from("<H", data, 4)[0]
    largest: tuple[int, int, int, int] = (0, 0, 0, 0)
    for place in range(min(count, (len(data) - 6) // 16)):
        width, height, _, _, _, bits, size, offset = struct.unpack_from("<4B2H2I", data, 6 + 16 * place)
        largest = max(largest, ((width or 256) * (height or 256), bits, size, offset))
    _, _, size, offset = largest
    inner = data[offset : offset + size]
    return inner if inner.startswith(png.SIGNATURE) else None


def merged_psd(data: bytes) -> tuple[bytes, bool]:
    """Return a PSD without its resources and layers, and whether a fourth channel is transparency.

    It is if the number of layers is negative, according to Adobe's specification; else it is a saved selection.
    """
    position, starts = 26, []
    for _ in range(3):  # palette, resources, layers
        if position + 4 > len(data):
            return data, False
        starts.append(position)
        position += 4 + struct.unpack_from(">I", data, position)[0]
    layers = data[starts[2] : position]
    has_alpha = len(layers) >= 10 and struct.unpack_from(">I", layers, 4)[0] >= 2 and layers[8] >= 0x80
    return data[: starts[1]] + bytes(8) + data[position:], has_alpha


def picture_in_tiff(data: bytes) -> tuple[bytes, Directory | None, Directory]:
    """Return the image of a TIFF, or of a raw file with that structure.

    Returns
    -------
    The encoded image (a TIFF, or a preview's JPEG), its directory, unless it is a JPEG, and the first directory,
    which holds the orientation.

    Raises
    ------
    ImageError
        If there is none, or only a preview that is too small.
    """
    found = directories(data)
    first = next(found, None)
    if first is None:
        raise ImageError("unreadable", "damaged image (a TIFF without a directory)")
    is_raw = data[8:10] == b"CR"  # Canon, whose sensor data are not marked as such
    if not (
        is_raw or first.is_raw or first.is_reduced or Tag.SUB_DIRECTORIES in first.tags or Tag.DNG_VERSION in first.tags
    ):
        return data, first, first
    every = [first, *found]
    if not is_raw and not any(each.is_raw for each in every):
        whole = [each for each in every if not each.is_reduced and min(each.size) > 0]
        best = first if not first.is_reduced or not whole else max(whole, key=_area)
        return (data if best is first else with_first(data, best)), best, first
    previews = [each for each in every if not each.is_raw and (min(each.size) > 0 or _jpeg_of(data, each))]
    sized = sorted(((_preview_size(data, each), each) for each in previews), key=lambda pair: pair[0][0] * pair[0][1])
    if not sized:
        raise ImageError("unsupported", "raw sensor data without a preview (convert it to JPEG or TIFF)")
    (width, height), best = sized[-1]
    if min(width, height) < _LEAST_PREVIEW and any(each.is_raw and _area(each) > width * height for each in every):
        size = f"the largest preview in it has only {width} x {height} pixels"
        raise ImageError("unsupported", f"raw sensor data, and {size} (convert it to JPEG or TIFF)")
    jpeg = _jpeg_of(data, best)
    return (jpeg, None, first) if jpeg else (with_first(data, best), best, first)


def _area(directory: Directory) -> int:
    return directory.size[0] * directory.size[1]


def _jpeg_of(data: bytes, directory: Directory) -> bytes | None:
    """Return a preview if it is a complete JPEG."""
    places = (Tag.JPEG_OFFSET, Tag.JPEG_COUNT), (Tag.STRIP_OFFSETS, Tag.STRIP_COUNTS)
    for offset_tag, count_tag in places:
        offsets, counts = directory.numbers(offset_tag), directory.numbers(count_tag)
        if len(offsets) == len(counts) == 1 and data[offsets[0] : offsets[0] + 3] == b"\xff\xd8\xff":
            found = data[offsets[0] : offsets[0] + counts[0]]
            if _jpeg_size(found) is not None:
                return found
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG that can be decoded, not a lossless one with sensor data."""
    for marker, start, end in _jpeg_segments(data):
        if marker in (0xC0, 0xC1, 0xC2) and end - start >= 9:
            height, width = struct.unpack_from(">HH", data, start + 5)
            return width, height
        if marker in (0xC3, 0xDA):
            return None
    return None


def _preview_size(data: bytes, directory: Directory) -> tuple[int, int]:
    jpeg = _jpeg_of(data, directory)
    size = _jpeg_size(jpeg) if jpeg else None
    if size is None and directory.number(Tag.PHOTOMETRIC, -1) not in set(Photometric) | {6}:
        return 0, 0
    return size or directory.size
