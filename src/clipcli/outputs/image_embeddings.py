"""Image embeddings in files: ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``, ``.csv``, ``.jsonl``.

Rows are written one by one, in the order of the inputs. Row-based formats have a row for each input; that of a
failed input has an error instead of an embedding. Array formats have rows for the readable images only, and store
the paths and the failures with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from clipcli.outputs.class_embeddings import check_suffix
from clipcli.outputs.embedding_arrays import ARRAY_WRITERS, path_lines_of
from clipcli.outputs.embedding_rows import ROW_WRITERS
from clipcli.outputs.image_rows import EmbeddingKind, ImageRow
from clipcli.storage.atomic import replacing

__all__ = ["IMAGE_SUFFIXES", "write_image_embeddings"]

_WRITERS: dict[str, Any] = {**ARRAY_WRITERS, **ROW_WRITERS}
IMAGE_SUFFIXES = tuple(_WRITERS)
"""The extensions of the formats."""


class _RowWriter(Protocol):
    def add(self, row: ImageRow) -> None:
        """Write one row."""

    def finish(self) -> None:
        """Write what follows the last row."""


def write_image_embeddings(
    rows: Iterable[ImageRow], path: Path, kind: EmbeddingKind, *, overwrite: bool = True
) -> Iterator[ImageRow]:
    """Write embeddings in the format of the extension, atomically, and pass the rows on.

    Without ``overwrite``, a file that appeared meanwhile is not replaced.

    Raises
    ------
    OutputError
        If the extension is not in :data:`IMAGE_SUFFIXES`, or the file cannot be written.
    """
    check_suffix(path, IMAGE_SUFFIXES)
    with ExitStack() as stack:
        temporary = stack.enter_context(replacing(path, overwrite=overwrite))
        suffix = path.suffix.lower()
        second = {} if path_lines_of(path) is None else {"overwrite": overwrite}
        writer: _RowWriter = _WRITERS[suffix](temporary, path, kind, stack, **second)
        for row in rows:
            writer.add(row)
            yield row
        writer.finish()
