"""Teach the text encoder what the trained head's adapter says, let the head learn with it, and write the model folder.

The first model's vectors, in which every word has the cosines of the classifier, take half of the joint space: what
the trained half says of a picture of which it knows nothing is a guess by the photographs that taught it.

python -m tools.pocket.train_text --out src/clipcli/models/pocket
"""

from __future__ import annotations

import argparse
import copy
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
from tools.pocket.evidence import LinearMap, first_model_map, fit_evidence, names_map
from tools.pocket.export import export_model
from tools.pocket.head import JOINT
from tools.pocket.image_tower import load_trunk
from tools.pocket.joint import Joint, JointOptions, Material, average, start, train_joint
from tools.pocket.label_lists import HELD_OUT_WORDS
from tools.pocket.learn_everyday import EverydayWords, everyday_texts, learn_everyday
from tools.pocket.more_texts import more_texts
from tools.pocket.sentences import embed_sentences
from tools.pocket.text_tower import build_text_tower, tokenizer
from tools.pocket.train_head import gather
from tools.pocket.wordnet import read_nouns
from torch.nn import functional

SCALE = 36.0
TUNING_RATE, TUNED_SHARE = 1.5e-3, 0.6
BOTH_RATE, EVERYDAY_SHARE = 8e-4, 0.2
FIRST_TEXT = 0.5  # length of the first model's part of a text's vector, in units of the other part's
WEAK_SHARE, FIRST_SHARE = 0.3, 0.5  # lengths of the linear units' parts, in units of the head's vectors
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


@torch.no_grad()
def adapter_lessons(texts: Texts, model: Joint) -> Lessons:
    """Make lessons of the trained adapter's vectors."""
    return texts.lessons(model.texts(texts.vectors, texts.owners))


def everyday_of(material: Material, wordnet: Path) -> EverydayWords:
    """Read the everyday words that training may use."""
    nouns = read_nouns(wordnet)
    classes = read_classes(nouns)
    masks = read_everyday(classes, nouns, classes_below(classes, nouns.ancestors()))
    return everyday_texts(masks, material.book, frozenset(word.lower() for word in HELD_OUT_WORDS))


def both_lessons(
    texts: Texts, model: Joint, material: Material, everyday: EverydayWords, towers: tuple[Any, Any], seed: int
) -> Lessons:
    """Make lessons of both halves of the joint space, everyday words among them.

    Parameters
    ----------
    towers
        The text encoder that has learned the adapter's vectors, and the first model's.
    """
    tower, first = towers
    lessons = adapter_lessons(texts, model)
    tokens = torch.cat([lessons.tokens, tokenizer()(list(everyday.texts))])
    count = len(lessons.tokens)
    now = encode(tower, tokens)
    model.known = now[: len(material.book.texts)]
    wanted = torch.cat([lessons.wanted, learn_everyday(model, material, everyday, now[count:], seed)])
    wanted = functional.normalize(torch.cat([wanted, FIRST_TEXT * encode(first, tokens) @ first_basis(first).T], dim=1))
    own = np.full(len(everyday.texts), EVERYDAY_SHARE / len(everyday.texts))
    anchors = [*texts.anchors, *(count + everyday.owners.tolist().index(at) for at in range(len(everyday.words)))]
    weights = np.concatenate([lessons.weights * (1.0 - EVERYDAY_SHARE), own])
    return Lessons(tokens, wanted, wanted[torch.tensor(anchors)], weights)


def first_basis(first: Any) -> torch.Tensor:
    """Orthonormal rows (D, E) for the subspace of the first model's joint space that its text encoder reaches."""
    return torch.linalg.svd(first.text_projection.detach(), full_matrices=False)[2][:JOINT]


def widen(model: Joint, material: Material, known: dict[str, torch.Tensor], basis: torch.Tensor) -> None:
    """Give the head the first model's image vector on further axes, and maps for weak evidence on all."""
    rows, bias = material.axes.rows, material.axes.bias
    logits = material.teacher.base.logits[0]
    assert model.known is not None, "the text encoder's vectors are not there"
    names = functional.normalize(model.known[material.book.bare(material.teacher.names)][:, :JOINT], dim=1)
    first = first_model_map(rows, bias, known["visual.head.proj.weight"], known["visual.head.proj.bias"])
    length = mean_length(model, material)
    parts = (
        names_map(rows, names, logits).scaled(WEAK_SHARE * length, logits),
        LinearMap(basis @ first.matrix, basis @ first.offset).scaled(FIRST_SHARE * length, logits),
    )
    wanted = LinearMap(torch.cat([part.matrix for part in parts]), torch.cat([part.offset for part in parts]))
    model.head = model.head.widened(2 * JOINT)
    model.head.set_evidence(fit_evidence(wanted, logits))


@torch.no_grad()
def mean_length(model: Joint, material: Material) -> float:
    """Mean length of the head's vectors on real pictures, before they are normalised."""
    seen = material.teacher.base.draw(torch.arange(2000), torch.Generator().manual_seed(0))
    return float(model.head(seen).norm(dim=1).mean())


@torch.no_grad()
def encode(tower: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Encode tokens (T, L): unit vectors (T, D), short texts first so that they are not padded to long ones."""
    order = torch.argsort((tokens != 0).sum(dim=1))
    vectors = torch.cat([functional.normalize(tower_vectors(tower, tokens[part]), dim=1) for part in order.split(512)])
    return vectors[torch.argsort(order)]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=Path, default=Path("../shared/train"))
    parser.add_argument("--work", type=Path, default=Path("tools/pocket/work"))
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--sentence-steps", type=int, default=1000, help="towards MiniLM's own vectors, to begin with")
    parser.add_argument("--steps", type=int, default=2000, help="towards the adapter's vectors")
    parser.add_argument(
        "--both-steps", type=int, default=1000, help="with everyday words and the first model's vectors"
    )
    parser.add_argument("--tuning-steps", type=int, default=500, help="of the head, with the text encoder's vectors")
    parser.add_argument("--scale", type=float, default=SCALE, help="logit scale, as evaluate.py's ECE decides")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def learn(given: argparse.Namespace, tower: Any, lessons: Lessons, steps: int, rate: float, name: str) -> Any:
    """Let a text encoder learn lessons, in a joint space of as many axes as they have."""
    if tower.text_projection.shape[1] != lessons.wanted.shape[1]:
        tower = start_tower(tower.state_dict(), lessons.wanted.shape[1])
        start_projection(tower, lessons, SAMPLE, given.seed)
    distil(tower, lessons, DistilOptions(steps, given.batch, rate, given.seed), given.work, name)
    return tower.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    """Distil, tune and export."""
    given = parse(arguments)
    torch.manual_seed(given.seed)
    material = gather(given.train, given.work, given.wordnet)
    texts = texts_of(material, given.wordnet, given.work, given.seed)
    known = {name: tensor.float() for name, tensor in load_file(given.work / "words.safetensors").items()}
    words = {name.removeprefix("text."): tensor for name, tensor in known.items() if name.startswith("text.")}
    first = build_text_tower(words["text_projection"].shape[1])
    first.load_state_dict(words, strict=False)
    tower = learn(given, first.eval(), texts.lessons(texts.vectors), given.sentence_steps, given.rate, "sentences")
    model = load_joint(material, given.work)
    tower = learn(given, tower, adapter_lessons(texts, model), given.steps, given.rate, "joint-texts")
    lessons = both_lessons(texts, model, material, everyday_of(material, given.wordnet), (tower, first), given.seed)
    tower = learn(given, tower, lessons, given.both_steps, BOTH_RATE, "both")
    model.known = encode(tower, texts.tokens[: len(material.book.texts)])
    widen(model, material, known, first_basis(first))
    before = copy.deepcopy(model.head)
    options = JointOptions(given.tuning_steps, TUNING_RATE, given.seed + 1)
    train_joint(model.train(), material, options, given.work, "tuned")
    average(
        before, model.head, 1.0 - TUNED_SHARE
    )  # WiSE-FT (Wortsman et al. 2022): both are right about other pictures
    model.head = before
    export_model(given.out, load_trunk(), model.eval().head.layers(material.axes), tower, given.scale)


if __name__ == "__main__":
    main()
