"""A model by its files: all that decides which embeddings it yields, and the fingerprints of that.

The fingerprints are the keys of the embedding caches, so a run that finds everything cached never loads a model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipcli.errors import CheckpointError

__all__ = ["CONFIG_NAME", "ModelSource", "hub_tokenizer_name"]

CONFIG_NAME = "open_clip_config.json"
_DECODING = 2  # incremented when images are decoded differently, so that old embeddings are not used
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
)  # fmt: skip

Hasher = Callable[[Path], str]


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from and all that decides what it computes.

    Parameters
    ----------
    name, pretrained
        As results name it: ``ViT-B-32`` and ``openai``; ``pocket`` and ``None``.
    architecture
        What open_clip builds: one of its names, or ``local-dir:PATH``.
    config
        open_clip's ``model_cfg``.
    preprocess
        The parts of open_clip's ``preprocess_cfg`` that these weights need.
    checkpoint
        The weights file.
    quick_gelu
        Whether QuickGELU must be forced on for these weights.
    tokenizer_folder
        Where the files of a Hugging Face tokenizer are; ``None`` for open_clip's built-in one.
    graphs
        The folder with graphs of its encoders that clipcli ships; ``None`` for all models but the built-in one.
    """

    name: str
    pretrained: str | None
    architecture: str
    config: dict[str, Any]
    preprocess: dict[str, Any]
    checkpoint: Path
    quick_gelu: bool = False
    tokenizer_folder: Path | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)
    graphs: Path | None = None

    @property
    def title(self) -> str:
        """The name for people, e.g. ``ViT-B-32 openai``."""
        return f"{self.name} {self.pretrained}" if self.pretrained else self.name

    def fingerprint(self, sha256_of: Hasher) -> str:
        """Identify what turns a prompt into a vector: the weights' bytes, the settings, the tokenizer.

        Embeddings fit together where this is the same. It does not depend on where the files lie.
        """
        try:
            weights, tokenizer = sha256_of(self.checkpoint), self._tokenizer_identity(sha256_of)
        except OSError as problem:
            raise CheckpointError(f"{self.checkpoint}: {problem.strerror or problem}") from None
        settings = {"config": self.config, "quick_gelu": self.quick_gelu}
        identity = {"weights": weights, "tokenizer": tokenizer, **settings}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]

    def image_fingerprint(self, sha256_of: Hasher, precision: str) -> str:
        """Return the fingerprint of the image encoder: weights, preprocessing and precision."""
        settings = {"preprocess": self.preprocess, "precision": precision, "decoding": _DECODING}
        identity = {"model": self.fingerprint(sha256_of), **settings}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]

    def _tokenizer_identity(self, sha256_of: Hasher) -> list[str]:
        name = hub_tokenizer_name(self.config) or "open_clip"
        if self.tokenizer_folder is None:
            return [name]
        files = [self.tokenizer_folder / file for file in _TOKENIZER_FILES]
        return [name, *(f"{file.name}:{sha256_of(file)}" for file in files if file.is_file())]


def hub_tokenizer_name(config: dict[str, Any]) -> str:
    """Return the hub repository of the tokenizer that a ``model_cfg`` names; empty for open_clip's built-in one."""
    return str(config["text_cfg"].get("hf_tokenizer_name") or "")
