"""Teach the text encoder the adapter's vectors, so that no MiniLM is needed to use the model.

The transformer starts from one that knows words (``words.py``); its new projection starts at the least-squares
solution. The loss is the cosine distance to the adapter's vector, and the divergence between the distributions over
anchors (class names, labels and captions), which is what ranking is made of.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tools.pocket import checkpoint
from tools.pocket.schedule import learning_rate
from tools.pocket.text_tower import short_context
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

ANCHOR_SCALE = 30.0
COSINE_SHARE = 8.0
POOL = 10  # batches drawn at once and sorted by length, so that short phrases are not padded to long ones
RIDGE = 1e-2
SAVE = 100  # steps between checkpoints


@dataclass(frozen=True)
class DistilOptions:
    """What a run is made of."""

    steps: int
    batch: int
    rate: float
    seed: int


@dataclass(frozen=True)
class Lessons:
    """Tokens (T, L) int64 of all texts, wanted unit vectors (T, D), anchors (A, D), and weights of drawing (T,)."""

    tokens: torch.Tensor
    wanted: torch.Tensor
    anchors: torch.Tensor
    weights: np.ndarray[tuple[int], np.dtype[np.float64]]

    def pool(self, size: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield ``POOL`` batches of tokens (B, L) and wanted vectors (B, D)."""
        draw = np.random.default_rng(seed)
        rows = torch.from_numpy(draw.choice(len(self.weights), size * POOL, p=self.weights))
        lengths = (self.tokens[rows] != 0).sum(dim=1)
        rows = rows[torch.argsort(lengths, stable=True)]
        starts = list(range(0, len(rows), size))
        random.Random(seed).shuffle(starts)
        for start in starts:
            chosen = rows[start : start + size]
            length = int((self.tokens[chosen] != 0).sum(dim=1).max())
            yield self.tokens[chosen, :length], self.wanted[chosen]


def start_projection(tower: Any, lessons: Lessons, sample: int, seed: int) -> None:
    """Solve the projection by ridge regression from the tower's features to the wanted vectors."""
    draw = np.random.default_rng(seed)
    rows = torch.from_numpy(draw.choice(len(lessons.weights), sample, p=lessons.weights))
    width = tower.text_projection.shape[0]
    kept = tower.text_projection.data
    tower.text_projection.data = torch.eye(width)
    with torch.no_grad():
        parts = [tower_vectors(tower, lessons.tokens[part]) for part in rows.split(512)]
    features = torch.cat(parts)  # (S, width)
    gram = features.T @ features + RIDGE * len(rows) * torch.eye(width)
    tower.text_projection.data = kept
    tower.text_projection.data.copy_(torch.linalg.solve(gram, features.T @ lessons.wanted[rows]))


def tower_vectors(tower: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Encode tokens (B, L), cut to the longest: (B, D), not normalised."""
    length = int((tokens != 0).sum(dim=1).max())
    with short_context(tower, length), sdpa_kernel(SDPBackend.MATH):
        vectors: torch.Tensor = tower(tokens[:, :length])
    return vectors


def distil(tower: nn.Module, lessons: Lessons, options: DistilOptions, work: Path, name: str) -> None:
    """Train ``tower`` in place; a checkpoint every ``SAVE`` steps is used by a run with the same options."""
    optimizer = torch.optim.AdamW(tower.parameters(), lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    path = work / f"distil-{name}.pt"
    step = checkpoint.restore(path, tower, optimizer, options)
    started, first = time.monotonic(), step
    while step < options.steps:
        total = np.zeros(2)
        for tokens, wanted in lessons.pool(options.batch, options.seed + 1_000_003 * step):
            optimizer.param_groups[0]["lr"] = learning_rate(step, options.steps, options.rate)
            distance, divergence = lesson_losses(tower, tokens, wanted, lessons.anchors)
            optimizer.zero_grad()
            (COSINE_SHARE * distance + divergence).backward()
            nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
            optimizer.step()
            total += [distance.item(), divergence.item()]
            step += 1
        if step % SAVE < POOL or step >= options.steps:
            checkpoint.save(path, tower, optimizer, options, step)
        pace = (time.monotonic() - started) / (step - first)
        print(f"step {step}/{options.steps}", np.round(total / POOL, 4), f"{pace:.2f} s/step", flush=True)


def lesson_losses(
    tower: nn.Module, tokens: torch.Tensor, wanted: torch.Tensor, anchors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine distance to the wanted vectors (B, D), and divergence of the distributions over anchors (A, D)."""
    found = functional.normalize(tower_vectors(tower, tokens), dim=1)  # (B, D)
    distance = 1.0 - (found * wanted).sum(dim=1).mean()
    target = functional.softmax(ANCHOR_SCALE * wanted @ anchors.T, dim=1)  # (B, A)
    given = functional.log_softmax(ANCHOR_SCALE * found @ anchors.T, dim=1)
    return distance, functional.kl_div(given, target, reduction="batchmean")
