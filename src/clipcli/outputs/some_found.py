"""Refuse to write an output in which no input exists: it could replace good results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from clipcli.errors import InputError
from clipcli.inputs.missing import none_exists

__all__ = ["NOT_FOUND", "NoneFoundError", "some_found"]

NOT_FOUND = "not_found"
"""The kind of failure of an input that does not exist."""

Row = TypeVar("Row")


class NoneFoundError(InputError):
    """None of the inputs of a run exists."""


def some_found(rows: Iterable[Row], missing: Callable[[Row], str | None]) -> Iterator[Row]:
    """Pass rows on.

    Parameters
    ----------
    missing
        Returns the name of the input of a row if the input does not exist, ``None`` for any other row.

    Raises
    ------
    NoneFoundError
        At the end, if there were rows and none of their inputs exists.
    """
    first, count, is_found = "", 0, False
    for row in rows:
        if not is_found and (name := missing(row)) is not None:
            first, count = first or name, count + 1
        else:
            is_found = True
        yield row
    if count and not is_found:
        raise NoneFoundError(str(none_exists(first, count)))
