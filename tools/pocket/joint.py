"""Train the head against MiniLM: contrastively on captions, and on label lists of the kind that people type.

LiT (Zhai et al. 2022) on saved features, with a frozen MiniLM and a small adapter as the text side. The adapter's
vectors are what the text encoder learns afterwards (``distil.py``).
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tools.pocket import checkpoint
from tools.pocket.head import WIDTH, Head
from tools.pocket.lists import Exercise, Teacher, labelled_exercise, tagged_exercise
from tools.pocket.phrasebook import Phrasebook
from tools.pocket.schedule import learning_rate
from tools.pocket.sources import LabelledSet, Pictures, TaggedSet
from torch import nn
from torch.nn import functional

SCALE_START = 20.0
CAPTIONS, DRAWINGS, RENDERED = 288, 64, 64  # pictures of a contrastive batch
QUESTIONS = 96  # rendered pictures with a list each
NAMES_BATCH, NAMES_LIST = 256, 320
GENERAL_LISTS = 6
TEXT_NOISE = 0.03  # on MiniLM's unit vectors, for each coordinate
FEATURE_NOISE = 0.25  # of a feature's deviation
REPORT = 50


class Adapter(nn.Module):
    """MiniLM's vectors (B, 384) to the joint space (B, D): an orthogonal map and a small network beside it."""

    def __init__(self, width: int = 384, hidden: int = 1024) -> None:
        super().__init__()
        self.straight = nn.Linear(width, WIDTH, bias=False)
        nn.init.orthogonal_(self.straight.weight)
        self.aside = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, WIDTH))
        nn.init.normal_(self.aside[0].weight, std=2.0)
        nn.init.normal_(self.aside[2].weight, std=0.3 * hidden**-0.5)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map (B, 384) to (B, D), not normalised."""
        out: torch.Tensor = self.straight(vectors) + self.aside(vectors)
        return out


@dataclass(frozen=True)
class Material:
    """All that a step may draw from."""

    book: Phrasebook
    teacher: Teacher
    labelled: tuple[LabelledSet, ...]
    tagged: tuple[TaggedSet, ...]  # captioned photographs first, then drawings
    near: tuple[torch.Tensor, ...]
    rendered: Pictures | None
    rendered_facts: list[dict[str, Any]]  # of each rendered picture its captions and questions


@dataclass(frozen=True)
class JointOptions:
    """What a run is made of."""

    steps: int
    rate: float
    seed: int


class Joint(nn.Module):
    """Head, adapter and logit scale."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head, self.adapter = head, Adapter()
        self.log_scale = nn.Parameter(torch.tensor(SCALE_START).log())

    def images(self, features: torch.Tensor, others: torch.Tensor | None = None) -> torch.Tensor:
        """Features (B, F) to unit vectors (B, D)."""
        return functional.normalize(self.head(features, others), dim=1)

    def texts(self, vectors: torch.Tensor) -> torch.Tensor:
        """MiniLM's vectors (B, 384) to unit vectors (B, D)."""
        return functional.normalize(self.adapter(vectors), dim=1)


def train_joint(model: Joint, material: Material, options: JointOptions, work: Path) -> None:
    """Train in place; a checkpoint every few minutes is used by a run with the same options."""
    head_rate, others = list(model.head.parameters()), [*model.adapter.parameters(), model.log_scale]
    optimizer = torch.optim.AdamW([{"params": head_rate}, {"params": others}], lr=options.rate, weight_decay=0.1)
    path = work / "joint.pt"
    step = checkpoint.restore(path, model, optimizer, options)
    started, first, sums = time.monotonic(), step, np.zeros(5)
    while step < options.steps:
        draw = random.Random(options.seed * 1_000_003 + step)
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.rate)
        losses = step_losses(model, material, draw, generator)
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        sums += [loss.item() for loss in losses]
        if step % REPORT == 0 or step == options.steps:
            pace = (time.monotonic() - started) / (step - first)
            print(step, np.round(sums / REPORT, 3), f"scale {model.log_scale.exp():.1f} {pace:.2f} s/step", flush=True)
            sums[:] = 0
        if step % 250 == 0 or step == options.steps:
            checkpoint.save(path, model, optimizer, options, step)


def step_losses(
    model: Joint, material: Material, draw: random.Random, generator: torch.Generator
) -> list[torch.Tensor]:
    """Losses of one step: captions, class names, general words, sets' labels, words of captions and questions."""
    book, teacher = material.book, material.teacher
    groups: list[list[Exercise]] = [
        [teacher.class_names(book, draw, generator, NAMES_BATCH, NAMES_LIST)],
        [teacher.general(book, draw, generator) for _ in range(GENERAL_LISTS)],
        [labelled_exercise(source, teacher, book, draw, generator) for source in material.labelled],
        [tagged_exercise(s, n, book, draw, generator) for s, n in zip(material.tagged, material.near, strict=True)],
    ]
    groups[3].extend(rendered_questions(material, draw, generator))
    features, texts = contrastive_pairs(material, draw, generator)
    every = [exercise for group in groups for exercise in group]
    seen = torch.cat([features, *(exercise.features for exercise in every)])
    free = torch.cat([features, *(e.features if e.others is None else e.others for e in every)])
    images = model.images(_noisy(seen, generator), _noisy(free, generator))
    rows = torch.tensor([*texts, *(row for exercise in every for row in exercise.texts)])
    unique, inverse = torch.unique(rows, return_inverse=True)
    vectors = book.vectors[unique]
    vectors = vectors + TEXT_NOISE * torch.randn(vectors.shape, generator=generator)
    words = model.texts(vectors)[inverse]
    scale = model.log_scale.exp().clamp(max=100.0)
    losses = [contrastive_loss(scale, images[: len(features)], words[: len(texts)], torch.tensor(texts))]
    image, text = len(features), len(texts)
    for group in groups:
        parts = []
        for exercise in group:
            logits = scale * images[image : image + len(exercise.features)] @ words[text : text + len(exercise.texts)].T
            parts.append(list_loss(logits, exercise.wanted))
            image, text = image + len(exercise.features), text + len(exercise.texts)
        losses.append(torch.stack(parts).mean())
    return losses


def list_loss(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Divergence of the softmax over a list from what is wanted; entries below 0 take no part."""
    log = functional.log_softmax(logits.masked_fill(wanted < 0, -1e4), dim=1)
    target = wanted.clamp(min=0.0)
    return functional.kl_div(log, target, reduction="batchmean")


def contrastive_loss(
    scale: torch.Tensor, images: torch.Tensor, words: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Symmetric cross-entropy over a batch of pairs; equal texts are no negatives of each other."""
    logits = scale * images @ words.T  # (B, B)
    same = (rows[:, None] == rows) & ~torch.eye(len(rows), dtype=torch.bool)
    logits = logits.masked_fill(same, -1e4)
    target = torch.arange(len(rows))
    return 0.5 * (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target))


def contrastive_pairs(
    material: Material, draw: random.Random, generator: torch.Generator
) -> tuple[torch.Tensor, list[int]]:
    """Pictures (B, F) with a caption or title each."""
    features, texts = [], []
    for position, source in enumerate(material.tagged):
        rows = draw.sample(range(len(source.texts)), CAPTIONS if position == 0 else DRAWINGS)
        features.append(source.pictures.draw(torch.tensor(rows), generator))
        texts += [material.book.caption(draw.choice(source.texts[row])) for row in rows]
    if material.rendered is not None:
        rows = draw.sample(range(len(material.rendered_facts)), RENDERED)
        features.append(material.rendered.draw(torch.tensor(rows), generator))
        texts += [material.book.caption(draw.choice(material.rendered_facts[row]["captions"])) for row in rows]
    return torch.cat(features), texts


def rendered_questions(material: Material, draw: random.Random, generator: torch.Generator) -> list[Exercise]:
    """Draw rendered pictures with a list each; labels of other pictures' lists take no part in a softmax."""
    if material.rendered is None:
        return []
    rows = draw.sample(range(len(material.rendered_facts)), QUESTIONS)
    asked = [draw.choice(material.rendered_facts[row]["questions"]) for row in rows]
    columns = {
        label: column for column, label in enumerate(dict.fromkeys(label for labels, _ in asked for label in labels))
    }
    wanted = torch.full((len(rows), len(columns)), -1.0)
    for position, (labels, answer) in enumerate(asked):
        wanted[position, [columns[label] for label in labels]] = 0.0
        wanted[position, columns[answer]] = 1.0
    features = material.rendered.draw(torch.tensor(rows), generator)
    return [Exercise(features, [material.book.caption(label) for label in columns], wanted)]


def _noisy(features: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    deviation = features.std(dim=0, keepdim=True)
    return features + FEATURE_NOISE * deviation * torch.randn(features.shape, generator=generator)
