"""Image embeddings in files: ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``, ``.csv``, ``.jsonl``.

Rows are written as they come, in the order of the inputs. Formats made of rows have a row for each input,
also for one that failed, which then has its error in place of the embedding. Arrays have rows for the
images that could be read; the paths beside them say which, and list the failures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from clipcli.cache.embeddings import ModelFacts
from clipcli.errors import ImageError, OutputError
from clipcli.extras import pyarrow_or_error
from clipcli.inputs.items import name_of
from clipcli.outputs.class_embeddings import check_suffix
from clipcli.pipeline.stream import Block
from clipcli.storage.atomic import replacing
from clipcli.text import csv_line, guarded, printable

__all__ = [
    "DTYPES",
    "IMAGE_SUFFIXES",
    "EmbeddingKind",
    "ImageRow",
    "failure_of",
    "image_rows",
    "jsonl_line",
    "parquet_table",
    "write_image_embeddings",
]

DTYPES = ("float32", "float16")
_VERSION = 1
_GROUP_ROWS = 8192

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class ImageRow:
    """One input: its embedding, (D,) float32 of length one, or why it has none."""

    path: str
    vector: FloatArray | ImageError


def image_rows(block: Block[Any]) -> list[ImageRow]:
    """Return the rows of a block of embeddings, or of what came in their place."""
    return [ImageRow(name_of(item), vector) for item, vector in block]


def failure_of(row: ImageRow) -> tuple[str, str] | None:
    """Return the input and the reason of a row without embedding; ``None`` for any other."""
    return (row.path, str(row.vector)) if isinstance(row.vector, ImageError) else None


@dataclass(frozen=True)
class EmbeddingKind:
    """What all rows of one file share: the model that made the embeddings, and one of :data:`DTYPES`."""

    facts: ModelFacts
    fingerprint: str
    dtype: str

    @classmethod
    def of(cls, facts: ModelFacts, fingerprint: str, dtype: str) -> EmbeddingKind:
        """Make it of a model, whose name may be a file's path."""
        pretrained = None if facts.pretrained is None else printable(facts.pretrained)
        return cls(replace(facts, name=printable(facts.name), pretrained=pretrained), fingerprint, dtype)

    def metadata(self) -> dict[str, Any]:
        """Return what a file says of the model."""
        model = asdict(self.facts)
        return {"clipcli": _VERSION, "fingerprint": self.fingerprint, "model": model, "dtype": self.dtype}

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the rows, flat; for :class:`~clipcli.outputs.settings.RunSettings`."""
        facts = asdict(self.facts)
        return {"model": facts.pop("name"), **facts, "fingerprint": self.fingerprint, "dtype": self.dtype}


class _RowWriter(Protocol):
    def add(self, row: ImageRow) -> None:
        """Write one row."""

    def finish(self) -> None:
        """Write what comes after the last row."""


def write_image_embeddings(rows: Iterable[ImageRow], path: Path, kind: EmbeddingKind) -> Iterator[ImageRow]:
    """Write embeddings in the format that the suffix names, and pass the rows on; whole or not at all.

    Raises
    ------
    OutputError
        If the suffix is none of :data:`IMAGE_SUFFIXES`, or the file cannot be written.
    """
    check_suffix(path)
    with ExitStack() as stack:
        temporary = stack.enter_context(replacing(path))
        writer = _WRITERS[path.suffix.lower()](temporary, path, kind, stack)
        for row in rows:
            writer.add(row)
            yield row
        writer.finish()


def _error_of(row: ImageRow) -> dict[str, str]:
    assert isinstance(row.vector, ImageError)  # noqa: S101
    return {"type": row.vector.kind, "message": str(row.vector)}


# --- arrays, with the paths beside them ---------------------------------------------------------------


class _ArrayFile:
    """A ``.npy`` file that grows: its header has room for any number of rows."""

    def __init__(self, file: BinaryIO, dim: int, dtype: str) -> None:
        self._file, self._dim, self._dtype = file, dim, np.dtype(dtype)
        self.count = 0
        self._write_header()

    def _write_header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self._dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self.count, self._dim)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, vector: FloatArray) -> None:
        self._file.write(np.ascontiguousarray(vector, dtype=self._dtype).tobytes())
        self.count += 1

    def finish(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.flush()


class _Npy:
    """``FILE.npy``, and ``FILE.npy.jsonl``: first the model, then a line for each input."""

    def __init__(self, temporary: Path, path: Path, kind: EmbeddingKind, stack: ExitStack) -> None:
        beside = stack.enter_context(replacing(path.with_name(path.name + ".jsonl")))
        self._lines = stack.enter_context(beside.open("w", encoding="utf-8", newline="\n"))
        self._array = _ArrayFile(stack.enter_context(temporary.open("wb")), kind.facts.dim, kind.dtype)
        self._write_line(kind.metadata())

    def _write_line(self, values: dict[str, Any]) -> None:
        self._lines.write(json.dumps(values, ensure_ascii=False) + "\n")

    def add(self, row: ImageRow) -> None:
        if isinstance(row.vector, ImageError):
            self._write_line({"path": printable(row.path), "error": _error_of(row)})
            return
        self._write_line({"path": printable(row.path), "row": self._array.count})
        self._array.append(row.vector)

    def finish(self) -> None:
        self._array.finish()
        self._lines.flush()


class _Collected:
    """Base of the array formats that hold the paths inside: rows go to a growing array until all are there."""

    def __init__(self, temporary: Path, path: Path, kind: EmbeddingKind, stack: ExitStack) -> None:
        self._target, self._path, self._kind = temporary, path, kind
        spool = temporary.with_name(temporary.name + ".npy")
        stack.callback(spool.unlink, missing_ok=True)
        self._spool = spool
        self._array = _ArrayFile(stack.enter_context(spool.open("wb")), kind.facts.dim, kind.dtype)
        self._paths: list[str] = []
        self._failures: list[dict[str, Any]] = []

    def add(self, row: ImageRow) -> None:
        if isinstance(row.vector, ImageError):
            self._failures.append({"path": printable(row.path), "error": _error_of(row)})
            return
        self._paths.append(printable(row.path))
        self._array.append(row.vector)

    def finish(self) -> None:
        self._array.finish()
        vectors = np.load(self._spool, mmap_mode="r" if self._paths else None)
        metadata = json.dumps({**self._kind.metadata(), "failures": self._failures}, ensure_ascii=False)
        self._save(vectors, metadata)

    def _save(self, vectors: NDArray[Any], metadata: str) -> None:
        raise NotImplementedError


class _Npz(_Collected):
    def _save(self, vectors: NDArray[Any], metadata: str) -> None:
        with self._target.open("wb") as file:
            paths = np.array(self._paths, dtype=np.str_)
            np.savez(file, embeddings=vectors, paths=paths, metadata=np.array(metadata))


class _Safetensors(_Collected):
    def _save(self, vectors: NDArray[Any], metadata: str) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        texts = {"clipcli": metadata, "paths": json.dumps(self._paths, ensure_ascii=False)}
        try:
            save_file({"embeddings": np.ascontiguousarray(vectors)}, self._target, texts)
        except SafetensorError as problem:  # what it makes of a full disk
            raise OutputError(f"{self._path}: cannot be written ({problem})") from None


# --- rows, one for each input -------------------------------------------------------------------------


def _numbers(vector: FloatArray, dtype: str) -> list[float]:
    """Return numbers that are written short and read back bit for bit."""
    return [float(str(number)) for number in vector.astype(dtype)]


def jsonl_line(row: ImageRow, kind: EmbeddingKind) -> str:
    """Return the line of one input."""
    if isinstance(row.vector, ImageError):
        rest: dict[str, Any] = {"error": _error_of(row)}
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
            error = _error_of(row)
            cells: list[object] = [path, error["type"], guarded(error["message"]), "", *[""] * self._kind.facts.dim]
        else:
            cells = [path, "", "", self._kind.fingerprint, *_numbers(row.vector, self._kind.dtype)]
        self._file.write(csv_line(cells))

    def finish(self) -> None:
        self._file.flush()


def parquet_schema(kind: EmbeddingKind) -> Any:
    """Return the columns of Parquet output; the model stands in the metadata."""
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
        error = _error_of(row)
        return {"path": printable(row.path), "error_type": error["type"], "error_message": error["message"]}
    return {"path": printable(row.path), "embedding": row.vector.astype(dtype)}


class _Parquet:
    """Groups of rows as they come."""

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


_WRITERS: dict[str, Any] = {
    ".npy": _Npy,
    ".npz": _Npz,
    ".safetensors": _Safetensors,
    ".parquet": _Parquet,
    ".csv": _Csv,
    ".jsonl": _Jsonl,
}
IMAGE_SUFFIXES = tuple(_WRITERS)
"""The suffixes that name a format."""
