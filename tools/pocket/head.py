"""The image side's trainable part: open_clip's MLP head, whose first units are the old classifier.

The first 1000 hidden units are the classes, each a GELU of its logit above a threshold, frozen; their output columns
begin at the vectors of the class names, which makes the head ConSE (Norouzi et al. 2014). The next 144 are linear in
the logits (``evidence.py``), since GELU is the identity far above zero. The other units are free to learn what captions
and labels need.

The threshold decides over general words. GELU is slightly negative below zero: with ``0.5 * logit - 2.5`` most of the
990 classes that a photo does not show lie in that dip, and their sum drowns the one that it does show (a sum over the
units then finds 66 % of general words on real pictures, 99.5 % with the values below).
"""

from __future__ import annotations

import torch
from tools.pocket.bank import FREE, Axes, Seen
from tools.pocket.evidence import AXES, Evidence
from torch import nn
from torch.nn import functional

WIDTH = 752  # of open_clip's joint space, since its head has twice as many hidden units
HIDDEN = 2 * WIDTH
JOINT = 256  # axes of it that are used: as many as the text encoder is wide
DROPOUT, AXIS_DROPOUT = 0.3, 0.1  # of free units and of what they see, in training: few pictures teach them
SLOPE, SHIFT = 1.0, -4.0  # of a class's logit before the GELU: only likely classes come through
LINEAR = 0.6  # how much of its own axis a free unit begins with
ABOVE = 8.0  # deviations above zero, where GELU is the identity


class Head(nn.Module):
    """What is seen of pictures to the joint space (B, D), not normalised.

    Parameters
    ----------
    classes
        How many classes the classifier has.
    dimensions
        Of the joint space (D).
    """

    def __init__(self, classes: int, dimensions: int = JOINT) -> None:
        super().__init__()
        units = HIDDEN - classes - AXES
        self.free = nn.Linear(FREE, units)
        nn.init.normal_(self.free.weight, std=0.02)
        nn.init.ones_(self.free.bias)
        self.classes = nn.Linear(classes, dimensions)
        self.evidence = nn.Linear(AXES, dimensions, bias=False)
        self.out = nn.Linear(units, dimensions, bias=False)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.classes.bias)
        with torch.no_grad():
            self.free.weight.add_(LINEAR * torch.eye(*self.free.weight.shape))
        self.plane, self.mean = nn.Buffer(torch.zeros(classes, AXES)), nn.Buffer(torch.zeros(classes))

    @torch.no_grad()
    def start_from(self, names: torch.Tensor) -> None:
        """Let the classes' output columns begin at vectors of their names (C, D)."""
        self.classes.weight.copy_(0.5 * (names - names.mean(dim=0)).T)

    @torch.no_grad()
    def set_evidence(self, evidence: Evidence) -> None:
        """Let the linear units give this."""
        self.plane.copy_(evidence.plane)
        self.mean.copy_(evidence.mean)
        self.evidence.weight.copy_(evidence.out)
        self.classes.bias.add_(evidence.offset)

    @torch.no_grad()
    def widened(self, dimensions: int) -> Head:
        """Copy the head into a joint space of more axes, on which it gives 0."""
        wide = Head(self.classes.in_features, dimensions)
        more = dimensions - self.classes.out_features
        state = {}
        for name, tensor in self.state_dict().items():
            rows = more if name.startswith(("classes.", "evidence.", "out.")) else 0
            padding = (0, rows) if tensor.dim() == 1 else (0, 0, 0, rows)
            state[name] = functional.pad(tensor, padding)
        wide.load_state_dict(state)
        return wide

    def forward(self, seen: Seen) -> torch.Tensor:
        """Map what is seen of B pictures to (B, D)."""
        classes = functional.gelu(SLOPE * seen.logits + SHIFT)  # (B, C)
        axes = functional.dropout(seen.coordinates, AXIS_DROPOUT, self.training)
        free = functional.dropout(functional.gelu(self.free(axes)), DROPOUT, self.training)
        weak = self.evidence((seen.logits - self.mean) @ self.plane)
        out: torch.Tensor = self.classes(classes) + weak + self.out(free)
        return out

    @torch.no_grad()
    def layers(self, axes: Axes) -> dict[str, torch.Tensor]:
        """Weights of open_clip's two linear layers, ``fc1`` and ``fc2``, on features; unused axes are 0."""
        free = self.free.weight @ axes.matrix.T  # (H - C - K, A) @ (A, F)
        linear = self.plane.T @ axes.rows  # (K, C) @ (C, F)
        unused = WIDTH - self.classes.out_features
        columns = torch.cat([self.classes.weight, self.evidence.weight, self.out.weight], dim=1)
        bias = self.classes.bias - ABOVE * self.evidence.weight.sum(dim=1)
        return {
            "fc1.weight": torch.cat([SLOPE * axes.rows, linear, free]),
            "fc1.bias": torch.cat(
                [
                    SLOPE * axes.bias + SHIFT,
                    (axes.bias - self.mean) @ self.plane + ABOVE,
                    self.free.bias - free @ axes.mean,
                ]
            ),
            "fc2.weight": functional.pad(columns, (0, 0, 0, unused)),
            "fc2.bias": functional.pad(bias, (0, unused)),
        }
