"""Logits of classes that no training picture shows: those of real pictures, moved towards a class.

Linear discriminant analysis takes classes as Gaussians with one covariance S; a linear classifier's row is then
S^-1 times the class mean. Read the other way round, a class mean lies in the direction S (row - mean row). A real
picture keeps its own content and is moved that way until the classifier is as sure as on a photograph.
"""

from __future__ import annotations

import torch

SURE = (0.03, 0.995)  # the classifier's probability of the class after the move, drawn evenly
KEEP = (0.2, 0.9)  # how much of the picture's own deviation from the mean stays, drawn evenly
LONGEST = 60.0  # of a step, in units of unit directions
HALVINGS = 10


class Mover:
    """Move logits towards classes.

    Parameters
    ----------
    rows : (C, F) float32, bias : (C,) float32
        The classifier.
    features : (N, F) float32
        Real features, for the mean and the covariance.
    """

    def __init__(self, rows: torch.Tensor, bias: torch.Tensor, features: torch.Tensor) -> None:
        self.mean = features.mean(dim=0) @ rows.T + bias  # (C,)
        directions = (rows - rows.mean(dim=0)) @ torch.cov(features.T)  # (C, F)
        directions = directions / directions.norm(dim=1, keepdim=True)
        self.steps = directions @ rows.T  # (C, C): change of all logits for a unit step towards a class

    def move(self, logits: torch.Tensor, classes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Move logits (B, C) towards classes (B,): (B, C) float32."""
        keep = KEEP[0] + (KEEP[1] - KEEP[0]) * torch.rand(len(logits), 1, generator=generator)
        wanted = SURE[0] + (SURE[1] - SURE[0]) * torch.rand(len(logits), generator=generator)
        start, change = self.mean + keep * (logits - self.mean), self.steps[classes]  # (B, C), (B, C)
        low, high = torch.zeros(len(logits)), torch.full((len(logits),), LONGEST)
        here = torch.arange(len(logits))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            sure = torch.softmax(start + middle[:, None] * change, dim=1)[here, classes]
            low, high = torch.where(sure < wanted, middle, low), torch.where(sure < wanted, high, middle)
        return start + high[:, None] * change
