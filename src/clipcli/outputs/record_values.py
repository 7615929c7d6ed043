"""Read the values of each record of a results file, in any format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from clipcli.delimited import own_kind, rows_of, tsv_cell, unguarded
from clipcli.errors import InputError
from clipcli.headers import delimiter_of
from clipcli.text import decode_text, open_text

__all__ = ["READERS"]

_CUT = "it is cut off: it has {} of {} cells"


def _jsonl(file: Path) -> Iterator[Any]:
    with file.open("rb") as raw, open_text(raw, "strict") as lines:
        lines.reconfigure(newline="\n")
        for line in lines:
            if line.strip():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as problem:
                    raise ValueError(f"{problem}" if line.endswith("\n") else f"it is cut off: {problem}") from None


def _json(file: Path) -> Iterator[Any]:
    values = json.loads(decode_text(file.read_bytes()))
    if not isinstance(values, list):
        raise TypeError("the file is not a list of records")
    yield from values


def _csv(file: Path) -> Iterator[Any]:
    with file.open("rb") as raw, open_text(raw, "strict") as lines:
        first = next(lines, "")
        ended = _Ended(chain((first,), lines))
        rows = rows_of(ended, delimiter_of(first))
        _, header = next(rows, (1, []))
        _check_header(header, file)
        for _, row in rows:
            if len(row) > len(header):
                raise ValueError("it has more cells than columns")
            if len(row) < len(header) and row and ended.is_cut:
                raise ValueError(_CUT.format(len(row), len(header)))
            if row:
                yield dict(zip(header, map(unguarded, row), strict=False))


class _Ended:
    """Passes on the lines of a file; ``is_cut`` says whether the last one so far has no line end."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self.is_cut = lines, False

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.is_cut = not line.endswith(("\n", "\r"))
            yield line


def _check_header(columns: Sequence[str], file: Path) -> None:
    if own_kind(columns) == "corrections":
        raise InputError(
            f"cannot read {file} as results: it holds labels that were checked in the page of clipcli report "
            f"(give the results of the run, and add --checked {file})"
        )
    if any(columns) and "path" not in columns:
        raise KeyError("path")


def _tsv(file: Path) -> Iterator[Any]:
    with file.open("rb") as raw, open_text(raw, "strict") as lines:
        lines.reconfigure(newline="\n")
        header = next(lines, "").rstrip("\r\n").split("\t")
        _check_header(header, file)
        for line in lines:
            if not line.strip("\r\n"):
                continue
            cells = line.rstrip("\r\n").split("\t")
            if len(cells) != len(header):
                reason = "it has {} cells, but the table has {} columns" if line.endswith("\n") else _CUT
                raise ValueError(reason.format(len(cells), len(header)))
            yield dict(zip(header, map(tsv_cell, cells), strict=True))


def _parquet(file: Path) -> Iterator[Any]:
    from clipcli.extras import pyarrow_or_error

    arrow = pyarrow_or_error()
    try:
        table = arrow.parquet.ParquetFile(file)
        for batch in table.iter_batches():
            yield from batch.to_pylist()
    except arrow.ArrowInvalid as problem:
        raise ValueError(str(problem)) from None


READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
}
"""Yields the values of each record, by the extension of the file."""
