"""The image side's trainable part: open_clip's MLP head, whose first units are the old classifier.

The hidden layer begins with the 1000 classes, each a GELU of a scaled logit, so that what ImageNet knows is there from
the start and stays (their rows are frozen); their output columns begin at the vectors of the class names, which makes
the head ConSE (Norouzi et al. 2014). The other units are free to learn what captions and labels need.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

WIDTH = 752  # of the joint space
HIDDEN = 2 * WIDTH  # open_clip's ratio for ``timm_proj: mlp``
DROPOUT = 0.3  # of the free units in training: few pictures teach them
SLOPE, SHIFT = 0.5, -2.5  # of a class's logit before the GELU: only likely classes come through


class Head(nn.Module):
    """Features (B, F) to the joint space (B, D), not normalised.

    Parameters
    ----------
    rows : (C, F) float32, bias : (C,) float32
        The classifier.
    mean : (F,) float32
        Mean feature: the free units start centred.
    """

    def __init__(self, rows: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("bias", bias)
        free = HIDDEN - len(rows)
        self.free = nn.Linear(rows.shape[1], free)
        nn.init.normal_(self.free.weight, std=2.0 * rows.shape[1] ** -0.5)
        with torch.no_grad():
            self.free.bias.copy_(-self.free.weight @ mean)
        self.out = nn.Linear(HIDDEN, WIDTH)
        nn.init.normal_(self.out.weight, std=0.3 * HIDDEN**-0.5)
        nn.init.zeros_(self.out.bias)

    def start_from(self, names: torch.Tensor) -> None:
        """Let the classes' output columns begin at vectors of their names (C, D)."""
        with torch.no_grad():
            self.out.weight[:, : len(names)] = names.T

    def forward(self, features: torch.Tensor, others: torch.Tensor | None = None) -> torch.Tensor:
        """Map features (B, F) to (B, D).

        Parameters
        ----------
        others : (B, F) float32
            What the free units see instead. Where ``features`` were moved towards a class, they lie off the real ones
            in ways that a free unit would learn by heart; with an unrelated picture there, only the classes' units can
            tell the class.
        """
        logits = functional.linear(features, self.rows, self.bias)  # (B, C)
        classes = functional.gelu(SLOPE * logits + SHIFT)
        free = functional.gelu(self.free(features if others is None else others))
        free = functional.dropout(free, DROPOUT, self.training)
        out: torch.Tensor = self.out(torch.cat([classes, free], dim=1))  # (B, H) -> (B, D)
        return out

    def layers(self) -> dict[str, torch.Tensor]:
        """Weights of open_clip's two linear layers, ``fc1`` and ``fc2``."""
        return {
            "fc1.weight": torch.cat([SLOPE * self.rows, self.free.weight.detach()]),
            "fc1.bias": torch.cat([SLOPE * self.bias + SHIFT, self.free.bias.detach()]),
            "fc2.weight": self.out.weight.detach(),
            "fc2.bias": self.out.bias.detach(),
        }
