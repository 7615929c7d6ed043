"""Checkpoints of a training step: written whole or not at all, and used only by a run with the same options."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


def restore(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, options: object) -> int:
    """Load a checkpoint into the network and the optimizer, and return its step; 0 if there is none to use."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    if state["options"] != repr(options):
        return 0
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def save(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, options: object, step: int) -> None:
    """Write a checkpoint in one step."""
    state = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "options": repr(options),
        "step": step,
    }
    unfinished = path.with_suffix(".part")
    torch.save(state, unfinished)
    unfinished.replace(path)
