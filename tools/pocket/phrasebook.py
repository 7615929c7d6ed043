"""Every text that training shows, as MiniLM sees it: words with several phrases each, and captions."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from tools.pocket.phrases import phrase, with_article
from tools.pocket.sentences import embed_sentences

PHRASES = 2  # drawn at random for each word, beside the bare word and the usual prompt


class Book(Protocol):
    """What lists of words take their texts from."""

    def word(self, word: str, draw: random.Random) -> int:
        """Row of one of a word's phrases."""

    def words(self, words: Sequence[str], draw: random.Random) -> list[int]:
        """Rows for a list of labels."""


class Phrasebook:
    """Phrases for words and their MiniLM embeddings (T, 384) float32; a caption is its own phrase.

    Parameters
    ----------
    own
        Words whose vectors are learned one by one: ``owners`` (T,) has the place of its word for each text, or -1.
    """

    def __init__(self, words: Iterable[str], captions: Iterable[str], work: Path, own: Iterable[str] = ()) -> None:
        self._rows: dict[str, list[int]] = {}
        texts: dict[str, int] = {}
        self.own = tuple(dict.fromkeys(own))
        for word in sorted({*words, *self.own}):
            draw = random.Random(word)
            variants = (word, f"a photo of {with_article(word)}", *(phrase(word, draw) for _ in range(PHRASES)))
            self._rows[word] = [texts.setdefault(text, len(texts)) for text in variants]
        whole = sorted(set(captions))
        self._captions = {text: len(texts) + row for row, text in enumerate(whole)}
        self.texts = (*texts, *whole)
        vectors = [embed_sentences(part, work) for part in (list(texts), whole) if part]
        self.vectors = torch.from_numpy(np.concatenate(vectors))
        self.owners = torch.full((len(self.texts),), -1)
        for place, word in reversed(list(enumerate(self.own))):  # a text of two words belongs to the first
            self.owners[self._rows[word]] = place

    def word(self, word: str, draw: random.Random) -> int:
        """Row of one of a word's phrases: bare in 4 of 10, the usual prompt in 3."""
        chance = draw.random()
        rows = self._rows[word]
        return rows[0] if chance < 0.4 else rows[1] if chance < 0.7 else draw.choice(rows[2:])

    def words(self, words: Sequence[str], draw: random.Random) -> list[int]:
        """Rows for a list of labels."""
        return [self.word(word, draw) for word in words]

    def bare(self, words: Sequence[str]) -> list[int]:
        """Rows of the bare words."""
        return [self._rows[word][0] for word in words]

    def has(self, word: str) -> bool:
        """Whether the word has phrases here."""
        return word in self._rows

    def phrases_of(self, word: str) -> list[int]:
        """Rows of all of a word's phrases."""
        return self._rows[word]

    @property
    def caption_rows(self) -> list[int]:
        """Rows of all captions."""
        return list(self._captions.values())

    def caption(self, text: str) -> int:
        """Row of a caption."""
        return self._captions[text]
