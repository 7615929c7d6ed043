"""Image features of classes that no training picture shows: real features moved towards a class.

Linear discriminant analysis takes classes as Gaussians with one covariance S; a linear classifier's row is then
S^-1 times the class mean. Read the other way round, a class mean lies in the direction S (row - mean row). A real
picture's feature keeps its own content and is moved that way until the classifier is as sure as on a photograph.
"""

from __future__ import annotations

import torch

SURE = (0.25, 0.995)  # the classifier's probability of the class after the move, drawn evenly
KEEP = (0.2, 0.9)  # how much of the picture's own deviation from the mean stays, drawn evenly
LONGEST = 60.0  # of a step, in units of unit directions
HALVINGS = 12


class Mover:
    """Move features towards classes.

    Parameters
    ----------
    rows : (C, F) float32, bias : (C,) float32
        The classifier.
    features : (N, F) float32
        Real features, for the mean and the covariance.
    """

    def __init__(self, rows: torch.Tensor, bias: torch.Tensor, features: torch.Tensor) -> None:
        self.rows, self.bias = rows, bias
        self.mean = features.mean(dim=0)
        covariance = torch.cov(features.T)  # (F, F)
        directions = (rows - rows.mean(dim=0)) @ covariance  # (C, F)
        self.directions = directions / directions.norm(dim=1, keepdim=True)
        self.steps = self.directions @ rows.T  # (C, C): change of all logits for a unit step towards a class

    def move(self, features: torch.Tensor, classes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Move features (B, F) towards classes (B,): (B, F) float32, none negative."""
        keep = KEEP[0] + (KEEP[1] - KEEP[0]) * torch.rand(len(features), 1, generator=generator)
        wanted = SURE[0] + (SURE[1] - SURE[0]) * torch.rand(len(features), generator=generator)
        start = self.mean + keep * (features - self.mean)  # (B, F)
        logits, change = start @ self.rows.T + self.bias, self.steps[classes]  # (B, C), (B, C)
        low, high = torch.zeros(len(features)), torch.full((len(features),), LONGEST)
        here = torch.arange(len(features))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            sure = torch.softmax(logits + middle[:, None] * change, dim=1)[here, classes]
            low, high = torch.where(sure < wanted, middle, low), torch.where(sure < wanted, high, middle)
        return torch.relu(start + high[:, None] * self.directions[classes])
