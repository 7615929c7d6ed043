"""``classify --show``: images on the terminal, each next to its scores."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from clipcli.cli.messages import Messages
from clipcli.errors import ImageError, OutputError
from clipcli.outputs.terminal_table import bars
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.text import one_line, printable

__all__ = ["can_show", "show_results"]

_WIDTH = 32  # width of an image, in characters
_LEAST_REST = 36  # columns that scores need next to the image; with fewer they come below it
_PIXELS = 800  # more than a terminal draws there


def can_show(form: str, messages: Messages) -> bool:
    """Return whether images can be displayed: not if colours are switched off.

    Raises
    ------
    OutputError
        If results do not go to a terminal as a table, or textual-image is not installed.
    """
    if form != "table" or not sys.stdout.isatty():
        raise OutputError(
            "cannot use --show: it needs the table on a terminal (leave out --show, or the pipe, --format and -o)"
        )
    if not sys.stdin.isatty():
        raise OutputError("cannot use --show: standard input is not the terminal (leave --show out)")
    from importlib.util import find_spec

    if find_spec("textual_image") is None:
        raise OutputError("cannot use --show: it needs an extra (pip install 'clipcli[show]')")
    from clipcli.terminal import console

    if os.environ.get("NO_COLOR") or console().color_system is None:
        messages.warn("images are not displayed: colours are switched off, or this terminal has none")
        return False
    if (problem := _drawing_problem()) is not None:
        messages.warn(f"images are not displayed: this terminal cannot be used for them ({problem})")
        return False
    return True


def _drawing_problem() -> str | None:
    """Draw a small square into nothing, and return why that failed: textual-image asks the terminal for its sizes."""
    from PIL import Image as Pillow

    from clipcli.terminal import console

    try:
        _drawn(console(), _renderable(), Pillow.new("RGB", (_WIDTH, _WIDTH)))
    except Exception as problem:  # noqa: BLE001 - a terminal without a size, or with unexpected answers, raises any
        return one_line(str(problem)) or type(problem).__name__
    return None


def _drawn(console: Any, renderable: Any, picture: Any) -> Any:
    """Return an image ready to print, after drawing it once into nothing."""
    image = renderable(picture, width=min(_WIDTH, console.width), height="auto")
    for _ in console.render(image):
        pass
    return image


def _renderable() -> Any:
    """Return the class that draws images on this terminal; the first import asks the terminal."""
    logging.getLogger("textual_image").setLevel(logging.ERROR)  # it warns if the terminal does not answer
    from textual_image.renderable import Image

    return Image


def show_results(results: Iterable[Result]) -> Iterator[Result]:
    """Print each result with its image on the left, and pass it on.

    textual-image uses Sixel or the graphics protocol of Kitty if the terminal supports one, else half blocks.
    """
    from rich.table import Table
    from rich.text import Text

    from clipcli.terminal import console as open_console

    console, renderable = open_console(), _renderable()
    for result in results:
        console.print(Text(one_line(printable(result.path)) or "image", style="bold", overflow="fold"))
        if isinstance(result, Failure):
            console.print(Text(f"  failed: {one_line(result.message)}", style="red"))
        else:
            image = _image(result, console, renderable)
            rest = console.width - _WIDTH - 2
            if rest < _LEAST_REST:
                console.print(image)
                console.print(bars(result, console.width))
            else:
                together = Table.grid(padding=(0, 2, 0, 0))
                together.add_column(width=_WIDTH)
                together.add_row(image, bars(result, rest))
                console.print(together)
        yield result


def _image(result: Prediction, console: Any, renderable: Any) -> Any:
    """Return the image to print; an empty text if it cannot be opened, or is too flat to fill a line."""
    picture = _picture(result)
    try:
        return "" if picture is None else _drawn(console, renderable, picture)
    except ValueError:
        return ""


def _picture(result: Prediction) -> Any:
    """Return the image, reduced to about display size, or ``None`` if it cannot be opened, as in an archive."""
    from clipcli.images.decode import scaled_to
    from clipcli.images.files import open_image

    try:
        image = open_image(Path(result.path), scaled_to(_PIXELS))
    except ImageError:
        return None
    image.thumbnail((_PIXELS, _PIXELS))
    return image
