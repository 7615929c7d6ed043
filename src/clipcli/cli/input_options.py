"""The options that say what is read: names, lists, tables, and what is passed over."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Exclude", "ImageColumn", "IncludeHidden", "Inputs", "NullSeparated", "PathColumn"]

_INPUTS = "Inputs"

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT", show_default=False,
        help="Image files, folders, patterns, tar archives, Parquet tables, URLs; '-' reads paths from stdin.",
    ),
]  # fmt: skip
NullSeparated = Annotated[
    bool,
    typer.Option("--null", "-0", rich_help_panel=_INPUTS, help="Paths on stdin end with NUL, as find -print0 does."),
]
PathColumn = Annotated[
    str | None,
    typer.Option(
        "--path-column", metavar="NAME", rich_help_panel=_INPUTS,
        help="INPUTs are CSV, TSV, JSON Lines or Parquet tables with paths in this column.",
    ),
]  # fmt: skip
ImageColumn = Annotated[
    str | None,
    typer.Option(
        "--image-column", metavar="NAME", rich_help_panel=_INPUTS,
        help="INPUTs are Parquet tables with the bytes of images in this column; --path-column then names them.",
    ),
]  # fmt: skip
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="GLOB", rich_help_panel=_INPUTS,
        help="Leave out what matches, as in .gitignore; may be repeated. A folder's .clipcliignore file does the same.",
    ),
]  # fmt: skip
IncludeHidden = Annotated[
    bool,
    typer.Option(
        "--include-hidden", rich_help_panel=_INPUTS, help="Read files and folders whose names begin with a dot too."
    ),
]
