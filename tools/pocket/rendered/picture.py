"""What a renderer returns: a picture, captions for it, and label lists that it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from PIL import Image


class Question(NamedTuple):
    """A label list and the label in it that fits the picture."""

    labels: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Rendered:
    """A picture (RGB, shorter side about 260 px), captions that describe it, and questions that it answers."""

    image: Image.Image
    captions: list[str]
    questions: list[Question] = field(default_factory=list)


def question(labels: tuple[str, ...] | list[str], answer: str) -> Question:
    """Return a question; the answer must be one of the labels, and the labels must differ.

    Raises
    ------
    ValueError
        If the answer is missing from the labels, or a label occurs twice.
    """
    if answer not in labels or len(set(labels)) != len(labels):
        message = f"{answer!r} is not one of {labels}, or a label occurs twice"
        raise ValueError(message)
    return Question(tuple(labels), answer)


def a(noun: str) -> str:
    """Put the indefinite article before a noun: "a car", "an orange car"."""
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun
