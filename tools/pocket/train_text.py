"""Teach the text encoder what the trained head's adapter says, and write the model folder.

python -m tools.pocket.train_text --out src/clipcli/models/pocket
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tools.pocket.classes import classes_below, read_classes
from tools.pocket.distil import DistilOptions, Lessons, distil, start_projection, tower_vectors
from tools.pocket.everyday import read_everyday
from tools.pocket.export import export_model
from tools.pocket.head import JOINT
from tools.pocket.image_tower import load_trunk
from tools.pocket.joint import Joint, JointOptions, Material, start, train_joint
from tools.pocket.label_lists import HELD_OUT_WORDS
from tools.pocket.learn_everyday import everyday_texts, learn_everyday
from tools.pocket.more_texts import more_texts
from tools.pocket.sentences import embed_sentences
from tools.pocket.text_tower import build_text_tower, tokenizer
from tools.pocket.train_head import gather
from tools.pocket.wordnet import read_nouns
from torch.nn import functional

SCALE = 36.0
TUNING_RATE = 1.5e-3
EVERYDAY_RATE, EVERYDAY_SHARE = 4e-4, 0.25
SAMPLE = 12_000  # texts that the new projection is solved on
SHARES = {"classes": 0.24, "general": 0.2, "sets": 0.1, "captions": 0.26, "more": 0.1, "rest": 0.1}


def load_joint(material: Material, work: Path) -> Joint:
    """Read the trained head and adapter."""
    model = start(material)
    model.load_state_dict(torch.load(work / "joint.pt", weights_only=True))
    return model.eval()


@dataclass(frozen=True)
class Texts:
    """All texts as tokens (T, L), their MiniLM vectors (T, 384) and words' places (T,), and how often each is drawn."""

    tokens: torch.Tensor
    vectors: torch.Tensor
    owners: torch.Tensor
    weights: np.ndarray[Any, np.dtype[np.float64]]
    anchors: list[int]

    def lessons(self, wanted: torch.Tensor) -> Lessons:
        """Make lessons of wanted vectors (T, D)."""
        wanted = functional.normalize(wanted, dim=1)
        return Lessons(self.tokens, wanted, wanted[torch.tensor(self.anchors)], self.weights / self.weights.sum())


def texts_of(material: Material, wordnet: Path, work: Path, seed: int) -> Texts:
    """Gather the texts of the head's training, and others."""
    book = material.book
    left_out = {*book.texts, *(word.lower() for word in HELD_OUT_WORDS)}
    captions = sorted({text for own in material.tagged[0].texts for text in own})
    more = more_texts(read_nouns(wordnet), captions, material.tagged[0].words, left_out, seed)
    vectors = torch.cat([book.vectors, torch.from_numpy(embed_sentences(more, work))])
    owners = functional.pad(book.owners, (0, len(more)), value=-1)
    general = material.teacher.concepts.words
    sets = [word for source in material.labelled.values() for word in source.words.words]
    weights = np.zeros(len(vectors))
    names = set(material.teacher.names)
    for words, share in (
        (material.teacher.names, SHARES["classes"]),
        ([word for word in general if word not in names], SHARES["general"]),
        (sets, SHARES["sets"]),
    ):
        _spread(weights, [row for word in words for row in book.phrases_of(word)], share)
    _spread(weights, book.caption_rows, SHARES["captions"])
    _spread(weights, range(len(book.texts), len(weights)), SHARES["more"])
    _spread(weights, range(len(weights)), SHARES["rest"])
    anchors = [
        *book.bare(material.teacher.names),
        *book.bare(general[:300]),
        *book.bare(sets),
        *book.caption_rows[::60],
    ]
    return Texts(tokenizer()([*book.texts, *more]), vectors, owners, weights, anchors)


def _spread(weights: np.ndarray[Any, np.dtype[np.float64]], rows: Sequence[int], share: float) -> None:
    np.add.at(weights, np.asarray(rows), share / len(rows))


def start_tower(known: dict[str, torch.Tensor], dimensions: int) -> torch.nn.Module:
    """Build a transformer from one that has another space."""
    tower: Any = build_text_tower(dimensions)
    known = dict(known)
    del known["text_projection"]
    tower.load_state_dict(known, strict=False)
    return tower


def with_everyday(lessons: Lessons, model: Joint, material: Material, tower: Any, wordnet: Path, seed: int) -> Lessons:
    """Add everyday words, and what is learned about them, to the lessons."""
    nouns = read_nouns(wordnet)
    classes = read_classes(nouns)
    masks = read_everyday(classes, nouns, classes_below(classes, nouns.ancestors()))
    everyday = everyday_texts(masks, material.book, frozenset(word.lower() for word in HELD_OUT_WORDS))
    tokens = tokenizer()(list(everyday.texts))
    model.known = encode(tower, lessons.tokens[: len(material.book.texts)])
    vectors = learn_everyday(model, material, everyday, encode(tower, tokens), seed)
    own = np.full(len(tokens), EVERYDAY_SHARE / len(tokens))
    first = [everyday.owners.tolist().index(place) for place in range(len(everyday.words))]
    return Lessons(
        torch.cat([lessons.tokens, tokens]),
        torch.cat([lessons.wanted, vectors]),
        torch.cat([lessons.anchors, vectors[first]]),
        np.concatenate([lessons.weights * (1.0 - EVERYDAY_SHARE), own]),
    )


@torch.no_grad()
def encode(tower: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Encode tokens (T, L): unit vectors (T, D), short texts first so that they are not padded to long ones."""
    order = torch.argsort((tokens != 0).sum(dim=1))
    vectors = torch.cat([functional.normalize(tower_vectors(tower, tokens[part]), dim=1) for part in order.split(512)])
    return vectors[torch.argsort(order)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Distil and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=Path, default=Path("../shared/train"))
    parser.add_argument("--work", type=Path, default=Path("tools/pocket/work"))
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--sentence-steps", type=int, default=1000, help="towards MiniLM's own vectors, to begin with")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--everyday-steps", type=int, default=300, help="on everyday words among all others")
    parser.add_argument("--tuning-steps", type=int, default=400, help="of the head, with the text encoder's vectors")
    parser.add_argument("--scale", type=float, default=SCALE, help="logit scale, as evaluate.py's ECE decides")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.manual_seed(given.seed)
    material = gather(given.train, given.work, given.wordnet)
    texts = texts_of(material, given.wordnet, given.work, given.seed)
    words = load_file(given.work / "words.safetensors").items()
    known = {name.removeprefix("text."): tensor.float() for name, tensor in words if name.startswith("text.")}
    sentences = texts.lessons(texts.vectors)
    tower = start_tower(known, texts.vectors.shape[1])
    start_projection(tower, sentences, SAMPLE, given.seed)
    distil(
        tower,
        sentences,
        DistilOptions(given.sentence_steps, given.batch, given.rate, given.seed),
        given.work,
        "sentences",
    )
    model = load_joint(material, given.work)
    with torch.no_grad():
        lessons = texts.lessons(model.texts(texts.vectors, texts.owners))
    tower = start_tower(tower.state_dict(), JOINT)
    start_projection(tower, lessons, SAMPLE, given.seed)
    distil(tower, lessons, DistilOptions(given.steps, given.batch, given.rate, given.seed), given.work, "joint")
    lessons = with_everyday(lessons, model, material, tower, given.wordnet, given.seed)
    distil(
        tower,
        lessons,
        DistilOptions(given.everyday_steps, given.batch, EVERYDAY_RATE, given.seed),
        given.work,
        "everyday",
    )
    model.known = encode(tower, texts.tokens[: len(material.book.texts)])
    train_joint(
        model.train(), material, JointOptions(given.tuning_steps, TUNING_RATE, given.seed + 1), given.work, "tuned"
    )
    export_model(given.out, load_trunk(), model.head.layers(material.axes), tower, given.scale)


if __name__ == "__main__":
    main()
