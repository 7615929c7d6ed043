"""Read ``everyday.txt``: common words and the ImageNet classes whose photographs look like them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tools.pocket.classes import Classes
from tools.pocket.wordnet import Nouns

BoolArray = npt.NDArray[np.bool_]

EVERYDAY = Path(__file__).parent / "everyday.txt"


def read_everyday(classes: Classes, nouns: Nouns, below: dict[int, BoolArray]) -> dict[str, BoolArray]:
    """Map each everyday word to a mask (1000,) of its classes.

    Raises
    ------
    ValueError
        If a line names a class or a noun that does not exist.
    """
    return {word: mask for words in read_masks(EVERYDAY, classes, nouns, below) for word, mask in words.items()}


def read_masks(
    path: Path, classes: Classes, nouns: Nouns, below: dict[int, BoolArray]
) -> Iterator[dict[str, BoolArray]]:
    """Read a file of ``words = members`` line by line: each word with a mask (1000,) of the line's classes.

    Raises
    ------
    ValueError
        If a line names a class or a noun that does not exist.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line and not line.startswith("#"):
            words, _, members = line.partition("=")
            mask = np.zeros(len(classes.names), dtype=np.bool_)
            for member in members.split(","):
                try:
                    mask |= class_mask(member.strip(), classes, nouns, below)
                except KeyError:
                    raise ValueError(f"{path.name}:{number}: no such class: {member.strip()}") from None
            yield {word.strip(): mask for word in words.split(",")}


def class_mask(member: str, classes: Classes, nouns: Nouns, below: dict[int, BoolArray]) -> BoolArray:
    """Mark the classes that a member stands for, as a mask (1000,).

    Parameters
    ----------
    member
        A class's main name, ``*noun`` for the classes below the noun's first sense that has any, or
        ``*noun/2`` for those below its second sense.

    Raises
    ------
    KeyError
        If there is no such class or noun, or no class is below it.
    """
    if member.startswith("*"):
        noun, _, number = member[1:].partition("/")
        senses = nouns.senses[noun]
        covered = [below[offset] for offset in (senses[int(number) - 1 :][:1] if number else senses) if offset in below]
        if not covered:
            raise KeyError(member)
        return covered[0]
    mask = np.zeros(len(classes.names), dtype=np.bool_)
    mask[classes.main_names[member.lower()]] = True
    return mask
