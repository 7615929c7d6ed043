"""Weights files to named tensors, whatever their form; nothing in a file is run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipcli.errors import CheckpointError
from clipcli.models.tensor_archive import read_archive
from clipcli.models.tensor_pickle import RUNS_CODE, NotTensorsError
from clipcli.storage.zip_archive import DamagedZipError, is_zip, opened_zip

if TYPE_CHECKING:
    import torch

__all__ = ["check_arrays", "read_state_dict"]

_REMEDY = "use a .safetensors file or a plain state dict from a source that you trust"
_MOST_UNPACKED = 100  # times its size: weights hardly get smaller by compression


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights in a file.

    Parameters
    ----------
    path
        ``.safetensors``; else what ``torch.save`` wrote, a state dict or a checkpoint of open_clip's trainer
        with one in it; or a TorchScript archive.

    Returns
    -------
    Tensors on the CPU by their names in the network, perhaps mapped from the file: to be copied from.

    Raises
    ------
    CheckpointError
        If the file is damaged, or there is anything in it that a loader would have to run.
    OSError
        If it cannot be read.
    """
    try:
        value = _read(path)
    except NotTensorsError as problem:
        remedy = _REMEDY if problem.runs_code else "copy or download it again"
        raise CheckpointError(f"cannot load {path}: refused, {problem} ({remedy})") from None
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    import torch

    if not isinstance(value, dict) or not value or not all(isinstance(name, str) for name in value):
        raise CheckpointError(f"cannot load {path}: it is not a state dict ({_REMEDY})")
    other = next((name for name, tensor in value.items() if not isinstance(tensor, torch.Tensor)), None)
    if other is not None:
        raise CheckpointError(f"cannot load {path}: {other!r} in it is not a tensor ({_REMEDY})")
    if next(iter(value)).startswith("module."):  # as distributed training saves it
        value = {name.removeprefix("module."): tensor for name, tensor in value.items()}
    return dict(value)


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as problem:
            raise NotTensorsError(f"damaged ({problem})") from None
    return read_archive(path) if is_zip(path) else _read_old(path)


def _read_old(path: Path) -> Any:
    """Read the form that torch wrote before 1.6: pickles and numbers one after the other."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except pickle.UnpicklingError as problem:
        runs_code = "GLOBAL" in str(problem)
        reason = RUNS_CODE if runs_code else "it is not a checkpoint"
        raise NotTensorsError(reason, runs_code=runs_code) from None
    except Exception as problem:  # noqa: BLE001 - a damaged pickle raises anything
        raise NotTensorsError(f"damaged ({type(problem).__name__})") from None


def check_arrays(path: Path) -> None:
    """Refuse an ``.npz`` of big_vision that would unpack to more than any weights do.

    Raises
    ------
    CheckpointError
        If it would, or is not a zip archive.
    """
    try:
        with opened_zip(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except DamagedZipError as problem:
        raise CheckpointError(f"cannot load {path}: damaged ({problem})") from None
    if unpacked > _MOST_UNPACKED * path.stat().st_size:
        raise CheckpointError(f"cannot load {path}: refused, it unpacks to {unpacked:,} bytes ({_REMEDY})")
