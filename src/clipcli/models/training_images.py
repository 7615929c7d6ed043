"""The images that a model was trained with: a file in its folder, so that an evaluation on them can warn.

An image is recognised by its size and its first bytes, wherever it is. The file has one digest per line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

__all__ = ["TRAINING_IMAGES", "digest_of_bytes", "digest_of_file", "read_digests", "text_of_digests"]

TRAINING_IMAGES = Path("training", "images.txt")
"""The file, relative to the folder of the model."""

_READ = 1 << 16  # bytes
_LONGEST_FILE = 1 << 30  # bytes; some 60 million images
_DIGEST = re.compile(r"[0-9a-f]{16}")


def digest_of_bytes(start: bytes, size: int) -> str:
    """Return the digest of an image, from its first bytes and its number of bytes."""
    return sha256(size.to_bytes(8, "little") + start[:_READ]).hexdigest()[:16]


def digest_of_file(path: str | Path, offset: int = 0, size: int | None = None) -> str | None:
    """Return the digest of a file, or of ``size`` bytes of it from ``offset`` on; ``None`` if it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - also for names that are not valid text
            size = os.fstat(file.fileno()).st_size if size is None else size
            file.seek(offset)
            return digest_of_bytes(file.read(min(size, _READ)), size)
    except (OSError, ValueError):
        return None


def text_of_digests(digests: Iterable[str | None]) -> str:
    """Return the content of the file."""
    return "".join(f"{each}\n" for each in sorted({each for each in digests if each is not None}))


def read_digests(model: Path) -> frozenset[str]:
    """Return the digests in the folder of a model; empty if it has no such file, or another program wrote it."""
    file = model / TRAINING_IMAGES
    try:
        if not file.is_file() or file.stat().st_size > _LONGEST_FILE:
            return frozenset()
        return frozenset(filter(_DIGEST.fullmatch, file.read_text("utf-8").splitlines()))
    except (OSError, ValueError):
        return frozenset()
