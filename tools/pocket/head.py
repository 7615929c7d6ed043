"""The image side's trainable part: open_clip's MLP head, whose first units are the old classifier.

The first 1000 hidden units are the classes, each a GELU of its logit above a threshold, frozen; their output columns
begin at the vectors of the class names, which makes the head ConSE (Norouzi et al. 2014). The other units are free to
learn what captions and labels need.

The threshold decides over general words. GELU is slightly negative below zero: with ``0.5 * logit - 2.5`` most of the
990 classes that a photo does not show lie in that dip, and their sum drowns the one that it does show (a sum over the
units then finds 66 % of general words on real pictures, 99.5 % with the values below).
"""

from __future__ import annotations

import torch
from tools.pocket.bank import FREE, Axes, Seen
from torch import nn
from torch.nn import functional

WIDTH = 752  # of open_clip's joint space, since its head has twice as many hidden units
HIDDEN = 2 * WIDTH
JOINT = 256  # axes of it that are used: as many as the text encoder is wide
DROPOUT, AXIS_DROPOUT = 0.3, 0.1  # of free units and of what they see, in training: few pictures teach them
SLOPE, SHIFT = 1.0, -4.0  # of a class's logit before the GELU: only likely classes come through
LINEAR = 0.6  # how much of its own axis a free unit begins with


class Head(nn.Module):
    """What is seen of pictures to the joint space (B, D), not normalised.

    Parameters
    ----------
    classes
        How many classes the classifier has.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.free = nn.Linear(FREE, HIDDEN - classes)
        nn.init.normal_(self.free.weight, std=0.02)
        nn.init.ones_(self.free.bias)
        self.classes = nn.Linear(classes, JOINT)
        self.out = nn.Linear(HIDDEN - classes, JOINT, bias=False)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.classes.bias)
        with torch.no_grad():
            self.free.weight.add_(LINEAR * torch.eye(*self.free.weight.shape))

    def start_from(self, names: torch.Tensor) -> None:
        """Let the classes' output columns begin at vectors of their names (C, D)."""
        with torch.no_grad():
            self.classes.weight.copy_(0.5 * (names - names.mean(dim=0)).T)

    def forward(self, seen: Seen) -> torch.Tensor:
        """Map what is seen of B pictures to (B, D)."""
        classes = functional.gelu(SLOPE * seen.logits + SHIFT)  # (B, C)
        axes = functional.dropout(seen.coordinates, AXIS_DROPOUT, self.training)
        free = functional.dropout(functional.gelu(self.free(axes)), DROPOUT, self.training)
        out: torch.Tensor = self.classes(classes) + self.out(free)
        return out

    @torch.no_grad()
    def layers(self, axes: Axes) -> dict[str, torch.Tensor]:
        """Weights of open_clip's two linear layers, ``fc1`` and ``fc2``, on features; unused axes are 0."""
        rows = self.free.weight @ axes.matrix.T  # (H - C, K) @ (K, F)
        unused = WIDTH - JOINT
        return {
            "fc1.weight": torch.cat([SLOPE * axes.rows, rows]),
            "fc1.bias": torch.cat([SLOPE * axes.bias + SHIFT, self.free.bias - rows @ axes.mean]),
            "fc2.weight": functional.pad(torch.cat([self.classes.weight, self.out.weight], dim=1), (0, 0, 0, unused)),
            "fc2.bias": functional.pad(self.classes.bias, (0, unused)),
        }
