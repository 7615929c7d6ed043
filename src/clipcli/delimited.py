r"""Tables of text: one reader for CSV, TSV and JSON Lines.

clipcli makes the CSV it writes safe for spreadsheets, and escapes tabs and line ends in its TSV; other programs do
neither. So this is undone only in tables that clipcli wrote, which are recognised by their columns: an apostrophe or
a ``\t`` in any other table is part of the name.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, TextIO

from clipcli.errors import InputError
from clipcli.storage.schemes import path_part
from clipcli.text import tsv_cell, unguarded

__all__ = [
    "JSON_LINES",
    "Table",
    "delimiter_of",
    "is_tsv",
    "long_cells",
    "own_kind",
    "read_delimited",
    "read_json_lines",
]

JSON_LINES = (".jsonl", ".ndjson")
_OWN = {
    "results": {"path", "label", "probability", "similarity", "model", "pretrained", "precision", "error_type",
                "error_message"},
    "embeddings": {"path", "error_type", "error_message", "fingerprint"},
    "corrections": {"path", "label", "clipcli"},
}  # fmt: skip

Cells = dict[str, Any]


def own_kind(columns: Collection[str]) -> str | None:
    """Return the kind of a table that clipcli wrote, by its columns; ``None`` for any other table.

    ``results`` of classify, ``embeddings`` of export, or the ``corrections`` that the report page saves. Additional
    columns and another order make no difference.
    """
    return next((kind for kind, needed in _OWN.items() if needed <= set(columns)), None)


def is_tsv(name: str) -> bool:
    """Return whether the cells of a table are separated by tabs, by its extension."""
    return path_part(name).lower().endswith(".tsv")


def delimiter_of(header: str) -> str:
    """Return what separates the cells of a CSV table: a semicolon if its first row has one and no comma.

    Spreadsheets write semicolons where numbers have a decimal comma, as in most of Europe.
    """
    return ";" if ";" in header and "," not in header else ","


@contextmanager
def long_cells() -> Iterator[None]:
    """Let cells be longer than the 128 KiB that Python's reader takes, and leave its limit as it was."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@dataclass(frozen=True)
class Table:
    """A table that is being read.

    Parameters
    ----------
    columns
        Their names, from the first row.
    own
        The kind of a table that clipcli wrote, see :func:`own_kind`.
    rows
        The line number of each row's end, and its cells by column; a short row lacks the last ones.
    """

    columns: tuple[str, ...]
    own: str | None
    rows: Iterator[tuple[int, Cells]]


def read_delimited(file: TextIO, name: str) -> Table:
    """Read a CSV or TSV table; ``file`` is open without newline translation. For CSV see :func:`delimiter_of`.

    Raises
    ------
    InputError
        If it is not a table, or a row has more cells than there are columns; also while the rows are read.
    """
    tabs = is_tsv(name)
    try:
        first = next(file, "")
        text = chain((first,), file)
        reader = csv.reader(text, delimiter="\t" if tabs else delimiter_of(first), strict=True)
        header = next(reader, [])
    except (csv.Error, UnicodeError) as problem:
        raise _no_table(name, problem) from None
    own, lines = own_kind(header), reader.line_num
    read: Callable[[str], str] = (tsv_cell if tabs else unguarded) if own else str
    if own and tabs:
        reader = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = ((lines + reader.line_num, row) for row in reader)
    else:
        rows = ((reader.line_num, row) for row in reader)
    return Table(tuple(header), own, _cells(rows, header, read, name))


def _cells(
    rows: Iterator[tuple[int, list[str]]], header: list[str], read: Callable[[str], str], name: str
) -> Iterator[tuple[int, Cells]]:
    try:
        for number, row in rows:
            if not row:
                continue
            if any(row[len(header) :]):
                raise InputError(
                    f"cannot read {name}: line {number} has {len(row)} cells, the header has {len(header)} "
                    "(put quotes around text that contains the separator)"
                )
            yield number, dict(zip(header, map(read, row), strict=False))
    except (csv.Error, UnicodeError) as problem:
        raise _no_table(name, problem) from None


def _no_table(name: str, problem: Exception) -> InputError:
    return InputError(f"cannot read {name}: not a table ({problem})")


def read_json_lines(file: TextIO, name: str) -> Table:
    """Read JSON Lines as a table: each line is an object; any other line has no cells.

    Raises
    ------
    InputError
        If the file is not text; also while the rows are read.
    """
    rows = _json_rows(file, name)
    first = next(rows, None)
    columns = tuple(first[1]) if first else ()
    own = "results" if {"path", "label", "top", "precision"} <= set(columns) else own_kind(columns)
    own = own or ("results" if set(columns) == {"path", "error"} else None)
    own = own or ("embeddings" if {"path", "fingerprint", "embedding"} <= set(columns) else None)

    def all_rows() -> Iterator[tuple[int, Cells]]:
        if first is not None:
            yield first
        yield from rows

    return Table(columns, own, all_rows())


def _json_rows(file: TextIO, name: str) -> Iterator[tuple[int, Cells]]:
    try:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = {}
            yield number, row if isinstance(row, dict) else {}
    except UnicodeError as problem:
        raise _no_table(name, problem) from None
