"""Retrieval on plain arrays: how many images find their text, and texts their image, in a similarity matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipcli.scoring.contrastive_loss import own_loss, same_group

__all__ = ["Pairing", "pairing", "recall_at"]


@dataclass(frozen=True)
class Pairing:
    """Retrieval accuracy and loss of a batch of pairs.

    Parameters
    ----------
    pairs
        N.
    images, texts
        Number of images that match their text best, and number of texts that match their image best.
    loss
        The model's loss on this batch.
    """

    pairs: int
    images: int
    texts: int
    loss: float


def pairing(similarities: ArrayLike, logit_scale: float, logit_bias: float | None = None) -> Pairing:
    """Return how many pairs match each other best, and the loss of the batch: sigmoid for a model with a bias.

    Ties do not count as matches: duplicate texts cannot be distinguished.

    Parameters
    ----------
    similarities
        (N, N) cosines; image i belongs to text i.
    """
    cosines = np.array(similarities, dtype=np.float64)
    own = np.diagonal(cosines).copy()
    np.fill_diagonal(cosines, -np.inf)
    loss = own_loss(similarities, logit_scale, logit_bias)
    images, texts = (int((own > cosines.max(axis=axis)).sum()) for axis in (1, 0))
    return Pairing(len(own), images, texts, loss)


def recall_at(similarities: ArrayLike, groups: ArrayLike, within: int) -> tuple[float, float]:
    """Return the recall at ``within``: image to text, and text to image.

    Pairs in the same group are positives of each other, so a repeated caption is correct for each of its images.
    Without groups this is open_clip's ``R@k``.

    Parameters
    ----------
    similarities
        (N, N) cosines; image i belongs to text i.
    groups
        (N,) numbers, equal for pairs that share a class or caption.
    """
    cosines = np.asarray(similarities)
    belongs = same_group(groups, len(cosines))  # (N, N)
    images, texts = (_share_found(scores, belongs, within) for scores in (cosines, cosines.T))
    return images, texts


def _share_found(scores: NDArray[Any], belongs: NDArray[np.bool_], within: int) -> float:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :within]
    return float(np.take_along_axis(belongs, best, axis=1).any(axis=1).mean())
