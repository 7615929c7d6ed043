"""Teach the text encoder what the trained head's adapter says, and write the model folder.

python -m tools.pocket.train_text --out src/clipcli/models/pocket
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tools.pocket.distil import DistilOptions, Lessons, distil, start_projection
from tools.pocket.export import export_model
from tools.pocket.head import WIDTH, Head
from tools.pocket.image_tower import load_trunk
from tools.pocket.joint import Joint, Material
from tools.pocket.text_tower import build_text_tower, tokenizer
from tools.pocket.train_head import gather
from torch.nn import functional

SAMPLE = 12_000  # texts that the new projection is solved on
SHARES = {"classes": 0.32, "general": 0.22, "sets": 0.12, "captions": 0.22, "rest": 0.12}


def load_joint(material: Material, work: Path) -> Joint:
    """Read the trained head and adapter."""
    mover = material.teacher.mover
    model = Joint(Head(mover.rows, mover.bias, mover.mean))
    model.load_state_dict(torch.load(work / "joint.pt", weights_only=True)["network"])
    return model.eval()


def lessons_of(material: Material, model: Joint) -> Lessons:
    """All texts as tokens, with the adapter's vectors, and how often each is drawn."""
    book = material.book
    with torch.no_grad():
        wanted = torch.cat([model.texts(part) for part in book.vectors.split(4096)])
    general = material.teacher.concepts.words
    sets = [word for source in material.labelled for word in source.words.words]
    weights = np.zeros(len(book.texts))
    names = set(material.teacher.names)
    for words, share in (
        (material.teacher.names, SHARES["classes"]),
        ([word for word in general if word not in names], SHARES["general"]),
        (sets, SHARES["sets"]),
    ):
        _spread(weights, [row for word in words for row in book.phrases_of(word)], share)
    _spread(weights, book.caption_rows, SHARES["captions"])
    _spread(weights, range(len(weights)), SHARES["rest"])
    anchors = [
        *book.bare(material.teacher.names),
        *book.bare(general[:300]),
        *book.bare(sets),
        *book.caption_rows[::60],
    ]
    tokens = tokenizer()(list(book.texts))
    return Lessons(tokens, wanted, wanted[torch.tensor(anchors)], weights / weights.sum())


def _spread(weights: np.ndarray[Any, np.dtype[np.float64]], rows: Sequence[int], share: float) -> None:
    np.add.at(weights, np.asarray(rows), share / len(rows))


def start_tower(words: Path) -> torch.nn.Module:
    """Build the transformer that knows words, with room for the new joint space."""
    tower: Any = build_text_tower(WIDTH)
    known = {n.removeprefix("text."): t.float() for n, t in load_file(words).items() if n.startswith("text.")}
    del known["text_projection"]
    tower.load_state_dict(known, strict=False)
    return tower


def main(arguments: Sequence[str] | None = None) -> None:
    """Distil and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=Path, default=Path("../shared/train"))
    parser.add_argument("--work", type=Path, default=Path("tools/pocket/work"))
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=384)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.manual_seed(given.seed)
    material = gather(given.train, given.work, given.wordnet)
    model = load_joint(material, given.work)
    lessons = lessons_of(material, model)
    tower = start_tower(given.work / "words.safetensors")
    start_projection(tower, lessons, SAMPLE, given.seed)
    distil(tower, lessons, DistilOptions(given.steps, given.batch, given.rate, given.seed), given.work)
    scale = float(functional.relu(model.log_scale).exp())
    export_model(given.out, load_trunk(), model.head.layers(), tower, scale)


if __name__ == "__main__":
    main()
