"""What is written of each image: its embedding, or why it has none; and what all rows of one file share."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.cache.embeddings import ModelFacts
from clipcli.errors import ImageError
from clipcli.inputs.items import name_of
from clipcli.pipeline.stream import Block
from clipcli.text import printable

__all__ = ["DTYPES", "EmbeddingKind", "FloatArray", "ImageRow", "error_of", "failure_of", "image_rows"]

DTYPES = ("float32", "float16")
_VERSION = 1

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class ImageRow:
    """One input with its embedding, (D,) float32 of length one, or its error."""

    path: str
    vector: FloatArray | ImageError


def image_rows(block: Block[Any]) -> list[ImageRow]:
    """Return the rows of a block of embeddings and errors."""
    return [ImageRow(name_of(item), vector) for item, vector in block]


def failure_of(row: ImageRow) -> tuple[str, str] | None:
    """Return the input and the reason of a row without embedding; ``None`` for any other."""
    return (row.path, str(row.vector)) if isinstance(row.vector, ImageError) else None


@dataclass(frozen=True)
class EmbeddingKind:
    """Properties that all rows of one file share: the model, and one of :data:`DTYPES`."""

    facts: ModelFacts
    fingerprint: str
    dtype: str

    @classmethod
    def of(cls, facts: ModelFacts, fingerprint: str, dtype: str) -> EmbeddingKind:
        """Return the properties of a model, whose name may be a file's path."""
        pretrained = None if facts.pretrained is None else printable(facts.pretrained)
        return cls(replace(facts, name=printable(facts.name), pretrained=pretrained), fingerprint, dtype)

    def metadata(self) -> dict[str, Any]:
        """Return the model's facts for the file."""
        model = asdict(self.facts)
        return {"clipcli": _VERSION, "fingerprint": self.fingerprint, "model": model, "dtype": self.dtype}


def error_of(row: ImageRow) -> dict[str, str]:
    """Return the error of a row without embedding, as a record has it."""
    assert isinstance(row.vector, ImageError)  # noqa: S101
    return {"type": row.vector.kind, "message": str(row.vector)}
