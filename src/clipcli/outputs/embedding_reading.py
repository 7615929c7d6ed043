"""Read image embeddings row by row: ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``, ``.csv``, ``.jsonl``.

Nothing that a file says is trusted: pickled objects are refused, and no more memory is used than the file has bytes.
The rows are checked by :class:`~clipcli.outputs.embedding_files.ImageEmbeddings`, for all formats alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from clipcli.delimited import own_kind, rows_of, unguarded
from clipcli.errors import ImageError
from clipcli.extras import pyarrow_or_error
from clipcli.inputs.items import MadeBy
from clipcli.outputs.npy_stream import NpyStream, npz_members
from clipcli.text import open_text

__all__ = ["READERS", "RawRow", "Reader"]

Facts = tuple[MadeBy | None, int | None]
RawRow = tuple[Any, Any]
"""The path of an input, and its embedding or its :class:`ImageError`; not checked yet."""

_ROWS = 1024
_CLASSES = "it holds class embeddings: use them with --classes"


@dataclass(frozen=True)
class Reader:
    """How a format is read.

    Parameters
    ----------
    made_by
        Returns the model that made a file, ``None`` if it holds no embedding; and the number of rows, if it is known.
        Takes the file, its path, and its name for messages.
    rows
        Yields the rows.
    """

    made_by: Callable[[BinaryIO, Path, str], Facts]
    rows: Callable[[BinaryIO, Path], Iterator[RawRow]]


def _described(metadata: Any, name: str) -> MadeBy:
    """Return the model that the metadata of a file describe."""
    if "dtype" not in metadata:
        raise ValueError(_CLASSES if "model" in metadata else "it does not name a model")
    model = metadata["model"]
    title = " ".join(str(each) for each in (model["name"], model["pretrained"]) if each)
    return MadeBy(name, str(metadata["fingerprint"]), int(model["dim"]), title)


def _failure(record: Any) -> RawRow:
    return record["path"], ImageError(str(record["error"]["type"]), str(record["error"]["message"]))


# --- arrays -----------------------------------------------------------------------------------------


def _lines_beside(path: Path) -> Iterator[Any]:
    with path.with_name(path.name + ".jsonl").open("rb") as raw, open_text(raw, "strict") as lines:
        lines.reconfigure(newline="\n")
        for line in lines:
            yield json.loads(line)


def _npy_made_by(file: BinaryIO, path: Path, name: str) -> Facts:
    with closing(_lines_beside(path)) as lines:  # type: ignore[type-var]
        made_by = _described(next(lines, {}), name)
    NpyStream.of_vectors(file, made_by.dim)
    return made_by, None


def _npy_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:
    with closing(_lines_beside(path)) as lines:  # type: ignore[type-var]
        stream = NpyStream.of_vectors(file, _described(next(lines, {}), str(path)).dim)
        vectors, number = stream.rows(), 0
        for record in lines:
            if "error" in record:
                yield _failure(record)
                continue
            if record["row"] != number:
                raise ValueError(f"{path.name}.jsonl does not name row {number} of the array next")
            yield record["path"], next(vectors, None)
            number += 1
    if number != stream.count:
        raise ValueError(f"it has {stream.count} rows, but {path.name}.jsonl names {number} of them")


def _npz_made_by(file: BinaryIO, path: Path, name: str) -> Facts:  # noqa: ARG001
    with npz_members(file, "metadata") as (metadata,):
        described = json.loads(NpyStream.text(metadata))
        made_by = _described(described, name)
    with npz_members(file, "embeddings", "paths") as (embeddings, paths):
        count = NpyStream.of_vectors(embeddings, made_by.dim).count
        if count != NpyStream.of_texts(paths).count:
            raise ValueError("it has not as many paths as embeddings")
    return made_by, count + len(described["failures"])


def _npz_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:
    with npz_members(file, "embeddings", "paths", "metadata") as (embeddings, paths, metadata):
        described = json.loads(NpyStream.text(metadata))
        vectors = NpyStream.of_vectors(embeddings, _described(described, str(path)).dim).rows()
        yield from zip(NpyStream.of_texts(paths).rows(), vectors, strict=True)
        yield from map(_failure, described["failures"])


def _safetensors_made_by(file: BinaryIO, path: Path, name: str) -> Facts:  # noqa: ARG001
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as opened:
        metadata = json.loads((opened.metadata() or {}).get("clipcli", "{}"))
        made_by = _described(metadata, name)
        count, dim = opened.get_slice("embeddings").get_shape()
    if dim != made_by.dim:
        raise ValueError(f"its embeddings have {dim} dimensions, not {made_by.dim}")
    return made_by, count + len(metadata["failures"])


def _safetensors_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:  # noqa: ARG001
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as opened:
        metadata = opened.metadata()
        paths, vectors = json.loads(metadata["paths"]), opened.get_slice("embeddings")
        if vectors.get_dtype() not in ("F32", "F16"):
            raise ValueError(f"its numbers are {vectors.get_dtype()}, not float32 or float16")
        if len(paths) != vectors.get_shape()[0]:
            raise ValueError("it has not as many paths as embeddings")
        for start in range(0, len(paths), _ROWS):
            end = min(start + _ROWS, len(paths))
            yield from zip(paths[start:end], vectors[start:end], strict=True)
        yield from map(_failure, json.loads(metadata["clipcli"])["failures"])


# --- rows -------------------------------------------------------------------------------------------


def _parquet_file(file: BinaryIO, name: str) -> tuple[Any, MadeBy]:
    opened = pyarrow_or_error().parquet.ParquetFile(file)
    schema = opened.schema_arrow
    made_by = _described(json.loads((schema.metadata or {}).get(b"clipcli", b"{}")), name)
    kind = schema.field("embedding").type
    if getattr(kind, "list_size", None) != made_by.dim or str(kind.value_type) not in ("float", "halffloat"):
        raise ValueError(f"its embeddings are {kind}, not {made_by.dim} numbers each")
    return opened, made_by


def _parquet_made_by(file: BinaryIO, path: Path, name: str) -> Facts:  # noqa: ARG001
    opened, made_by = _parquet_file(file, name)
    return made_by, opened.metadata.num_rows


def _parquet_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:
    opened, made_by = _parquet_file(file, str(path))
    for batch in opened.iter_batches(_ROWS):
        names = ("path", "error_type", "error_message")
        paths, kinds, messages = (batch.column(name).to_pylist() for name in names)
        embeddings = batch.column("embedding")
        vectors = iter(embeddings.flatten().to_numpy(zero_copy_only=False).reshape(-1, made_by.dim))
        for row, is_there in enumerate(embeddings.is_valid().to_pylist()):
            yield paths[row], next(vectors) if is_there else ImageError(str(kinds[row]), str(messages[row]))


def _first(records: Iterable[tuple[str, int, str]], name: str) -> Facts:
    """Return the model of the first record that has one: fingerprint, dimensions and title."""
    return next((MadeBy(name, *record) for record in records), None), None


def _json_records(file: BinaryIO) -> Iterator[Any]:
    with open_text(file, "strict") as lines:
        lines.reconfigure(newline="\n")
        for line in lines:
            if line.strip():
                record = json.loads(line)
                if "prompts" in record:
                    raise ValueError(_CLASSES)
                yield record


def _jsonl_made_by(file: BinaryIO, path: Path, name: str) -> Facts:  # noqa: ARG001
    records = (record for record in _json_records(file) if "error" not in record)
    named = (
        (str(each["fingerprint"]), len(each["embedding"]), " ".join(filter(None, (each["model"], each["pretrained"]))))
        for each in records
    )
    return _first(named, name)


def _jsonl_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:  # noqa: ARG001
    fingerprints = set()
    for record in _json_records(file):
        if "error" in record:
            yield _failure(record)
            continue
        fingerprints.add(record["fingerprint"])
        _check_one(fingerprints)
        yield record["path"], np.array(record["embedding"], np.float64)


def _csv_records(file: BinaryIO) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file, each with its number of dimensions."""
    with open_text(file, "strict") as lines:
        rows = rows_of(lines)
        _, header = next(rows, (0, []))
        numbers = [f"e{index}" for index in range(len(header) - 4)]
        if "prompts" in header:
            raise ValueError(_CLASSES)
        if own_kind(header) != "embeddings" or header[4:] != numbers:
            raise ValueError("its columns are not path, error_type, error_message, fingerprint, e0, e1 and so on")
        for _, cells in rows:
            if cells:
                yield len(numbers), dict(zip(header, cells, strict=True))


def _csv_made_by(file: BinaryIO, path: Path, name: str) -> Facts:  # noqa: ARG001
    return _first(((row["fingerprint"], dim, "") for dim, row in _csv_records(file) if row["fingerprint"]), name)


def _csv_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:  # noqa: ARG001
    fingerprints = set()
    for dim, row in _csv_records(file):
        if row["error_type"]:
            yield unguarded(row["path"]), ImageError(row["error_type"], unguarded(row["error_message"]))
            continue
        fingerprints.add(row["fingerprint"])
        _check_one(fingerprints)
        yield unguarded(row["path"]), np.array([float(row[f"e{index}"]) for index in range(dim)])


def _check_one(fingerprints: set[str]) -> None:
    if len(fingerprints) > 1:
        raise ValueError("its rows come from different models")


READERS = {
    ".npy": Reader(_npy_made_by, _npy_rows),
    ".npz": Reader(_npz_made_by, _npz_rows),
    ".safetensors": Reader(_safetensors_made_by, _safetensors_rows),
    ".parquet": Reader(_parquet_made_by, _parquet_rows),
    ".csv": Reader(_csv_made_by, _csv_rows),
    ".jsonl": Reader(_jsonl_made_by, _jsonl_rows),
}
"""By extension."""
