"""Restore an interrupted run from untrusted files: only tensors, of the right shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipcli.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["check_weights", "read_states", "restore"]

_REMEDY = "start again with --overwrite"


def read_states(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a run: plain values and copies of tensors; no code in it is run.

    Raises
    ------
    InputError
        If it contains anything else, or is damaged.
    """
    from clipcli.models.tensor_archive import read_archive
    from clipcli.models.tensor_pickle import NotTensorsError

    try:
        states = read_archive(path, mapped=False)
    except (NotTensorsError, OSError) as problem:
        raise InputError(f"cannot resume from {path}: {problem} ({_REMEDY})") from None
    if not isinstance(states, dict) or not all(isinstance(states.get(name), dict) for name in ("network", "optimizer")):
        raise InputError(f"cannot resume from {path}: it is not the state of a run ({_REMEDY})")
    return states


def check_weights(weights: Mapping[str, Any], network: Any, where: Path) -> None:
    """Raise :class:`InputError` unless a file's weights have the names, shapes and types of the network's."""
    own = network.state_dict()
    other = set(own) ^ set(weights) or {name for name in own if not _alike(own[name], weights[name])}
    if other:
        raise InputError(f"cannot resume from {where}: {min(other)[:80]!r} does not match the network ({_REMEDY})")


def _alike(own: torch.Tensor, found: Any) -> bool:
    import torch

    return isinstance(found, torch.Tensor) and found.shape == own.shape and found.dtype == own.dtype


def restore(
    network: Any, optimizer: torch.optim.Optimizer, scaler: Any, states: Mapping[str, Any], where: Path
) -> None:
    """Restore a network, its optimiser and, for fp16, the loss scaler from a checkpoint.

    Only the tensors of the optimiser are restored: its other values follow from the run's settings.

    Raises
    ------
    InputError
        If the state does not belong to this network.
    """
    check_weights(states["network"], network, where)
    own = optimizer.state_dict()
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    kept = states["optimizer"].get("state")
    if not isinstance(kept, dict) or not all(
        type(number) is int and 0 <= number < len(parameters) and _belongs(state, parameters[number])
        for number, state in kept.items()
    ):
        raise InputError(f"cannot resume from {where}: its optimiser is not that of this network ({_REMEDY})")
    network.load_state_dict(states["network"])
    optimizer.load_state_dict({"state": kept, "param_groups": own["param_groups"]})
    if scaler is not None:
        scaler.load_state_dict(_scaler_state(scaler, states, where))


def _belongs(state: Any, parameter: torch.Tensor) -> bool:
    """Return whether this is a valid state of AdamW for a parameter."""
    import torch

    return (
        isinstance(state, dict)
        and set(state) == {"step", "exp_avg", "exp_avg_sq"}
        and all(isinstance(each, torch.Tensor) for each in state.values())
        and state["step"].numel() == 1
        and all(state[name].shape == parameter.shape for name in ("exp_avg", "exp_avg_sq"))
    )


def _scaler_state(scaler: Any, states: Mapping[str, Any], where: Path) -> dict[str, Any]:
    own, found = scaler.state_dict(), states.get("scaler")
    if not isinstance(found, dict) or any(type(found.get(name)) is not type(value) for name, value in own.items()):
        raise InputError(f"cannot resume from {where}: the scale of its loss is missing ({_REMEDY})")
    return {name: found[name] for name in own}
