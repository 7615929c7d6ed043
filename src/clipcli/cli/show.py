"""Photographs on the terminal, each beside its bars."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from clipcli.cli.messages import Messages
from clipcli.errors import ImageError, OutputError
from clipcli.outputs.writers import bars
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.text import one_line, printable

__all__ = ["can_show", "show_results"]

_WIDTH = 32  # of a picture, in characters
_PIXELS = 800  # more than a terminal draws there


def can_show(form: str, messages: Messages) -> bool:
    """Tell whether photographs are to be drawn: not where colours are unwanted.

    Raises
    ------
    OutputError
        If results don't go to a terminal as a table, or the library that draws is not installed.
    """
    if form != "table" or not sys.stdout.isatty():
        raise OutputError("--show draws on a terminal, beside the table; leave it out in a pipe or with --format or -o")
    if not sys.stdin.isatty():
        raise OutputError("--show asks the terminal what it can draw, so standard input must be the terminal too")
    from importlib.util import find_spec

    if find_spec("textual_image") is None:
        raise OutputError("--show needs an extra: pip install 'clipcli[show]'")
    from clipcli.terminal import console

    if os.environ.get("NO_COLOR") or console().color_system is None:
        messages.warn("colours are switched off, or unknown to this terminal: no photographs are shown")
        return False
    return True


def show_results(results: Iterable[Result]) -> Iterator[Result]:
    """Print each result as it comes, with its picture to the left, and pass it on.

    textual-image asks the terminal whether it knows Sixel or Kitty's graphics, and else draws half blocks.
    """
    logging.getLogger("textual_image").setLevel(logging.ERROR)  # a terminal that doesn't answer is no news
    from rich.table import Table
    from rich.text import Text
    from textual_image.renderable import Image

    from clipcli.terminal import console as open_console

    console = open_console()
    for result in results:
        console.print(Text(one_line(printable(result.path)) or "image", style="bold", overflow="fold"))
        if isinstance(result, Failure):
            console.print(Text(f"  failed: {one_line(result.message)}", style="red"))
        else:
            picture = _picture(result)
            beside = Table.grid(padding=(0, 2, 0, 0))
            beside.add_row(Image(picture, width=_WIDTH, height="auto") if picture is not None else "", bars(result))
            console.print(beside)
        yield result


def _picture(result: Prediction) -> Any:
    """Return the photograph, little larger than it is drawn, or ``None`` for one that was in an archive."""
    from clipcli.images.files import open_image

    def reduced(width: int, height: int) -> tuple[int, int]:
        scale = min(1.0, _PIXELS / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    try:
        image = open_image(Path(result.path), reduced)
    except ImageError:
        return None
    image.thumbnail((_PIXELS, _PIXELS))
    return image
