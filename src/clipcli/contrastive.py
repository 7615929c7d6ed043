"""The contrastive objective on plain arrays, as the papers write it down.

CLIP (Radford et al. 2021, figure 3): the N×N matrix of cosine similarities times the logit scale, with
cross-entropy over its rows and over its columns, averaged; the diagonal must win. SigLIP (Zhai et al.
2023, algorithm 1): a sigmoid for each pair by itself. Embeddings have length one; arithmetic is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Pairing", "contrastive_loss", "pairing", "sigmoid_loss"]


def contrastive_loss(similarities: ArrayLike, logit_scale: float) -> float:
    """Return CLIP's loss of a batch of pairs.

    Parameters
    ----------
    similarities
        (N, N) cosines; image i belongs to text i.
    logit_scale
        The factor itself, not its logarithm.
    """
    logits = logit_scale * np.asarray(similarities, dtype=np.float64)  # (N, N)
    right = np.diagonal(logits)
    of_images = _log_sum_exp(logits, axis=1) - right  # cross-entropy of each row
    of_texts = _log_sum_exp(logits, axis=0) - right  # of each column
    return float((of_images.mean() + of_texts.mean()) / 2)


def sigmoid_loss(similarities: ArrayLike, logit_scale: float, logit_bias: float) -> float:
    """Return SigLIP's loss of a batch of pairs: -log σ(±(scale · cosine + bias)), summed in rows, averaged over them.

    Parameters
    ----------
    similarities
        (N, N) cosines; image i belongs to text i.
    """
    logits = logit_scale * np.asarray(similarities, dtype=np.float64) + logit_bias
    signs = 2.0 * np.eye(len(logits)) - 1.0  # one for pairs, minus one elsewhere
    return float(np.logaddexp(0.0, -signs * logits).sum() / len(logits))


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
    loss = (
        contrastive_loss(similarities, logit_scale)
        if logit_bias is None
        else sigmoid_loss(similarities, logit_scale, logit_bias)
    )
    images, texts = (int((own > cosines.max(axis=axis)).sum()) for axis in (1, 0))
    return Pairing(len(own), images, texts, loss)
