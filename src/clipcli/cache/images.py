"""The cached image embeddings of one model, by unchanged file or by content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.cache.embeddings import EmbeddingStore
from clipcli.cache.stamps import FileStamp, stamp_of
from clipcli.inputs.items import FileInput
from clipcli.scoring.zeroshot import normalise
from clipcli.storage.remote import is_remote

__all__ = ["Cached", "ImageStatistics", "round_as_cached", "stamp_of_input"]

FloatArray = NDArray[np.float32]


@dataclass
class ImageStatistics:
    """The numbers of images so far whose embeddings came from the cache, and that were encoded."""

    cached: int = 0
    encoded: int = 0


class Cached:
    """The cached image embeddings of one model."""

    def __init__(
        self, store: EmbeddingStore, fingerprint: str, *, half: bool, statistics: ImageStatistics | None = None
    ) -> None:
        self._store, self._fingerprint, self._half = store, fingerprint, half
        self.statistics = statistics or ImageStatistics()

    def use(self, fingerprint: str, *, half: bool) -> None:
        """Switch to the embeddings of another precision, if the loaded model has another one than noted."""
        self._fingerprint, self._half = fingerprint, half

    def look_up(self, items: Sequence[Any]) -> list[FloatArray | None]:
        """Return the cached embeddings of unchanged files, without reading the files; in bulk."""
        if self._store.path is None:
            return [None] * len(items)
        stamps = [stamp_of_input(item) for item in items]
        contents = self._store.contents_of([stamp for stamp in stamps if stamp])
        vectors = self._known(list(set(contents.values())))
        return [vectors.get(contents.get(stamp, b"")) if stamp else None for stamp in stamps]

    def find(self, content: bytes) -> FloatArray | None:
        """Return the cached embedding of some content, regardless of its file name."""
        return self._known([content]).get(content)

    def _known(self, contents: list[bytes]) -> dict[bytes, FloatArray]:
        known = self._store.get_many("image", self._fingerprint, contents)
        if not self._half or not known:
            return known
        return dict(zip(known, normalise(np.stack(list(known.values()))), strict=True))

    def keep(self, fresh: dict[bytes, FloatArray], files: dict[FileStamp, bytes]) -> None:
        """Save new embeddings, and the content hashes of files."""
        if fresh:
            self._store.put_many("image", self._fingerprint, fresh, half=self._half)
        if files:
            self._store.remember_contents(files)

    def round_as_cached(self, vectors: FloatArray) -> FloatArray:
        """Round embeddings to the precision of the cache, so that a cached run has the same digits."""
        return round_as_cached(vectors, half=self._half)


def round_as_cached(vectors: FloatArray, *, half: bool) -> FloatArray:
    """Round embeddings to the precision of the cache: float16 if the encoder computes in half precision."""
    return normalise(vectors.astype(np.float16).astype(np.float32)) if half else vectors


def stamp_of_input(item: Any) -> FileStamp | None:
    """Return the stamp of a file on disk; a member, an image in memory or an object in a store has none."""
    return stamp_of(item.path) if isinstance(item, FileInput) and not is_remote(item.path) else None
