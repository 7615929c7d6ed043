"""What the classifier finds only weakly likely, for the head: a linear map of all logits.

The classes' units of the head let only likely classes through. A rocket that the classifier takes for a missile at
4 % is a rocket all the same where no other label is likelier, and a linear map keeps that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

AXES = 144  # units of the head, one for each axis kept: those along which pictures differ most
RIDGE = 3.0


@dataclass(frozen=True)
class LinearMap:
    """Logits (B, C) to ``logits @ matrix.T + offset`` (B, D)."""

    matrix: torch.Tensor
    offset: torch.Tensor

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Map logits (B, C) to (B, D)."""
        return logits @ self.matrix.T + self.offset

    def scaled(self, length: float, logits: torch.Tensor) -> LinearMap:
        """Make what is given for these logits (N, C) of that length on average."""
        factor = length / self.apply(logits).norm(dim=1).mean()
        return LinearMap(self.matrix * factor, self.offset * factor)


@dataclass(frozen=True)
class Evidence:
    """A linear map on few axes: ``(logits - mean) @ plane`` (B, K) of unit variance, then ``out`` and ``offset``."""

    plane: torch.Tensor  # (C, K)
    mean: torch.Tensor  # (C,)
    out: torch.Tensor  # (D, K)
    offset: torch.Tensor  # (D,)


def names_map(rows: torch.Tensor, names: torch.Tensor, logits: torch.Tensor) -> LinearMap:
    """Give the map under which class names have the classifier's own cosine with a picture.

    Parameters
    ----------
    rows : (C, F) float32
        The classifier's.
    names : (C, D) float32
        Unit vectors of the classes' names.
    logits : (N, C) float32
        Of real pictures, whose mean is mapped to 0.
    """
    centred = names - names.mean(dim=0)
    gram = centred.T @ centred + RIDGE * torch.eye(names.shape[1])
    matrix = _of_differences(torch.linalg.solve(gram, centred.T) / _lengths(rows))
    return LinearMap(matrix, -matrix @ logits.mean(dim=0))


def first_model_map(rows: torch.Tensor, bias: torch.Tensor, projection: torch.Tensor, shift: torch.Tensor) -> LinearMap:
    """Give the image vector of the first model, the projection of features that only knows class directions.

    Parameters
    ----------
    rows : (C, F) float32, bias : (C,) float32
        The classifier.
    projection : (D, F) float32, shift : (D,) float32
        The first model's, on principal axes of the centred and normalised rows.
    """
    lengths = _lengths(rows)
    directions = (rows - rows.mean(dim=0)) / lengths[:, None]  # (C, F)
    matrix = _of_differences(torch.linalg.pinv(directions @ projection.T) / lengths)
    return LinearMap(matrix, shift - matrix @ bias)


def fit_evidence(wanted: LinearMap, logits: torch.Tensor) -> Evidence:
    """Keep the axes along which what the map gives for these logits (N, C) differs most."""
    mean = logits.mean(dim=0)
    found = (logits - mean) @ wanted.matrix.T  # (N, D)
    variances, axes = torch.linalg.eigh(torch.cov(found.T))  # ascending
    kept = axes.flip(1)[:, :AXES]  # (D, K)
    deviations = variances.flip(0)[:AXES].clamp(min=1e-12).sqrt()
    return Evidence(wanted.matrix.T @ kept / deviations, mean, kept * deviations, wanted.matrix @ mean + wanted.offset)


def _lengths(rows: torch.Tensor) -> torch.Tensor:
    return (rows - rows.mean(dim=0)).norm(dim=1)


def _of_differences(matrix: torch.Tensor) -> torch.Tensor:
    return matrix - matrix.mean(dim=1, keepdim=True)
