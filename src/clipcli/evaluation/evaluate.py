"""Evaluate a model and its prompts on images whose classes are known.

Shapes: N images, C classes, D dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ImageError, InputError
from clipcli.evaluation.ground_truth import LabelledImage, indices_of
from clipcli.evaluation.metrics import (
    Calibration,
    ClassReport,
    Confusion,
    Indices,
    Interval,
    Scores,
    accuracy_interval,
    best_first,
    calibrate,
    class_reports,
    confusions,
    difference_interval,
    expected_calibration_error,
    hits_within,
    mean_per_class_interval,
)
from clipcli.evaluation.vocabulary import check_vocabulary
from clipcli.labels.files import Label
from clipcli.outputs.readers import ReadRecord
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.zeroshot import cosine_similarities, probabilities
from clipcli.text import name_key

if TYPE_CHECKING:
    from clipcli.embedder import Embedder

__all__ = [
    "Embedded",
    "Evaluation",
    "as_json",
    "compare",
    "confusion_table",
    "embed_labelled",
    "evaluate_embeddings",
    "evaluate_records",
]

_WITHIN = 5
_ROWS = 4096  # images scored at once
_CALIBRATED = 10_000  # maximum number of images for fitting a temperature


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
        The C classes, including ``unknown`` if it is the answer for some images.
    paths
        The N images.
    truth, predicted
        (N,) indices of classes.
    probability
        (N,) probability of the predicted class.
    top1, top5, mean_per_class
        Accuracies with 95 % intervals; ``top5`` is ``None`` if it is unknown, or there are at most five classes.
    """

    name: str
    labels: tuple[str, ...]
    paths: tuple[str, ...]
    truth: Indices
    predicted: Indices
    probability: Scores
    top1: Interval
    top5: Interval | None
    mean_per_class: Interval
    calibration: Calibration
    classes: tuple[ClassReport, ...]
    confusions: tuple[Confusion, ...]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """(N,) whether the predicted class is the true one."""
        return np.asarray(self.truth == self.predicted)


def embed_labelled(
    embedder: Embedder, labelled: Sequence[LabelledImage], failed: Callable[[str, str], None]
) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """Embed labelled images in order, and yield path, label and embedding of the readable ones.

    ``failed`` is called with the path and the reason for the others.
    """
    from clipcli.inputs.items import name_of

    labels = iter(labelled)
    for block in embedder.embed(each.image for each in labelled):
        for item, vector in block:
            label = next(labels).label
            if isinstance(vector, ImageError):
                failed(name_of(item), str(vector))
            else:
                yield name_of(item), label, vector


def evaluate_embeddings(name: str, images: Embedded, labels: Sequence[Label], classes: ClassEmbeddings) -> Evaluation:
    """Classify images by their embeddings, and compare with the ground truth.

    Raises
    ------
    LabelError
        If the class of an image has no label.
    """
    truth = np.asarray(indices_of(images.labels, labels), dtype=np.intp)
    count, scale, bias = len(truth), classes.facts.logit_scale, classes.facts.logit_bias
    within = np.empty((count, min(_WITHIN, len(labels))), np.intp)
    probability = np.empty(count)
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        similarity = cosine_similarities(images.vectors[rows], classes.vectors)  # (n, D) x (C, D) -> (n, C)
        within[rows] = best_first(similarity)[:, : within.shape[1]]
        probability[rows] = probabilities(similarity, scale, bias).max(axis=1)
    hits5 = hits_within(within, truth, _WITHIN) if len(labels) > _WITHIN else None
    if bias is None:
        some = np.random.default_rng(0).permutation(count)[:_CALIBRATED]
        fitted = calibrate(scale * cosine_similarities(images.vectors[some], classes.vectors), truth[some])
    else:  # the probabilities of a sigmoid model do not sum to 1
        fitted = Calibration(0.0)
    error = expected_calibration_error(probability, within[:, 0] == truth)
    calibration = Calibration(error, fitted.temperature, fitted.error_after)
    return _evaluation(name, classes.labels, images.paths, truth, within[:, 0], probability, hits5, calibration)


def evaluate_records(
    name: str, matched: Sequence[tuple[ReadRecord, str]], labels: Sequence[Label] | None = None,
    vocabulary: Sequence[str] = (),
) -> Evaluation:  # fmt: skip
    """Compare the results of a run with the ground truth.

    Parameters
    ----------
    matched
        Records with their true classes, from :func:`clipcli.evaluation.matching.match_records`.
        ``unknown`` counts as wrong.
    labels
        The labels of the run, if the ground truth uses their folders.
    vocabulary
        All labels of the run, if they are known; otherwise those that occur in the records are used.

    Raises
    ------
    InputError
        If all records are failures, or no class of the ground truth is a label.
    """
    good = [(record, said) for record, said in matched if record.label is not None]
    if not good:
        raise InputError("cannot evaluate: all results are failures")
    said = [text for _, text in good]
    if labels is not None:
        said = [labels[place].name for place in indices_of(said, labels)]
    predictions = [str(record.label) for record, _ in good]
    ranked = [*predictions, *(score.label for record, _ in good for score in record.top)]
    asked = vocabulary or [text for text in ranked if text != UNKNOWN]
    check_vocabulary(name, said, asked, is_complete=bool(vocabulary))
    every = [*ranked, *said]
    spelt = {name_key(text): text for text in reversed(every)}  # the spelling in the results takes precedence
    names = sorted(set(spelt.values()) - {UNKNOWN}) + [UNKNOWN] * (UNKNOWN in spelt)
    places = {name_key(text): place for place, text in enumerate(names)}
    truth = np.asarray([places[name_key(text)] for text in said], dtype=np.intp)
    predicted = np.asarray([places[name_key(text)] for text in predictions], dtype=np.intp)
    probability = np.asarray([record.probability for record, _ in good], dtype=np.float64)
    hits5 = None
    if all(len(record.top) >= _WITHIN for record, _ in good) and len(names) > _WITHIN:
        firsts = [[places[name_key(score.label)] for score in record.top[:_WITHIN]] for record, _ in good]
        hits5 = np.asarray([place in first for place, first in zip(truth, firsts, strict=True)])
    calibration = Calibration(expected_calibration_error(probability, predicted == truth))
    paths = tuple(record.path for record, _ in good)
    return _evaluation(name, names, paths, truth, predicted, probability, hits5, calibration)


def _evaluation(
    name: str,
    labels: Sequence[str],
    paths: tuple[str, ...],
    truth: Indices,
    predicted: Indices,
    probability: Scores,
    hits5: NDArray[np.bool_] | None,
    calibration: Calibration,
) -> Evaluation:
    hits = predicted == truth
    return Evaluation(
        name, tuple(labels), paths, truth, predicted, probability,
        accuracy_interval(hits), accuracy_interval(hits5) if hits5 is not None else None,
        mean_per_class_interval(hits, truth), calibration,
        tuple(class_reports(labels, truth, predicted)), tuple(confusions(labels, truth, predicted, probability)),
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


def as_json(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Return all metrics as plain values, for ``--json``."""
    return [
        _as_json(each, compare(evaluations[0], each) if each is not evaluations[0] else None) for each in evaluations
    ]


def _as_json(each: Evaluation, gain: Interval | None) -> dict[str, Any]:
    examples = [[each.paths[image] for image in pair.images] for pair in each.confusions]
    return {
        "name": each.name,
        "images": len(each.paths),
        "top1": asdict(each.top1),
        "top5": asdict(each.top5) if each.top5 else None,
        "mean_per_class": asdict(each.mean_per_class),
        "top1_more_than_first": {**asdict(gain), "beyond_noise": gain.is_beyond_noise} if gain else None,
        "calibration": asdict(each.calibration),
        "classes": [asdict(report) for report in each.classes],
        "labels": list(each.labels),
        "confusion_matrix": confusion_table(each).tolist(),
        "confusions": [
            {**asdict(pair), "images": paths} for pair, paths in zip(each.confusions, examples, strict=True)
        ],
    }
