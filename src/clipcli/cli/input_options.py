"""Options for inputs: paths, path lists, tables, and exclusion."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Exclude", "ImageColumn", "IncludeHidden", "Inputs", "NullSeparated", "PathColumn"]

_INPUTS = "Inputs"

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT", show_default=False,
        help="Image files, folders, glob patterns, tar archives, Parquet tables or URLs; '-' reads paths from stdin.",
    ),
]  # fmt: skip
NullSeparated = Annotated[
    bool,
    typer.Option(
        "--null",
        "-0",
        rich_help_panel=_INPUTS,
        help="Paths on stdin are separated by NUL bytes, as 'find -print0' writes them.",
    ),
]
PathColumn = Annotated[
    str | None,
    typer.Option(
        "--path-column", metavar="NAME", rich_help_panel=_INPUTS,
        help="The INPUTs are CSV, TSV, JSON Lines or Parquet tables, and this column holds image paths.",
    ),
]  # fmt: skip
ImageColumn = Annotated[
    str | None,
    typer.Option(
        "--image-column", metavar="NAME", rich_help_panel=_INPUTS,
        help="The INPUTs are Parquet tables, and this column holds encoded images; --path-column then names them.",
    ),
]  # fmt: skip
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="GLOB", rich_help_panel=_INPUTS,
        help="Exclude files that match a .gitignore pattern; repeat for more patterns. "
        "Patterns in a folder's .clipcliignore file are applied too.",
    ),
]  # fmt: skip
IncludeHidden = Annotated[
    bool,
    typer.Option(
        "--include-hidden", rich_help_panel=_INPUTS, help="Include files and folders whose names start with a dot."
    ),
]
