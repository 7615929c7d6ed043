"""Whether probabilities mean what they say: calibration over many label lists, and when to answer ``unknown``.

Each draw is what one use of the tool is: a picture, a list of 2 to 30 labels, the probabilities of a softmax over it.
The lists are parts of the lists of general words, of the 1000 class names, and of the labels of each set of pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipcli.evaluation.metrics import expected_calibration_error
from clipcli.scoring.zeroshot import cosine_similarities, probabilities

Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BINS = 15
MOST_LABELS = 30
WRONG_REJECTIONS = 0.05  # the rate at which floors are compared


@dataclass(frozen=True)
class Embedded:
    """Pictures and a label list, embedded: (N, D), (W, D), and each picture's right label (N,) or -1."""

    images: Array
    labels: Array
    truth: IntArray


@dataclass(frozen=True)
class Draws:
    """The best label of each draw: (R,) probability, cosine similarity, and whether it is right."""

    probability: FloatArray
    similarity: FloatArray
    right: BoolArray


def draw_lists(source: Embedded, scale: float, count: int, seed: int, *, absent: bool = False) -> Draws:
    """Classify ``count`` pictures, each among labels drawn for it.

    Parameters
    ----------
    scale
        The model's logit scale.
    absent
        Leave the right label out of each list, so that no answer is right.
    """
    random = np.random.default_rng(seed)
    counted = np.flatnonzero(source.truth >= 0)
    similarities = cosine_similarities(source.images, source.labels)  # (N, W)
    found = np.empty((count, 3))
    for row, image in enumerate(random.choice(counted, count)):
        right = source.truth[image]
        others = np.delete(np.arange(len(source.labels)), right)
        most = min(MOST_LABELS, len(others))
        size = random.integers(2, most + 1) if most > 2 else most  # labels in the list, as evenly spread as it can be
        chosen = random.choice(others, size if absent else size - 1, replace=False)
        chosen = chosen if absent else np.append(chosen, right)
        scores = similarities[image, chosen]
        best = int(scores.argmax())
        found[row] = probabilities(scores[None], scale)[0, best], scores[best], chosen[best] == right
    return Draws(found[:, 0], found[:, 1], found[:, 2] > 0)


def pooled(draws: Sequence[Draws]) -> Draws:
    """Put draws of several sources together."""
    return Draws(
        np.concatenate([each.probability for each in draws]),
        np.concatenate([each.similarity for each in draws]),
        np.concatenate([each.right for each in draws]),
    )


def calibration_error(draws: Draws) -> float:
    """Compute the expected calibration error of the best label's probability, in 15 equal bins."""
    return expected_calibration_error(draws.probability, draws.right, BINS)


@dataclass(frozen=True)
class Floor:
    """What a least score does: which share of right answers it rejects, and of answers from misfitting lists."""

    floor: float
    wrong_rejections: float
    caught: float


def at_floor(present: FloatArray, right: BoolArray, absent: FloatArray, floor: float) -> Floor:
    """Count what a floor rejects.

    Parameters
    ----------
    present, right : (R,) score of the best label where the right one is in the list, and whether it is the best
    absent : (A,) score of the best label where the right one is not in the list
    """
    return Floor(floor, float((present[right] < floor).mean()), float((absent < floor).mean()))


def floor_at_rate(present: FloatArray, right: BoolArray, absent: FloatArray, rate: float = WRONG_REJECTIONS) -> Floor:
    """Find the floor that rejects right answers at a given rate, and count what it catches."""
    return at_floor(present, right, absent, float(np.quantile(present[right], rate)))
