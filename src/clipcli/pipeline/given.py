"""Image embeddings that were read from a file: checked against the model, and passed on in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from clipcli.errors import EmbeddingFileError, InputError
from clipcli.inputs.discover import Source
from clipcli.inputs.items import EmbeddedInput, MadeBy
from clipcli.models.engines import precision_names
from clipcli.models.source import ModelSource
from clipcli.pipeline.stream import Block

__all__ = ["GivenEmbeddings", "GivenFacts", "are_given"]

_BLOCK = 512


@dataclass(frozen=True)
class GivenFacts:
    """The facts of the image encoder that made a file; see :class:`~clipcli.pipeline.chunks.EncoderFacts`."""

    file: str
    precision: str
    fingerprint: str

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the embeddings."""
        return {"precision": self.precision, "fingerprint": self.fingerprint, "image_embeddings": self.file}


class GivenEmbeddings:
    """Checks embeddings that are read from a file, and passes them on.

    Parameters
    ----------
    source
        The model in use.
    sha256_of
        Returns the digest of a weights file.
    """

    def __init__(self, source: ModelSource, sha256_of: Callable[[Path], str]) -> None:
        self._source, self._sha256_of = source, sha256_of
        self._known: dict[MadeBy, str] = {}

    def precision(self, made_by: MadeBy) -> str:
        """Return the precision of the image encoder that made a file, such as ``bf16``.

        Raises
        ------
        EmbeddingFileError
            If another model made the file.
        """
        if made_by not in self._known:
            self._known[made_by] = self._found(made_by)
        return self._known[made_by]

    def _found(self, made_by: MadeBy) -> str:
        source, dim = self._source, int(self._source.config["embed_dim"])
        if made_by.dim == dim:
            for precision in precision_names():
                if source.image_fingerprint(self._sha256_of, precision) == made_by.fingerprint:
                    return precision
        if made_by.title == source.title and made_by.dim == dim:
            made = f"{source.title} with other weights or another preprocessing than the model in use"
        else:
            other = made_by.title or f"another model ({made_by.dim} dimensions, fingerprint {made_by.fingerprint[:8]})"
            made = f"{other}, not by the model in use, {source.title}"
        raise EmbeddingFileError(
            f"cannot use {made_by.file}: made by {made} (choose the other --model, or export the images again)"
        )

    def facts(self, source: Source) -> GivenFacts | None:
        """Return the facts of the image encoder if the inputs are embeddings from a file; else ``None``."""
        if source.embedded is None:
            return None
        made_by = source.embedded.made_by
        return GivenFacts(source.embedded.name, self.precision(made_by), made_by.fingerprint)

    def precision_in(self, block: Block[Any]) -> str | None:
        """Return the precision of a block of embeddings from a file; ``None`` for images."""
        first = block[0][0] if block else None
        return self.precision(first.made_by) if isinstance(first, EmbeddedInput) else None

    def blocks(self, items: Iterable[Any]) -> Iterator[Block[EmbeddedInput]]:
        """Pass embeddings on in blocks, each of one file.

        Raises
        ------
        EmbeddingFileError
            If another model made them.
        InputError
            If there is an image among them.
        """
        block: Block[EmbeddedInput] = []
        for item in items:
            if not isinstance(item, EmbeddedInput):
                raise InputError("cannot use images and image embeddings together (give them one after the other)")
            if block and (item.made_by != block[0][0].made_by or len(block) == _BLOCK):
                yield block
                block = []
            if not block:
                self.precision(item.made_by)
            block.append((item, item.vector))
        if block:
            yield block


def are_given(items: Iterator[Any]) -> tuple[bool, Iterator[Any]]:
    """Return whether inputs are embeddings from a file, by the first of them; and all inputs."""
    first = next(items, None)
    return isinstance(first, EmbeddedInput), chain(() if first is None else (first,), items)
