"""Netpbm files that Pillow reads sample by sample in Python: text, or not 8 bits per sample."""

from __future__ import annotations

import re
import warnings

import numpy as np

from clipcli.errors import ImageError
from clipcli.images.deep import DeepPicture, Samples

__all__ = ["deep_netpbm"]

_GAP = rb"(?:\s+|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([2356])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})\s")
_KINDS = (b"P2", b"P3", b"P5", b"P6")
_COMMENT = re.compile(rb"#[^\r\n]*")
_LONGEST_HEADER = 1 << 16
_MOST_OF_TEXT = 1 << 24  # pixels; each sample takes 8 bytes here


def deep_netpbm(data: bytes) -> DeepPicture | None:
    """Return an image, or ``None`` for other files and for those that Pillow reads fast.

    Raises
    ------
    ImageError
        If samples are missing.
    """
    found = _HEADER.match(data[:_LONGEST_HEADER]) if data[:2] in _KINDS else None
    if found is None:
        return None
    channels = 1 if found[1] in b"25" else 3
    is_text = found[1] in b"23"
    width, height, white = (int(number) for number in found.groups()[1:])
    if (white == 255 and not is_text) or not 0 < white < 65536 or not width or not height:
        return None
    if is_text:
        return _of_text(data[found.end() :], width, height, channels, white)
    kind = np.dtype(">u2" if white > 255 else "u1")
    line = width * channels

    def read(top: int, bottom: int) -> Samples:
        raw = data[start + top * line * kind.itemsize : start + bottom * line * kind.itemsize]
        return np.frombuffer(raw, kind).reshape(bottom - top, width, channels)

    start = found.end()
    if len(data) - start < line * height * kind.itemsize:
        raise ImageError("truncated", "damaged image (samples are missing)")
    return DeepPicture(width, height, read, 16, channels, white=None if white == 65535 else white)


def _of_text(text: bytes, width: int, height: int, channels: int, white: int) -> DeepPicture:
    """Read samples that are written as text."""
    count = width * height * channels
    if count > _MOST_OF_TEXT:
        raise ImageError("too_large", f"{count:,} samples as text, over the limit of {_MOST_OF_TEXT:,}; not decoded")
    if len(text) < 2 * count - 1:
        raise ImageError("truncated", "damaged image (samples are missing)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # if it stops at text that is not a number
        found = np.fromstring(_COMMENT.sub(b"", text).decode("latin-1"), np.int64, count, sep=" ")
    if len(found) < count:
        raise ImageError("truncated", "damaged image (samples are missing)")
    samples = found.clip(0, white).astype(np.uint16).reshape(height, width, channels)
    declared = None if white == 65535 else white
    return DeepPicture(width, height, lambda top, bottom: samples[top:bottom], 16, channels, white=declared)
