"""Lists of general words, and what the image network's own classifier says of any picture and list.

The classifier's posterior over the 1000 classes, summed over the classes that a word covers, is a teacher for every
list of general words (knowledge distillation, Hinton et al. 2015). Probability that no word of the list covers is
spread evenly, so that the model learns to be unsure where nothing fits.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tools.pocket.classes import Classes, classes_below
from tools.pocket.everyday import read_masks
from tools.pocket.wordnet import Nouns

Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

GENERAL_WORDS = Path(__file__).parent / "general_words.txt"
EVERYDAY_WEIGHT = 12.0  # how often a word of general_words.txt is drawn, against a rare word of WordNet
NARROW_SHARE = 0.15  # of a list's words are names of single classes
LIST_SIZES = (2, 2, 2, 3, 3, 4, 4, 5, 6, 8, 10, 12, 16, 20, 30)
OVERLAP = 0.2  # share of lists in which words may cover the same class
BELIEF = 0.6  # exponent of the probability that a list holds what the picture shows
WIDE = 50  # classes from which on a word is wide: other words of a list mostly crowd wide ones out
WIDE_CHANCE = 0.35  # of a list to begin with wide words


@dataclass(frozen=True)
class Concepts:
    """Words that cover several classes, and the names of single classes."""

    words: tuple[str, ...]
    masks: BoolArray  # (W, C), which classes a word covers
    weights: Array  # (W,), how often a word is drawn

    @cached_property
    def _wide(self) -> list[int]:
        return np.flatnonzero(self.masks.sum(axis=1) >= WIDE).tolist()

    def draw_list(self, draw: random.Random, size: int) -> list[int]:
        """Draw about ``size`` words, as a person would name them: few overlap. Indices of ``words``."""
        taken: list[int] = []
        covered = np.zeros(self.masks.shape[1], dtype=np.bool_)
        overlap = draw.random() < OVERLAP
        candidates = draw.choices(range(len(self.words)), weights=self.weights.tolist(), k=6 * size)
        if self._wide and draw.random() < WIDE_CHANCE:
            first = draw.choices(self._wide, weights=self.weights[self._wide].tolist(), k=3 * size)
            candidates = [*first, *candidates]
        for index in candidates:
            if index not in taken and (overlap or not (self.masks[index] & covered).any()):
                taken.append(index)
                covered |= self.masks[index]
            if len(taken) == size:
                break
        return taken


def read_concepts(
    classes: Classes, nouns: Nouns, ancestors: dict[int, dict[int, int]], left_out: Collection[str]
) -> Concepts:
    """Collect general words from WordNet and ``general_words.txt``, and the 1000 class names.

    Parameters
    ----------
    left_out
        Words that only measuring may use, lower-case.
    """
    below = classes_below(classes, ancestors)
    weights: dict[str, float] = {}
    masks: dict[str, BoolArray] = {}
    for offset, mask in below.items():
        if mask.sum() >= 2:
            noun = nouns.by_offset[offset]
            for word, count in zip(noun.words, noun.counts, strict=True):
                if next(o for o in nouns.senses[word.lower()] if o in below) == offset:
                    masks[word.lower()] = mask
                    weights[word.lower()] = (1.0 + count) ** 0.5 * (0.3 if mask.sum() > 450 else 1.0)
    for number, words in enumerate(read_masks(GENERAL_WORDS, classes, nouns, below)):
        for position, (word, mask) in enumerate(words.items()):
            masks[word] = mask
            weights[word] = EVERYDAY_WEIGHT / (1.0 + 0.3 * position)
        assert words, f"line {number} names no word"
    concepts = [word for word in masks if word not in left_out]
    names = [index for index, name in enumerate(classes.names) if name.lower() not in masks]
    single = np.zeros((len(names), len(classes.names)), dtype=np.bool_)
    single[np.arange(len(names)), names] = True
    total = sum(weights[word] for word in concepts)
    share = NARROW_SHARE / (1.0 - NARROW_SHARE) * total / len(names)
    return Concepts(
        (*concepts, *(classes.names[index] for index in names)),
        np.concatenate([np.stack([masks[word] for word in concepts]), single]),
        np.array([weights[word] for word in concepts] + [share] * len(names), dtype=np.float32),
    )


def list_distribution(posterior: Array, masks: BoolArray) -> Array:
    """Distribution over a list's words for each picture: (N, L) float32, rows sum to 1.

    Parameters
    ----------
    posterior : (N, C) float32
        The classifier's probabilities.
    masks : (L, C) bool
        Which classes each word covers. A class covered by several words belongs mostly to the narrowest: who writes
        "vehicle" beside "object" means the other objects by it.

    What the classifier sees beside the list counts as nothing, spread over all words, but less of it than it says:
    a list is mostly written by someone who sees one of its words in the picture.
    """
    claims = masks / np.maximum(masks.sum(axis=1, keepdims=True), 1) ** 2.0  # (L, C)
    shared = claims / np.maximum(claims.sum(axis=0, keepdims=True), 1e-12)
    found = posterior @ shared.T.astype(np.float32)  # (N, C) @ (C, L) -> (N, L)
    sure = np.clip(found.sum(axis=1, keepdims=True), 1e-6, 1.0)
    believed = sure**BELIEF
    return np.asarray(found / sure * believed + (1.0 - believed) / len(masks), dtype=np.float32)


def list_sizes(draw: random.Random, how_many: int) -> Sequence[int]:
    """Draw sizes of lists of the kind that people type."""
    return draw.choices(LIST_SIZES, k=how_many)
