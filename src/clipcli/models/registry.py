"""open_clip's own tables of architectures and pretrained tags, read without importing torch."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from clipcli.errors import ModelError
from clipcli.models.unknown_names import unknown_model

__all__ = [
    "USUAL_TAGS",
    "architecture",
    "architecture_names",
    "package_folder",
    "preprocess_of",
    "pretrained_tags",
    "usual_preprocess",
    "usual_tag",
]

USUAL_TAGS = {
    "ViT-B-32-256": "datacomp_s34b_b86k",
    "ViT-B-32": "laion2b_s34b_b79k",
    "ViT-B-16": "datacomp_xl_s13b_b90k",
    "ViT-L-14": "datacomp_xl_s13b_b90k",
    "ViT-H-14": "laion2b_s32b_b79k",
    "RN50": "openai",
    "RN101": "openai",
}
"""The tag taken where ``--pretrained`` is not given and an architecture has several."""

_PREPROCESS_KEYS = ("size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color")


@cache
def package_folder() -> Path:
    """Return the folder of open_clip, without importing it.

    Raises
    ------
    ModelError
        If it is not installed.
    """
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("open_clip is not installed; pip install open_clip_torch")
    return Path(spec.submodule_search_locations[0])


@cache
def architecture_names() -> list[str]:
    """Return the names of all architectures open_clip can build."""
    return sorted(path.stem for path in (package_folder() / "model_configs").glob("*.json"))


def architecture(name: str) -> dict[str, Any]:
    """Return the ``model_cfg`` of an architecture.

    Raises
    ------
    ModelNotFoundError
        If there is none of that name; the message names near matches.
    """
    if name not in architecture_names():
        raise unknown_model(name, architecture_names())
    config: dict[str, Any] = json.loads((package_folder() / "model_configs" / f"{name}.json").read_bytes())
    return config


@cache
def _tables() -> ModuleType:
    """Load open_clip's table of pretrained weights, and no more of open_clip than that.

    Importing ``open_clip`` itself takes seconds, nearly all of them in torch. The table's module needs
    none of it: it only asks whether ``safetensors.torch`` can be imported, so that is answered with no.
    """
    if "open_clip" in sys.modules:
        return importlib.import_module("open_clip.pretrained")
    alias = ModuleType("_clipcli_open_clip_tables")
    alias.__path__ = [str(package_folder())]
    sys.modules[alias.__name__] = alias
    hidden = "safetensors.torch" not in sys.modules
    if hidden:
        sys.modules["safetensors.torch"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(f"{alias.__name__}.pretrained")
    finally:
        if hidden:
            del sys.modules["safetensors.torch"]


@cache
def pretrained_tags(name: str) -> dict[str, dict[str, Any]]:
    """Return the pretrained tags of an architecture and what open_clip knows of each."""
    tables = _tables()
    return {tag: tables.get_pretrained_cfg(name, tag) for tag in tables.list_pretrained_tags_by_model(name)}


def usual_tag(name: str) -> str:
    """Choose the tag for an architecture named without one.

    Raises
    ------
    ModelError
        If the choice is not obvious; the message names the tags.
    """
    tags = list(pretrained_tags(name))
    if name in USUAL_TAGS and USUAL_TAGS[name] in tags:
        return USUAL_TAGS[name]
    if len(tags) == 1:
        return tags[0]
    choices = ", ".join(tags) if tags else "none on the hub: give a checkpoint file"
    raise ModelError(f"{name}: choose its weights with --pretrained ({choices})")


def preprocess_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Pick the preprocessing settings out of a pretrained tag's entry."""
    return {key: entry[key] for key in _PREPROCESS_KEYS if key in entry}


def usual_preprocess(name: str) -> dict[str, Any]:
    """Return the preprocessing that most weights of an architecture were trained with.

    A checkpoint file does not say how its images were prepared; open_clip would assume OpenAI's way,
    which is wrong for SigLIP, MobileCLIP and others.
    """
    kinds = Counter(json.dumps(preprocess_of(entry)) for entry in pretrained_tags(name).values())
    usual: dict[str, Any] = json.loads(kinds.most_common(1)[0][0]) if kinds else {}
    return usual
