"""MiniLM sentence embeddings of words and phrases, computed once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from all_minilm_l6_v2 import extract_model
from sentence_transformers import SentenceTransformer

Array = npt.NDArray[np.float32]


def embed_sentences(texts: Sequence[str], work: Path) -> Array:
    """Embed ``texts`` with MiniLM: (N, 384) float32 of unit length.

    The file's name in ``work`` holds a digest of the texts, so another list is never mistaken for this one.
    """
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    path = work / f"minilm-{digest}.npy"
    if not path.exists():
        vectors = _encoder(work).encode(list(texts), batch_size=256, normalize_embeddings=True)
        work.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.npy")
        np.save(unfinished, vectors.astype(np.float16))
        unfinished.replace(path)
    return np.asarray(np.load(path), dtype=np.float32)


def _encoder(work: Path) -> SentenceTransformer:
    folder = work / "all-MiniLM-L6-v2"
    if not folder.exists():
        extract_model(str(work))
    return SentenceTransformer(str(folder), device="cpu")
