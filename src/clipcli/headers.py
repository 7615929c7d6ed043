"""The first rows of tables that people and spreadsheets write: the separator of cells, and the names of columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from clipcli.errors import InputError
from clipcli.text import name_key, one_line, printable

__all__ = ["column_of", "delimiter_of", "needed_column", "separator_of"]

_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=([,;\t|])\"?\r?\n?", re.IGNORECASE)
_NAMES = 300  # characters of column names in a message


def delimiter_of(header: str, usual: str = ",") -> str:
    """Return what separates the cells of a table, by its first row: the usual character if the row has it.

    Otherwise a tab, a semicolon or a comma. Spreadsheets write semicolons where numbers have a decimal comma, as in
    most of Europe, and some write tabs into a file with the extension of CSV.
    """
    return next((each for each in (usual, "\t", ";", ",") if each in header), usual)


def separator_of(line: str) -> str | None:
    """Return the delimiter that a line such as ``sep=;`` names, which Excel writes before the header."""
    found = _SEPARATOR_LINE.fullmatch(line)
    return found[1] if found else None


def column_of(columns: Collection[str], name: str) -> str | None:
    """Return the column with a name; if there is none, the only one that differs only in case or outer spaces."""
    if name in columns:
        return name
    similar = [column for column in columns if _column_key(column) == _column_key(name)]
    return similar[0] if len(similar) == 1 else None


def _column_key(column: str) -> str:
    return name_key(column).strip().casefold()


def needed_column(table: object, columns: Sequence[str], name: str, remedy: str = "") -> str:
    """Return the column with a name, see :func:`column_of`.

    Parameters
    ----------
    table
        The table, for messages.
    remedy
        What to do if there is none, for the message.

    Raises
    ------
    InputError
        If there is no such column, or several.
    """
    found = column_of(columns, name)
    if found is None:
        names = one_line(printable(", ".join(columns) or "none"))
        names = names if len(names) <= _NAMES else f"{names[:_NAMES]}..."
        raise InputError(f"cannot read {table}: no column {name!r} (it has: {names}{remedy})")
    if list(columns).count(found) > 1:
        raise InputError(f"cannot read {table}: duplicate column {name!r} in the first row")
    return found
