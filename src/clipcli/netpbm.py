"""Binary PGM and PPM of other than 8 bits: Pillow reads them sample by sample in Python."""

from __future__ import annotations

import re

import numpy as np

from clipcli.deep import DeepPicture, Samples
from clipcli.errors import ImageError

__all__ = ["deep_netpbm"]

_GAP = rb"(?:\s+|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([56])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})\s")
_LONGEST_HEADER = 1 << 16


def deep_netpbm(data: bytes) -> DeepPicture | None:
    """Return a picture, or ``None`` for other files and such that Pillow reads at once.

    Raises
    ------
    ImageError
        If samples are missing.
    """
    found = _HEADER.match(data[:_LONGEST_HEADER]) if data[:2] in (b"P5", b"P6") else None
    if found is None:
        return None
    channels = 1 if found[1] == b"5" else 3
    width, height, white = (int(number) for number in found.groups()[1:])
    if white == 255 or not 0 < white < 65536 or not width or not height:
        return None
    kind = np.dtype(">u2" if white > 255 else "u1")
    line = width * channels

    def read(top: int, bottom: int) -> Samples:
        raw = data[start + top * line * kind.itemsize : start + bottom * line * kind.itemsize]
        return np.frombuffer(raw, kind).reshape(bottom - top, width, channels)

    start = found.end()
    if len(data) - start < line * height * kind.itemsize:
        raise ImageError("truncated", "damaged image (samples are missing)")
    return DeepPicture(width, height, read, 16, channels, white=None if white == 65535 else white)
