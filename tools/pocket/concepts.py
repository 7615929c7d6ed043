"""Directions for words that cover several ImageNet classes, such as "dog" or "vehicle".

The mean of the classes' directions is a poor answer: broad concepts then score lower than narrow ones on
their own images. Instead each concept gets the direction and the offset that best tell its classes from
those of other concepts, learned on made-up image embeddings (a class direction, a bit of a similar class,
noise); no image is needed. The offset lives in the joint space's last axis, where every image has the same
value (see ``space.py``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

Array = npt.NDArray[np.float32]

SCALE = 30.0  # logits per unit of cosine without the constant axis
NOISE, NEIGHBOUR = 1.5, 0.5  # give cosines to the true class near those of real photos, about 0.5


def fit_concepts(members: Array, leaves: Array, constant: float, *, steps: int, seed: int) -> Array:
    """Learn one vector for each concept.

    Parameters
    ----------
    members : (M, C) float32, 1 where a concept covers a class
    leaves : (C, D) float32, unit vectors of the classes; the last axis is the constant one
    constant : value of an image's constant axis relative to the length of the others

    Returns
    -------
    (M, D) float32 of unit length
    """
    generator = torch.Generator().manual_seed(seed)
    inside, rows = torch.from_numpy(members), torch.from_numpy(leaves)
    start = functional.normalize(inside @ rows, dim=1)  # (M, C) @ (C, D) -> (M, D)
    start[:, -1] += 0.1
    concepts = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([concepts], lr=1e-2)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1.0 - step / steps)
        loss = _loss(concepts, inside, rows, constant, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.asarray(functional.normalize(concepts.detach(), dim=1).numpy())


def _loss(
    concepts: torch.Tensor,
    inside: torch.Tensor,
    rows: torch.Tensor,
    constant: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Cross-entropy of "any right label" among a random handful of concepts and classes."""
    images, truth = pseudo_images(rows, 384, constant, generator)  # (B, D), (B,)
    how_many = int(torch.randint(8, 80, (), generator=generator))
    chosen = torch.randperm(len(concepts), generator=generator)[:how_many]
    single = torch.randperm(len(rows), generator=generator)[: how_many // 2]
    labels = torch.cat([functional.normalize(concepts[chosen], dim=1), rows[single]])  # (L, D)
    right = torch.cat([inside[chosen][:, truth].T, (single == truth[:, None]).float()], dim=1)  # (B, L)
    logits = SCALE * (1.0 + constant**2) ** 0.5 * images @ labels.T  # (B, D) @ (D, L) -> (B, L)
    found = torch.logsumexp(logits.masked_fill(right == 0, -1e9), dim=1) - torch.logsumexp(logits, dim=1)
    breadth = torch.cat([inside[chosen].sum(1), torch.ones(len(single))])  # (L,)
    narrowest = torch.where(right > 0, breadth, torch.inf).min(dim=1).values
    weight = narrowest.rsqrt()  # 0 where no label is right: those images teach nothing
    return -(weight * found.clamp(min=-50.0)).sum() / weight.sum().clamp(min=1.0)


def pseudo_images(
    rows: torch.Tensor, how_many: int, constant: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw image embeddings (B, D) of unit length around random classes, and their classes (B,)."""
    truth = torch.randint(len(rows), (how_many,), generator=generator)
    nearby = torch.softmax(8.0 * rows[truth] @ rows.T, dim=1)  # (B, C)
    other = torch.multinomial(nearby, 1, generator=generator)[:, 0]
    share = NEIGHBOUR * torch.rand(how_many, 1, generator=generator)
    noise = NOISE * torch.randn(how_many, rows.shape[1], generator=generator) / rows.shape[1] ** 0.5
    images = rows[truth] + share * rows[other] + noise
    images[:, -1] = 0.0
    images = functional.normalize(images, dim=1)
    images[:, -1] = constant
    return functional.normalize(images, dim=1), truth
