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

_BAR_WIDTH = 24


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
            title.append("  unknown", style="yellow")
        console.print(title)
        console.print(bars(result))

    return write


def bars(result: Prediction) -> Table:
    """Return a Rich table of a prediction's best labels, each with a bar of its probability."""
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(no_wrap=True, max_width=48, overflow="ellipsis")
    table.add_column(width=_BAR_WIDTH)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", style="dim", no_wrap=True)
    rows = [(score.label, score.probability, f"{score.similarity:.3f}") for score in result.top]
    groups = [(f"[{name}]", value, "") for name, value in list(result.groups.items())[:3]]
    for index, (label, probability, similarity) in enumerate([*rows, *groups]):
        style = "bold green" if index == 0 and result.label != UNKNOWN else ""
        bar = Bar(1.0, 0.0, probability, width=_BAR_WIDTH, color="green" if style else "cyan")
        table.add_row(
            Text("  " + one_line(label), style=style),
            bar,
            Text(f"{probability:6.1%}", style=style),
            similarity,
        )
    return table
