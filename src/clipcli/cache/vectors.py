"""Embeddings as bytes in the cache, and the checks before one is used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.storage.checksums import Seal

__all__ = ["LONGEST_VECTOR", "packed", "problem_of", "unpacked"]

LONGEST_VECTOR = 4 << 16
"""Maximum size of an embedding that is read, in bytes; an untrusted file may contain larger ones."""

_TOLERANCE = 1e-2

FloatArray = NDArray[np.float32]


def packed(vector: FloatArray, *, half: bool) -> bytes:
    """Return an embedding, (D,), as D little-endian float32 numbers, or float16 if ``half`` is set."""
    return np.ascontiguousarray(vector, dtype="<f2" if half else "<f4").tobytes()


def unpacked(rows: Iterable[tuple[Any, ...]], seal: Seal, dim: int) -> dict[bytes, FloatArray]:
    """Return the embeddings of the valid rows, each (D,) float32, by key.

    Parameters
    ----------
    rows
        Key, number of dimensions, embedding and checksum, as read from the database.
    seal
        Computes the checksum of key, dimensions and embedding.
    dim
        D of the model.
    """
    keys: dict[int, list[bytes]] = {2 * dim: [], 4 * dim: []}
    blobs: dict[int, list[bytes]] = {2 * dim: [], 4 * dim: []}
    for key, stored_dim, blob, checksum in rows:
        if (
            stored_dim == dim
            and isinstance(blob, bytes)
            and len(blob) in keys
            and _is_sealed(key, blob, checksum, seal)
        ):
            keys[len(blob)].append(key)
            blobs[len(blob)].append(blob)
    found: dict[bytes, FloatArray] = {}
    for size, parts in blobs.items():
        matrix = np.frombuffer(b"".join(parts), "<f2" if size == 2 * dim else "<f4").reshape(-1, dim)
        matrix = matrix.astype(np.float32, copy=False)
        sound = np.abs(np.linalg.norm(matrix, axis=1) - 1.0) < _TOLERANCE  # (N,); false also for NaN
        found.update((key, row) for key, row, good in zip(keys[size], matrix, sound, strict=True) if good)
    return found


def _is_sealed(key: Any, blob: bytes, checksum: Any, seal: Seal) -> bool:
    return isinstance(key, bytes) and checksum == seal(key, blob)


def problem_of(key: Any, dim: Any, blob: Any, checksum: Any, seal: Seal) -> str | None:
    """Return the damage of a stored embedding, or ``None``."""
    if not isinstance(dim, int) or not isinstance(blob, bytes) or dim < 1 or len(blob) not in (2 * dim, 4 * dim):
        size = f"{len(blob)} bytes" if isinstance(blob, bytes) else f"a {type(blob).__name__}"
        return f"{size} for {dim} dimensions"
    vector = np.frombuffer(blob, "<f2" if len(blob) == 2 * dim else "<f4").astype(np.float32, copy=False)
    length = float(np.linalg.norm(vector))
    if not abs(length - 1.0) < _TOLERANCE:  # also for NaN
        return f"length {length:.3g} instead of 1"
    return None if _is_sealed(key, blob, checksum, seal) else "does not match its checksum"
