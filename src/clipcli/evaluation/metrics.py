"""Metrics of a classification, on plain arrays: no model, no files.

Shapes: N images, C classes. ``truth`` and ``predicted`` are (N,) indices of classes. Metrics that scikit-learn has
are computed by it; calibration follows Guo et al. 2017, *On Calibration of Modern Neural
Networks*. Intervals of shares are Wilson's (1927), those of paired differences Agresti and Min's (2005, *Simple
improved confidence intervals for comparing matched proportions*): both hold for few images, where a bootstrap gives
intervals without width. The mean over classes uses a bootstrap (Efron and Tibshirani 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BINS",
    "Calibration",
    "ClassReport",
    "Confusion",
    "Interval",
    "accuracy_interval",
    "best_first",
    "bounds",
    "calibrate",
    "class_reports",
    "confusions",
    "defined",
    "difference_interval",
    "expected_calibration_error",
    "fit_temperature",
    "hits_within",
    "mean_per_class_interval",
    "reliability",
]

BINS = 15
_QUANTILE = 1.959964  # of the normal distribution, for 95 %
_CLASS_RESAMPLES = 2_000
_PRIOR_IMAGES = 2  # with one, intervals are too narrow for classes of one to three images
_LEAST_SCALE, _GREATEST_SCALE = 1e-3, 1e3  # of a temperature

Indices = NDArray[np.intp]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_beyond_noise(self) -> bool:
        """Return whether a difference is significant: its interval excludes zero."""
        return self.low > 0.0 or self.high < 0.0


def best_first(similarities: Scores) -> Indices:
    """Rank the classes for each image; ties are in the order of the classes. (N, C) -> (N, C)."""
    return np.argsort(-similarities, axis=1, kind="stable")


def hits_within(ranking: Indices, truth: Indices, k: int) -> NDArray[np.bool_]:
    """Return for each image whether its class is among the first ``k``. (N, C), (N,) -> (N,)."""
    return np.asarray((ranking[:, :k] == truth[:, None]).any(axis=1))


def accuracy_interval(hits: NDArray[np.bool_]) -> Interval:
    """Return the share of hits, (N,) with N at least 1, with Wilson's 95 % interval (scipy)."""
    from scipy.stats import binomtest

    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, "wilson")
    return Interval(float(hits.mean()), float(found.low), float(found.high))


def mean_per_class_interval(hits: NDArray[np.bool_], truth: Indices, seed: int = 0) -> Interval:
    """Return the mean over the classes of their share of hits, scikit-learn's ``balanced_accuracy_score``.

    The bootstrap is stratified: a resample has as many images of each class as there are. The share of a class that
    it is drawn with includes two more images with the mean share of all classes, because that of a few images is often
    0 or 1, which would leave no uncertainty. The order of the classes makes no difference.
    """
    _, places, sizes = np.unique(truth, return_inverse=True, return_counts=True)
    shares = np.bincount(places, weights=hits) / sizes  # (classes that occur,)
    order = np.lexsort((shares, sizes))
    shares, sizes, mean = shares[order], sizes[order], float(np.mean(shares))
    chances = (shares * sizes + mean * _PRIOR_IMAGES) / (sizes + _PRIOR_IMAGES)
    drawn = np.random.default_rng(seed).binomial(sizes, chances, (_CLASS_RESAMPLES, len(sizes))) / sizes - chances
    return _percentiles(mean, np.clip(mean + drawn.mean(axis=1), 0.0, 1.0))  # the mean of (resamples, classes)


def difference_interval(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Interval:
    """Return the difference in the share of hits, second minus first, on the same images, with its 95 % interval.

    Paired: only images that are right in one and wrong in the other count (Agresti and Min 2005, with half an image
    added to each cell). The interval includes zero unless the exact test of McNemar (scipy's ``binomtest``) is
    significant at 5 %, which needs at least six such images.
    """
    from scipy.stats import binomtest

    count = len(first)
    lost, won = int((first & ~second).sum()), int((second & ~first).sum())
    middle = (won - lost) / (count + 2)
    reach = _QUANTILE * np.sqrt(lost + won + 1 - (won - lost) ** 2 / (count + 2)) / (count + 2)
    low, high = max(-1.0, float(middle - reach)), min(1.0, float(middle + reach))
    if not lost + won or binomtest(won, lost + won).pvalue >= 0.05:
        low, high = min(low, 0.0), max(high, 0.0)
    return Interval((won - lost) / count, low, high)


def _percentiles(value: float, drawn: Scores) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


@dataclass(frozen=True)
class ClassReport:
    """The figures of one class.

    Parameters
    ----------
    support, predicted
        The number of images of the class, and of images that got its label.
    precision, precision_interval
        With Wilson's 95 % interval; ``None`` if no image got the label.
    recall, recall_interval
        With the same interval; ``None`` if no image is of the class.
    f1
        ``None`` if both are.
    """

    label: str
    support: int
    predicted: int
    precision: float | None
    precision_interval: tuple[float, float] | None
    recall: float | None
    recall_interval: tuple[float, float] | None
    f1: float | None


def class_reports(labels: Sequence[str], truth: Indices, predicted: Indices) -> list[ClassReport]:
    """Return the figures of each class (scikit-learn)."""
    from sklearn.metrics import precision_recall_fscore_support

    every = range(len(labels))
    columns = precision_recall_fscore_support(truth, predicted, labels=every, zero_division=np.nan)
    given = np.bincount(predicted, minlength=len(labels))
    return [
        ClassReport(
            label, int(support), int(count), defined(precision), bounds(precision, count), defined(recall),
            bounds(recall, support), defined(f1),
        )
        for label, count, precision, recall, f1, support in zip(labels, given, *columns, strict=True)
    ]  # fmt: skip


def defined(value: float) -> float | None:
    """Return a figure, ``None`` if it is undefined: a share of no images, which is NaN."""
    return None if np.isnan(value) else float(value)


def bounds(share: float, count: int) -> tuple[float, float] | None:
    """Return the 95 % interval of a share of some images; ``None`` without images."""
    if not count:
        return None
    found = accuracy_interval(np.arange(count) < round(share * count))
    return found.low, found.high


@dataclass(frozen=True)
class Confusion:
    """A confusion of one class with another: its images, the most confident mistakes first."""

    truth: str
    predicted: str
    count: int
    images: tuple[int, ...]


def confusions(
    labels: Sequence[str], truth: Indices, predicted: Indices, probability: Scores, limit: int = 20, examples: int = 3
) -> list[Confusion]:
    """Return the most frequent confusions, worst first."""
    wrong = np.flatnonzero(truth != predicted)
    wrong = wrong[np.argsort(-probability[wrong], kind="stable")]
    by_pair: dict[tuple[int, int], list[int]] = {}
    for image in wrong:
        by_pair.setdefault((int(truth[image]), int(predicted[image])), []).append(int(image))
    worst = sorted(by_pair.items(), key=lambda item: (-len(item[1]), item[0]))[:limit]
    return [Confusion(labels[a], labels[b], len(images), tuple(images[:examples])) for (a, b), images in worst]


def reliability(probability: Scores, hits: NDArray[np.bool_], bins: int = BINS) -> list[tuple[int, float, float]]:
    """Return, for bins of equal width, ``(images, mean probability, share of hits)``; empty bins are left as zeros.

    A bin contains the probabilities above its lower bound, up to and including its upper bound.
    """
    places = np.clip(np.ceil(probability * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    some = np.maximum(counts, 1)
    confidence = np.bincount(places, weights=probability, minlength=bins) / some
    accuracy = np.bincount(places, weights=hits, minlength=bins) / some
    rows = zip(counts.tolist(), confidence.tolist(), accuracy.tolist(), strict=True)
    return list(rows)


def expected_calibration_error(probability: Scores, hits: NDArray[np.bool_], bins: int = BINS) -> float:
    """Return the mean gap between probability and share of hits, over bins, weighted by their images (ECE)."""
    rows = reliability(probability, hits, bins)
    return sum(count * abs(share - mean) for count, mean, share in rows) / len(hits)


def fit_temperature(logits: Scores, truth: Indices) -> float:
    """Return the temperature T that makes softmax(logits / T) most likely (temperature scaling, Guo et al. 2017).

    Above 1, the model is overconfident. (N, C), (N,) -> float.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    right = logits[np.arange(len(truth)), truth]

    def loss(logarithm: float) -> float:
        scale = np.exp(-logarithm)
        return float(np.mean(logsumexp(logits * scale, axis=1) - right * scale))

    bounds = (np.log(_LEAST_SCALE), np.log(_GREATEST_SCALE))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5}).x))


@dataclass(frozen=True)
class Calibration:
    """The calibration of probabilities, and the temperature that would improve it.

    Parameters
    ----------
    error
        Expected calibration error, 0 to 1.
    temperature
        The divisor of the logits; ``None`` if it cannot be fitted.
    error_after
        The error with the temperature, cross-fitted: each half of the images uses the temperature of the other half.
    """

    error: float
    temperature: float | None = None
    error_after: float | None = None


def calibrate(logits: Scores, truth: Indices, seed: int = 0) -> Calibration:
    """Measure the calibration of softmax(logits) and fit a temperature. (N, C), (N,).

    If every image is right, there is no such temperature: the likelihood grows as it falls.
    """
    hits = logits.argmax(axis=1) == truth
    before = expected_calibration_error(_confidence(logits), hits)
    if hits.all():
        return Calibration(before)
    temperature = fit_temperature(logits, truth)
    order = np.random.default_rng(seed).permutation(len(truth))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    if any(hits[half].all() for half in halves):
        return Calibration(before, temperature)
    after = np.empty(len(truth))
    for fitted_on, used_on in (halves, halves[::-1]):
        after[used_on] = _confidence(logits[used_on] / fit_temperature(logits[fitted_on], truth[fitted_on]))
    return Calibration(before, temperature, expected_calibration_error(after, hits))


def _confidence(logits: Scores) -> Scores:
    """Return the probability of each image's best class. (N, C) -> (N,)."""
    return np.asarray(1.0 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1))
