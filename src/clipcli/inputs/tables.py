"""Tables of images: CSV, TSV and JSON Lines with a column of paths, Parquet with paths or encoded images."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipcli.delimited import JSON_LINES, own_kind, read_delimited, read_json_lines
from clipcli.errors import ImageError, InputError
from clipcli.extras import pyarrow_or_error
from clipcli.inputs.items import BadInput, FileInput, Input, MemberInput, Unit, shown_name
from clipcli.inputs.own_tables import written_by_clipcli
from clipcli.inputs.path_base import PathBase
from clipcli.schemes import is_remote, path_part
from clipcli.storage.remote import open_location
from clipcli.text import one_line, open_text, printable

__all__ = ["PATH_COLUMNS", "Columns", "DamagedTableError", "RowGroup", "is_parquet", "rows_of"]

PATH_COLUMNS = ("path", "filepath", "file_name", "filename", "file", "image", "url")
"""Usual names of a column of image paths, the most usual first."""

_BATCH_ROWS = 64  # images in memory at once


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Parameters
    ----------
    path
        Paths or URLs; if ``image`` is given too, the names of the images for their records.
    image
        The encoded images (Parquet only); also a struct with ``bytes`` and ``path``, as the datasets library writes it.
    """

    path: str | None = None
    image: str | None = None


class DamagedTableError(InputError):
    """A Parquet file that cannot be read; ``reason`` says why, without its name."""

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(f"{table}: {reason}")
        self.table, self.reason = table, reason

    def __reduce__(self) -> tuple[type[DamagedTableError], tuple[str, str]]:
        """Pickle both parts."""
        return type(self), (self.table, self.reason)


def is_parquet(name: str) -> bool:
    """Return whether a file is a Parquet table, by its extension."""
    return path_part(name).lower().endswith(".parquet")


def rows_of(table: str, columns: Columns) -> Iterator[Unit]:
    """Yield the rows of a table: files if it holds paths, row groups if it holds images.

    Raises
    ------
    InputError
        If it is not a table, or lacks a column.
    """
    if not is_remote(table) and Path(table).is_dir():
        raise InputError(f"cannot read {table}: it is a folder (with --path-column or --image-column, name tables)")
    if is_parquet(table):
        with _parquet(table) as file:
            if columns.path is not None and columns.image is None:
                yield from _paths(table, file, columns.path)
            else:
                yield from _groups(table, file, columns)
        return
    if columns.image is not None:
        raise InputError(f"cannot use {table} with --image-column: it is not a Parquet table")
    yield from _delimited(table, columns.path or "")


def _row(base: PathBase, where: str, column: str, name: object) -> Input:
    if not isinstance(name, str) or not name or name.isspace():
        return BadInput(where, ImageError("not_found", f"the column {column!r} is empty in this row"))
    if "\0" in name:
        return BadInput(name, ImageError("not_found", "a file name cannot contain NUL"))
    return FileInput(name, base.locate(name))


def _delimited(table: str, column: str) -> Iterator[Input]:
    shown = shown_name(table)
    is_lines = path_part(table).lower().endswith(JSON_LINES)
    try:
        with _text(table) as file:
            read = read_json_lines(file, shown) if is_lines else read_delimited(file, shown)
            _check_column(shown, column, read.columns)
            base = PathBase(table, own=read.own is not None)
            for number, cells in read.rows:
                yield _row(base, f"{shown}:{number}", column, cells.get(column))
    except (ImageError, OSError, UnicodeError) as problem:
        raise InputError(f"cannot read {shown}: {getattr(problem, 'strerror', None) or problem}") from None


@contextmanager
def _text(table: str) -> Iterator[io.TextIOWrapper]:
    with open_location(table) as raw, open_text(raw) as file:
        yield file


def _check_column(table: str, column: str, known: Any) -> None:
    if column not in known:
        names = one_line(printable(", ".join(known) or "none"))
        raise InputError(
            f"cannot read {table}: no column {column!r} (it has: {names if len(names) <= 300 else names[:300] + '...'})"
        )
    if list(known).count(column) > 1:
        raise InputError(f"cannot read {table}: duplicate column {column!r} in the first row")


# --- Parquet ------------------------------------------------------------------------------------------------


@contextmanager
def _parquet(table: str) -> Iterator[Any]:
    """Open a Parquet file, and translate errors of the block into one line."""
    arrow = pyarrow_or_error()
    try:
        with open_location(table) as opened:
            yield arrow.parquet.ParquetFile(opened)
    except (ImageError, arrow.ArrowException, OSError) as problem:
        reason = getattr(problem, "strerror", None) or " ".join(str(problem).split())
        raise DamagedTableError(table, reason) from None


def _paths(table: str, file: Any, column: str) -> Iterator[Input]:
    _check_column(table, column, file.schema_arrow.names)
    if _is_binary(file.schema_arrow.field(column).type):
        raise InputError(f"cannot use {table}: column {column!r} holds images, not paths (name it with --image-column)")
    number, base = 0, PathBase(table, own=own_kind(file.schema_arrow.names) is not None)
    for batch in file.iter_batches(columns=[column]):
        for value in batch.column(0).to_pylist():
            number += 1
            yield _row(base, f"{shown_name(table)}:{number}", column, None if value is None else str(value))


def _groups(table: str, file: Any, columns: Columns) -> Iterator[RowGroup]:
    schema = file.schema_arrow
    image = columns.image or _only_image_column(table, schema)
    for column in filter(None, (image, columns.path)):
        _check_column(table, column, schema.names)
    if not _is_binary(schema.field(image).type):
        raise InputError(f"cannot use {table}: column {image!r} holds {schema.field(image).type}, not encoded images")
    first = 0
    for number in range(file.num_row_groups):
        yield RowGroup(table, table, number, first, Columns(columns.path, image))
        first += file.metadata.row_group(number).num_rows


def _only_image_column(table: str, schema: Any) -> str:
    found = [field.name for field in schema if _is_binary(field.type)]
    if len(found) == 1:
        return str(found[0])
    if (own := written_by_clipcli(schema.names)) is not None:
        raise InputError(f"cannot use {table}: {own}")
    which = "several columns of bytes" if found else "no column of bytes"
    raise InputError(
        f"cannot use {table}: {which} (name one with --image-column, or one of paths with --path-column; "
        f"it has: {', '.join(schema.names)})"
    )


def _is_binary(kind: Any) -> bool:
    types = pyarrow_or_error().types
    if types.is_struct(kind):
        return any(field.name == "bytes" and _is_binary(field.type) for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


@dataclass(frozen=True)
class RowGroup:
    """A row group of a Parquet file that holds images.

    If there is neither a column of names nor a name with the bytes, images are named TABLE/ROW, counted from 0.
    """

    table: str
    path: str = field(repr=False)
    number: int
    first_row: int
    columns: Columns

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", shown_name(self.table, self.path))

    @property
    def name(self) -> str:
        """The file and the number of the group."""
        return f"{self.table}#{self.number}"

    def inputs(self) -> Iterator[Input]:
        """Yield the images; damage becomes a last failure with the group's name."""
        wanted = [column for column in (self.columns.image, self.columns.path) if column]
        row = self.first_row
        try:
            with _parquet(self.path) as file:
                for batch in file.iter_batches(_BATCH_ROWS, row_groups=[self.number], columns=wanted):
                    for values in batch.to_pylist():
                        yield self._picture(row, values)
                        row += 1
        except InputError as problem:
            yield BadInput(self.name, ImageError("truncated", f"damaged table ({problem})"))

    def _picture(self, row: int, values: dict[str, Any]) -> Input:
        held = values[str(self.columns.image)]
        data, beside = (held.get("bytes"), held.get("path")) if isinstance(held, dict) else (held, None)
        given = values[self.columns.path] if self.columns.path else None
        name = f"{self.table}/{beside or row}" if given is None else str(given)
        if data is None:
            return BadInput(name, ImageError("empty", "no bytes in this row"))
        return MemberInput(name, data)
