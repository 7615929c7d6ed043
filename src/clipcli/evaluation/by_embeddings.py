"""Classify images by their embeddings, and compare with the ground truth.

Shapes: N images, C classes, D dimensions of the shared space, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipcli.evaluation.evaluate import Answers, Embedded, Evaluation, make_evaluation
from clipcli.evaluation.grouping import classes_as_groups, group_members, group_names
from clipcli.evaluation.metrics import (
    Calibration,
    Indices,
    Scores,
    best_first,
    calibrate,
    expected_calibration_error,
    hits_within,
)
from clipcli.evaluation.tree import Descent, groups_by_name, path_of, tree_figures
from clipcli.evaluation.vocabulary import indices_of
from clipcli.labels.label import Label
from clipcli.pipeline.calibration import FittedCalibration
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.scorer import score_labels
from clipcli.scoring.thresholds import UNKNOWN

__all__ = ["evaluate_embeddings"]

_WITHIN = 5
_ROWS = 4096  # images scored at once
_CALIBRATED = 10_000  # maximum number of images for fitting a temperature


def evaluate_embeddings(
    name: str, images: Embedded, labels: Sequence[Label], classes: ClassEmbeddings, *, by_group: bool = False,
    calibration: FittedCalibration | None = None,
) -> Evaluation:  # fmt: skip
    """Classify images by their embeddings, and compare with the ground truth.

    Parameters
    ----------
    by_group
        Whether the answer is the group with the highest sum of probabilities; a class can then be a group or a label.
    calibration
        What calibrates the probabilities, and gives the threshold for ``unknown``.

    Raises
    ------
    LabelError
        If the class of an image has no label, or ``by_group`` is set and it has no group.
    """
    names = group_names(labels) if by_group else list(classes.labels)
    said = classes_as_groups(images.labels, labels) if by_group else images.labels
    truth = np.asarray(indices_of(said, list(map(Label, names)) if by_group else labels), dtype=np.intp)
    members = group_members(labels, names) if by_group else None  # (C, G)
    count = len(truth)
    within = np.empty((count, min(_WITHIN, len(names))), np.intp)
    probability = np.empty(count)
    descent, deepest = Descent(classes.groups), list[str]()
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        scores, ranked = _scores(images.vectors[rows], classes, calibration)  # (n, D) -> (n, C) each
        deepest += descent.answers(scores)
        if members is not None:
            scores = ranked = np.minimum(scores @ members, 1.0)  # (n, C) x (C, G) -> (n, G)
        within[rows] = best_first(ranked)[:, : within.shape[1]]
        probability[rows] = scores.max(axis=1)
    best = within[:, 0]
    answers = Answers(
        images.paths, _answers(best, probability, len(names), calibration), best, probability,
        hits_within(within, truth, _WITHIN) if len(names) > _WITHIN else None,
    )  # fmt: skip
    is_plain = members is None and calibration is None
    fitted = _calibration(images, truth, classes) if is_plain else Calibration(0.0)
    error = expected_calibration_error(probability, best == truth)
    groups = {} if by_group else groups_by_name((label.name, label.group) for label in labels)
    every = [*names, *([UNKNOWN] if (answers.predicted == len(names)).any() else [])]
    given = [path_of(every[place], groups) for place in answers.predicted]
    return make_evaluation(
        name, every, truth, answers, Calibration(error, fitted.temperature, fitted.error_after),
        label_count=len(names), tree=tree_figures([names[place] for place in truth], given, deepest, groups),
    )  # fmt: skip


def _scores(
    vectors: NDArray[np.float32], classes: ClassEmbeddings, calibration: FittedCalibration | None
) -> tuple[Scores, Scores]:
    """Return the probabilities, and what labels are ranked by."""
    if calibration is None:
        found = classes.score(vectors)
        return found.probability, found.ranked
    scored = score_labels(vectors, classes, correction=calibration.correction)
    return scored.probability, scored.order


def _answers(best: Indices, probability: Scores, unknown: int, calibration: FittedCalibration | None) -> Indices:
    """Return the answers: the best labels, or ``unknown`` below the threshold of a calibration. (N,), (N,) -> (N,)."""
    least = None if calibration is None else calibration.unknown
    return best if least is None else np.where(probability >= least, best, unknown)


def _calibration(images: Embedded, truth: Indices, classes: ClassEmbeddings) -> Calibration:
    """Fit a temperature; not for a sigmoid model, whose probabilities do not sum to 1."""
    if classes.facts.logit_bias is not None:
        return Calibration(0.0)
    some = np.random.default_rng(0).permutation(len(truth))[:_CALIBRATED]
    return calibrate(classes.score(images.vectors[some]).logits, truth[some])
