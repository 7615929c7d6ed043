"""The text side while the head is trained: MiniLM's vectors, mapped to the joint space."""

from __future__ import annotations

import torch
from tools.pocket.head import JOINT
from torch import nn

MINILM = 384


class Adapter(nn.Module):
    """An orthogonal map, a small network beside it, and vectors of their own for words that cover classes.

    What a general word covers ("vehicle": these 60 classes) is a fact to remember, which MiniLM's geometry does not
    hold; without those vectors the network beside the map has to learn it by heart, and generalises worse.

    Parameters
    ----------
    words
        How many words have vectors of their own.
    """

    def __init__(self, words: int, hidden: int = 256) -> None:
        super().__init__()
        self.straight = nn.Linear(MINILM, JOINT)
        nn.init.orthogonal_(self.straight.weight)
        nn.init.zeros_(self.straight.bias)
        inner, outer = nn.Linear(MINILM, hidden), nn.Linear(hidden, JOINT)
        self.aside = nn.Sequential(inner, nn.GELU(), outer)
        nn.init.normal_(inner.weight, std=1.5)
        nn.init.normal_(outer.weight, std=0.1 * hidden**-0.5)
        nn.init.zeros_(outer.bias)
        self.own = nn.Parameter(torch.zeros(words, JOINT))

    def forward(self, vectors: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
        """Map (B, 384), with places of words or -1 (B,), to (B, D), not normalised."""
        own = self.own[owners.clamp(min=0)] * (owners >= 0)[:, None]
        out: torch.Tensor = self.straight(vectors) + self.aside(vectors) + own
        return out
