"""The contrastive objective on plain arrays, as the papers write it down.

CLIP (Radford et al. 2021, figure 3): the N×N matrix of cosine similarities times the logit scale, with
cross-entropy over its rows and over its columns, averaged; the diagonal must win. SigLIP (Zhai et al.
2023, algorithm 1): a sigmoid for each pair by itself. Embeddings have length one; arithmetic is float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Pairing", "contrastive_loss", "own_loss", "pairing", "recall_at", "sigmoid_loss"]


def contrastive_loss(similarities: ArrayLike, logit_scale: float, groups: ArrayLike | None = None) -> float:
    """Return CLIP's loss of a batch of pairs.

    Parameters
    ----------
    similarities
        (N, N) cosines; image i belongs to text i.
    logit_scale
        The factor itself, not its logarithm.
    groups
        (N,) numbers that are the same for pairs that say the same: these belong to each other too, and share
        a row's target evenly, as in UniCL (Yang et al. 2022). All different where left out.
    """
    logits = logit_scale * np.asarray(similarities, dtype=np.float64)  # (N, N)
    same = _same(groups, len(logits))
    targets = same / same.sum(axis=1, keepdims=True)  # rows sum to one; a group's rows are alike
    of_images = _log_sum_exp(logits, axis=1) - (targets * logits).sum(axis=1)  # cross-entropy of each row
    of_texts = _log_sum_exp(logits, axis=0) - (targets * logits.T).sum(axis=1)  # of each column
    return float((of_images.mean() + of_texts.mean()) / 2)


def sigmoid_loss(
    similarities: ArrayLike, logit_scale: float, logit_bias: float, groups: ArrayLike | None = None
) -> float:
    """Return SigLIP's loss of a batch of pairs: -log σ(±(scale · cosine + bias)), summed in rows, averaged over them.

    Parameters
    ----------
    similarities
        (N, N) cosines; image i belongs to text i.
    groups
        As :func:`contrastive_loss` takes them.
    """
    logits = logit_scale * np.asarray(similarities, dtype=np.float64) + logit_bias
    signs = 2.0 * _same(groups, len(logits)) - 1.0  # one for pairs, minus one elsewhere
    return float(np.logaddexp(0.0, -signs * logits).sum() / len(logits))


def own_loss(
    similarities: ArrayLike, logit_scale: float, logit_bias: float | None, groups: ArrayLike | None = None
) -> float:
    """Return a model's own objective on a batch: SigLIP's for one with a bias, else CLIP's."""
    if logit_bias is None:
        return contrastive_loss(similarities, logit_scale, groups)
    return sigmoid_loss(similarities, logit_scale, logit_bias, groups)


def _same(groups: ArrayLike | None, count: int) -> NDArray[np.bool_]:
    """Return (N, N) whether two pairs are of one group."""
    numbers = np.arange(count) if groups is None else np.asarray(groups)
    return np.asarray(numbers[:, None] == numbers[None, :])


def _log_sum_exp(logits: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    greatest = logits.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(logits - greatest).sum(axis=axis)) + greatest.squeeze(axis))


@dataclass(frozen=True)
class Pairing:
    """How well a batch of pairs finds together.

    Parameters
    ----------
    pairs
        N.
    images, texts
        For how many images their own text is the best, and for how many texts their own image.
    loss
        The model's own objective on this batch.
    """

    pairs: int
    images: int
    texts: int
    loss: float


def pairing(similarities: ArrayLike, logit_scale: float, logit_bias: float | None = None) -> Pairing:
    """Tell whether the diagonal wins, and the loss of the batch: the sigmoid one for a model with a bias.

    A tie is won by nobody: a text that stands twice cannot be told from itself.

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
    """Return how often one of the best ``within`` belongs: of texts to each image, and of images to each text.

    Pairs of one group belong to each other, so that a caption that stands twice is right in both places.
    Without repeats this is open_clip's ``R@k``.

    Parameters
    ----------
    similarities
        (N, N) cosines; image i belongs to text i.
    groups
        (N,) numbers that are the same for pairs that say the same.
    """
    cosines = np.asarray(similarities)
    belongs = _same(groups, len(cosines))  # (N, N)
    images, texts = (_share_found(scores, belongs, within) for scores in (cosines, cosines.T))
    return images, texts


def _share_found(scores: NDArray[Any], belongs: NDArray[np.bool_], within: int) -> float:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :within]
    return float(np.take_along_axis(belongs, best, axis=1).any(axis=1).mean())
