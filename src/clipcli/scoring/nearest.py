"""The vectors nearest to a query, found in a stream that need not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipcli.scoring.zeroshot import cosine_similarities

__all__ = ["Nearest"]

Key = TypeVar("Key")
FloatArray = NDArray[np.float32]


class Nearest(Generic[Key]):
    """Keep the ``count`` keys whose vectors have the largest cosine similarity to a query.

    Equal similarities are ordered as their vectors came. Memory grows with ``count``, not with the stream.

    Parameters
    ----------
    query
        (D,) float32, of length one.
    count
        How many to keep, at least one.
    """

    def __init__(self, query: FloatArray, count: int) -> None:
        self._query, self._count = query[None, :], count
        self._keys: list[Key] = []
        self._cosines: NDArray[Any] = np.empty(0)

    def add(self, keys: Sequence[Key], vectors: FloatArray) -> None:
        """Compare vectors (N, D) float32 of length one, which belong to ``keys`` in their order."""
        cosines = np.concatenate([self._cosines, cosine_similarities(vectors, self._query)[:, 0]])
        everyone = [*self._keys, *keys]
        best = np.argsort(-cosines, kind="stable")[: self._count]
        self._keys, self._cosines = [everyone[place] for place in best], cosines[best]

    def best(self) -> list[tuple[Key, float]]:
        """Return the keys so far with their cosine similarities, best first."""
        return [(key, float(cosine)) for key, cosine in zip(self._keys, self._cosines, strict=True)]
