"""Methods that make classifiers from words and examples, on plain arrays.

Shapes: N examples, C classes, D dimensions of the shared space. Embeddings are float32 and have length one.

``text``
    The words alone.
``prototypes``
    A class embedding is the mean of its examples (Snell et al. 2017, *Prototypical Networks*).
``mixed``
    A class embedding is a weighted mean of the words' and the prototype, as Tip-Adapter (Zhang et al. 2022) and
    CLIP-Adapter (Gao et al. 2021) mix the knowledge of words and of examples.
``logistic``
    scikit-learn's logistic regression, whose logits are averaged with those of the words, as WiSE-FT (Wortsman et
    al. 2022) averages a fitted linear head with the zero-shot weights.

A class without examples keeps the embedding of its words. Images are more similar to images than to texts
(Liang et al. 2022, *Mind the Gap*), so classes with examples would win too often: a bias takes the difference away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.evaluation.linear_probe import fit_probe
from clipcli.evaluation.metrics import Indices, Scores
from clipcli.scoring.ensemble import ensemble
from clipcli.scoring.scores import LinearHead
from clipcli.scoring.zeroshot import cosine_similarities, normalise

__all__ = [
    "METHODS", "Candidate", "Fitted", "Material", "class_weights", "fit", "mix", "prototypes", "weight_with",
]  # fmt: skip

METHODS = ("text", "prototypes", "mixed", "logistic")
# Measured on the sets of docs/measurements/accuracy.md, with their words and with random vectors in place of words:
_PARTIAL = 0.2, 0.6  # least and greatest weight
_MARGIN = 1.5  # logits that an image of a class has on average more than its best other label, if words find none


@dataclass(frozen=True)
class Candidate:
    """A method and the weight of the examples, 0 to 1."""

    method: str
    weight: float


@dataclass(frozen=True)
class Material:
    """What classifiers are made from.

    Parameters
    ----------
    text
        (C, D), the class embeddings of the words.
    vectors
        (N, D), the embeddings of the examples.
    truth
        (N,), their classes.
    scale, bias
        The model's factor of the cosines, and its bias if it is a sigmoid model.
    """

    text: NDArray[np.float32]
    vectors: NDArray[np.float32]
    truth: Indices
    scale: float
    bias: float | None = None

    @property
    def counts(self) -> Indices:
        """(C,) the number of examples of each class."""
        return np.bincount(self.truth, minlength=len(self.text))

    def only(self, rows: Indices) -> Material:
        """Return the material with some of the examples."""
        return Material(self.text, self.vectors[rows], self.truth[rows], self.scale, self.bias)


@dataclass(frozen=True)
class Fitted:
    """A classifier: class embeddings, and a linear head if its logits are not the scaled cosines with these.

    Parameters
    ----------
    vectors
        (C, D) float32, rows of length one.
    scale
        The factor of the cosines.
    head
        The linear head, or ``None``.
    """

    vectors: NDArray[np.float32]
    scale: float
    head: LinearHead | None = None

    def logits(self, images: NDArray[np.float32]) -> Scores:
        """Return the logits of images. (N, D) -> (N, C)."""
        return self.scale * cosine_similarities(images, self.vectors) if self.head is None else self.head.logits(images)

    def rescaled(self, factor: float, offset: float | None = None) -> Fitted:
        """Return the classifier with other logits: ``factor`` times the present ones, plus ``offset``."""
        if self.head is None and offset is None:
            return Fitted(self.vectors, self.scale * factor)
        head = self.head or LinearHead(_float32(self.scale * self.vectors), np.zeros(len(self.vectors)))
        bias = np.asarray(head.bias * factor + (offset or 0.0), dtype=np.float64)
        return Fitted(self.vectors, self.scale * factor, LinearHead(_float32(head.weights * factor), bias))


def fit(material: Material, candidate: Candidate, strength: float) -> Fitted:
    """Make a classifier.

    Parameters
    ----------
    strength
        scikit-learn's ``C`` of the logistic regression.
    """
    weight = {"text": 0.0, "prototypes": 1.0}.get(candidate.method, candidate.weight)
    if candidate.method == "logistic":
        return _logistic(material, weight, strength)
    return mix(material, np.where(material.counts > 0, weight, 0.0))


def prototypes(material: Material) -> NDArray[np.float32]:
    """Return the normalised mean of each class's examples, (C, D); for a class without examples, its words'."""
    counts, order = material.counts, np.argsort(material.truth, kind="stable")
    found: NDArray[np.float32] = material.text.copy()
    if len(order):
        found[counts > 0] = ensemble(material.vectors[order], counts[counts > 0].tolist())
    return found


def mix(material: Material, weights: Scores) -> Fitted:
    """Mix words and prototypes.

    Parameters
    ----------
    weights
        (C,) the weight of each class's examples; 0 for a class without examples.
    """
    vectors = _mixed(material.text, prototypes(material), weights)
    if material.bias is None and ((weights > 0).all() or not weights.any()):
        return Fitted(vectors, material.scale)
    bias = _biases(material, vectors, weights) + (material.bias or 0.0)
    return Fitted(vectors, material.scale, LinearHead(_float32(material.scale * vectors), bias))


def class_weights(material: Material) -> Scores:
    """Return (C,) weights for when some classes have no examples: small if the words find most of a class's examples.

    There are then too few classes with examples for cross-validation to say how images of the others fare.
    """
    by_words = cosine_similarities(material.vectors, material.text)
    shares = np.array([_share_found(material, by_words, place) for place in range(len(material.text))])
    return np.where(material.counts > 0, weight_with(shares, *_PARTIAL), 0.0)


def _share_found(material: Material, by_words: Scores, place: int) -> float:
    """Return the share of a class's examples that words find, with one more that they find."""
    own = material.truth == place
    return float(((by_words[own].argmax(axis=1) == place).sum() + 1) / (own.sum() + 1))


def weight_with(share: Any, least: float, most: float) -> Any:
    """Return the weight of examples whose words find a ``share`` of the examples."""
    return least + (most - least) * (1 - share) ** 3


def _mixed(text: NDArray[np.float32], means: NDArray[np.float32], weights: Scores) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = text.copy()  # a class by words is not normalised again: that changes the last digit
    some, shares = weights > 0, weights[:, None]
    vectors[some] = normalise(_float32((1 - shares) * text + shares * means)[some])
    return vectors


def _biases(material: Material, vectors: NDArray[np.float32], weights: Scores) -> Scores:
    """Return the biases (C,) of classes with examples, next to classes by words.

    Where a class has several examples, an image of it has on average at least the logit that it has by words, and at
    least that of its best other label, with a margin the greater the fewer examples words find. Where it has one, an
    image of another class has at most the logit that it has by words (mean and standard deviation over the examples of
    other classes).
    """
    by_words = material.scale * cosine_similarities(material.vectors, material.text)  # (N, C)
    by_both = material.scale * cosine_similarities(material.vectors, vectors)
    biases = np.zeros(len(vectors))
    for place in np.flatnonzero(weights):
        own = material.truth == place
        found = []
        if own.sum() == 1 and not own.all():
            words, both = by_words[~own, place], by_both[~own, place]
            found.append(words.mean() + words.std() - both.mean() - both.std())
        if own.sum() > 1:
            logits = _expected_logits(material, np.flatnonzero(own), float(weights[place]))
            others = np.delete(by_words[own], place, axis=1).max(axis=1)
            margin = _MARGIN * (1 - _share_found(material, by_words, int(place))) ** 2
            found += [by_words[own, place].mean() - logits.mean(), others.mean() - logits.mean() + margin]
        biases[place] = max(found, default=0.0)
    return biases


def _expected_logits(material: Material, rows: Indices, weight: float) -> Scores:
    """Return the logits that images like each example of one class get with the class embedding of all its examples.

    An example is nearer to their mean than another image of the class would be. If images of a class have the cosine r
    with each other, another image has the cosine r sqrt(n / (1 + (n - 1) r)) with the normalised mean of n images.
    """
    count, text = len(rows), material.text[material.truth[rows[0]]].astype(np.float64)
    vectors = material.vectors[rows].astype(np.float64)
    alike = np.maximum(((vectors @ vectors.T).sum(axis=1) - 1) / (count - 1), 0.0)  # (n,), without itself
    cosines = alike * np.sqrt(count / (1 + (count - 1) * alike.mean()))
    mean = vectors.sum(axis=0) / np.linalg.norm(vectors.sum(axis=0))
    length = float(np.linalg.norm((1 - weight) * text + weight * mean))
    return np.asarray(material.scale * ((1 - weight) * vectors @ text + weight * cosines) / length)


def _logistic(material: Material, weight: float, strength: float) -> Fitted:
    """Average the logits of a logistic regression with those of the words; each class needs an example."""
    model = fit_probe(material.vectors, material.truth, strength)
    weights, bias = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(material.text) == 2:  # scikit-learn then has one row, for the second class
        weights, bias = np.concatenate([np.zeros_like(weights), weights]), np.array([0.0, bias[0]])
    mixed = weight * weights + (1 - weight) * material.scale * material.text
    bias = weight * bias + (1 - weight) * (material.bias or 0.0)
    return Fitted(normalise(_float32(mixed)), material.scale, LinearHead(_float32(mixed), bias))


def _float32(array: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(array, dtype=np.float32)
