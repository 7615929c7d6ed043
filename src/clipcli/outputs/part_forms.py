"""The formats of parts: results or embeddings, as Parquet or JSON Lines."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

from clipcli.errors import ImageError, OutputError
from clipcli.extras import pyarrow_or_error
from clipcli.outputs.embedding_rows import jsonl_line, parquet_table
from clipcli.outputs.image_rows import EmbeddingKind, ImageRow
from clipcli.outputs.parquet import result_table
from clipcli.outputs.parts import PartForm
from clipcli.outputs.text_formats import Layout, writer_for
from clipcli.pipeline.predictions import Failure, Result

__all__ = ["PART_SUFFIXES", "check_part_suffix", "embedding_parts", "result_parts"]

PART_SUFFIXES = ("parquet", "jsonl")


def check_part_suffix(folder: str, suffix: str | None) -> str:
    """Return the format of the parts: the given one, else Parquet if pyarrow is installed.

    Raises
    ------
    OutputError
        If the format is unknown or needs an extra.
    """
    if suffix is not None and suffix not in PART_SUFFIXES:
        forms = " or ".join(PART_SUFFIXES)
        raise OutputError(f"cannot write to {folder}: a folder holds parts in {forms}, not {suffix} (see --format)")
    if suffix == "jsonl":
        return suffix
    try:
        pyarrow_or_error()
    except OutputError:
        if suffix is None:
            return "jsonl"
        raise
    return "parquet"


def _parquet_bytes(table: Any) -> bytes:
    file = io.BytesIO()
    pyarrow_or_error().parquet.write_table(table, file)
    return file.getvalue()


_Facts = Callable[[bytes], list[tuple[str, bool]]]
_Choose = Callable[[bytes, Sequence[bool]], bytes]


def _stored(suffix: str) -> tuple[_Facts, _Choose]:
    """Return what reads the inputs of the rows of a part, and what chooses rows."""
    return (_parquet_facts, _chosen_parquet) if suffix == "parquet" else (_jsonl_facts, _chosen_jsonl)


def _parquet_facts(data: bytes) -> list[tuple[str, bool]]:
    table = pyarrow_or_error().parquet.read_table(io.BytesIO(data), columns=["path", "error_type"])
    return [(row["path"], row["error_type"] is not None) for row in table.to_pylist()]


def _chosen_parquet(data: bytes, chosen: Sequence[bool]) -> bytes:
    arrow = pyarrow_or_error()
    return _parquet_bytes(arrow.parquet.read_table(io.BytesIO(data)).filter(arrow.array(chosen, arrow.bool_())))


def _jsonl_facts(data: bytes) -> list[tuple[str, bool]]:
    records = map(json.loads, data.splitlines())
    return [(str(record["path"]), "error" in record) for record in records]


def _chosen_jsonl(data: bytes, chosen: Sequence[bool]) -> bytes:
    return b"".join(compress(data.splitlines(keepends=True), chosen))


def result_parts(layout: Layout) -> PartForm[Result]:
    """Return the format of parts with results, chosen by ``layout.form``."""

    def encode(results: Sequence[Result]) -> bytes:
        if layout.form == "parquet":
            return _parquet_bytes(result_table(results, layout))
        text = io.StringIO(newline="")
        writer = writer_for(layout, text)
        for result in results:
            writer.write(result)
        return text.getvalue().encode()

    return PartForm(
        layout.form, encode, lambda result: result.type if isinstance(result, Failure) else None, *_stored(layout.form)
    )


def embedding_parts(suffix: str, kind: EmbeddingKind) -> PartForm[ImageRow]:
    """Return the format of parts with image embeddings."""

    def encode(rows: Sequence[ImageRow]) -> bytes:
        if suffix == "parquet":
            return _parquet_bytes(parquet_table(rows, kind))
        return "".join(jsonl_line(row, kind) for row in rows).encode()

    return PartForm(
        suffix, encode, lambda row: row.vector.kind if isinstance(row.vector, ImageError) else None, *_stored(suffix)
    )
