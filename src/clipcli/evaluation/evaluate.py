"""Evaluate a model and its prompts on images whose classes are known.

Shapes: N images, C classes, D dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipcli.evaluation.metrics import (
    Calibration,
    ClassReport,
    Confusion,
    Indices,
    Interval,
    Scores,
    accuracy_interval,
    class_reports,
    confusions,
    difference_interval,
    mean_per_class_interval,
)
from clipcli.evaluation.tree import TreeFigures
from clipcli.scoring.thresholds import UNKNOWN

__all__ = [
    "Answers",
    "Embedded",
    "Evaluation",
    "compare",
    "confusion_table",
    "make_evaluation",
]


@dataclass(frozen=True)
class Embedded:
    """Labelled images with their embeddings: ``paths`` and ``labels`` of N, ``vectors`` (N, D) float32."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of one model with one set of prompts.

    Parameters
    ----------
    name
        The model and the prompts, for people.
    labels
        The C classes, including ``unknown`` if it is the answer for some images, and classes that are not labels.
    paths
        The N images.
    truth, predicted
        (N,) indices of classes.
    best
        (N,) indices of the best labels, which are the predicted ones except where the answer is ``unknown``.
    probability
        (N,) probability of the best label.
    top1, top5, mean_per_class
        Accuracies with 95 % intervals; ``top5`` is ``None`` if it is unknown, or there are at most five labels.
    label_count
        The number of labels that could have been the answer, as far as it is known.
    not_labels
        The classes of images that are not among these labels, so that no answer can be right.
    tree
        The figures at each level, if the labels have groups.
    """

    name: str
    labels: tuple[str, ...]
    paths: tuple[str, ...]
    truth: Indices
    predicted: Indices
    best: Indices
    probability: Scores
    top1: Interval
    top5: Interval | None
    mean_per_class: Interval
    calibration: Calibration
    classes: tuple[ClassReport, ...]
    confusions: tuple[Confusion, ...]
    label_count: int
    not_labels: tuple[str, ...] = ()
    tree: TreeFigures | None = None

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(N,) whether the answer is a label, not ``unknown``."""
        return np.asarray(np.array(self.labels)[self.predicted] != UNKNOWN)

    @property
    def has_label(self) -> NDArray[np.bool_]:
        """(N,) whether the true class is among the labels."""
        return ~np.isin(np.array(self.labels)[self.truth], self.not_labels)

    @property
    def top1_of_answers(self) -> Interval | None:
        """The accuracy among the images with an answer; ``None`` if all images have one, or none has."""
        return self._accuracy_of(self.answered)

    @property
    def top1_of_labels(self) -> Interval | None:
        """The accuracy among the images whose class is a label; ``None`` if that is true of all images, or of none."""
        return self._accuracy_of(self.has_label)

    def _accuracy_of(self, some: NDArray[np.bool_]) -> Interval | None:
        return accuracy_interval(self.hits[some]) if some.any() and not some.all() else None

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that some image has."""
        return float(np.mean([report.f1 for report in self.classes if report.support and report.f1 is not None]))

    @property
    def hits(self) -> NDArray[np.bool_]:
        """(N,) whether the predicted class is the true one."""
        return np.asarray(self.truth == self.predicted)


@dataclass(frozen=True)
class Answers:
    """The answers of a run for N images.

    Parameters
    ----------
    paths
        The images.
    predicted
        (N,) indices of the answers, which can be ``unknown``.
    best
        (N,) indices of the best labels, whatever the thresholds.
    probability
        (N,) probability of the best label.
    hits5
        (N,) whether the true class is among the best five labels; ``None`` if that is not known.
    """

    paths: tuple[str, ...]
    predicted: Indices
    best: Indices
    probability: Scores
    hits5: NDArray[np.bool_] | None = None


def make_evaluation(
    name: str, labels: Sequence[str], truth: Indices, answers: Answers, calibration: Calibration, *,
    label_count: int, not_labels: Sequence[str] = (), tree: TreeFigures | None = None,
) -> Evaluation:  # fmt: skip
    """Compute the figures of answers; for the parameters see :class:`Evaluation`."""
    hits, predicted = answers.predicted == truth, answers.predicted
    return Evaluation(
        name, tuple(labels), answers.paths, truth, predicted, answers.best, answers.probability,
        accuracy_interval(hits), accuracy_interval(answers.hits5) if answers.hits5 is not None else None,
        mean_per_class_interval(hits, truth), calibration,
        tuple(class_reports(labels, truth, predicted)),
        tuple(confusions(labels, truth, predicted, answers.probability)),
        label_count, tuple(not_labels), tree,
    )  # fmt: skip


def compare(first: Evaluation, second: Evaluation) -> Interval | None:
    """Return the difference in top-1 accuracy, second minus first; ``None`` if the images differ."""
    if first.paths != second.paths:
        return None
    return difference_interval(first.hits, second.hits)


def confusion_table(evaluation: Evaluation) -> NDArray[np.int64]:
    """Return how often each class (row) got each label (column). (C, C), scikit-learn's ``confusion_matrix``."""
    from sklearn.metrics import confusion_matrix

    every = range(len(evaluation.labels))
    return np.asarray(confusion_matrix(evaluation.truth, evaluation.predicted, labels=every))
