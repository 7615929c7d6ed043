"""The scores of classes for images: cosine similarities with class embeddings, or the logits of a linear head.

Shapes: N images, C classes, D dimensions of the shared space.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipcli.scoring.zeroshot import FloatArray, ScoreArray, cosine_similarities, probabilities

__all__ = ["LinearHead", "Scores", "score"]


@dataclass(frozen=True)
class LinearHead:
    """A linear classifier on image embeddings, which was fitted on examples.

    Parameters
    ----------
    weights
        (C, D) float32.
    bias
        (C,) float64.
    """

    weights: FloatArray
    bias: ScoreArray

    def logits(self, images: FloatArray) -> ScoreArray:
        """Return the logits of each class. (N, D) -> (N, C)."""
        return cosine_similarities(images, self.weights) + self.bias


@dataclass(frozen=True)
class Scores:
    """The scores of N images for C classes; (N, C) float64 each.

    Parameters
    ----------
    similarity
        Cosines of images and class embeddings.
    logits
        What the probabilities are computed from, without the bias.
    bias
        What must be added to the logits of a sigmoid model, else ``None``.
    probability
        A softmax over the classes; a sigmoid of each for a sigmoid model.
    ranked
        What the classes are ranked by. It has the order of the logits without the rounding of small probabilities.
    """

    similarity: ScoreArray
    logits: ScoreArray
    bias: float | None
    probability: ScoreArray
    ranked: ScoreArray


def score(
    images: FloatArray, classes: FloatArray, scale: float, bias: float | None, head: LinearHead | None = None
) -> Scores:
    """Score images.

    Parameters
    ----------
    images, classes
        (N, D) and (C, D) float32, rows of length one.
    scale, bias
        The factor of the cosines, and the bias of a sigmoid model, else ``None``.
    head
        If given, it gives the logits, and the bias only says that the model is a sigmoid model.
    """
    similarity = cosine_similarities(images, classes)  # (N, D) x (C, D) -> (N, C)
    if head is None:
        return Scores(similarity, scale * similarity, bias, probabilities(similarity, scale, bias), similarity)
    logits = head.logits(images)
    bias = None if bias is None else 0.0
    return Scores(similarity, logits, bias, probabilities(logits, 1.0, bias), logits)
