"""Train the head against MiniLM: contrastively on captions, and on label lists of the kind that people type.

LiT (Zhai et al. 2022) on saved features, with a frozen MiniLM and a small adapter as the text side. The adapter's
vectors are what the text encoder learns afterwards (``distil.py``).
"""

from __future__ import annotations

import copy
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tools.pocket import checkpoint
from tools.pocket.adapter import Adapter
from tools.pocket.bank import Axes, Pictures, Seen, together
from tools.pocket.evidence import fit_evidence, names_map
from tools.pocket.head import Head
from tools.pocket.lists import Exercise, Teacher, labelled_exercise, tagged_exercise
from tools.pocket.phrasebook import Phrasebook
from tools.pocket.schedule import learning_rate
from tools.pocket.sources import LabelledSet, TaggedSet
from torch import nn
from torch.nn import functional

SCALE_START, SCALE_MOST = 20.0, 100.0
CAPTIONS, DRAWINGS, RENDERED = 320, 32, 32  # pictures of a contrastive batch
QUESTIONS = 64  # rendered pictures with a list each
NAMES_BATCH, NAMES_LIST = 160, 320
GENERAL_LISTS = 12
TUNED_MOVED, TUNED_REAL, TUNED_LISTS, TUNED_NAMES_SHARE = 128, 288, 20, 2.0  # with the text encoder's own vectors
LABELLED_SHARES = {"miniplaces": 0.35, "sports100": 0.25, "aid": 0.2, "idenprof": 0.1, "trashnet": 0.1}
NAMES_SHARE, GENERAL_SHARE, TAGGED_SHARE, QUESTIONS_SHARE = 1.5, 2.0, 0.5, 0.3  # in the loss, where captions count 1
WEAK = 0.6  # length of the linear units' part at the start; the classes of a sure picture give about 2
SMOOTHING = 0.05  # of the wanted distributions
TEXT_NOISE = 0.03  # on MiniLM's unit vectors, for each coordinate
OWN_DROPOUT, OWN_RATE = 0.3, 5.0  # of words' own vectors, and their learning rate in units of the others'
AVERAGE = 0.99  # of the running mean of the weights, which is what is saved
REPORT = 50


@dataclass(frozen=True)
class Material:
    """All that a step may draw from."""

    axes: Axes
    book: Phrasebook
    teacher: Teacher
    labelled: dict[str, LabelledSet]
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
    """Head, adapter and logit scale.

    Parameters
    ----------
    classes, words
        How many classes the classifier has, and how many words vectors of their own.
    """

    def __init__(self, classes: int, words: int) -> None:
        super().__init__()
        self.head, self.adapter = Head(classes), Adapter(words)
        self.log_scale = nn.Parameter(torch.tensor(SCALE_START).log())
        self.known: torch.Tensor | None = None  # (T, D): the text encoder's vectors, in place of the adapter's

    def images(self, seen: Seen) -> torch.Tensor:
        """Map what is seen of B pictures to unit vectors (B, D)."""
        return functional.normalize(self.head(seen), dim=1)

    def texts(self, vectors: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
        """Map MiniLM's vectors (B, 384), and places of words or -1 (B,), to unit vectors (B, D)."""
        return functional.normalize(self.adapter(vectors, owners), dim=1)


def start(material: Material) -> Joint:
    """Build the model whose image vectors begin as ConSE's."""
    book, names = material.book, material.teacher.names
    model = Joint(len(names), len(book.own))
    rows = book.bare(names)
    with torch.no_grad():
        vectors = model.texts(book.vectors[rows], torch.full((len(rows),), -1))
    model.head.start_from(vectors)
    logits = material.teacher.base.logits[0]
    model.head.set_evidence(fit_evidence(names_map(material.axes.rows, vectors, logits).scaled(WEAK, logits), logits))
    return model


def train_joint(model: Joint, material: Material, options: JointOptions, work: Path, name: str) -> None:
    """Train in place, and save the running mean as ``NAME.pt``; a checkpoint continues a run with the same options."""
    pair = nn.ModuleDict({"model": model, "mean": copy.deepcopy(model)})
    optimizer = optimizer_for(model, options.rate)
    path = work / f"{name}-checkpoint.pt"
    step = checkpoint.restore(path, pair, optimizer, options)
    started, first = time.monotonic(), step
    sums: Any = 0.0
    while step < options.steps:
        draw = random.Random(options.seed * 1_000_003 + step)
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * learning_rate(step, options.steps, options.rate)
        losses = step_losses(model, material, draw, generator)
        optimizer.zero_grad()
        total = sum((share * loss for share, loss in losses.values()), torch.zeros(()))
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        average(pair["mean"], model, min(AVERAGE, step / (step + 9)))
        sums = sums + np.array([loss.item() for _, loss in losses.values()])
        if step % REPORT == 0:
            pace = (time.monotonic() - started) / (step - first)
            print(
                step, dict(zip(losses, np.round(sums / REPORT, 2).tolist(), strict=True)), f"{pace:.2f} s", flush=True
            )
            sums = 0.0
        if step % 250 == 0 or step == options.steps:
            checkpoint.save(path, pair, optimizer, options, step)
    model.load_state_dict(pair["mean"].state_dict())
    torch.save(model.state_dict(), work / f"{name}.pt")


def optimizer_for(model: Joint, rate: float) -> torch.optim.Optimizer:
    """AdamW without decay of biases; words' own vectors learn faster."""
    own = [model.adapter.own]
    others = [parameter for parameter in model.parameters() if parameter is not model.adapter.own]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.dim() > 1], "weight_decay": 0.1, "share": 1.0},
        {"params": [p for p in others if p.dim() <= 1], "weight_decay": 0.0, "share": 1.0},
        {"params": own, "weight_decay": 0.02, "share": OWN_RATE},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


@torch.no_grad()
def average(mean: nn.Module, model: nn.Module, share: float) -> None:
    """Move the running mean of the weights towards the model's."""
    for kept, new in zip(mean.parameters(), model.parameters(), strict=True):
        kept.lerp_(new, 1.0 - share)


def step_losses(
    model: Joint, material: Material, draw: random.Random, generator: torch.Generator
) -> dict[str, tuple[float, torch.Tensor]]:
    """Losses of one step by name, each with its share of the sum."""
    book, teacher = material.book, material.teacher
    groups: dict[str, tuple[float, list[Exercise]]] = classifier_exercises(model, material, draw, generator)
    for name, source in material.labelled.items():
        groups[name] = (LABELLED_SHARES[name], [labelled_exercise(source, teacher, book, draw, generator)])
    pairs = zip(material.tagged, material.near, strict=True)
    groups["tags"] = (TAGGED_SHARE, [tagged_exercise(s, near, book, draw, generator) for s, near in pairs])
    if material.rendered is not None:
        groups["questions"] = (QUESTIONS_SHARE, [rendered_questions(material, material.rendered, draw, generator)])
    seen, texts = contrastive_pairs(material, draw, generator)
    every = [exercise for _, group in groups.values() for exercise in group]
    images = model.images(together([seen, *(exercise.seen for exercise in every)]))
    words = text_vectors(model, book, [*texts, *(row for exercise in every for row in exercise.texts)], generator)
    scale = model.log_scale.exp().clamp(max=SCALE_MOST)
    image, text = len(seen), len(texts)
    losses = {"captions": (1.0, contrastive_loss(scale, images[:image], words[:text], torch.tensor(texts)))}
    for name, (share, group) in groups.items():
        parts = []
        for exercise in group:
            pictures, labels = images[image : image + len(exercise.seen)], words[text : text + len(exercise.texts)]
            parts.append(list_loss(scale * pictures @ labels.T, exercise.wanted))
            image, text = image + len(pictures), text + len(labels)
        losses[name] = (share, torch.stack(parts).mean())
    return losses


def classifier_exercises(
    model: Joint, material: Material, draw: random.Random, generator: torch.Generator
) -> dict[str, tuple[float, list[Exercise]]]:
    """Draw what the classifier teaches; more of it where no adapter has to be run for the texts."""
    book, teacher = material.book, material.teacher
    if model.known is None:
        names = teacher.class_names(book, draw, generator, NAMES_BATCH, NAMES_LIST)
        share, lists = NAMES_SHARE, GENERAL_LISTS
    else:
        names = teacher.all_names(book, draw, generator, TUNED_MOVED, TUNED_REAL)
        share, lists = TUNED_NAMES_SHARE, TUNED_LISTS
    general = [teacher.general(book, draw, generator) for _ in range(lists)]
    return {"names": (share, [names]), "general": (GENERAL_SHARE, general)}


def text_vectors(model: Joint, book: Phrasebook, rows: list[int], generator: torch.Generator) -> torch.Tensor:
    """Map texts (T,) to the joint space (T, D), with noise, and some words without their own vectors."""
    if model.known is not None:
        return model.known[torch.tensor(rows)]
    unique, inverse = torch.unique(torch.tensor(rows), return_inverse=True)
    vectors = book.vectors[unique]
    vectors = vectors + TEXT_NOISE * torch.randn(vectors.shape, generator=generator)
    dropped = torch.rand(len(unique), generator=generator) < OWN_DROPOUT
    return model.texts(vectors, book.owners[unique].masked_fill(dropped, -1))[inverse]


def list_loss(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Divergence of the softmax over a list from what is wanted, smoothed; entries below 0 take no part."""
    counted = wanted >= 0
    log = functional.log_softmax(logits.masked_fill(~counted, -1e4), dim=1)
    even = counted / counted.sum(dim=1, keepdim=True)
    target = (1.0 - SMOOTHING) * wanted.clamp(min=0.0) + SMOOTHING * even
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


def contrastive_pairs(material: Material, draw: random.Random, generator: torch.Generator) -> tuple[Seen, list[int]]:
    """Pictures with a caption or title each."""
    seen, texts = [], []
    for position, source in enumerate(material.tagged):
        rows = draw.sample(range(len(source.texts)), CAPTIONS if position == 0 else DRAWINGS)
        seen.append(source.pictures.draw(rows, generator))
        texts += [material.book.caption(draw.choice(source.texts[row])) for row in rows]
    if material.rendered is not None:
        rows = draw.sample(range(len(material.rendered_facts)), RENDERED)
        seen.append(material.rendered.draw(rows, generator))
        texts += [material.book.caption(draw.choice(material.rendered_facts[row]["captions"])) for row in rows]
    return together(seen), texts


def rendered_questions(
    material: Material, pictures: Pictures, draw: random.Random, generator: torch.Generator
) -> Exercise:
    """Draw rendered pictures with a list each; labels of other pictures' lists take no part in a softmax."""
    rows = draw.sample(range(len(material.rendered_facts)), QUESTIONS)
    asked = [draw.choice(material.rendered_facts[row]["questions"]) for row in rows]
    columns = {
        label: column for column, label in enumerate(dict.fromkeys(label for labels, _ in asked for label in labels))
    }
    wanted = torch.full((len(rows), len(columns)), -1.0)
    for position, (labels, answer) in enumerate(asked):
        wanted[position, [columns[label] for label in labels]] = 0.0
        wanted[position, columns[answer]] = 1.0
    return Exercise(pictures.draw(rows, generator), [material.book.caption(label) for label in columns], wanted)
