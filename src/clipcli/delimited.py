r"""Tables of text: the one dialect of CSV and TSV, written and read, and JSON Lines.

clipcli makes the CSV it writes safe for spreadsheets (:func:`guarded`), and escapes tabs and line ends in its TSV
(:func:`tsv_line`); other programs do neither. So this is undone only in tables that clipcli wrote, which are recognised
by their columns: an apostrophe or a ``\t`` in any other table is part of the name.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, TextIO

from clipcli.errors import InputError
from clipcli.schemes import path_part

__all__ = [
    "JSON_LINES",
    "Table",
    "TableError",
    "csv_line",
    "delimiter_of",
    "first_object",
    "guarded",
    "is_tsv",
    "long_cells",
    "own_kind",
    "read_delimited",
    "read_json_lines",
    "rows_of",
    "tsv_cell",
    "tsv_line",
    "unguarded",
]

JSON_LINES = (".jsonl", ".ndjson")
_OWN = (
    ({"path", "label", "probability", "error_type", "error_message"}, "results"),
    ({"path", "error_type", "error_message", "fingerprint"}, "embeddings"),
    ({"path", "error_type", "error_message", "embedding"}, "embeddings"),  # Parquet
    ({"path", "label", "clipcli"}, "corrections"),
)

Cells = dict[str, Any]

_QUOTED = re.compile('[",\r\n]')
_TSV_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TSV_CHARACTERS = {escape[1]: character for character, escape in _TSV_ESCAPES.items()}
_ESCAPED = str.maketrans(_TSV_ESCAPES)
_NUL = "\udc00"  # in no text that was decoded
# A formula begins with one of four signs, which East Asian editions also accept at full width; some programs skip
# white space and invisible characters before it. A tab or line end at the start may start a new cell.
_FORMULA = re.compile(
    "'*(?:[\\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]|[\t\r\n])"
)


class TableError(ValueError):
    """A table that cannot be split into cells; ``line`` is where that was found."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


def csv_line(cells: Iterable[object]) -> str:
    """Return one line of CSV, ended by a newline alone."""
    # Not csv.writer: before Python 3.13 it does not quote a carriage return, and 3.10 refuses NUL.
    return (",".join(map(_csv_cell, cells)) or '""') + "\n"


def _csv_cell(value: object) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    return '"' + value.replace('"', '""') + '"' if _QUOTED.search(value) else value


def guarded(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would read as a formula; :func:`unguarded` undoes it.

    Text that already has such an apostrophe gets another one, so that ``unguarded(guarded(text)) == text`` for any
    text. The page of ``clipcli report`` does the same in its ``cell``.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Remove the apostrophe that :func:`guarded` added."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def tsv_line(cells: Iterable[str]) -> str:
    r"""Return one line of TSV: no quotes; ``\t``, ``\n``, ``\r`` and ``\\`` are escaped."""
    return "\t".join(cell.translate(_ESCAPED) for cell in cells) + "\n"


def tsv_cell(cell: str) -> str:
    r"""Read a cell of :func:`tsv_line`: ``\t``, ``\n``, ``\r`` and ``\\`` are the characters they stand for."""
    parts = iter(cell)
    return "".join(_TSV_CHARACTERS.get(next(parts, ""), "") if part == "\\" else part for part in parts)


def rows_of(
    lines: Iterable[str], delimiter: str = ",", *, skip_spaces: bool = False, quotes: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Split a table into rows of cells.

    Parameters
    ----------
    lines
        Such as an open file, without newline translation.
    skip_spaces
        Whether spaces after a delimiter are left out, as in tables that people write.
    quotes
        Whether cells can be in quotes.

    Yields
    ------
    The number of the row's last line, and its cells; a blank line has none.

    Raises
    ------
    TableError
        If a quote is not closed, or in the wrong place.
    """
    has_nul = sys.version_info >= (3, 11)  # before, a table cannot have NUL
    reader = csv.reader(
        lines if has_nul else (line.replace("\0", _NUL) for line in lines), delimiter=delimiter,
        skipinitialspace=skip_spaces, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE, strict=True,
    )  # fmt: skip
    try:
        for row in reader:
            yield reader.line_num, row if has_nul else [cell.replace(_NUL, "\0") for cell in row]
    except csv.Error as problem:
        raise TableError(str(problem), reader.line_num) from None


def own_kind(columns: Collection[str]) -> str | None:
    """Return the kind of a table that clipcli wrote, by its columns; ``None`` for any other table.

    ``results`` of classify, ``embeddings`` of export, or the ``corrections`` that the report page saves. Additional
    columns and another order make no difference.
    """
    return next((kind for needed, kind in _OWN if needed <= set(columns)), None)


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
        rows = rows_of(text, "\t" if tabs else delimiter_of(first))
        lines, header = next(rows, (0, []))
    except (TableError, UnicodeError) as problem:
        raise _no_table(name, problem) from None
    own = own_kind(header)
    read: Callable[[str], str] = (tsv_cell if tabs else unguarded) if own else str
    if own and tabs:
        rows = ((lines + number, row) for number, row in rows_of(text, "\t", quotes=False))
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
    except (TableError, UnicodeError) as problem:
        raise _no_table(name, problem) from None


def _no_table(name: str, problem: Exception) -> InputError:
    return InputError(f"cannot read {name}: not a table ({problem})")


def first_object(text: str) -> dict[str, Any]:
    """Return the first object of a JSON array, which may be cut off after it; ``{}`` if it does not begin with one.

    Raises
    ------
    ValueError
        If the first value of the array is not JSON.
    """
    start = text.lstrip()
    first: Any = json.JSONDecoder().raw_decode(start[1:].lstrip())[0] if start.startswith("[") else {}
    return first if isinstance(first, dict) else {}


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
