"""Embeddings as rows, one for each input: ``.parquet``, ``.csv`` and ``.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from clipcli.delimited import csv_line, guarded
from clipcli.errors import ImageError
from clipcli.extras import pyarrow_or_error
from clipcli.outputs.image_rows import EmbeddingKind, FloatArray, ImageRow, error_of
from clipcli.text import printable

__all__ = ["ROW_WRITERS", "jsonl_line", "parquet_table"]

_GROUP_ROWS = 8192


def _numbers(vector: FloatArray, dtype: str) -> list[float]:
    """Return numbers whose shortest text restores the data type bit for bit."""
    return [float(str(number)) for number in vector.astype(dtype)]


def jsonl_line(row: ImageRow, kind: EmbeddingKind) -> str:
    """Return the line of one input."""
    if isinstance(row.vector, ImageError):
        rest: dict[str, Any] = {"error": error_of(row)}
    else:
        model = {"fingerprint": kind.fingerprint, "model": kind.facts.name, "pretrained": kind.facts.pretrained}
        rest = {**model, "embedding": _numbers(row.vector, kind.dtype)}
    return json.dumps({"path": printable(row.path), **rest}, ensure_ascii=False) + "\n"


class _Jsonl:
    def __init__(self, temporary: Path, path: Path, kind: EmbeddingKind, stack: ExitStack) -> None:  # noqa: ARG002
        self._file = stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
        self._kind = kind

    def add(self, row: ImageRow) -> None:
        self._file.write(jsonl_line(row, self._kind))

    def finish(self) -> None:
        self._file.flush()


class _Csv:
    def __init__(self, temporary: Path, path: Path, kind: EmbeddingKind, stack: ExitStack) -> None:  # noqa: ARG002
        self._file = stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        self._kind = kind
        dimensions = [f"e{index}" for index in range(kind.facts.dim)]
        self._file.write(csv_line(["path", "error_type", "error_message", "fingerprint", *dimensions]))

    def add(self, row: ImageRow) -> None:
        path = guarded(printable(row.path))
        if isinstance(row.vector, ImageError):
            error = error_of(row)
            cells: list[object] = [path, error["type"], guarded(error["message"]), "", *[""] * self._kind.facts.dim]
        else:
            cells = [path, "", "", self._kind.fingerprint, *_numbers(row.vector, self._kind.dtype)]
        self._file.write(csv_line(cells))

    def finish(self) -> None:
        self._file.flush()


def parquet_schema(kind: EmbeddingKind) -> Any:
    """Return the schema of Parquet output; its metadata holds the model."""
    arrow = pyarrow_or_error()
    columns = {name: arrow.string() for name in ("path", "error_type", "error_message")}
    embedding = arrow.list_(arrow.from_numpy_dtype(kind.dtype), kind.facts.dim)
    return arrow.schema([*columns.items(), ("embedding", embedding)], metadata={"clipcli": json.dumps(kind.metadata())})


def parquet_table(rows: Iterable[ImageRow], kind: EmbeddingKind) -> Any:
    """Return the rows as an Arrow table."""
    values = [_parquet_values(row, kind.dtype) for row in rows]
    schema = parquet_schema(kind)
    columns = {name: [row.get(name) for row in values] for name in schema.names}
    return pyarrow_or_error().table(columns, schema=schema)


def _parquet_values(row: ImageRow, dtype: str) -> dict[str, Any]:
    if isinstance(row.vector, ImageError):
        error = error_of(row)
        return {"path": printable(row.path), "error_type": error["type"], "error_message": error["message"]}
    return {"path": printable(row.path), "embedding": row.vector.astype(dtype)}


class _Parquet:
    """Row groups, written one by one."""

    def __init__(self, temporary: Path, path: Path, kind: EmbeddingKind, stack: ExitStack) -> None:  # noqa: ARG002
        self._kind = kind
        writer = pyarrow_or_error().parquet.ParquetWriter
        self._file = stack.enter_context(writer(temporary, parquet_schema(kind)))
        self._rows: list[ImageRow] = []

    def add(self, row: ImageRow) -> None:
        self._rows.append(row)
        if len(self._rows) >= _GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        self._file.write_table(parquet_table(self._rows, self._kind))
        self._rows = []

    def finish(self) -> None:
        if self._rows:
            self._write_group()
        self._file.close()


ROW_WRITERS: dict[str, Any] = {".parquet": _Parquet, ".csv": _Csv, ".jsonl": _Jsonl}
"""The writers, by extension."""
