"""Gather the material and train the head: ``python -m tools.pocket.train_head --train ../shared/train``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tools.pocket import image_tower, splits
from tools.pocket.bank import Axes, Changes, Pictures, Seen, together
from tools.pocket.classes import classes_below, read_classes
from tools.pocket.everyday import read_everyday
from tools.pocket.general import read_concepts
from tools.pocket.joint import JointOptions, Material, start, train_joint
from tools.pocket.label_lists import HELD_OUT_WORDS
from tools.pocket.lists import PEOPLE, Teacher
from tools.pocket.moved import Mover
from tools.pocket.phrasebook import Phrasebook
from tools.pocket.sources import (
    captioned_set,
    drawn_set,
    labelled_set,
    rendered_facts,
    training_rows,
    view_features,
)
from tools.pocket.wordnet import read_nouns

RENDERED = "rendered"


def gather(data: Path, work: Path, wordnet: Path) -> Material:
    """Read everything that training draws from."""
    nouns = read_nouns(wordnet)
    ancestors, classes = nouns.ancestors(), read_classes(nouns)
    left_out = {word.lower() for word in HELD_OUT_WORDS}
    concepts = read_concepts(classes, nouns, ancestors, left_out)
    axes, views, base, mover = gather_views(data, work)
    labelled = {name: labelled_set(data, views, name) for name in splits.LABELLED}
    tagged = (
        captioned_set(data, views, "flickr8k", frozenset(nouns.senses) - left_out),
        *(drawn_set(data, views, name) for name in splits.DRAWN),
    )
    facts = rendered_facts(work)
    below = classes_below(classes, ancestors)
    people = read_everyday(classes, nouns, below)
    clothing = next(below[offset] for offset in nouns.senses["clothing"] if offset in below)
    personal = np.logical_or.reduce(
        [*(people[word] for word in ("person", "man", "woman", "child", "baby", "crowd")), clothing]
    )
    words = [
        *(word for source in labelled.values() for word in source.words.words),
        *(word for source in tagged for word in source.words),
        *PEOPLE,
    ]
    captions = [
        *(text for source in tagged for own in source.texts for text in own),
        *(text for fact in facts for text in fact["captions"]),
        *(label for fact in facts for labels, _ in fact["questions"] for label in labels),
    ]
    book = Phrasebook(words, captions, work, own=(*concepts.words, *classes.names))
    near = tuple(_nearness(book, source.words) for source in tagged)
    teacher = Teacher(concepts, classes.names, mover, base, personal)
    return Material(axes, book, teacher, labelled, tagged, near, views.get(RENDERED), facts)


def gather_views(data: Path, work: Path) -> tuple[Axes, dict[str, Pictures], Pictures, Mover]:
    """Read the saved features: axes, pictures by set, all photographs together, and what moves their logits."""
    features = {name: view_features(work, name, training_rows(data, name)) for name in splits.SETS}
    if (work / f"{RENDERED}.npy").exists():
        features[RENDERED] = torch.from_numpy(np.load(work / f"{RENDERED}.npy").astype(np.float32)[None])
    trunk: Any = image_tower.load_trunk()
    classifier = trunk.get_classifier()
    rows, bias = classifier.weight.detach(), classifier.bias.detach()
    axes = Axes(torch.cat([each[0] for each in features.values()]), rows, bias)
    seen = {name: [axes.seen(view) for view in each] for name, each in features.items()}
    several = [each for each in seen.values() if len(each) > 1]
    changes = Changes(
        torch.cat([each[1].coordinates - each[0].coordinates for each in several]),
        torch.cat([each[1].logits - each[0].logits for each in several]),
        torch.cat([each[0].coordinates for each in seen.values()]).std(dim=0),
    )

    def pictures(each: Sequence[Seen]) -> Pictures:
        stacked = torch.stack([view.coordinates for view in each]), torch.stack([view.logits for view in each])
        return Pictures(*stacked, changes)

    photographs = [name for name in (*splits.CAPTIONED, *splits.LABELLED) if name in seen]
    base = pictures([together([seen[name][view % len(seen[name])] for name in photographs]) for view in range(2)])
    mover = Mover(rows, bias, torch.cat([features[name][0] for name in photographs]))
    return axes, {name: pictures(each) for name, each in seen.items()}, base, mover


def _nearness(book: Phrasebook, words: Sequence[str]) -> torch.Tensor:
    vectors = book.vectors[book.bare(words)]
    return vectors @ vectors.T


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=Path("../shared/train"))
    parser.add_argument("--work", type=Path, default=Path("tools/pocket/work"))
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.manual_seed(given.seed)
    material = gather(given.train, given.work, given.wordnet)
    train_joint(start(material), material, JointOptions(given.steps, given.rate, given.seed), given.work, "joint")


if __name__ == "__main__":
    main()
