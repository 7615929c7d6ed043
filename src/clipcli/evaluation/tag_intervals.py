"""Intervals for the figures of tags, by a bootstrap over the images (Efron and Tibshirani 1993). Arrays only.

Images are drawn, not pairs of an image and a label: the labels of one image depend on each other. Shapes: N images, C
labels, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipcli.evaluation.metrics import Interval, Scores

__all__ = ["TagIntervals", "tag_intervals", "weighted_average_precision"]

_MOST, _LEAST = 1_000, 100  # resamples
_WORK = 3e8  # products of resamples, images and labels
_NUMBERS = 1 << 22  # in one array

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class TagIntervals:
    """Figures over all labels with their 95 % intervals.

    Parameters
    ----------
    mean_average_precision
        ``None`` if the probabilities of all labels are not known.
    precision, recall, f1
        Over all pairs of an image and a label.
    """

    mean_average_precision: Interval | None
    precision: Interval
    recall: Interval
    f1: Interval


def tag_intervals(truth: Flags, predicted: Flags, scores: Scores | None, seed: int = 0) -> TagIntervals:
    """Return figures with intervals.

    Parameters
    ----------
    truth, predicted
        (N, C) whether an image has a label, and whether it got it; some image has one.
    scores
        (N, C), greater for labels that are more likely.
    seed
        The random seed of the bootstrap.
    """
    count = len(truth)
    resamples = int(np.clip(_WORK / truth.size, _LEAST, _MOST))
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)  # (R, N)
    weights = np.concatenate([np.ones((1, count), weights.dtype), weights])  # the first is the sample itself
    both, given, right = (each.sum(axis=1) for each in (truth & predicted, predicted, truth))
    hits, named, there = (weights @ each for each in (both, given, right))  # (1 + R,) each
    figures = (_share(hits, named), _share(hits, there), _share(2 * hits, named + there))
    mean = None
    if scores is not None:
        occurs = truth.any(axis=0)
        columns = zip(truth[:, occurs].T, scores[:, occurs].T, strict=True)
        averages = np.stack([weighted_average_precision(*column, weights) for column in columns])  # (C, 1 + R)
        some = ~np.isnan(averages)
        mean = _interval(np.where(some, averages, 0.0).sum(axis=0) / np.maximum(some.sum(axis=0), 1))
    return TagIntervals(mean, *map(_interval, figures))


def weighted_average_precision(truth: Flags, scores: Scores, weights: NDArray[np.int64]) -> Scores:
    """Return the average precision of one label in samples with weighted images, as scikit-learn defines it.

    Parameters
    ----------
    truth, scores
        (N,) each.
    weights
        (R, N), how often each image is in each sample.

    Returns
    -------
    (R,), NaN for a sample in which no image has the label.
    """
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.flatnonzero(np.append(falling[1:] < falling[:-1], True))  # of equal scores, all come at once
    block = max(1, _NUMBERS // len(order))
    found = []
    for start in range(0, len(weights), block):
        drawn = weights[start : start + block, order]
        hits = np.cumsum(drawn * truth[order], axis=1)[:, ends]
        given = np.cumsum(drawn, axis=1)[:, ends]
        gains = np.diff(hits, axis=1, prepend=0)
        with np.errstate(invalid="ignore"):
            found.append((gains * _share(hits, given)).sum(axis=1) / hits[:, -1])
    return np.concatenate(found)


def _share(some: NDArray[np.int64], of: NDArray[np.int64]) -> Scores:
    return np.asarray(some / np.maximum(of, 1), dtype=np.float64)


def _interval(drawn: Scores) -> Interval:
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    return Interval(float(drawn[0]), float(low), float(high))
