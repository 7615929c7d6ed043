"""Fit a calibration on images with known classes, with figures out of fold.

Each fold of the images is judged by what was fitted on the others; what is saved is fitted on all. Shapes: N images,
C labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import InputError
from clipcli.evaluation.evaluate import Embedded
from clipcli.evaluation.metrics import Indices, Scores, expected_calibration_error, fit_temperature
from clipcli.evaluation.tags import tag_truth
from clipcli.evaluation.vocabulary import indices_of
from clipcli.labels.label import Label
from clipcli.pipeline.calibration import FittedCalibration, digest_of
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.scorer import Tagging, score_labels
from clipcli.scoring.calibration import (
    Correction,
    conformal_threshold,
    f1_threshold,
    fit_odds,
    precision_threshold,
    unknown_threshold,
)
from clipcli.scoring.odds import sigmoid

__all__ = ["Goal", "fit_calibration"]

_FOLDS = 5
_LEAST_IMAGES = 20


@dataclass(frozen=True)
class Goal:
    """What a calibration is to achieve, besides honest probabilities.

    Parameters
    ----------
    precision
        The precision that each tag is to have; ``None`` for the best F1.
    error
        The share of wrong answers, from which the threshold for ``unknown`` follows; ``None`` for no such threshold.
    coverage
        The share of images whose set of labels is to contain the right one; ``None`` for no sets.
    """

    precision: float | None = None
    error: float | None = None
    coverage: float | None = None


def fit_calibration(
    images: Embedded, labels: Sequence[Label], classes: ClassEmbeddings, tagging: Tagging | None, goal: Goal
) -> FittedCalibration:
    """Fit a calibration for tags, or for one label per image.

    Raises
    ------
    InputError
        If there are too few images, or nothing can be fitted because the scores say nothing about the labels.
    """
    if len(images.paths) < _LEAST_IMAGES:
        raise InputError(
            f"cannot calibrate: only {len(images.paths)} images can be read (give at least {_LEAST_IMAGES})"
        )
    if tagging is not None:
        return _for_tags(images, labels, classes, tagging, goal)
    return _for_answers(images, labels, classes, goal)


def _for_tags(
    images: Embedded, labels: Sequence[Label], classes: ClassEmbeddings, tagging: Tagging, goal: Goal
) -> FittedCalibration:
    truth = tag_truth(images.labels, labels)
    odds = score_labels(images.vectors, classes, tagging).order
    after, given = np.empty_like(odds), np.zeros_like(truth)
    for some, others in _folds(len(truth)):
        correction = _fitted(odds[some], truth[some])
        after[others] = sigmoid(correction.odds(odds[others]))
        given[others] = after[others] >= _thresholds(sigmoid(correction.odds(odds[some])), truth[some], goal)
    hits = int((given & truth).sum())
    correction = _fitted(odds, truth)
    figures = {
        "calibration_error": expected_calibration_error(sigmoid(odds).ravel(), truth.ravel()),
        "calibration_error_after": expected_calibration_error(after.ravel(), truth.ravel()),
        "precision": hits / max(int(given.sum()), 1),
        "recall": hits / max(int(truth.sum()), 1),
    }
    thresholds = tuple(_thresholds(sigmoid(correction.odds(odds)), truth, goal).tolist())
    return FittedCalibration(
        digest_of(classes), classes.facts.name, classes.labels, tagging.score, correction, thresholds,
        images=len(truth), figures=figures,
    )  # fmt: skip


def _fitted(odds: Scores, truth: NDArray[np.bool_]) -> Correction:
    correction = fit_odds(odds, truth)
    if correction is None:
        raise InputError("cannot calibrate: the scores say nothing about the labels of these images (check the labels)")
    return correction


def _thresholds(probability: Scores, truth: NDArray[np.bool_], goal: Goal) -> Scores:
    """Return (C,) the threshold of each label."""
    columns = zip(probability.T, truth.T, strict=True)
    if goal.precision is None:
        return np.array([f1_threshold(column, right) for column, right in columns])
    return np.array([precision_threshold(column, right, goal.precision) for column, right in columns])


def _for_answers(images: Embedded, labels: Sequence[Label], classes: ClassEmbeddings, goal: Goal) -> FittedCalibration:
    truth = np.asarray(indices_of(images.labels, labels), dtype=np.intp)
    count, rows = len(truth), np.arange(len(truth))
    before = score_labels(images.vectors, classes)
    best = before.order.argmax(axis=1)
    hits = (best == truth) & ~before.is_other
    after = np.empty_like(before.probability)
    answered, inside = np.ones(count, dtype=np.bool_), np.zeros_like(after, dtype=np.bool_)
    for some, others in _folds(count):
        correction = _fitted_answers(images.vectors[some], truth[some], classes)
        known, after[others] = (
            score_labels(images.vectors[each], classes, correction=correction).probability for each in (some, others)
        )
        if goal.error is not None:
            least = unknown_threshold(known[np.arange(len(some)), best[some]], hits[some], goal.error)
            answered[others] = after[others, best[others]] >= least
        if goal.coverage is not None:
            inside[others] = after[others] >= conformal_threshold(known, truth[some], goal.coverage)
    correction = _fitted_answers(images.vectors, truth, classes)
    every = score_labels(images.vectors, classes, correction=correction).probability
    figures = {
        "calibration_error": expected_calibration_error(before.probability[rows, best], hits),
        "calibration_error_after": expected_calibration_error(after[rows, best], hits),
    }
    unknown = least_in_set = None
    if goal.error is not None:
        unknown = unknown_threshold(every[rows, best], hits, goal.error)
        wrong = float((~hits[answered]).mean()) if answered.any() else 0.0
        figures |= {"answered": float(answered.mean()), "wrong_answers": wrong}
    if goal.coverage is not None:
        least_in_set = conformal_threshold(every, truth, goal.coverage)
        figures |= {"coverage": float(inside[rows, truth].mean()), "labels_per_set": float(inside.sum(axis=1).mean())}
    return FittedCalibration(
        digest_of(classes), classes.facts.name, classes.labels, None, correction, (), unknown, least_in_set, count,
        figures,
    )  # fmt: skip


def _fitted_answers(vectors: NDArray[np.float32], truth: Indices, classes: ClassEmbeddings) -> Correction:
    """Fit a temperature; for a model with a bias, scale and bias of the log-odds of the best label."""
    if classes.facts.logit_bias is not None:
        odds = score_labels(vectors, classes, Tagging("sigmoid")).order
        best = odds.argmax(axis=1)
        hits = best == truth
        return Correction() if hits.all() else _fitted(odds[np.arange(len(truth)), best], hits)
    logits = score_labels(vectors, classes).logits
    if (logits.argmax(axis=1) == truth).all():  # no temperature fits: the likelihood grows as it falls
        return Correction()
    return Correction(1.0 / fit_temperature(logits, truth))


def _folds(count: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield the images to fit on and those to judge; each image is judged once."""
    from sklearn.model_selection import KFold

    yield from KFold(_FOLDS, shuffle=True, random_state=0).split(np.arange(count))
