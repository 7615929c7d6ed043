"""Label lists about the medium, light and colours of a picture, in many words."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tools.pocket.rendered.picture import Question, a, question

MEDIA: dict[str, tuple[str, ...]] = {
    "photo": ("photo", "photograph", "real photo", "camera picture", "snapshot"),
    "drawing": ("drawing", "illustration", "hand drawing"),
    "sketch": ("sketch", "pencil sketch", "pencil drawing"),
    "painting": ("painting", "oil painting", "artwork", "work of art"),
    "cartoon": ("cartoon", "comic", "cartoon drawing"),
    "clip art": ("clip art", "vector graphic", "icon", "graphic"),
    "document": ("document", "text document", "page of text", "scanned document", "paper document", "printed page"),
    "screenshot": ("screenshot", "screen capture", "user interface", "software window", "computer screenshot"),
    "chart": ("chart", "graph", "diagram"),
    "map": ("map", "street map"),
    "sign": ("sign", "signboard"),
    "logo": ("logo", "emblem"),
    "pattern": ("pattern", "plain colour", "geometric pattern"),
}
STANDARD = ("photo", "drawing", "document", "screenshot")
_DRAWN = {"drawing", "sketch", "cartoon", "clip art", "painting", "logo", "pattern", "chart", "map", "sign"}
_CLOSE: dict[str, set[str]] = {
    "drawing": _DRAWN,
    "sketch": _DRAWN - {"clip art", "chart", "map", "logo", "pattern"},
    "painting": {"drawing", "cartoon", "pattern"},
    "cartoon": _DRAWN,
    "clip art": _DRAWN,
    "document": {"chart"},
    "screenshot": {"document", "chart", "map"},
    "chart": {"drawing", "clip art", "map", "document", "screenshot", "pattern", "logo"},
    "map": {"drawing", "clip art", "chart", "document", "pattern", "screenshot"},
    "sign": {"drawing", "clip art", "logo", "document", "photo", "chart"},
    "logo": {"drawing", "clip art", "sign", "cartoon", "pattern"},
    "pattern": {"drawing", "clip art", "logo", "chart", "painting"},
}
_STANDARD_OF = {"sketch": "drawing", "cartoon": "drawing", "clip art": "drawing", "drawing": "drawing"}


def about_medium(rng: random.Random, medium: str) -> list[Question]:
    """Ask for the medium: among the four usual ones, and among a random list in random words."""
    standard = _STANDARD_OF.get(medium, medium)
    asked = []
    if standard in STANDARD:
        asked.append(question(STANDARD, standard))
    others = [name for name in MEDIA if name != medium and name not in _CLOSE.get(medium, ())]
    chosen = rng.sample(others, rng.randint(1, len(others)))
    labels = [rng.choice(MEDIA[name]) for name in (medium, *chosen)]
    answer = labels[0]
    if rng.random() < 0.3:
        labels, answer = [a(label) for label in labels], a(answer)
    rng.shuffle(labels)
    return [*asked, question(labels, answer)]


def among(rng: random.Random, answer: str, others: Sequence[str], most: int = 7) -> Question:
    """Ask for an answer among some of the others, in random order."""
    wrong = [label for label in dict.fromkeys(others) if label != answer]
    labels = [answer, *rng.sample(wrong, rng.randint(1, min(most, len(wrong))))]
    rng.shuffle(labels)
    return question(labels, answer)
