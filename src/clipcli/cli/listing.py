"""Tables of the commands that list things: for people on a terminal, as TSV in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

__all__ = ["fitting", "print_figures", "print_table"]

_LEAST = 14  # width of a column of words that are wrapped
_LEAST_NAME = 10  # the same for names between numbers
_GAP = 2


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> None:
    """Print rows as a table on a terminal, as TSV with a header in a pipe.

    Parameters
    ----------
    names
        The number of columns, from the left, that people type again: they are never shortened. The columns on the
        right are left out if there is no room for them; if names alone do not fit, each row takes several lines.
    """
    if not sys.stdout.isatty():
        for row in (header, *rows):
            typer.echo("\t".join(row))
        return
    from rich.table import Table
    from rich.text import Text

    from clipcli.terminal import console as open_console
    from clipcli.text import one_line

    console = open_console()
    cells = [[one_line(cell) for cell in row] for row in rows]
    shown = fitting(header, cells, names, console.width)
    if shown < len(header):
        left_out = f"left out for lack of room: {', '.join(header[shown:])} (shown in a wider terminal or a pipe)"
    if not shown:
        _print_in_lines(console, cells, names)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(header[:shown]):
        table.add_column(name, no_wrap=place < names, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row[:shown]))
    console.print(table)
    if shown < len(header):
        console.print(Text(left_out, style="dim"))


def fitting(header: Sequence[str], rows: Sequence[Sequence[str]], names: int, width: int) -> int:
    """Return how many columns fit into a width, with whole names; 0 if the names do not fit."""
    used = 0
    for place, column in enumerate(zip(header, *rows, strict=True)):
        longest = max(map(len, column))
        needed = longest if place < names else min(longest, max(_LEAST, *(len(word) for word in column[0].split())))
        used += needed + (_GAP if place else 0)
        if used > width:
            return place if place >= names else 0
    return len(header)


def _print_in_lines(console: Any, rows: Sequence[Sequence[str]], names: int) -> None:
    """Print each row on several lines: the whole names, then the rest below them."""
    from rich.padding import Padding
    from rich.text import Text

    for row in rows:
        together = "  ".join(filter(None, row[:names]))
        for name in [together] if len(together) <= console.width else filter(None, row[:names]):
            console.print(Text(name, style="bold", overflow="fold"))
        rest = ", ".join(filter(None, row[names:]))
        if rest:
            console.print(Padding(Text(rest), (0, 0, 0, 2)))


def print_figures(
    console: Any, header: Sequence[str], rows: Sequence[Sequence[str]], *, names: Sequence[int] = (0,)
) -> None:
    """Print a table of names and numbers on a terminal; no number is ever cut or wrapped.

    Parameters
    ----------
    console
        A Rich console.
    names
        The columns of names, which are wrapped if there is no room for them; the others are numbers. If there is no
        room for the numbers either, each row takes several lines.
    """
    from rich.cells import cell_len
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    columns = [max(map(cell_len, column)) for column in zip(header, *rows, strict=True)]
    least = [min(width, _LEAST_NAME) if place in names else width for place, width in enumerate(columns)]
    if sum(least) + _GAP * (len(least) - 1) <= console.width:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
        for place, name in enumerate(header):
            is_name = place in names
            table.add_column(
                name, justify="left" if is_name else "right", no_wrap=not is_name, overflow="fold",
                min_width=least[place],
            )  # fmt: skip
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
        return
    console.print(Text(header[0], style="bold", overflow="fold"))
    for first, *others in rows:
        console.print(Text(first, overflow="fold"))
        for name, cell in zip(header[1:], others, strict=True):
            if cell:
                console.print(Padding(Text(f"{name} {cell}".lstrip(), overflow="fold"), (0, 0, 0, 2)))
