"""Read ``label_lists.txt``: lists of ordinary words over ImageNet's classes, with the truth for each photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tools.pocket.classes import Classes, classes_below
from tools.pocket.everyday import class_mask
from tools.pocket.wordnet import Nouns

Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

LABEL_LISTS = Path(__file__).parent / "label_lists.txt"
NOT_COUNTED = "?"


@dataclass(frozen=True)
class Line:
    """One word of a list, the same in held-out words, and its members as they are written in the file."""

    word: str
    reworded: str | None
    members: tuple[str, ...]


@dataclass(frozen=True)
class LabelList:
    """Words that a user would give together. ``truth`` is (1000,): each class's word, or -1 if it does not count."""

    name: str
    words: tuple[str, ...]
    reworded: tuple[str, ...]
    truth: IntArray


def parse_label_lists(text: str) -> dict[str, list[Line]]:
    """Split the file into lists of lines, by the list's name."""
    lists: dict[str, list[Line]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("["):
            name = line.strip("[]")
            lists[name] = []
        elif line and not line.startswith("#"):
            words, _, members = line.partition("=")
            word, _, reworded = (part.strip() for part in words.partition("|"))
            lists[name].append(Line(word, reworded or None, tuple(member.strip() for member in members.split(","))))
    return lists


LISTS = parse_label_lists(LABEL_LISTS.read_text(encoding="utf-8"))
TRAINABLE_WORDS = frozenset(line.word for lines in LISTS.values() for line in lines if line.word != NOT_COUNTED)
HELD_OUT_WORDS = frozenset(line.reworded for lines in LISTS.values() for line in lines if line.reworded)


def resolve_label_lists(classes: Classes, nouns: Nouns) -> list[LabelList]:
    """Decide for every list which word is right for each of the 1000 classes.

    Raises
    ------
    ValueError
        If a line names a class or a noun that does not exist, or has no class.
    """
    below = classes_below(classes, nouns.ancestors())
    resolved = []
    for name, lines in LISTS.items():
        labels = [line for line in lines if line.word != NOT_COUNTED]
        covers = np.stack([_members_mask(line, classes, nouns, below) for line in labels])  # (W, C)
        counted = covers.sum(axis=0) == 1  # (C,)
        for line in lines:
            if line.word == NOT_COUNTED:
                counted &= ~_members_mask(line, classes, nouns, below)
        truth = np.where(counted, covers.argmax(axis=0), -1)
        reworded = tuple(line.reworded or line.word for line in labels)
        resolved.append(LabelList(name, tuple(line.word for line in labels), reworded, truth))
    return resolved


def _members_mask(line: Line, classes: Classes, nouns: Nouns, below: dict[int, BoolArray]) -> BoolArray:
    mask = np.zeros(len(classes.names), dtype=np.bool_)
    for member in line.members:
        try:
            found = class_mask(member.removeprefix("-"), classes, nouns, below)
        except KeyError:
            raise ValueError(f"{LABEL_LISTS.name}: {line.word}: no such class: {member}") from None
        mask = mask & ~found if member.startswith("-") else mask | found
    return mask


def balanced_accuracy(chosen: IntArray, truth: IntArray, least: int = 1) -> tuple[float, int]:
    """Average the recall of the words that enough photos show.

    Parameters
    ----------
    chosen : (N,) the word chosen for each photo
    truth : (N,) the right word, or -1 if the photo does not count
    least
        Photos of a word from which on it counts: the recall on one photo is chance.

    Returns
    -------
    The mean recall, and how many photos it is from.
    """
    words, counts = np.unique(truth[truth >= 0], return_counts=True)
    words = words[counts >= least]
    recalls = [float((chosen[truth == word] == word).mean()) for word in words]
    return float(np.mean(recalls)), int(np.isin(truth, words).sum())
