"""The text side: a small causal transformer of open_clip, and its start from MiniLM's word knowledge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tools.pocket.sentences import embed_sentences
from tools.pocket.space import DIMENSIONS
from torch import nn

from clipcli.models._torchvision import import_open_clip

TEXT_CONFIG: dict[str, Any] = {
    "context_length": 32,
    "vocab_size": 49408,
    "width": 256,
    "heads": 4,
    "layers": 4,
}
EMBEDDING_DEVIATION = 0.05


def build_text_tower(dimensions: int = DIMENSIONS) -> nn.Module:
    """Build the transformer with open_clip's own initial values."""
    open_clip = import_open_clip()
    tower: nn.Module = open_clip.transformer.TextTransformer(output_dim=dimensions, **TEXT_CONFIG)
    return tower


def tokenizer() -> Any:
    """open_clip's BPE tokenizer at this model's context length."""
    return import_open_clip().SimpleTokenizer(context_length=TEXT_CONFIG["context_length"])


def start_from_minilm(tower: nn.Module, work: Path) -> None:
    """Set each token's embedding to MiniLM's embedding of its text, cut to the leading principal axes.

    Tokens that training never shows then still lie among words that mean the same.
    """
    decoder = tokenizer().decoder
    vectors = embed_sentences([decoder[index].replace("</w>", "") for index in range(len(decoder))], work)
    vectors = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(vectors.T))  # ascending
    kept = vectors @ axes[:, ::-1][:, : TEXT_CONFIG["width"]]  # (V, E) @ (E, width)
    scaled = kept * (EMBEDDING_DEVIATION / kept.std())
    with torch.no_grad():
        tower.get_parameter("token_embedding.weight").copy_(torch.from_numpy(np.ascontiguousarray(scaled)))


@contextmanager
def short_context(tower: Any, length: int) -> Iterator[None]:
    """Let the tower take ``length`` tokens: open_clip does not cut its causal mask to the batch.

    Nothing after the end-of-text token reaches it, so short batches give the same result faster.
    """
    whole = tower.attn_mask
    tower.attn_mask = whole[:length, :length]
    try:
        yield
    finally:
        tower.attn_mask = whole
