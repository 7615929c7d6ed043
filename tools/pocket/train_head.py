"""Gather the material and train the head: ``python -m tools.pocket.train_head --train ../shared/train``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tools.pocket import image_tower, splits
from tools.pocket.classes import classes_below, read_classes
from tools.pocket.everyday import read_everyday
from tools.pocket.general import read_concepts
from tools.pocket.head import Head
from tools.pocket.joint import Joint, JointOptions, Material, train_joint
from tools.pocket.label_lists import HELD_OUT_WORDS
from tools.pocket.lists import Teacher
from tools.pocket.moved import Mover
from tools.pocket.phrasebook import Phrasebook
from tools.pocket.sources import Pictures, captioned_set, drawn_set, labelled_set, rendered_set
from tools.pocket.wordnet import read_nouns


def gather(data: Path, work: Path, wordnet: Path) -> Material:
    """Read everything that training draws from."""
    nouns = read_nouns(wordnet)
    ancestors, classes = nouns.ancestors(), read_classes(nouns)
    left_out = {word.lower() for word in HELD_OUT_WORDS}
    concepts = read_concepts(classes, nouns, ancestors, left_out)
    labelled = tuple(labelled_set(data, work, name) for name in splits.LABELLED)
    tagged = (
        captioned_set(data, work, "flickr8k", frozenset(nouns.senses) - left_out),
        *(drawn_set(data, work, name) for name in splits.DRAWN),
    )
    rendered, facts = rendered_set(work) if (work / "rendered.json").exists() else (None, [])
    questions = [label for fact in facts for labels, _ in fact["questions"] for label in labels]
    every = [source.pictures.features for source in (*labelled, *tagged[:1])]
    base = Pictures(torch.cat([features[:1] for features in every], dim=1))
    trunk = image_tower.load_trunk()
    classifier = trunk.get_classifier()
    mover = Mover(classifier.weight.detach(), classifier.bias.detach(), base.features[0].float())
    people = read_everyday(classes, nouns, classes_below(classes, ancestors))
    below = classes_below(classes, ancestors)
    clothing = next(below[offset] for offset in nouns.senses["clothing"] if offset in below)
    personal = np.logical_or.reduce(
        [*(people[word] for word in ("person", "man", "woman", "child", "baby", "crowd")), clothing]
    )
    words = [
        *concepts.words,
        *(word for source in labelled for word in source.words.words),
        *(word for source in tagged for word in source.words),
        *("person", "people", "human", "man", "woman", "child"),
    ]
    words = list(dict.fromkeys((*words, *classes.names)))
    texts = [text for source in tagged for own in source.texts for text in own]
    captions = [*texts, *(text for fact in facts for text in fact["captions"]), *questions]
    book = Phrasebook(words, captions, work)
    near = tuple(_nearness(book, source.words) for source in tagged)
    teacher = Teacher(concepts, classes.names, mover, base, personal)
    return Material(book, teacher, labelled, tagged, near, rendered, facts)


def _nearness(book: Phrasebook, words: Sequence[str]) -> torch.Tensor:
    vectors = book.vectors[book.bare(words)]
    return vectors @ vectors.T


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=Path("../shared/train"))
    parser.add_argument("--work", type=Path, default=Path("tools/pocket/work"))
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.manual_seed(given.seed)
    material = gather(given.train, given.work, given.wordnet)
    mover = material.teacher.mover
    head = Head(mover.rows, mover.bias, mover.mean)
    model = Joint(head)
    names = material.book.vectors[material.book.bare(material.teacher.names)]
    with torch.no_grad():
        head.start_from(model.texts(names))
    train_joint(model, material, JointOptions(given.steps, given.rate, given.seed), given.work)


if __name__ == "__main__":
    main()
