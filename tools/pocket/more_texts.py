"""Texts beyond those that the head learns from: what else the text encoder should place as the adapter does.

Nouns of WordNet by how often they are used, bare and in phrases, glosses, and captions of training pictures that
were cut or got other nouns. Words that only measuring may use never occur alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence

from tools.pocket.phrases import phrase
from tools.pocket.wordnet import Nouns

FREQUENT, RARE, GLOSSES, CAPTIONS = 14_000, 6_000, 6_000, 20_000
CUT_CHANCE = 0.4


def more_texts(
    nouns: Nouns, captions: Sequence[str], words: Sequence[str], left_out: Collection[str], seed: int
) -> list[str]:
    """Draw texts, sorted.

    Parameters
    ----------
    captions
        Captions to vary.
    words
        Nouns of the captions, which others replace.
    left_out
        Texts that must not occur, lower-case.
    """
    draw = random.Random(seed)
    counts: dict[str, int] = {}
    for noun in nouns.by_offset.values():
        for word, count in zip(noun.words, noun.counts, strict=True):
            counts[word.lower()] = max(counts.get(word.lower(), 0), count)
    plain = [word for word in sorted(counts, key=lambda w: (-counts[w], w)) if re.fullmatch(r"[a-z' -]{3,28}", word)]
    plain = [word for word in plain if word not in left_out]
    frequent = plain[:FREQUENT]
    chosen = [*frequent, *draw.sample(plain[FREQUENT:], RARE)]
    texts = [word if draw.random() < 0.5 else phrase(word, draw) for word in chosen]
    glosses = [noun.gloss for noun in nouns.by_offset.values() if 10 < len(noun.gloss) < 120]
    texts += draw.sample(glosses, GLOSSES)
    others = [*words, *frequent[:4000]]
    texts += [varied(caption, set(words), others, draw) for caption in draw.sample(captions, CAPTIONS)]
    return sorted(set(texts) - set(left_out))


def varied(caption: str, nouns: Collection[str], others: Sequence[str], draw: random.Random) -> str:
    """Cut a caption to a part, or replace one or two of its nouns."""
    words = caption.rstrip(" .").split()
    if draw.random() < CUT_CHANCE and len(words) > 5:
        length = draw.randint(3, len(words) - 1)
        start = draw.randint(0, len(words) - length)
        return " ".join(words[start : start + length])
    places = [place for place, word in enumerate(words) if word.lower() in nouns]
    for place in draw.sample(places, min(len(places), draw.randint(1, 2))):
        words[place] = draw.choice(others)
    return " ".join(words)
