"""Evaluate tags: images that have several labels, or none. Figures are those of scikit-learn.

Shapes: N images, C labels. The ground truth of an image is a text such as ``cat|outdoor``; ``unknown`` stands for none
of the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import InputError
from clipcli.evaluation.evaluate import Embedded
from clipcli.evaluation.metrics import Scores, bounds, defined, expected_calibration_error
from clipcli.evaluation.tag_intervals import TagIntervals, tag_intervals
from clipcli.evaluation.vocabulary import distinct_names, find_labels, shown_names
from clipcli.labels.label import Label
from clipcli.labels.several import split
from clipcli.log import LOG
from clipcli.outputs.readers import ReadRecord
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.scorer import Tagging, score_labels, thresholds_of
from clipcli.scoring.calibration import Correction
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.text import name_key

__all__ = [
    "TagEvaluation",
    "TagFigures",
    "TagReport",
    "check_tag_classes",
    "evaluate_tag_records",
    "evaluate_tags",
    "make_tag_evaluation",
    "tag_names",
    "tag_scores",
    "tag_truth",
]

_ROWS = 4096  # images scored at once

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class TagFigures:
    """Precision, recall and F1."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class TagReport:
    """The figures of one label.

    Parameters
    ----------
    support
        The number of images that have it.
    precision, recall, f1
        ``None`` if no image got it, no image has it, or both.
    average_precision
        ``None`` if no image has it, or the probabilities are not known.
    threshold
        The least probability of it, if that is known.
    precision_interval, recall_interval
        Wilson's 95 % intervals.
    """

    label: str
    support: int
    average_precision: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    threshold: float | None
    precision_interval: tuple[float, float] | None = None
    recall_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class TagEvaluation:
    """The evaluation of the tags of one model with one set of prompts, or of one run.

    Parameters
    ----------
    name
        The model and the prompts, or the results file.
    labels
        C labels.
    paths
        N images.
    truth, predicted
        (N, C) whether an image has a label, and whether it got it.
    mean_average_precision
        The mean over the labels that occur; ``None`` if the probabilities of all labels are not known.
    micro_average_precision
        The average precision over all pairs of an image and a label that occurs.
    micro
        The figures over all pairs of an image and a label.
    macro
        The mean figures of the labels that occur.
    calibration_error
        The expected calibration error over all pairs of an image and a label, 0 to 1; ``None`` if the probabilities are
        not known.
    intervals
        The figures over all labels with 95 % intervals.
    probability
        (N, C), if they are known.
    """

    name: str
    labels: tuple[str, ...]
    paths: tuple[str, ...]
    truth: Flags
    predicted: Flags
    mean_average_precision: float | None
    micro_average_precision: float | None
    micro: TagFigures
    macro: TagFigures
    reports: tuple[TagReport, ...]
    calibration_error: float | None = None
    intervals: TagIntervals | None = None
    probability: Scores | None = field(default=None, compare=False, repr=False)


def tag_names(texts: Sequence[str]) -> list[str]:
    """Return the distinct labels in the ground truth of some images, sorted by name."""
    return distinct_names(name for text in texts for name in split(text) if name != UNKNOWN)


def check_tag_classes(subject: str, texts: Sequence[str], labels: Sequence[Label]) -> None:
    """Check that classes of the ground truth are labels.

    Classes that are not labels are left out with a warning: no label is right or wrong because of them.

    Raises
    ------
    InputError
        If no class is a label.
    LabelError
        If two labels have the same folder.
    """
    names = tag_names(texts)
    found = find_labels(names, labels)
    missing = [name for name in names if name not in found]
    if len(missing) == len(names):
        raise InputError(
            f"cannot evaluate {subject}: none of the classes of the ground truth ({shown_names(names)}) is a label "
            f"({shown_names(label.name for label in labels)})"
        )
    if missing:
        LOG.warning(f"{subject}: {len(missing)} classes are not labels, and are left out: {shown_names(missing)}")


def tag_truth(texts: Sequence[str], labels: Sequence[Label]) -> Flags:
    """Return (N, C) whether an image has a label, by the ground truth; other classes are left out."""
    every = find_labels({name for text in texts for name in split(text)}, labels)
    truth = np.zeros((len(texts), len(labels)), dtype=np.bool_)
    for row, text in enumerate(texts):
        truth[row, [every[name] for name in split(text) if name in every]] = True
    return truth


def tag_scores(
    images: Embedded, classes: ClassEmbeddings, tagging: Tagging, correction: Correction | None = None
) -> tuple[Scores, Scores]:
    """Return the probability of each label, and the log-odds that it comes from, (N, C) each."""
    rows = [images.vectors[start : start + _ROWS] for start in range(0, len(images.paths), _ROWS)]
    scored = [score_labels(some, classes, tagging, correction) for some in rows]
    return np.concatenate([each.probability for each in scored]), np.concatenate([each.order for each in scored])


def evaluate_tags(
    name: str, images: Embedded, labels: Sequence[Label], classes: ClassEmbeddings, tagging: Tagging,
    correction: Correction | None = None,
) -> TagEvaluation:  # fmt: skip
    """Give images tags by their embeddings, and compare these with the ground truth.

    Parameters
    ----------
    correction
        What calibrates the probabilities.

    Raises
    ------
    InputError
        If no class of the ground truth is a label.
    """
    truth = tag_truth(images.labels, labels)
    probability, odds = tag_scores(images, classes, tagging, correction)
    thresholds = thresholds_of(classes, tagging)
    predicted = probability >= thresholds
    found = make_tag_evaluation(name, classes.labels, images.paths, truth, predicted, odds, thresholds)
    return _with_probabilities(found, probability)


def _with_probabilities(found: TagEvaluation, probability: Scores) -> TagEvaluation:
    error = expected_calibration_error(probability.ravel(), found.truth.ravel())
    return replace(found, calibration_error=error, probability=probability)


def evaluate_tag_records(
    name: str, matched: Sequence[tuple[ReadRecord, str]], labels: Sequence[Label] | None, vocabulary: Sequence[str]
) -> TagEvaluation:
    """Compare the results of a run with tags with the ground truth.

    Parameters
    ----------
    matched
        Records with their ground truth; failures are left out.
    labels
        The labels of the run, if the ground truth uses their folders.
    vocabulary
        All labels of the run, if they are known; otherwise those that occur are used.

    Raises
    ------
    InputError
        If all records are failures, or no class of the ground truth is a label.
    """
    good = [(record, text) for record, text in matched if record.labels is not None]
    if not good:
        raise InputError("cannot evaluate: all results are failures")
    occurring = [score.label for record, _ in good for score in record.top]
    names = list(vocabulary) or distinct_names(
        [*occurring, *(each for record, _ in good for each in record.labels or ())]
    )
    places = {name_key(label): place for place, label in enumerate(names)}
    known = list(map(Label, names))
    if labels is not None:
        folders = {name_key(label.name): label.folder for label in labels}
        known = [Label(label, folder=folders.get(name_key(label))) for label in names]
    texts = [text for _, text in good]
    check_tag_classes(name, texts, known)
    truth = tag_truth(texts, known)
    predicted = np.zeros_like(truth)
    probability = np.full(truth.shape, np.nan)
    for row, (record, _) in enumerate(good):
        predicted[row, [places[name_key(label)] for label in record.labels or () if name_key(label) in places]] = True
        for score in record.top:
            if name_key(score.label) in places:
                probability[row, places[name_key(score.label)]] = score.probability
    scores = None if np.isnan(probability).any() else probability
    if scores is None:
        LOG.warning(f"{name}: no average precision, because not all labels are listed (use --top-k {len(names)})")
    found = make_tag_evaluation(name, names, [record.path for record, _ in good], truth, predicted, scores)
    return found if scores is None else _with_probabilities(found, scores)


def make_tag_evaluation(
    name: str, labels: Sequence[str], paths: Sequence[str], truth: Flags, predicted: Flags, scores: Scores | None,
    thresholds: Scores | None = None,
) -> TagEvaluation:  # fmt: skip
    """Compute the figures of tags; for the parameters see :class:`TagEvaluation`.

    Parameters
    ----------
    scores
        (N, C), greater for labels that are more likely; ``None`` if they are not known.
    thresholds
        (C,) least probabilities, if they are known.
    """
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support

    occurs = truth.any(axis=0)
    if not occurs.any():
        raise InputError(f"cannot evaluate {name}: no image has one of the labels")
    mean = micro_mean = None
    averages: list[float | None] = [None] * len(labels)
    if scores is not None:
        some = truth[:, occurs], scores[:, occurs]
        mean, micro_mean = (float(average_precision_score(*some, average=way)) for way in ("macro", "micro"))
        for place in np.flatnonzero(occurs):
            averages[place] = float(average_precision_score(truth[:, place], scores[:, place]))
    columns = precision_recall_fscore_support(truth, predicted, average=None, zero_division=np.nan)
    micro = precision_recall_fscore_support(truth, predicted, average="micro", zero_division=0)
    macro = precision_recall_fscore_support(truth[:, occurs], predicted[:, occurs], average="macro", zero_division=0)
    limits = [None] * len(labels) if thresholds is None else [float(each) for each in thresholds]
    return TagEvaluation(
        name, tuple(labels), tuple(paths), truth, predicted, mean, micro_mean,
        TagFigures(*map(float, micro[:3])), TagFigures(*map(float, macro[:3])),
        tuple(
            TagReport(
                label, int(support), average, defined(precision), defined(recall), defined(f1), limit,
                bounds(precision, given), bounds(recall, support),
            )
            for label, average, limit, given, precision, recall, f1, support in zip(
                labels, averages, limits, predicted.sum(axis=0), *columns, strict=True
            )
        ),
        intervals=tag_intervals(truth, predicted, scores),
    )  # fmt: skip
