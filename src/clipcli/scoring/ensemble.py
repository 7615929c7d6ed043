"""The average of several prompts of one class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clipcli.scoring.zeroshot import FloatArray, normalise

__all__ = ["ensemble"]


def ensemble(prompt_embeddings: FloatArray, counts: Sequence[int]) -> FloatArray:
    """Average each class's prompt embeddings into its class embedding.

    Normalised, averaged and normalised again, as in open_clip's ``build_zero_shot_classifier``.

    Parameters
    ----------
    prompt_embeddings
        (P, D), the prompts of the first class first, then those of the second, and so on.
    counts
        Number of prompts of each of the C classes; they sum to P and none is zero.

    Returns
    -------
    (C, D) class embeddings (zero-shot weights).
    """
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)  # (C,)
    sums = np.add.reduceat(normalise(prompt_embeddings), starts, axis=0)  # (P, D) -> (C, D)
    means = np.divide(sums, np.asarray(counts, dtype=np.float32)[:, None], dtype=np.float32)
    return normalise(means)
