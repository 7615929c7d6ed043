"""Results read back, from whatever format they were written in."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcli.errors import InputError
from clipcli.textfiles import tsv_cell, unguarded

__all__ = ["ReadRecord", "read_results"]


@dataclass(frozen=True)
class ReadRecord:
    """One record of a results file: ``label`` is ``None`` where the input failed."""

    path: str
    label: str | None
    probability: float | None
    error: str | None


def read_results(file: Path) -> Iterator[ReadRecord]:
    """Read a results file record by record; the suffix tells the format.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged (the record is named) or no results file.
    """
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file}: unknown format {file.suffix!r}; choose one of {', '.join(_READERS)}")
    number = 0
    try:
        for values in reader(file):
            yield _record(values)
            number += 1
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except OSError as problem:
        raise InputError(f"{file}: {problem.strerror or ' '.join(str(problem).split())}") from None
    except (KeyError, TypeError, ValueError, RecursionError, csv.Error) as problem:
        reason = f"no {problem}" if isinstance(problem, KeyError) else " ".join(str(problem).split())[:120]
        raise InputError(f"{file}: record {number + 1}: not a result of clipcli classify ({reason})") from None


def _record(values: Any) -> ReadRecord:
    if not isinstance(values, dict):
        raise TypeError("not an object")
    path, label = values["path"], values.get("label")
    error = values["error"]["message"] if "error" in values else values.get("error_message") or None
    if not isinstance(path, str) or not isinstance(error or "", str):
        raise TypeError("a path or message that is no text")
    if error is not None:
        return ReadRecord(path, None, None, error)
    if not isinstance(label, str) or not label:
        raise TypeError("neither a label nor an error")
    return ReadRecord(path, label, float(values["probability"]), None)


def _jsonl(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8-sig", newline="\n") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _json(file: Path) -> Iterator[Any]:
    values = json.loads(file.read_text("utf-8-sig"))
    if not isinstance(values, list):
        raise TypeError("not a list of records")
    yield from values


def _csv(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines, strict=True):
            if None in row:
                raise ValueError("more cells than columns")
            yield {name: unguarded(cell) for name, cell in row.items() if cell is not None}


def _tsv(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8-sig", newline="\n") as lines:
        header = next(lines, "").rstrip("\r\n").split("\t")
        for line in lines:
            if line.strip("\r\n"):
                yield dict(zip(header, map(tsv_cell, line.rstrip("\r\n").split("\t")), strict=True))


def _parquet(file: Path) -> Iterator[Any]:
    from clipcli.parquet import pyarrow_or_error

    arrow = pyarrow_or_error()
    try:
        table = arrow.parquet.ParquetFile(file)
        for batch in table.iter_batches():
            yield from batch.to_pylist()
    except arrow.ArrowInvalid as problem:
        raise ValueError(str(problem)) from None


_READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
}
