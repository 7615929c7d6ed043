"""Nouns of WordNet 3.0 as plain values: synsets, their words, glosses, hypernyms and frequencies.

The file formats are those of WordNet's manual pages wndb(5WN) and cntlist(5WN).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_NOUN = "1"
_ADJECTIVES = {"3", "5"}  # heads and satellites


@dataclass(frozen=True)
class Noun:
    """One noun synset. ``counts`` say how often each word was seen in this sense in tagged texts."""

    offset: int
    words: tuple[str, ...]
    counts: tuple[int, ...]
    gloss: str
    hypernyms: tuple[int, ...]
    is_instance: bool  # a particular person, place or event rather than a kind of thing


@dataclass(frozen=True)
class Nouns:
    """All noun synsets by offset, and the senses of each lower-case word, most frequent first."""

    by_offset: dict[int, Noun]
    senses: dict[str, tuple[int, ...]]

    def ancestors(self) -> dict[int, dict[int, int]]:
        """For each synset all synsets above it, itself included, with their depth below the root."""
        depth: dict[int, int] = {}
        above: dict[int, set[int]] = {}
        for offset in self.by_offset:
            self._climb(offset, depth, above)
        return {offset: {other: depth[other] for other in others} for offset, others in above.items()}

    def _climb(self, offset: int, depth: dict[int, int], above: dict[int, set[int]]) -> None:
        if offset in above:
            return
        above[offset] = {offset}
        parents = self.by_offset[offset].hypernyms
        for parent in parents:
            self._climb(parent, depth, above)
            above[offset] |= above[parent]
        depth[offset] = 1 + max((depth[parent] for parent in parents), default=-1)


def read_nouns(folder: Path) -> Nouns:
    """Read WordNet's noun files from a folder such as Debian's ``/usr/share/wordnet``."""
    counts = _noun_counts(folder / "cntlist.rev")
    nouns = (_noun(line, counts) for line in _records(folder / "data.noun"))
    senses = {}
    for line in _records(folder / "index.noun"):
        fields = line.split()
        senses[fields[0].replace("_", " ")] = tuple(int(offset) for offset in fields[-int(fields[2]) :])
    return Nouns({noun.offset: noun for noun in nouns}, senses)


def read_adjectives(folder: Path) -> Counter[str]:
    """Read the adjectives that occur in sense-tagged texts, with their counts."""
    counts: Counter[str] = Counter()
    for line in (folder / "cntlist.rev").read_text().splitlines():
        key, _, count = line.split()
        word, _, rest = key.partition("%")
        if rest[0] in _ADJECTIVES and word.isalpha():
            counts[word] += int(count)
    return counts


def _records(path: Path) -> list[str]:
    """Read the file's lines without the licence, whose lines start with two blanks."""
    return [line for line in path.read_text().splitlines() if not line.startswith("  ")]


def _noun(line: str, counts: Counter[tuple[str, str, str]]) -> Noun:
    data, _, gloss = line.partition("|")
    fields = data.split()
    file_number, how_many = fields[1], int(fields[3], 16)
    words = [(fields[4 + 2 * i], fields[5 + 2 * i]) for i in range(how_many)]
    pointers = fields[5 + 2 * how_many :]
    above = [(pointers[i], int(pointers[i + 1])) for i in range(0, len(pointers) - 3, 4)]
    return Noun(
        offset=int(fields[0]),
        words=tuple(word.replace("_", " ") for word, _ in words),
        counts=tuple(counts[word.lower(), file_number, f"{int(sense, 16):02d}"] for word, sense in words),
        gloss=gloss.split(";")[0].strip(),
        hypernyms=tuple(offset for sign, offset in above if sign in ("@", "@i")),
        is_instance=any(sign == "@i" for sign, _ in above),
    )


def _noun_counts(path: Path) -> Counter[tuple[str, str, str]]:
    """How often (word, lexicographer file, sense number in it) was seen in tagged texts."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in path.read_text().splitlines():
        key, _, count = line.split()
        word, _, rest = key.partition("%")
        kind, file_number, sense, *_ = rest.split(":")
        if kind == _NOUN:
            counts[word, file_number, sense] = int(count)
    return counts
