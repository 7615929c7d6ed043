"""Options for inputs: paths, path lists, tables, and exclusion."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clipcli.inputs.discover import Source

__all__ = ["Exclude", "ImageColumn", "IncludeHidden", "Inputs", "NullSeparated", "PathColumn", "Reading"]

_INPUTS = "Inputs"

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT", show_default=False, default_factory=list,  # without any, Command reads stdin
        help="Image files, folders, glob patterns, tar or zip archives, Parquet tables or URLs; '-' reads paths, or "
        "one image, from stdin.",
    ),
]  # fmt: skip
NullSeparated = Annotated[
    bool,
    typer.Option(
        "--null",
        "-0",
        rich_help_panel=_INPUTS,
        help="Paths on stdin are separated by NUL bytes, as in the output of 'find -print0'.",
    ),
]
PathColumn = Annotated[
    str | None,
    typer.Option(
        "--path-column", metavar="NAME", rich_help_panel=_INPUTS,
        help="Read the INPUTs as CSV, TSV, JSON Lines or Parquet tables with image paths in this column.",
    ),
]  # fmt: skip
ImageColumn = Annotated[
    str | None,
    typer.Option(
        "--image-column", metavar="NAME", rich_help_panel=_INPUTS,
        help="Read the INPUTs as Parquet tables with encoded images in this column; --path-column is then the column "
             "of their names.",
    ),
]  # fmt: skip
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="GLOB", rich_help_panel=_INPUTS,
        help="Exclude files and folders that match GLOB (in the syntax of .gitignore); repeat for more patterns. "
             "Patterns in a folder's .clipcliignore file are applied too.",
    ),
]  # fmt: skip
IncludeHidden = Annotated[
    bool,
    typer.Option(
        "--include-hidden", rich_help_panel=_INPUTS, help="Include files and folders whose names start with a dot."
    ),
]


@dataclass(frozen=True)
class Reading:
    """The options that say how INPUTs are read, and what is skipped; see :mod:`clipcli.cli.groups`."""

    null_separated: NullSeparated = False
    path_column: PathColumn = None
    image_column: ImageColumn = None
    exclude: Exclude = None
    include_hidden: IncludeHidden = False

    def source(self, inputs: Sequence[str]) -> Source:
        """Return what is read: the INPUTs, and what to pass over in them."""
        from clipcli.inputs.discover import Source
        from clipcli.inputs.exclusion import Exclusion

        exclusion = Exclusion(tuple(self.exclude or ()), self.include_hidden)
        columns = (self.path_column, self.image_column)
        return Source(tuple(inputs), sys.stdin.buffer, self.null_separated, *columns, exclusion)
