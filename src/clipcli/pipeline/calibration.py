"""A calibration that was fitted for certain labels, prompts and a model, and is applied to their scores."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace

from clipcli.errors import CalibrationError
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.scorer import Tagging
from clipcli.scoring.calibration import Correction
from clipcli.scoring.thresholds import Thresholds

__all__ = ["FittedCalibration", "digest_of"]


@dataclass(frozen=True)
class FittedCalibration:
    """What an evaluation found out about the scores of some labels.

    Parameters
    ----------
    digest
        Identifies the model, the labels and their prompts; see :func:`digest_of`.
    model, labels
        The name of the model, and the C labels.
    score
        The kind of score of tags; ``None`` for one label per image.
    correction
        What makes the probabilities honest.
    thresholds
        For tags, the least probability of each of the C labels.
    unknown
        The least probability of an answer for a wanted share of wrong answers.
    set_threshold
        The least probability of labels in a set that contains the right label for a wanted share of images.
    images
        The number of images that it was fitted on.
    figures
        What was measured out of fold, by name.
    """

    digest: str
    model: str
    labels: tuple[str, ...]
    score: str | None
    correction: Correction
    thresholds: tuple[float, ...] = ()
    unknown: float | None = None
    set_threshold: float | None = None
    images: int = 0
    figures: dict[str, float] = field(default_factory=dict)

    def check(self, classes: ClassEmbeddings, score: str | None, name: object, remedy: str) -> None:
        """Check that this calibration is for some classes.

        Parameters
        ----------
        score
            The kind of score of tags; ``None`` for one label per image.
        name
            Where it was read, for the message.
        remedy
            What to do if it is not, for the message.

        Raises
        ------
        CalibrationError
            If it was made for another model, other labels or prompts, or another score.
        """
        if self.score != score:
            made, asked = (each or "one label per image" for each in (self.score, score))
            raise CalibrationError(f"cannot use {name}: made for the score {made}, not {asked} ({remedy})")
        if self.digest != digest_of(classes) or self.labels != classes.labels:
            raise CalibrationError(
                f"cannot use {name}: made with other labels or prompts, or another model than {classes.facts.name} "
                f"(it was {self.model}; {remedy})"
            )

    @property
    def tagging(self) -> Tagging | None:
        """How the labels of a set are chosen, if there are sets."""
        return None if self.set_threshold is None else Tagging("softmax", self.set_threshold, is_set=True)

    def with_thresholds(self, classes: ClassEmbeddings) -> ClassEmbeddings:
        """Return the classes with these thresholds for labels that have none."""
        if not self.thresholds:
            return classes
        own = classes.thresholds or (None,) * len(classes.labels)
        pairs = zip(own, self.thresholds, strict=True)
        return replace(classes, thresholds=tuple(found if mine is None else mine for mine, found in pairs))

    def with_unknown(self, thresholds: Thresholds) -> Thresholds:
        """Return thresholds with this one for the answer ``unknown``, unless there is one for probabilities."""
        return replace(thresholds, probability=self.unknown) if thresholds.probability is None else thresholds


def digest_of(classes: ClassEmbeddings) -> str:
    """Identify the model, the labels and their prompts, in hexadecimal.

    The texts are compared rather than the embeddings, whose last digits depend on the engine and the processor.
    """
    against = classes.competitors
    rivals = [] if against is None else [against.prompts, against.rivals]
    digest = hashlib.sha256(json.dumps([classes.fingerprint, classes.labels, classes.prompts, rivals]).encode())
    if classes.taught is not None:  # those are read from a file, whose digits are always the same
        digest.update(json.dumps([classes.scale]).encode())
        for each in (classes.vectors, *(vars(classes.head).values() if classes.head is not None else ())):
            digest.update(each.tobytes())
    return digest.hexdigest()
