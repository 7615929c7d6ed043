"""What a word should look like: vectors of the joint space for words, from what is known about words.

Arrays in, arrays out. A word's knowledge is a mixture over the 1000 classes; its vector is the mixture of
the class vectors, with the offset that concepts of the same breadth were found to need (``concepts.py``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

TEMPERATURE = 0.07  # of MiniLM's cosines
HIERARCHY = 8.0  # how much WordNet's hierarchy counts beside MiniLM's cosines, in logits
GUESS = 0.4  # share of a concept's offset that a guess gets: it must not outbid what is known
KEEP = 24  # classes a mixture is cut to; the tail of a softmax over 1000 says nothing


def similarity_mixture(words: Array, classes: Array, kinship: Array | None = None) -> Array:
    """Mix the classes that a word resembles: (N, C) float32 with rows that sum to 1.

    Parameters
    ----------
    words : (N, E) float32, sentence embeddings of unit length
    classes : (C, E) float32, the same of the class names
    kinship : (N, C) float32 in [0, 1], nearness in WordNet's hierarchy, if known
    """
    logits = words @ classes.T / TEMPERATURE  # (N, E) @ (E, C) -> (N, C)
    if kinship is not None:
        logits = logits + HIERARCHY * kinship
    threshold = np.partition(logits, -KEEP, axis=1)[:, -KEEP, None]  # (N, 1)
    weights = np.where(logits >= threshold, np.exp(logits - logits.max(axis=1, keepdims=True)), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def kinship(above: dict[int, int], below: dict[int, npt.NDArray[np.bool_]], class_depths: Array) -> Array:
    """Wu-Palmer similarity of one synset to each class: (C,) float32.

    Parameters
    ----------
    above : the synset's ancestors, itself included, with their depths
    below : for each ancestor of some class, the mask (C,) of the classes it covers
    class_depths : (C,) float32
    """
    shared = np.zeros_like(class_depths)  # depth of the lowest common ancestor
    for ancestor, depth in sorted(above.items(), key=lambda item: item[1]):
        if ancestor in below:
            shared[below[ancestor]] = depth
    return 2.0 * shared / (max(above.values()) + class_depths)


def mixture_vectors(mixtures: Array, leaves: Array, slope: tuple[float, float]) -> Array:
    """Turn mixtures (N, C) of classes into unit vectors (N, D) with an offset that fits their breadth."""
    sums = mixtures @ leaves  # (N, C) @ (C, D) -> (N, D)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)  # 1 for one class, less for a broad mixture
    return with_offset(sums / lengths, GUESS * (slope[0] + slope[1] * (1.0 - lengths[:, 0])))


def offset_slope(members: Array, leaves: Array, concepts: Array) -> tuple[float, float]:
    """Fit offset = intercept + slope * (1 - length of the mean direction) over the learned concepts."""
    means = members @ leaves / members.sum(axis=1, keepdims=True)  # (M, D)
    spread = 1.0 - np.linalg.norm(means, axis=1)  # (M,)
    slope, intercept = np.polyfit(spread, concepts[:, -1], 1)
    return float(intercept), float(slope)


def with_offset(vectors: Array, offsets: Array) -> Array:
    """Give unit vectors (N, D) the offsets (N,) on the last axis, keeping unit length."""
    plain = vectors.copy()
    plain[:, -1] = 0.0
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    offsets = np.clip(offsets, -0.6, 0.6)
    return np.concatenate([plain[:, :-1] * np.sqrt(1.0 - offsets**2)[:, None], offsets[:, None]], axis=1).astype(
        np.float32
    )
