"""``clipcli report``: write results as an HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.cli.progress import with_progress
from clipcli.errors import InputError, OutputError

__all__ = ["report"]


def report(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", show_default=False,
                       help="Results file of 'clipcli classify': .jsonl, .json, .csv, .tsv or .parquet."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", show_default=False, help="The .html file to write.")
    ],
    overwrite: options.Overwrite = False,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", show_default=False,
                                  help="Folder that the paths in RESULTS are relative to. "
                                       "[default: the current folder, else that of RESULTS]"),
    ] = None,
    thumbnail: Annotated[
        int, typer.Option("--thumbnail", metavar="PIXELS", min=0, max=1024,
                          help="Longer side of the thumbnails in pixels; 0 for no thumbnails."),
    ] = 128,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", show_default=False,
                                 help="Title of the page. [default: name of the results file]"),
    ] = None,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Write results as one HTML page with thumbnails.

    The page has filters and a search, and needs neither network nor other files. You can correct labels in it
    and save them as a table for 'clipcli evaluate'.

    clipcli report results.jsonl -o page.html
    """
    messages = Messages(quiet=quiet)
    if output.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"cannot write {output}: the page is HTML (use the extension .html)")
    from clipcli.images.thumbnails import make_thumbnails
    from clipcli.inputs.path_base import PathBase
    from clipcli.outputs.readers import read_results
    from clipcli.reports.page import write_page
    from clipcli.storage.atomic import check_writable, replacing
    from clipcli.storage.locks import locked
    from clipcli.text import printable

    check_writable(output, [results], overwrite=overwrite)
    records = list(read_results(results))
    if not records:
        raise InputError(f"cannot make a report of {results}: it holds no results")
    base = PathBase(str(results), own=True)
    for record in records:
        base.look_for(record.path)
    folder, missing = base.folder if root is None else root, 0

    def counted(pictures: Iterator[str]) -> Iterator[str]:
        nonlocal missing
        for record, picture in zip(records, pictures, strict=True):
            missing += not picture and record.error is None
            yield picture

    wanted = (record.path if record.error is None else "" for record in records)
    pictures = counted(make_thumbnails(wanted, folder, thumbnail, workers))
    with locked(output), replacing(output) as temporary:
        shown = with_progress(pictures, lambda: len(records), messages) if thumbnail else pictures
        write_page(records, shown, temporary, title or printable(str(results.name)))
    if missing and thumbnail:
        messages.warn(
            f"{missing} of {len(records)} images have no thumbnail: not found under {folder}, or not readable"
        )
