"""Draw training batches: phrases as tokens, and the vectors they should get."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tools.pocket.lexicon import Lexicon
from tools.pocket.phrases import pair, phrase

POOL = 12  # batches drawn at once and sorted by length, so that short phrases are not padded to long ones


@dataclass(frozen=True)
class Shares:
    """Which words are drawn. The rest are nouns of WordNet by frequency."""

    class_words: float = 0.33
    concept_words: float = 0.20
    uniform_words: float = 0.08
    gloss: float = 0.02
    pair: float = 0.05


class Batches:
    """Endless training batches, the same for the same seed.

    Parameters
    ----------
    lexicon
        Words and vectors.
    tokenize
        From a list of texts to (N, L) int64, padded with zeros.
    size
        Phrases in a batch.
    """

    def __init__(self, lexicon: Lexicon, tokenize: Any, size: int, shares: Shares | None = None) -> None:
        self._lexicon = lexicon
        self._tokenize = tokenize
        self._size = size
        self._shares = shares or Shares()
        self._cumulative = np.cumsum(lexicon.frequency, dtype=np.float64)

    def pool(self, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield ``POOL`` batches of tokens (B, L) int64 and vectors (B, D) float32."""
        draw = random.Random(seed)
        drawn = [self._example(draw) for _ in range(self._size * POOL)]
        tokens = self._tokenize([text for text, _ in drawn])  # (N, L)
        vectors = torch.from_numpy(np.stack([vector for _, vector in drawn]))  # (N, D)
        lengths = (tokens != 0).sum(dim=1)
        order = torch.argsort(lengths, stable=True)
        starts = list(range(0, len(order), self._size))
        draw.shuffle(starts)
        for start in starts:
            chosen = order[start : start + self._size]
            yield tokens[chosen, : int(lengths[chosen].max())], vectors[chosen]

    def _example(self, draw: random.Random) -> tuple[str, np.ndarray[Any, np.dtype[np.float32]]]:
        index = self._word(draw)
        word, vector = self._lexicon.words[index], self._lexicon.vectors[index]
        kind = draw.random()
        if kind < self._shares.gloss and self._lexicon.glosses[index]:
            return self._lexicon.glosses[index], vector
        if kind > 1.0 - self._shares.pair:
            other = self._word(draw)
            text, share = pair(word, self._lexicon.words[other], draw)
            both = share * vector + (1.0 - share) * self._lexicon.vectors[other]
            return text, both / np.linalg.norm(both)
        return phrase(word, draw), vector

    def _word(self, draw: random.Random) -> int:
        kind, shares = draw.random(), self._shares
        if kind < shares.class_words:
            return int(draw.choice(self._lexicon.class_words))
        kind -= shares.class_words
        if kind < shares.concept_words:
            return int(draw.choice(self._lexicon.concept_words))
        kind -= shares.concept_words
        if kind < shares.uniform_words:
            return draw.randrange(len(self._lexicon.words))
        position = np.searchsorted(self._cumulative, draw.random() * self._cumulative[-1])
        return min(int(position), len(self._lexicon.words) - 1)
