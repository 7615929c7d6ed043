"""The contrastive loss on plain arrays, as defined in the papers.

CLIP (Radford et al. 2021, figure 3): the N×N matrix of cosine similarities times the logit scale, with
cross-entropy over its rows and over its columns, averaged; the diagonal is the target. SigLIP (Zhai et al.
2023, algorithm 1): an independent sigmoid for each pair. Embeddings have length one; arithmetic is float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["contrastive_loss", "own_loss", "same_group", "sigmoid_loss"]


def contrastive_loss(similarities: ArrayLike, logit_scale: float, groups: ArrayLike | None = None) -> float:
    """Return CLIP's loss of a batch of pairs.

    Parameters
    ----------
    similarities
        (N, N) cosines; image i belongs to text i.
    logit_scale
        The factor itself, not its logarithm.
    groups
        (N,) numbers, equal for pairs that share a class or caption: these are positives of each other, and share the
        target of a row evenly, as in UniCL (Yang et al. 2022). By default, all are different.
    """
    logits = logit_scale * np.asarray(similarities, dtype=np.float64)  # (N, N)
    same = same_group(groups, len(logits))
    targets = same / same.sum(axis=1, keepdims=True)  # rows sum to one; the rows of a group are equal
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
        As for :func:`contrastive_loss`.
    """
    logits = logit_scale * np.asarray(similarities, dtype=np.float64) + logit_bias
    signs = 2.0 * same_group(groups, len(logits)) - 1.0  # one for pairs, minus one elsewhere
    return float(np.logaddexp(0.0, -signs * logits).sum() / len(logits))


def own_loss(
    similarities: ArrayLike, logit_scale: float, logit_bias: float | None, groups: ArrayLike | None = None
) -> float:
    """Return the loss that a model was trained with: SigLIP's if it has a bias, else CLIP's."""
    if logit_bias is None:
        return contrastive_loss(similarities, logit_scale, groups)
    return sigmoid_loss(similarities, logit_scale, logit_bias, groups)


def same_group(groups: ArrayLike | None, count: int) -> NDArray[np.bool_]:
    """Return (N, N) whether two pairs are in the same group; without groups, each pair has its own."""
    numbers = np.arange(count) if groups is None else np.asarray(groups)
    return np.asarray(numbers[:, None] == numbers[None, :])


def _log_sum_exp(logits: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    greatest = logits.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(logits - greatest).sum(axis=axis)) + greatest.squeeze(axis))
