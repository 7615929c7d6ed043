"""Probabilities of labels that are judged each for itself, and of labels with phrases that compete with them.

Nothing here knows about models, files or torch. Shapes: N images, C labels, K competitors. All arrays are float64.

Every kind of score is expressed as log-odds, the logarithm of p / (1 - p): they keep their order where probabilities
are rounded to 1, and a calibration is linear in them (Platt 1999, *Probabilistic Outputs for Support Vector Machines*).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clipcli.scoring.zeroshot import ScoreArray

__all__ = ["SCORES", "log_odds", "sigmoid"]

SCORES = ("softmax", "sigmoid", "contrast")
"""The kinds of score."""


def sigmoid(odds: ScoreArray) -> ScoreArray:
    """Turn log-odds into probabilities, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * odds)), dtype=np.float64)


def log_odds(
    score: str, logits: ScoreArray, bias: float | None = None, competing: ScoreArray | None = None,
    rivals: Sequence[Sequence[int]] = (),
) -> ScoreArray:  # fmt: skip
    """Return the log-odds of each label for each image.

    Parameters
    ----------
    score
        ``softmax``: the label against all other labels and all competitors. ``sigmoid``: the label by its own logit and
        the bias of the model, and against its competitors (Zhai et al. 2023, without competitors). ``contrast``: the
        label against its competitors alone, of which it needs at least one.
    logits
        (N, C), scaled but without a bias.
    bias
        The model's bias, for ``sigmoid``.
    competing
        (N, K) logits of the competitors; ``None`` if there are none.
    rivals
        For each label, its own competitors, as indices; empty if no label has any.

    Returns
    -------
    (N, C). Their :func:`sigmoid` is the probability: for ``softmax``, that of a softmax over the C + K logits.
    """
    if score == "softmax":
        return _against_others(logits, competing)
    own = logits if bias is None or score == "contrast" else logits + bias
    odds = np.array(own, dtype=np.float64)
    for rows in dict.fromkeys(map(tuple, rivals)):
        if rows and competing is not None:
            places = [place for place, each in enumerate(rivals) if tuple(each) == rows]
            against = _log_sum(competing[:, list(rows)])
            if score == "sigmoid":  # a third possibility besides the label and its competitors: nothing, with logit 0
                against = np.logaddexp(0.0, against + (bias or 0.0))
            odds[:, places] -= against[:, None]
    return odds


def _against_others(logits: ScoreArray, competing: ScoreArray | None) -> ScoreArray:
    """Return each logit less the logarithm of the sum of the exponentials of all others; infinite if there are none."""
    every = logits if competing is None else np.hstack([logits, competing])  # (N, C + K)
    top = every.max(axis=1, keepdims=True)
    powers = np.exp(every - top)
    rest = powers.sum(axis=1, keepdims=True) - powers
    rows, best = np.arange(len(every)), every.argmax(axis=1)
    powers[rows, best] = 0.0
    rest[rows, best] = powers.sum(axis=1)  # the difference is not exact where one label has nearly all of the sum
    with np.errstate(divide="ignore"):
        return np.asarray((every - top - np.log(rest))[:, : logits.shape[1]], dtype=np.float64)


def _log_sum(logits: ScoreArray) -> ScoreArray:
    """Return the logarithm of the sum of the exponentials of each row. (N, K) -> (N,)."""
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)), dtype=np.float64)
