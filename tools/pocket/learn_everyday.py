"""Learn where the words of ``everyday.txt`` belong, with both encoders fixed, so that the text encoder can learn it.

Each word begins where the text encoder has it and gets a vector of its own, by lists of general and everyday words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tools.pocket.general import BoolArray, Concepts
from tools.pocket.joint import Joint, Material, list_loss
from tools.pocket.lists import Teacher
from tools.pocket.phrasebook import Phrasebook
from tools.pocket.phrases import phrase, with_article
from torch.nn import functional

STEPS, LISTS, RATE, DECAY = 300, 12, 1e-2, 0.02
SCALE = 30.0


@dataclass(frozen=True)
class EverydayWords:
    """Words with masks (W, C) of the classes that look like them, and all their texts with places of words (T,)."""

    words: tuple[str, ...]
    masks: BoolArray
    texts: tuple[str, ...]
    owners: torch.Tensor


def everyday_texts(masks: dict[str, BoolArray], known: Phrasebook, left_out: frozenset[str]) -> EverydayWords:
    """Write phrases for the words that the phrasebook has not, and that measuring does not need for itself."""
    words = tuple(word for word in masks if not known.has(word) and word.lower() not in left_out)
    texts, owners = [], []
    for place, word in enumerate(words):
        draw = random.Random(word)
        several = (word, f"a photo of {with_article(word)}", phrase(word, draw), phrase(word, draw))
        for text in dict.fromkeys(several):
            texts.append(text)
            owners.append(place)
    return EverydayWords(words, np.stack([masks[word] for word in words]), tuple(texts), torch.tensor(owners))


class _Book:
    """The phrasebook's rows, and after them those of everyday words."""

    def __init__(self, book: Phrasebook, everyday: EverydayWords) -> None:
        self._book, self._first = book, len(book.texts)
        self._rows: dict[str, list[int]] = {word: [] for word in everyday.words}
        for row, owner in enumerate(everyday.owners.tolist()):
            self._rows[everyday.words[owner]].append(row)

    def word(self, word: str, draw: random.Random) -> int:
        rows = self._rows.get(word)
        return self._first + draw.choice(rows) if rows else self._book.word(word, draw)

    def words(self, words: Sequence[str], draw: random.Random) -> list[int]:
        return [self.word(word, draw) for word in words]


def learn_everyday(
    model: Joint, material: Material, everyday: EverydayWords, vectors: torch.Tensor, seed: int
) -> torch.Tensor:
    """Learn vectors (T, D) for the everyday texts.

    Parameters
    ----------
    model
        With the text encoder's vectors of the phrasebook in ``known``.
    vectors : (T, D) float32
        The text encoder's vectors of the everyday texts.
    """
    assert model.known is not None, "the text encoder's vectors are not there"
    old, teacher, known = material.teacher.concepts, material.teacher, model.known
    weight = np.full(len(everyday.words), old.weights.sum() / len(everyday.words), dtype=np.float32)
    concepts = Concepts(
        (*old.words, *everyday.words),
        np.concatenate([old.masks, everyday.masks]),
        np.concatenate([old.weights, weight]),
    )
    teacher = teacher.with_concepts(concepts)
    book, own = _Book(material.book, everyday), torch.zeros(len(everyday.words), vectors.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([own], lr=RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1.0 - step / STEPS)
        loss = DECAY * own.pow(2).sum(dim=1).mean() + _lists_loss(
            model, teacher, book, torch.cat([known, _placed(vectors, own, everyday)]), seed * 1_000_003 + step
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return _placed(vectors, own, everyday).detach()


def _placed(vectors: torch.Tensor, own: torch.Tensor, everyday: EverydayWords) -> torch.Tensor:
    return functional.normalize(vectors + own[everyday.owners], dim=1)


def _lists_loss(model: Joint, teacher: Teacher, book: _Book, texts: torch.Tensor, seed: int) -> torch.Tensor:
    draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(LISTS):
        exercise = teacher.general(book, draw, generator)
        with torch.no_grad():
            images = model.images(exercise.seen)
        losses.append(list_loss(SCALE * images @ texts[exercise.texts].T, exercise.wanted))
    return torch.stack(losses).mean()
