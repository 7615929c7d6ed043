"""``clipcli sort``: sort images into one folder per label, or nested ones, according to a results file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli import options
from clipcli.cli.exit_codes import SOME_FAILED
from clipcli.cli.messages import Messages
from clipcli.errors import InputError
from clipcli.text import printable

if TYPE_CHECKING:
    from clipcli.outputs.corrections import Corrections
    from clipcli.outputs.readers import ReadRecord
    from clipcli.sorting.placement import By

__all__ = ["print_undone", "read_through", "sort", "tell_unused"]


class SortKey(str, Enum):
    """What the folders stand for."""

    label = "label"
    group = "group"
    node = "node"


def sort(
    results: Annotated[
        Path | None,
        typer.Argument(metavar="RESULTS", show_default=False,
                       help="Results of 'clipcli classify': a .jsonl, .json, .csv, .tsv or .parquet file, or a "
                            "folder of parts. Leave out with --undo."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", show_default=False,
                     help="Folder to sort into; one folder per label is created in it."),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files (the default).")] = False,
    link: Annotated[bool, typer.Option("--link", help="Create symbolic links to the files.")] = False,
    move: Annotated[bool, typer.Option("--move", help="Move the files.")] = False,
    checked: options.Checked = None,
    by: Annotated[
        SortKey, typer.Option("--by", help="Create one folder per label, per group of labels, or per node: the answer "
                                           "in a tree of groups. Paths such as animal/bird become nested folders.")
    ] = SortKey.label,
    level: Annotated[
        int | None,
        typer.Option("--level", metavar="N", min=1, show_default=False,
                     help="Create at most N nested folders, with --by group or node."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", show_default=False,
                     help="Folder that the paths in RESULTS are relative to. With --undo: restore moved files only "
                          "into this folder. [default: the current folder, or the folder of RESULTS if the images "
                          "are there]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n",
                                          help="List the planned actions without carrying them out.")] = False,
    undo: Annotated[
        Path | None,
        typer.Option("--undo", metavar="DIR", help="Undo an earlier sort into DIR.", show_default=False),
    ] = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Sort images into one folder per label. Files are never overwritten; images that are already there are skipped.

    With results of 'clipcli classify --tags', an image goes into the folder of each of its labels.

    clipcli sort results.jsonl --into sorted --link

    clipcli sort results.jsonl --into sorted --by node

    clipcli sort --undo sorted
    """
    messages = Messages(quiet=quiet)
    if undo is not None:
        if results is not None or into is not None:
            raise InputError("cannot use --undo with RESULTS or --into (leave them out)")
        _undo(undo, root, messages, dry_run=dry_run)
        return
    if results is None or into is None:
        raise InputError("cannot sort: give a results file, and a folder with --into DIR (see clipcli sort --help)")
    actions = [name for name, wanted in (("copy", copy), ("link", link), ("move", move)) if wanted]
    if len(actions) > 1:
        raise InputError(f"cannot use --{actions[0]} with --{actions[1]} (leave one out)")
    action = actions[0] if actions else "copy"
    _sort(results, into, action, root, checked, by=by.value, level=level, dry_run=dry_run, messages=messages)


def _sort(
    results: Path, into: Path, action: str, root: Path | None, checked: Path | None, *,
    by: By, level: int | None, dry_run: bool, messages: Messages,
) -> None:  # fmt: skip
    from clipcli.delimited import tsv_line
    from clipcli.outputs.corrections import corrected, read_corrections
    from clipcli.outputs.readers import read_results
    from clipcli.sorting.placement import carry_out, plan

    corrections = read_corrections(checked)
    base = _checked(results, corrections, by, root)
    if action == "move":
        _check_movable(corrected(read_results(results), corrections))
    tell_unused(corrections, checked, messages)
    records = corrected(read_results(results), corrections)
    placements = plan(records, into, base, by=by, level=level)
    counts: Counter[str] = Counter()
    there = removed = 0

    def problems() -> Iterator[tuple[str, str]]:
        nonlocal there, removed
        for placement in placements if dry_run else carry_out(placements, action, into):
            if placement.target is None:
                yield placement.name or str(placement.source), str(placement.problem)
                continue
            removed += len(placement.old)
            if placement.is_there:
                there += 1
            else:
                counts[placement.label] += 1
                if dry_run:
                    typer.echo(tsv_line([action, str(placement.source), str(placement.target)]), nl=False)

    left = messages.problems(problems(), "{} more files")
    if there:
        messages.note(f"{there} images were already there")
    if removed and not dry_run:
        messages.note(f"{removed} images were in other folders before; those copies and links were removed")
    if not dry_run:
        for label, count in sorted(counts.items()):
            typer.echo(tsv_line([label, str(count)]), nl=False)
    if left:
        messages.warn(f"{left} images were not sorted")
        raise typer.Exit(SOME_FAILED)


def _checked(results: Path, corrections: Corrections, by: By, root: Path | None) -> Path:
    """Read all results, so that a damaged record is found before any file is sorted; return the folder of the paths."""
    base, is_known = read_through(results, corrections, by, root)
    if not is_known:
        missing, example = {"group": ("groups", ""), "node": ("tree of groups", " such as animal/bird")}[by]
        raise InputError(
            f"cannot sort by {by}: {results} has no {missing} (give the labels groups{example} in a label file)"
        )
    return base


def read_through(results: Path, corrections: Corrections, by: str, root: Path | None = None) -> tuple[Path, bool]:
    """Read all results, so that a damaged record is found before any file is changed.

    Parameters
    ----------
    root
        The folder that the paths of the records are relative to, if it is known.

    Returns
    -------
    That folder; and whether a record has a label, group or node (``by``).

    Raises
    ------
    InputError
        If the results cannot be read, or not twice.
    """
    from clipcli.inputs.path_base import PathBase
    from clipcli.outputs.readers import read_results

    if results.exists() and not (results.is_file() or results.is_dir()):
        raise InputError(
            f"cannot read {results}: it is a pipe or device (save the results to a file, since they are read twice)"
        )
    base = PathBase(str(results), own=True, root=root)
    is_known = by == "label"
    for record in read_results(results):
        base.look_for(record.path)
        corrections.learn(record)
        is_known = is_known or getattr(record, by) is not None
    return Path(base.folder), is_known


def _check_movable(records: Iterable[ReadRecord]) -> None:
    """Raise :class:`InputError` if an image has several labels, and so would be moved to several places."""
    several = next((record for record in records if len(record.labels or ()) > 1), None)
    if several is not None:
        raise InputError(
            f"cannot move {printable(several.path)}: it has several labels, {', '.join(several.labels or ())} "
            "(use --copy or --link)"
        )


def tell_unused(corrections: Corrections, checked: Path | None, messages: Messages) -> None:
    """Warn of checked labels that belong to no record of the results.

    Raises
    ------
    InputError
        If none belongs to a record.
    """
    if corrections.unused == len(corrections) > 0:
        raise InputError(f"cannot use {checked}: none of its paths is in the results (give the results of that page)")
    if corrections.unused:
        messages.warn(f"{corrections.unused} of {len(corrections)} paths in {checked} are not in the results")


def _undo(folder: Path, root: Path | None, messages: Messages, *, dry_run: bool) -> None:
    from clipcli.sorting.log import LOG_NAME
    from clipcli.sorting.undo import undo

    print_undone(undo(folder, root, dry_run=dry_run), folder / LOG_NAME, "files", messages, dry_run=dry_run)


def print_undone(
    undone: Iterable[tuple[Path, str | None]], log: Path, what: str, messages: Messages, *, dry_run: bool
) -> None:
    """Print what was undone, and what could not be; exit with 1 if anything is left.

    Parameters
    ----------
    undone
        Each path, with the reason if it could not be undone.
    log, what
        The log, and what it lists, for the message.
    """
    from clipcli.delimited import tsv_line

    back = 0

    def problems() -> Iterator[tuple[str, str]]:
        nonlocal back
        for path, problem in undone:
            if problem is not None:
                yield f"cannot undo {path}", problem
                continue
            back += 1
            if dry_run:
                typer.echo(tsv_line(["undo", str(path)]), nl=False)

    left = messages.problems(problems(), "cannot undo {} more files")
    if not dry_run:
        typer.echo(f"{back} undone")
    if left:
        messages.note(f"{log} still lists {what} that were not undone; delete it to forget them")
        raise typer.Exit(SOME_FAILED)
