"""Results for people: the best labels of each image, with bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.text import one_line, printable

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["bars", "table_printer"]

_BAR, _LEAST_BAR = 24, 4  # columns of a bar; a shorter one shows nothing
_LABEL, _LEAST_LABEL = 48, 10  # columns of a label
_PROBABILITY = 6  # columns of 100.0%
_GAP = 2  # columns between others


def table_printer(file: TextIO) -> Callable[[Result], None]:
    """Return a function that prints one result to a terminal: its path, and a bar for each of its best labels."""
    from clipcli.terminal import console as open_console

    console = open_console(file)

    def write(result: Result) -> None:
        from rich.text import Text

        title = Text(one_line(printable(result.path)) or "image", style="bold", overflow="fold")
        if isinstance(result, Failure):
            console.print(title)
            console.print(Text(f"  failed: {one_line(result.message)}", style="red"))
            return
        if result.label == UNKNOWN and result.top[0].label != UNKNOWN:
            title.append("  unknown", style="magenta")  # yellow is illegible on white
        console.print(title)
        console.print(bars(result, console.width))

    return write


def bars(result: Prediction, width: int) -> Table:
    """Return a Rich table of a prediction's best labels, each with a bar of its probability.

    Parameters
    ----------
    width
        The columns that there are. The bars shrink first, then the labels; numbers are never cut off.
    """
    from rich.bar import Bar
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    tags = result.labels or ()
    shown = result.top if result.labels is None else (*tags, *result.top[len(tags) :])
    chosen = len(tags) if result.labels is not None else int(result.label != UNKNOWN)  # rows that are the answer
    rows = [(one_line(score.label), score.probability, f"{score.similarity:.3f}") for score in shown]
    rows += [(f"[{one_line(name)}]", value, "") for name, value in list(result.groups.items())[:3]]
    similarity_width = max(len(similarity) for _, _, similarity in rows)
    beside = width - _PROBABILITY - similarity_width - 2 * _GAP  # for label and bar
    is_narrow = beside < _LEAST_LABEL
    label_width = min(_LABEL, max(2 + cell_len(label) for label, _, _ in rows))
    bar_width = min(_BAR, beside - _GAP - label_width)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(no_wrap=not is_narrow, max_width=width if is_narrow else min(_LABEL, beside), overflow="ellipsis")
    if bar_width >= _LEAST_BAR and not is_narrow:
        table.add_column(width=bar_width)
    if not is_narrow:
        table.add_column(justify="right", no_wrap=True, min_width=_PROBABILITY)
        table.add_column(justify="right", style="dim", no_wrap=True, min_width=similarity_width)
    for index, (label, probability, similarity) in enumerate(rows):
        style = "bold" if index < chosen else ""
        figure = Text(f"{probability:6.1%}", style=style)
        if is_narrow:  # the numbers get a separate line
            table.add_row(Text(label, style=style, overflow="fold"))
            table.add_row(figure.append(f" {similarity}".rstrip(), style="dim"))
            continue
        bar = [Bar(1.0, 0.0, probability, width=bar_width, color="green" if style else "cyan")]
        table.add_row(Text(f"  {label}", style=style), *bar[: len(table.columns) - 3], figure, similarity)
    return table
