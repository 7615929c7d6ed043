"""Training pictures as the head sees them: principal axes of the features, and the classifier's logits.

Both are worked out once for every picture and view, so that a training step has no large matrix to multiply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

FREE = 360  # axes kept, one for each free unit of the head
SOFTENED = 100, 0.3  # whitening adds to each variance this share of that axis's, so that small ones stay small
CHANGE = 0.7  # deviation of the share of another picture's change between two views
NOISE = 0.25  # of a coordinate's deviation


@dataclass(frozen=True)
class Seen:
    """What the head sees of pictures: coordinates (B, K) and the classifier's logits (B, C)."""

    coordinates: torch.Tensor
    logits: torch.Tensor

    def __len__(self) -> int:
        return len(self.logits)

    def where(self, mask: torch.Tensor) -> Seen:
        """Keep the pictures where ``mask`` (B,) holds."""
        return Seen(self.coordinates[mask], self.logits[mask])


def together(parts: Sequence[Seen]) -> Seen:
    """Put pictures one after the other."""
    return Seen(torch.cat([part.coordinates for part in parts]), torch.cat([part.logits for part in parts]))


class Axes:
    """Softly whitened principal axes of the features, and the classifier.

    Parameters
    ----------
    features : (N, F) float32
        Features of training pictures.
    rows : (C, F) float32, bias : (C,) float32
        The classifier.
    """

    def __init__(self, features: torch.Tensor, rows: torch.Tensor, bias: torch.Tensor) -> None:
        self.rows, self.bias = rows, bias
        self.mean = features.mean(dim=0)
        variances, axes = torch.linalg.eigh(torch.cov(features.T))  # ascending
        variances, axes = variances.flip(0), axes.flip(1)
        axis, share = SOFTENED
        self.matrix = axes[:, :FREE] / (variances[:FREE] + share * variances[axis]).sqrt()  # (F, K)

    def seen(self, features: torch.Tensor) -> Seen:
        """Coordinates and logits of features (B, F)."""
        return Seen((features - self.mean) @ self.matrix, features @ self.rows.T + self.bias)


@dataclass(frozen=True)
class Changes:
    """How views of pictures differ: changes (M, K) and (M, C), and the deviation (K,) of coordinates."""

    coordinates: torch.Tensor
    logits: torch.Tensor
    deviation: torch.Tensor


@dataclass(frozen=True)
class Pictures:
    """Pictures in V views each: coordinates (V, N, K) and logits (V, N, C)."""

    coordinates: torch.Tensor
    logits: torch.Tensor
    changes: Changes

    def draw(self, rows: Sequence[int] | torch.Tensor, generator: torch.Generator) -> Seen:
        """One random view of each picture, changed as another picture's views differ, and with noise."""
        index = torch.as_tensor(rows)
        views = torch.randint(len(self.logits), (len(index),), generator=generator)
        coordinates, logits = self.coordinates[views, index], self.logits[views, index]
        other = torch.randint(len(self.changes.logits), (len(index),), generator=generator)
        share = CHANGE * torch.randn(len(index), 1, generator=generator)
        noise = NOISE * self.changes.deviation * torch.randn(coordinates.shape, generator=generator)
        return Seen(
            coordinates + share * self.changes.coordinates[other] + noise,
            logits + share * self.changes.logits[other],
        )
