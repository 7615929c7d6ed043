"""From image embeddings to the scores of all labels: one function for ``classify`` and ``evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import LabelError
from clipcli.labels.several import SEPARATOR
from clipcli.log import LOG
from clipcli.pipeline.class_embeddings import ClassEmbeddings, Competitors
from clipcli.scoring.calibration import Correction
from clipcli.scoring.odds import SCORES, log_odds, sigmoid
from clipcli.scoring.thresholds import DEFAULT_THRESHOLD, Thresholds
from clipcli.scoring.zeroshot import FloatArray, ScoreArray, cosine_similarities

__all__ = [
    "BACKGROUND",
    "LabelScores",
    "TagOptions",
    "Tagging",
    "can_be_unknown",
    "score_labels",
    "tag_options",
    "thresholds_of",
    "with_background",
]

BACKGROUND = ("a photo",)
"""What a label without competitors is compared with for the score ``contrast``."""


@dataclass(frozen=True)
class Tagging:
    """How tags are chosen: each label is judged for itself.

    Parameters
    ----------
    score
        One of :data:`clipcli.scoring.odds.SCORES`.
    threshold
        The least probability of a label without a separate threshold, 0 to 1.
    is_set
        Whether one label is right, and the labels of an image are the set of those that it may be.
    """

    score: str
    threshold: float = DEFAULT_THRESHOLD
    is_set: bool = False


@dataclass(frozen=True)
class LabelScores:
    """The scores of N images for C labels.

    Parameters
    ----------
    probability, similarity
        (N, C) each.
    order
        (N, C), by which labels are ranked: greater is better, also where probabilities are equal after rounding.
    is_other
        (N,) whether a phrase that competes with labels fits the image better than every label.
    logits
        (N, C + K), of the labels and of all phrases that compete with labels, without a bias.
    """

    probability: ScoreArray
    similarity: ScoreArray
    order: ScoreArray
    is_other: NDArray[np.bool_]
    logits: ScoreArray


@dataclass(frozen=True)
class TagOptions:
    """The user's values for tags.

    Parameters
    ----------
    score
        A kind of score; ``None`` for the one that suits the model.
    threshold
        As for :class:`Tagging`.

    Raises
    ------
    LabelError
        If there is no such kind of score, or the threshold is not a probability.
    """

    score: str | None = None
    threshold: float = DEFAULT_THRESHOLD

    def __post_init__(self) -> None:
        """Check the values."""
        if self.score not in (None, *SCORES):
            raise LabelError(f"cannot use --score {self.score!r}: unknown (use {', '.join(SCORES)})")
        if not 0.0 <= self.threshold <= 1.0:
            raise LabelError(f"cannot use --threshold {self.threshold!r}: it is not a number from 0 to 1")

    def tagging(self, classes: ClassEmbeddings) -> Tagging:
        """Return how tags are chosen: by ``sigmoid`` if the model has a bias, else by ``contrast``.

        Classes that were taught by examples are only comparable with each other: by ``softmax``.

        Raises
        ------
        LabelError
            If the model lacks what the kind of score needs, or a label contains the separator of labels.
        """
        has_bias = classes.facts.logit_bias is not None
        if self.score == "sigmoid" and not has_bias:
            raise LabelError(f"cannot use --score sigmoid with {classes.facts.name}: it has no bias (use contrast)")
        if label := next((label for label in classes.labels if SEPARATOR in label), None):
            raise LabelError(
                f"cannot use label {label!r} with --tags: {SEPARATOR} separates the labels of an image (rename it)"
            )
        if classes.taught is not None and self.score == "contrast":
            raise LabelError(
                "cannot use --score contrast with taught classes: they compare only with each other (use softmax)"
            )
        usual = "sigmoid" if has_bias else "contrast" if classes.taught is None else "softmax"
        return Tagging(self.score or usual, self.threshold)

    def prepared(self, classes: ClassEmbeddings, embed: Callable[[Sequence[str]], Competitors]) -> ClassEmbeddings:
        """Return classes that can be scored: for ``contrast``, each label needs something to be compared with.

        Parameters
        ----------
        embed
            Embeds phrases.
        """
        needs = self.tagging(classes).score == "contrast"
        if classes.taught is not None and self.score is None and classes.facts.logit_bias is None:
            LOG.warning(
                "taught classes are compared with each other as tags, so one image has hardly more than one of them "
                "(classes by words alone have no such limit; --score softmax silences this)"
            )
        return with_background(classes, embed(BACKGROUND)) if needs else classes


def thresholds_of(classes: ClassEmbeddings, tagging: Tagging) -> ScoreArray:
    """Return (C,) the least probability of each label as a tag."""
    own = (not tagging.is_set and classes.thresholds) or (None,) * len(classes.labels)
    return np.array([tagging.threshold if each is None else each for each in own], dtype=np.float64)


def tag_options(tags: bool, score: str | None, threshold: float, thresholds: Thresholds) -> TagOptions | None:
    """Return the user's values for tags, ``None`` without tags.

    Raises
    ------
    LabelError
        If values are given that would be ignored.
    """
    if tags and thresholds.any:
        raise LabelError("cannot use thresholds with --tags (give each label a threshold, or use --threshold)")
    if not tags and score is not None:
        raise LabelError("cannot use --score without --tags")
    return TagOptions(score, threshold) if tags else None


def can_be_unknown(classes: ClassEmbeddings, thresholds: Thresholds) -> bool:
    """Return whether an image can be ``unknown`` in a run with one label per image."""
    return thresholds.any or bool(classes.thresholds) or classes.competitors is not None


def with_background(classes: ClassEmbeddings, background: Competitors) -> ClassEmbeddings:
    """Return the classes with competitors for each label: the background for those that have none.

    Parameters
    ----------
    background
        Competitors whose ``rivals`` are not used: all of them compete with every such label.
    """
    own = classes.competitors
    if own is None:
        rivals = (tuple(range(len(background.phrases))),) * len(classes.labels)
        return replace(classes, competitors=replace(background, rivals=rivals))
    places = tuple(range(len(own.phrases), len(own.phrases) + len(background.phrases)))
    together = Competitors(
        own.phrases + background.phrases,
        own.prompts + background.prompts,
        np.concatenate([own.vectors, background.vectors]),
        tuple(rivals or places for rivals in own.rivals),
    )
    return replace(classes, competitors=together)


def score_labels(
    vectors: FloatArray, classes: ClassEmbeddings, tagging: Tagging | None = None, correction: Correction | None = None
) -> LabelScores:
    """Score all labels for some images.

    Parameters
    ----------
    vectors
        (N, D) float32, rows of length one.
    tagging
        ``None`` for one answer per image.
    correction
        What calibrates the probabilities.
    """
    found, rivals = classes.score(vectors), classes.competitors  # (N, D) -> (N, C)
    competing, is_other = None, np.zeros(len(vectors), dtype=np.bool_)
    is_answer = tagging is None or tagging.is_set
    is_softmax = is_answer and found.bias is None
    factor = correction.scale if correction is not None and is_softmax else 1.0
    logits = every = factor * found.logits
    if rivals is not None:
        competing = factor * classes.logit_scale * cosine_similarities(vectors, rivals.vectors)  # (N, K)
        is_other = competing.max(axis=1) > logits.max(axis=1)
        every = np.hstack([logits, competing])
    if tagging is None and competing is None and correction is None:
        return LabelScores(found.probability, found.similarity, found.ranked, is_other, every)
    usual = "softmax" if found.bias is None else "sigmoid"
    score = usual if tagging is None or tagging.is_set else tagging.score
    odds = log_odds(score, logits, found.bias, competing, rivals.rivals if rivals is not None else ())
    if correction is not None and not is_softmax:
        odds = correction.odds(odds)
    return LabelScores(sigmoid(odds), found.similarity, found.ranked if is_answer else odds, is_other, every)
