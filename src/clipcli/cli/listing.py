"""Tables of the commands that list things: for people on a terminal, as TSV in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

__all__ = ["fitting_widths", "print_figures", "print_table"]

_LONG = 32  # columns of a name; a longer one gets a line to itself, so that it does not widen the whole column
_LEAST = 12  # width of a column of words that are wrapped
_LEAST_NAME = 10  # the same for names between numbers
_GAP = 2


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> None:
    """Print rows as a table on a terminal, as TSV with a header in a pipe.

    Parameters
    ----------
    names
        The number of columns, from the left, that people type again: they are never shortened. A very long name is on
        a line by itself, above the rest of its row. If the columns do not fit, each row takes several lines.
    """
    if not sys.stdout.isatty():
        for row in (header, *rows):
            typer.echo("\t".join(row))
        return
    from rich.text import Text

    from clipcli.terminal import console as open_console
    from clipcli.text import one_line

    console = open_console()
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = fitting_widths(header, [_without_long(row, names) for row in cells], names, console.width)
    if not widths:
        _print_in_lines(console, header, cells, names)
        return
    _print_rows(console, [header], widths, "bold")
    for row in cells:
        rest = _without_long(row, names)
        if rest != row:
            console.print(Text("  ".join(filter(None, row[:names])), overflow="fold"))
        _print_rows(console, [rest], widths)


def _print_rows(console: Any, rows: Sequence[Sequence[str]], widths: Sequence[int], style: str = "") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, _GAP, 0, 0))
    for width in widths:
        table.add_column(width=width, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=style) for cell in row[: len(widths)]))
    console.print(table)


def _without_long(row: Sequence[str], names: int) -> list[str]:
    """Return a row without its names, if one of them is too long for a column."""
    is_long = any(len(name) > _LONG for name in row[:names])
    return [*([""] * names if is_long else row[:names]), *row[names:]]


def fitting_widths(header: Sequence[str], rows: Sequence[Sequence[str]], names: int, width: int) -> list[int]:
    """Return the widths of columns that fit into a width, with whole names; none if they do not fit."""
    least: list[int] = []
    most: list[int] = []
    for place, (name, *column) in enumerate(zip(header, *rows, strict=True)):
        most.append(max(map(len, (name, *column))))
        words = max(map(len, name.split()), default=0)
        least.append(most[-1] if place < names else max(words, min(_LEAST, max(map(len, column), default=0))))
    spare = width - sum(least) - _GAP * (len(least) - 1)
    if spare < 0:
        return []
    for place in range(len(least)):
        more = min(spare, most[place] - least[place])
        least[place] += more
        spare -= more
    return least


def _print_in_lines(console: Any, header: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> None:
    """Print each row on several lines: the whole names, then the rest below them, with the units of numbers."""
    from rich.text import Text

    for row in rows:
        together = "  ".join(filter(None, row[:names]))
        for name in [together] if len(together) <= console.width else filter(None, row[:names]):
            console.print(Text(name, style="bold", overflow="fold"))
        _print_below(console, [_with_unit(*each) for each in zip(header[names:], row[names:], strict=True)])


def _with_unit(name: str, cell: str) -> str:
    if not cell.replace(".", "").isdigit():
        return cell
    return f"{name[:-2]} {cell} %" if name.endswith(" %") else f"{cell} {name}"


def _print_below(console: Any, parts: Iterable[str]) -> None:
    """Print texts one after another, as many per line as fit, indented below a name."""
    from rich.padding import Padding
    from rich.text import Text

    line = ""
    for part in [*filter(None, parts), ""]:
        longer = f"{line}, {part}" if line else part
        if part and len(longer) + _GAP < console.width:  # a comma may follow
            line = longer
            continue
        if line:
            console.print(Padding(Text(line + "," * bool(part), overflow="fold"), (0, 0, 0, _GAP)))
        line = part


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
        room for the numbers either, each row takes several lines. A column without a number is left out; a number that
        is missing in some rows is a dash.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    used = [place for place in range(len(header)) if any(row[place] for row in rows)]
    filled = [[cell if cell or place in names else "–" for place, cell in enumerate(row)] for row in rows]
    texts = [[row[place] for place in used] for row in (header, *filled)]
    columns = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    least = [min(width, _LEAST_NAME) if place in names else width for place, width in zip(used, columns, strict=True)]
    if sum(least) + _GAP * (len(least) - 1) <= console.width:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
        for place, name, width in zip(used, texts[0], least, strict=True):
            is_name = place in names
            table.add_column(
                name, justify="left" if is_name else "right", no_wrap=not is_name, overflow="fold", min_width=width
            )
        for row in texts[1:]:
            table.add_row(*map(Text, row))
        console.print(table)
        return
    if header[0]:
        console.print(Text(header[0], style="bold", overflow="fold"))
    for first, *others in rows:
        console.print(Text(first, overflow="fold"))
        _print_below(console, [f"{name} {cell}" if cell else "" for name, cell in zip(header[1:], others, strict=True)])
