"""What a weights file is, told from its bytes without running anything in it and without torch."""

from __future__ import annotations

import json
import pickletools
import zipfile
from pathlib import Path

__all__ = ["is_torchscript", "looks_like_openai", "tensor_names"]

# Buffers that OpenAI stored beside the weights; no other trainer writes them.
_OPENAI_KEYS = frozenset({"input_resolution", "context_length", "vocab_size"})
_MAX_HEADER = 100_000_000


def is_torchscript(path: Path) -> bool:
    """Tell whether a file is a TorchScript archive, the form OpenAI published its weights in."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.split("/")[1:2] == ["code"] for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def looks_like_openai(path: Path) -> bool:
    """Tell whether a checkpoint file holds OpenAI's weights, which were trained with QuickGELU.

    True for a TorchScript archive, for a state dict with the buffers only OpenAI stored, and for a file
    whose own name, or whose folder's, says ``openai``.
    """
    named = "openai" in path.name.lower() or "openai" in path.parent.name.lower()
    return named or is_torchscript(path) or tensor_names(path) >= _OPENAI_KEYS


def tensor_names(path: Path) -> frozenset[str]:
    """Return the names in a checkpoint's state dict, as far as they can be told without loading it.

    For a pickle these are all texts in it: its opcodes are listed, never executed.
    """
    try:
        if path.suffix == ".safetensors":
            return frozenset(_safetensors_header(path)) - {"__metadata__"}
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            opcodes = pickletools.genops(archive.read(pickles[0])) if pickles else ()
            return frozenset(argument for _, argument, _ in opcodes if isinstance(argument, str))
    except (OSError, ValueError, zipfile.BadZipFile):
        return frozenset()


def _safetensors_header(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _MAX_HEADER:
            raise ValueError("header too large")
        header = json.loads(file.read(size))
    if not isinstance(header, dict):
        raise ValueError("header is no object")
    return header
