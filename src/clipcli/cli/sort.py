"""``clipcli sort``: sort images into one folder per label, according to a results file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.errors import InputError

__all__ = ["sort"]


def sort(
    results: Annotated[
        Path | None,
        typer.Argument(metavar="RESULTS", show_default=False,
                       help="Results file of 'clipcli classify': .jsonl, .json, .csv, .tsv or .parquet."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", show_default=False,
                     help="Folder in which to create one folder per label."),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files (the default).")] = False,
    link: Annotated[bool, typer.Option("--link", help="Create symbolic links to the files.")] = False,
    move: Annotated[bool, typer.Option("--move", help="Move the files.")] = False,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", show_default=False,
                     help="Folder that the paths in RESULTS are relative to; with --undo, the only folder that "
                          "moved files may be restored to. [default: the current folder, else that of RESULTS]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only list the planned actions.")] = False,
    undo: Annotated[
        Path | None,
        typer.Option("--undo", metavar="DIR", help="Undo the sorting into DIR.", show_default=False),
    ] = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Sort images into one folder per label. No file is ever overwritten.

    clipcli sort results.jsonl --into sorted --link

    clipcli sort --undo sorted
    """
    messages = Messages(quiet=quiet)
    if undo is not None:
        if results is not None or into is not None:
            raise InputError("cannot use --undo with RESULTS or --into (leave them out)")
        if dry_run:
            raise InputError("cannot use --undo with --dry-run (leave one out)")
        _undo(undo, root, messages)
        return
    if results is None or into is None:
        raise InputError("cannot sort: give a results file, and a folder with --into DIR (see clipcli sort --help)")
    actions = [name for name, wanted in (("copy", copy), ("link", link), ("move", move)) if wanted]
    if len(actions) > 1:
        raise InputError(f"cannot use --{actions[0]} with --{actions[1]} (leave one out)")
    _sort(results, into, actions[0] if actions else "copy", root, dry_run=dry_run, messages=messages)


def _sort(results: Path, into: Path, action: str, root: Path | None, *, dry_run: bool, messages: Messages) -> None:
    from clipcli.delimited import tsv_line
    from clipcli.inputs.path_base import PathBase
    from clipcli.outputs.readers import read_results
    from clipcli.sorting.placement import carry_out, plan

    if results.exists() and not (results.is_file() or results.is_dir()):
        raise InputError(
            f"cannot read {results}: it is a pipe or device (save the results to a file, since they are read twice)"
        )
    base = PathBase(str(results), own=True)
    for record in read_results(results):  # a damaged record is found before any file is sorted
        base.look_for(record.path)
    placements = plan(read_results(results), into, base.folder if root is None else root)
    counts: Counter[str] = Counter()
    left = 0
    for placement in placements if dry_run else carry_out(placements, action, into):
        if placement.target is None:
            left += 1
            messages.error(f"{placement.source}: {placement.problem}")
            continue
        counts[placement.label] += 1
        if dry_run:
            typer.echo(tsv_line([action, str(placement.source), str(placement.target)]), nl=False)
    if not dry_run:
        for label, count in sorted(counts.items()):
            typer.echo(tsv_line([label, str(count)]), nl=False)
    if left:
        messages.warn(f"{left} images were not sorted")
        raise typer.Exit(1)


def _undo(folder: Path, root: Path | None, messages: Messages) -> None:
    from clipcli.sorting.undo import undo

    back = left = 0
    for path, problem in undo(folder, root):
        if problem is None:
            back += 1
        else:
            left += 1
            messages.error(f"cannot undo {path}: {problem}")
    typer.echo(f"{back} undone")
    if left:
        raise typer.Exit(1)
