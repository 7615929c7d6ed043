"""The training pictures as arrays: features of each view, and what is known about each picture."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tools.pocket import splits
from tools.pocket.bank import Pictures
from tools.pocket.general import Concepts

BoolArray = npt.NDArray[np.bool_]
SET_WORDS = Path(__file__).parent / "set_words.txt"
PERSON = frozenset(
    (
        "man", "woman", "men", "women", "boy", "girl", "boys", "girls", "child", "children", "person", "people",
        "human", "kid", "kids", "guy", "lady", "baby", "player", "players", "crowd",
    )
)  # fmt: skip
PERSON_WORDS = ("person", "people", "human", "human being", "someone", "man or woman")
COMMON = 20  # pictures that must show a word of captions, so that it is used as a label
STOP = frozenset(
    (
        "front", "back", "side", "top", "is", "are", "in", "on", "two", "three", "one", "group", "number", "couple",
        "while", "air", "day", "face", "line", "way", "part", "his", "her", "their", "area", "other", "piece",
        "something", "look", "have", "be",
    )
)  # fmt: skip


@dataclass(frozen=True)
class LabelledSet:
    """Pictures with one label each; ``words`` cover one or several labels."""

    pictures: Pictures
    labels: tuple[str, ...]
    truth: torch.Tensor  # (N,) int64, indices of labels
    words: Concepts


@dataclass(frozen=True)
class TaggedSet:
    """Pictures with whole texts, and words that their texts show (``shown``) or might show (``possible``)."""

    pictures: Pictures
    texts: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    shown: BoolArray  # (N, W)
    possible: BoolArray  # (N, W)


def training_rows(data: Path, name: str) -> list[int]:
    """Which pictures of a set, in the order of its manifest, training may use."""
    return [row for row, picture in enumerate(splits.read_set(data, name).pictures) if picture.part == "train"]


def view_features(work: Path, name: str, rows: Sequence[int]) -> torch.Tensor:
    """Read all saved views of some of a set's pictures: (V, N, F) float32."""
    paths = sorted(path for path in work.glob(f"features-{name}-*.npy") if ".part" not in path.name)
    return torch.from_numpy(np.stack([np.load(path)[rows] for path in paths]).astype(np.float32))


def labelled_set(data: Path, views: dict[str, Pictures], name: str) -> LabelledSet:
    """Read the training part of a labelled set."""
    pictures = splits.read_set(data, name)
    rows = training_rows(data, name)
    labels = tuple(sorted({pictures.pictures[row].label for row in rows}))
    truth = torch.tensor([labels.index(pictures.pictures[row].label) for row in rows])
    return LabelledSet(views[name], labels, truth, set_concepts(name, labels))


def set_concepts(name: str, labels: tuple[str, ...]) -> Concepts:
    """General words of ``set_words.txt`` for a set, and its labels themselves."""
    words: dict[str, BoolArray] = {label: np.array([label == other for other in labels]) for label in labels}
    weights = dict.fromkeys(words, 1.0 / len(labels))
    current = ""
    for line in SET_WORDS.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif current == name and line and not line.startswith("#"):
            left, _, right = line.partition("=")
            members = {member.strip() for member in right.split(",")}
            mask = np.array([label in members or "*" in members for label in labels])
            for position, word in enumerate(left.split(",")):
                if mask.any() and word.strip() not in words:
                    words[word.strip()] = mask
                    weights[word.strip()] = 0.5 / (1.0 + 0.4 * position)
    return Concepts(tuple(words), np.stack(list(words.values())), np.array(list(weights.values()), dtype=np.float32))


def captioned_set(data: Path, views: dict[str, Pictures], name: str, nouns: frozenset[str]) -> TaggedSet:
    """Read the training part of the captioned photographs; a word in two of five captions is taken as shown."""
    pictures = splits.read_set(data, name)
    rows = training_rows(data, name)
    texts = tuple(pictures.pictures[row].texts for row in rows)
    counts = [Counter(word for text in five for word in _words(text)) for five in texts]
    common = Counter(word for count in counts for word, often in count.items() if often >= 2)
    words = tuple(sorted(w for w, often in common.items() if often >= COMMON and w in nouns and w not in STOP))
    shown = np.array([[count[word] >= 2 for word in words] for count in counts])
    possible = np.array([[count[word] >= 1 for word in words] for count in counts])
    person = np.array([any(word in PERSON for word in count) for count in counts])[:, None]
    extra = np.repeat(person, len(PERSON_WORDS), axis=1)
    kept = tuple(w for w in words if w not in PERSON_WORDS)
    index = [words.index(word) for word in kept]
    return TaggedSet(
        views[name],
        texts,
        (*kept, *PERSON_WORDS),
        np.concatenate([shown[:, index], extra], axis=1),
        np.concatenate([possible[:, index], extra], axis=1),
    )


def drawn_set(data: Path, views: dict[str, Pictures], name: str) -> TaggedSet:
    """Read the training part of clip art or emoji: titles as texts, words of titles and keywords as tags."""
    pictures = splits.read_set(data, name)
    rows = training_rows(data, name)
    found = [splits.drawn_words(pictures.pictures[row]) for row in rows]
    counts = Counter(word for words in found for word in words)
    words = tuple(sorted(word for word, often in counts.items() if often >= 3 and len(word) > 2 and word.isalpha()))
    shown = np.array([[word in own for word in words] for own in found])
    texts = tuple(_drawn_texts(pictures.pictures[row]) for row in rows)
    return TaggedSet(views[name], texts, words, shown, shown)


def rendered_facts(work: Path) -> list[dict[str, Any]]:
    """Read what is known about each rendered picture: captions and questions (labels, answer)."""
    path = work / "rendered.json"
    facts: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return facts


def _drawn_texts(picture: splits.Picture) -> tuple[str, ...]:
    title = re.sub(r"\(.*?\)|\.svg|#", "", picture.texts[0]).strip() or "drawing"
    form = "an emoji of {}" if picture.set == "noto_emoji" else "a drawing of {}"
    more = (form.format(", ".join(picture.keywords[:3])),) if picture.keywords else ()
    return (title.lower(), form.format(title.lower()), *more)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))
