"""How classes were taught by examples, and the examples themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipcli.scoring.zeroshot import cosine_similarities, normalise

__all__ = ["Taught"]

_SAME = 0.9995  # cosine of the embeddings of one image in two precisions; those of two photos are lower


@dataclass(frozen=True)
class Taught:
    """What classes were taught with. C classes, E examples, D dimensions.

    Parameters
    ----------
    method
        ``text``, ``prototypes``, ``mixed`` or ``logistic``.
    weight
        The share of the examples in class embeddings or logits, 0 to 1; the rest is that of the words.
    text
        (C, D) float32, the class embeddings of the words.
    examples
        (E, D) float16, the embeddings of the examples.
    owners
        (E,) the class of each example.
    accuracy
        Top-1 accuracy on examples that were left out in cross-validation; ``None`` without cross-validation.
    """

    method: str
    weight: float
    text: NDArray[np.float32]
    examples: NDArray[np.float16]
    owners: NDArray[np.int64]
    accuracy: float | None = None

    @property
    def counts(self) -> NDArray[np.intp]:
        """(C,) the number of examples of each class."""
        return np.bincount(self.owners, minlength=len(self.text))

    def mixed(self, place: int) -> NDArray[np.float32]:
        """Return the weighted mean of the words and the examples of a class, (D,) of length one."""
        own = self.examples[self.owners == place].astype(np.float32)
        words: NDArray[np.float32] = self.text[place]
        if not len(own):
            return words
        return normalise((1 - self.weight) * words + self.weight * normalise(own.mean(axis=0)))

    def has_seen(self, images: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return whether each image is one of the examples, in this or another precision. (N, D) -> (N,)."""
        seen = np.zeros(len(images), dtype=bool)
        examples = self.examples.astype(np.float32)
        for start in range(0, len(images), 4096):
            rows = slice(start, start + 4096)
            seen[rows] = (cosine_similarities(images[rows], examples) >= _SAME).any(axis=1)
        return seen
