"""Checksums of cached values: a flipped bit on disk causes a cache miss, never a wrong result."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["Seal", "hash_file", "seal"]

_SEAL_BYTES = 16
_CHUNK = 1 << 20


def seal(*parts: str | bytes) -> bytes:
    """Return the checksum, 16 bytes, of an entry: its key together with its value."""
    return Seal()(*parts)


class Seal:
    """Checksums of entries that start with the same parts, which are hashed once."""

    def __init__(self, *parts: str | bytes) -> None:
        self._start = hashlib.sha256()
        _update(self._start, parts)

    def __call__(self, *parts: str | bytes) -> bytes:
        """Return the checksum, 16 bytes, of an entry with these further parts."""
        digest = self._start.copy()
        _update(digest, parts)
        return digest.digest()[:_SEAL_BYTES]


def _update(digest: hashlib._Hash, parts: tuple[str | bytes, ...]) -> None:
    """Hash each part after its length, so that different lists of parts never hash the same bytes."""
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)


def hash_file(path: Path) -> bytes:
    """Return the 32-byte sha256 of a file's content.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()
