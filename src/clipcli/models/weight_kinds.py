"""Recognise the kind of a weights file by its bytes, without torch and without running code in it."""

from __future__ import annotations

import json
import pickletools
from pathlib import Path

from clipcli.models.tensor_archive import pickle_in
from clipcli.models.tensor_pickle import MOST_BYTES, NotTensorsError
from clipcli.storage.zip_archive import DamagedZipError, opened_zip

__all__ = ["OPENAI_BUFFERS", "has_openai_buffers", "is_torchscript", "looks_like_openai", "tensor_names"]

OPENAI_BUFFERS = frozenset({"input_resolution", "context_length", "vocab_size"})
"""Buffers that OpenAI stored with the weights; no other trainer writes them."""

_MAX_HEADER = 100_000_000


def is_torchscript(path: Path) -> bool:
    """Return whether a file is a TorchScript archive, the format of OpenAI's weights."""
    try:
        with opened_zip(path) as archive:
            return any(name.split("/")[1:2] == ["code"] for name in archive.namelist())
    except (OSError, DamagedZipError):
        return False


def looks_like_openai(path: Path) -> bool:
    """Return whether a checkpoint file has OpenAI's weights, which were trained with QuickGELU.

    True for a TorchScript archive, for a state dict with the buffers only OpenAI stored, and for a file
    whose own name, or that of its folder or hub repository, says ``openai``.
    """
    names = [path.name, path.parent.name]
    if path.parent.parent.name == "snapshots":  # the hub client's cache: models--ORG--NAME/snapshots/COMMIT/FILE
        names.append(path.parent.parent.parent.name)
    named = any("openai" in name.lower() for name in names)
    return named or is_torchscript(path) or has_openai_buffers(path)


def has_openai_buffers(path: Path) -> bool:
    """Return whether a state dict has the buffers that only OpenAI stored."""
    return tensor_names(path) >= OPENAI_BUFFERS


def tensor_names(path: Path) -> frozenset[str]:
    """Return the names in a checkpoint's state dict, as far as possible without loading it.

    For a pickle these are all texts in it: its opcodes are listed, never executed.
    """
    try:
        if path.suffix == ".safetensors":
            return frozenset(_safetensors_header(path)) - {"__metadata__"}
        with opened_zip(path) as archive:
            listed = pickle_in(archive)
            if listed is None or listed.file_size > MOST_BYTES:
                return frozenset()
            opcodes = pickletools.genops(archive.read(listed))
            return frozenset(argument for _, argument, _ in opcodes if isinstance(argument, str))
    except (OSError, ValueError, RecursionError, DamagedZipError, NotTensorsError):
        return frozenset()


def _safetensors_header(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _MAX_HEADER:
            raise ValueError("header too large")
        header = json.loads(file.read(size))
    if not isinstance(header, dict):
        raise ValueError("header is not an object")
    return header
