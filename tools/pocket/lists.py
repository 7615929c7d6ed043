"""Draw label lists with pictures that answer them: the very use that the model is trained for.

Each exercise is a handful of pictures, a list of texts, and for each picture a distribution over the list.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from tools.pocket.general import Concepts, list_distribution, list_sizes
from tools.pocket.moved import Mover
from tools.pocket.phrasebook import Phrasebook
from tools.pocket.sources import LabelledSet, Pictures, TaggedSet

GROUP = 48  # pictures that share a list
FOREIGN_CHANCE = 0.3  # of a list of a picture set to get words of other sets
ALIKE = 0.42  # MiniLM's cosine from which a word is too near a shown one to be wrong


@dataclass(frozen=True)
class Exercise:
    """Pictures (B, F), rows of texts (L,), wanted distributions (B, L)."""

    features: torch.Tensor
    texts: list[int]
    wanted: torch.Tensor
    others: torch.Tensor | None = None  # what the head's free units see of pictures that were moved towards a class


@dataclass(frozen=True)
class Teacher:
    """What ImageNet's classifier knows, and real pictures to move towards its classes."""

    concepts: Concepts
    names: tuple[str, ...]
    mover: Mover
    base: Pictures
    personal: np.ndarray[tuple[int], np.dtype[np.bool_]]  # (C,), classes whose photographs may show a person

    def posterior(self, features: torch.Tensor) -> torch.Tensor:
        """Compute the classifier's probabilities: (B, C)."""
        return torch.softmax(features @ self.mover.rows.T + self.mover.bias, dim=1)

    def pictures(self, classes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Features (B, F) that the classifier takes for these classes (B,)."""
        rows = torch.randint(self.base.features.shape[1], (len(classes),), generator=generator)
        return self.mover.move(self.base.draw(rows, generator), classes, generator)

    def unrelated(self, how_many: int, generator: torch.Generator) -> torch.Tensor:
        """Draw features (B, F) of any real pictures."""
        rows = torch.randint(self.base.features.shape[1], (how_many,), generator=generator)
        return self.base.draw(rows, generator)

    def general(self, book: Phrasebook, draw: random.Random, generator: torch.Generator) -> Exercise:
        """Draw a list of general words, and pictures of each word's classes alike, some of none."""
        chosen = self.concepts.draw_list(draw, list_sizes(draw, 1)[0])
        masks = self.concepts.masks[chosen]  # (L, C)
        person = draw.random() < 0.15
        classes = torch.tensor([self._class_for(masks, person, draw) for _ in range(GROUP)])
        features = self.pictures(classes, generator)
        wanted = torch.from_numpy(list_distribution(self.posterior(features).numpy(), masks))
        texts = book.words([self.concepts.words[index] for index in chosen], draw)
        if person:
            texts.append(book.word(draw.choice(("person", "people", "human", "man", "woman", "child")), draw))
            wanted = torch.cat([wanted, torch.zeros(GROUP, 1)], dim=1)
            none = 1.0 - self.posterior(features) @ torch.from_numpy(masks.any(axis=0)).float()  # (B,)
            wanted = wanted + (none / len(texts) - none / len(chosen))[:, None] * torch.tensor(
                [1.0] * len(chosen) + [0.0]
            )
            wanted[:, -1] = none / len(texts)
            wanted = wanted.clamp(min=0.0)
        return Exercise(features, texts, wanted, self.unrelated(GROUP, generator))

    def _class_for(
        self, masks: np.ndarray[tuple[int, int], np.dtype[np.bool_]], person: bool, draw: random.Random
    ) -> int:
        for _ in range(8):
            mask = draw.choice(list(masks)) if draw.random() > 0.12 else np.ones(masks.shape[1], dtype=bool)
            chosen = int(draw.choice(np.flatnonzero(mask).tolist()))
            if not (person and self.personal[chosen]):
                break
        return chosen

    def class_names(
        self, book: Phrasebook, draw: random.Random, generator: torch.Generator, size: int, names: int
    ) -> Exercise:
        """Class names among ``names`` others, as sure as the classifier is."""
        columns = sorted(draw.sample(range(len(self.names)), names))
        classes = torch.tensor(draw.choices(columns, k=size))
        features = self.pictures(classes, generator)
        part = self.posterior(features)[:, columns]
        wanted = part + (1.0 - part.sum(dim=1, keepdim=True)) / names
        texts = book.words([self.names[column] for column in columns], draw)
        return Exercise(features, texts, wanted, self.unrelated(size, generator))


def labelled_exercise(
    source: LabelledSet, teacher: Teacher, book: Phrasebook, draw: random.Random, generator: torch.Generator
) -> Exercise:
    """Draw some of a set's labels, or general words for them, at times with words of quite other things."""
    if draw.random() < 0.6:
        most = min(60, len(source.labels))
        size = draw.choice((min(most, 4), min(most, 8), min(most, 20), most))
        chosen = draw.sample(range(len(source.labels)), size)
        words, masks = [source.labels[index] for index in chosen], np.eye(len(source.labels), dtype=bool)[chosen]
    else:
        chosen = source.words.draw_list(draw, draw.choice((2, 2, 3, 4, 6)))
        words, masks = [source.words.words[index] for index in chosen], source.words.masks[chosen]
    fitting = np.flatnonzero(masks.any(axis=0)[source.truth.numpy()])
    rows = torch.tensor(draw.choices(fitting.tolist(), k=GROUP))
    features = source.pictures.draw(rows, generator)
    one_hot = np.eye(len(source.labels), dtype=np.float32)[source.truth[rows].numpy()]
    wanted = torch.from_numpy(list_distribution(one_hot, masks))
    texts = book.words(words, draw)
    if draw.random() < FOREIGN_CHANCE or len(words) == 1:
        texts, features, wanted = _with_foreign(texts, features, wanted, teacher, book, draw)
    return Exercise(features, texts, wanted)


def _with_foreign(
    texts: list[int],
    features: torch.Tensor,
    wanted: torch.Tensor,
    teacher: Teacher,
    book: Phrasebook,
    draw: random.Random,
) -> tuple[list[int], torch.Tensor, torch.Tensor]:
    """Add words of ImageNet's that the classifier does not see in these pictures."""
    chosen = teacher.concepts.draw_list(draw, draw.choice((1, 2, 3, 5)))
    mass = teacher.posterior(features) @ torch.from_numpy(teacher.concepts.masks[chosen].any(axis=0)).float()
    clear = mass < 0.1
    if clear.sum() < GROUP // 4:
        return texts, features, wanted
    more = torch.zeros(int(clear.sum()), len(chosen))
    words = book.words([teacher.concepts.words[index] for index in chosen], draw)
    return [*texts, *words], features[clear], torch.cat([wanted[clear], more], dim=1)


def tagged_exercise(
    source: TaggedSet, near: torch.Tensor, book: Phrasebook, draw: random.Random, generator: torch.Generator
) -> Exercise:
    """Words of captions: each picture shows one of them or several, and none of the others.

    Parameters
    ----------
    near : (W, W) float32
        MiniLM's cosines between the words: what is near a shown word is not counted as wrong.
    """
    size = draw.choice((4, 8, 16, 30))
    chosen = draw.sample(range(len(source.words)), min(size, len(source.words)))
    shown, possible = source.shown[:, chosen], source.possible[:, chosen]
    rows = draw.choices(np.flatnonzero(shown.any(axis=1)).tolist(), k=GROUP)
    right = torch.from_numpy(shown[rows]).float()  # (B, L)
    unclear = torch.from_numpy(possible[rows]) & (right == 0)
    alike = (torch.from_numpy(source.shown[rows]).float() @ (near[:, chosen] > ALIKE).float() > 0) & (right == 0)
    wanted = right / right.sum(dim=1, keepdim=True)
    wanted = torch.where(unclear | alike, torch.full_like(wanted, -1.0), wanted)  # -1: left out of the softmax
    features = source.pictures.draw(torch.tensor(rows), generator)
    return Exercise(features, book.words([source.words[index] for index in chosen], draw), wanted)
