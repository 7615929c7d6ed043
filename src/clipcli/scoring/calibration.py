"""Calibration that was fitted on images with known classes: how it is fitted, and how it changes scores. Arrays only.

Shapes: N images, C labels. Temperature scaling: Guo et al. 2017, *On Calibration of Modern Neural Networks*. Scale and
bias of log-odds: Platt 1999. Conformal sets: Sadinle, Lei and Wasserman 2019, *Least Ambiguous Set-Valued Classifiers
with Bounded Error Levels*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipcli.scoring.zeroshot import ScoreArray

__all__ = [
    "Correction",
    "conformal_threshold",
    "f1_threshold",
    "fit_odds",
    "precision_threshold",
    "unknown_threshold",
]

_LIMIT = 700.0  # log-odds beyond it are infinite as probabilities
NEVER = 1.0
"""The threshold of a label that is not to be given."""


@dataclass(frozen=True)
class Correction:
    """What turns scores into calibrated probabilities.

    Parameters
    ----------
    scale
        Factor of the logits of a softmax, or of log-odds; above 0, so that the order of labels stays.
    bias
        Added to log-odds after that; 0 for a softmax.
    """

    scale: float = 1.0
    bias: float = 0.0

    def odds(self, odds: ScoreArray) -> ScoreArray:
        """Return calibrated log-odds."""
        return np.asarray(self.scale * odds + self.bias, dtype=np.float64)


def fit_odds(odds: ScoreArray, truth: NDArray[np.bool_]) -> Correction | None:
    """Fit scale and bias by logistic regression (scikit-learn) on all pairs of an image and a label.

    Parameters
    ----------
    odds
        (N, C) log-odds.
    truth
        (N, C) whether the image has the label.

    Returns
    -------
    ``None`` if the log-odds are higher where the label is wrong, or all pairs are alike.
    """
    from sklearn.linear_model import LogisticRegression

    values, right = np.clip(odds, -_LIMIT, _LIMIT).reshape(-1, 1), truth.ravel()
    if right.all() or not right.any():
        return None
    fitted = LogisticRegression(C=1e6, max_iter=1000).fit(values, right)
    scale, bias = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return Correction(scale, bias) if scale > 0 else None


def precision_threshold(probability: ScoreArray, truth: NDArray[np.bool_], precision: float) -> float:
    """Return the least threshold at which a label has a precision, with one more wrong image than there were.

    The further image makes the estimate of a rare label careful: with few images, the precision above the best
    threshold would be too good by chance. (N,), (N,) -> float.
    """
    order = np.argsort(-probability, kind="stable")
    right = np.cumsum(truth[order])
    given = np.arange(1, len(order) + 1)
    fits = np.flatnonzero((right / (given + 1) >= precision) & _is_cut(probability[order]))
    return _between(probability[order], int(fits[-1])) if len(fits) else NEVER


def f1_threshold(probability: ScoreArray, truth: NDArray[np.bool_]) -> float:
    """Return the threshold at which a label has the highest F1. (N,), (N,) -> float."""
    order = np.argsort(-probability, kind="stable")
    right = np.cumsum(truth[order])
    f1 = 2 * right / (np.arange(1, len(order) + 1) + truth.sum())
    best = int(np.argmax(np.where(_is_cut(probability[order]), f1, -1.0)))
    return _between(probability[order], best) if f1[best] > 0 else NEVER


def unknown_threshold(probability: ScoreArray, hits: NDArray[np.bool_], error: float) -> float:
    """Return the least probability of an answer at which at most a share of the answers is wrong. (N,), (N,) -> float.

    As for :func:`precision_threshold`, one more wrong answer is counted than there were.
    """
    return precision_threshold(probability, hits, 1.0 - error)


def conformal_threshold(probability: ScoreArray, truth: NDArray[np.intp], coverage: float) -> float:
    """Return the probability from which labels belong to the set of an image that contains the right one.

    Parameters
    ----------
    probability
        (N, C), of a softmax.
    truth
        (N,) indices of the right labels.
    coverage
        The share of images whose set is to contain the right label, 0 to 1.
    """
    count = len(truth)
    right = np.sort(probability[np.arange(count), truth])  # the lowest first
    left_out = int(np.floor((count + 1) * (1.0 - coverage) + 1e-9))  # images whose set may lack the right label
    return float(right[left_out - 1]) if left_out else 0.0


def _is_cut(falling: ScoreArray) -> NDArray[np.bool_]:
    """Return after which values of a falling row a threshold can be: not between equal ones."""
    return np.append(falling[1:] < falling[:-1], True)


def _between(falling: ScoreArray, place: int) -> float:
    """Return a threshold between a value and the next one."""
    following = falling[place + 1] if place + 1 < len(falling) else 0.0
    return float((falling[place] + following) / 2)
