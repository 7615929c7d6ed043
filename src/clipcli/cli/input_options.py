"""Options for inputs: paths, path lists, tables, and exclusion."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clipcli.inputs.discover import Source

__all__ = [
    "Exclude",
    "ImageColumn",
    "ImageEmbeddingsFile",
    "IncludeHidden",
    "Inputs",
    "NullSeparated",
    "PathColumn",
    "Reading",
    "TruthLabel",
    "TruthPath",
]

_INPUTS = "Inputs"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT", show_default=False,
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
TruthPath = Annotated[
    str | None,
    typer.Option(
        "--path-column", metavar="NAME", show_default=False, help="Column of image paths in a table of images and "
                                                                  "classes. [default: path]",
    ),
]  # fmt: skip
TruthLabel = Annotated[
    str | None,
    typer.Option(
        "--label-column", metavar="NAME", show_default=False, help="Column of classes in a table of images and "
                                                                   "classes. [default: label]",
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


ImageEmbeddingsFile = Annotated[
    str | None,
    typer.Option(
        "--image-embeddings", metavar="FILE|FOLDER/|URL", rich_help_panel=_INPUTS,
        help="Embeddings written by 'clipcli export images'. They take the place of the images, which are not read.",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """INPUTs, how they are read, and what is skipped; or a file of their embeddings. See :mod:`clipcli.cli.groups`."""

    inputs: Inputs = None
    image_embeddings: ImageEmbeddingsFile = None
    null_separated: NullSeparated = False
    path_column: PathColumn = None
    image_column: ImageColumn = None
    exclude: Exclude = None
    include_hidden: IncludeHidden = False

    @property
    def files(self) -> Sequence[str | None]:
        """What is read, and so must not be overwritten."""
        return [*(self.inputs or ()), self.image_embeddings]

    def source(self) -> Source:
        """Return what is read: the INPUTs or their embeddings, and what to pass over in them."""
        from clipcli.inputs.discover import Source
        from clipcli.inputs.exclusion import Exclusion

        exclusion = Exclusion(tuple(self.exclude or ()), self.include_hidden)
        if self.image_embeddings is not None:
            from clipcli.outputs.embedding_files import ImageEmbeddings

            return Source((), exclusion=exclusion, embedded=ImageEmbeddings(self.image_embeddings))
        columns = (self.path_column, self.image_column)
        return Source(tuple(self.inputs or ()), sys.stdin.buffer, self.null_separated, *columns, exclusion)
