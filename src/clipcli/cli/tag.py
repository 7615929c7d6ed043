"""``clipcli tag``: write the labels of results into photos as keywords, and undo it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli import options
from clipcli.cli.exit_codes import SOME_FAILED
from clipcli.cli.messages import Messages
from clipcli.cli.sort import print_undone, read_through, tell_unused
from clipcli.errors import InputError

if TYPE_CHECKING:
    from clipcli.outputs.readers import ReadRecord
    from clipcli.tagging.keywords import KeywordRules
    from clipcli.tagging.log import Change
    from clipcli.tagging.sidecars import Editor, Tagged
    from clipcli.tagging.undo import TakeBack

__all__ = ["tag"]


class TagKey(str, Enum):
    """What becomes a keyword."""

    label = "label"
    node = "node"


class SidecarName(str, Enum):
    """The names of sidecars."""

    auto = "auto"
    full = "full"
    stem = "stem"


def tag(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", show_default=False,
                       help="Results of 'clipcli classify': a .jsonl, .json, .csv, .tsv or .parquet file, or a "
                            "folder of parts."),
    ],
    prefix: Annotated[
        str,
        typer.Option("--prefix", metavar="TEXT", show_default=False,
                     help="Text before each keyword; each '|' in it ends a level of the hierarchy: 'ai|' puts all "
                          "keywords below 'ai'."),
    ] = "",
    by: Annotated[
        TagKey,
        typer.Option("--by", help="Write labels, below their groups; or nodes: the answer in a tree of groups."),
    ] = TagKey.label,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", min=1, show_default=False,
                     help="Maximum number of labels per image. [default: 1, or all labels of results with --tags]"),
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option("--min-probability", metavar="P", min=0.0, max=1.0, show_default=False,
                     help="Omit labels that are less probable."),
    ] = None,
    checked: options.Checked = None,
    sidecar: Annotated[
        SidecarName,
        typer.Option("--sidecar", help="Name of the sidecar of a.jpg: full is a.jpg.xmp, stem is a.xmp; auto changes "
                                       "those that exist, and otherwise makes a.jpg.xmp."),
    ] = SidecarName.auto,
    embed: Annotated[
        bool, typer.Option("--embed", help="Write into the image files instead of sidecars, with the program exiftool.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove these keywords instead of adding them.")] = False,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", show_default=False,
                     help="Folder that the paths in RESULTS are relative to. With --undo: change files only in this "
                          "folder. [default: the current folder, or the folder of RESULTS if the images are there]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n",
                                          help="List the planned changes without carrying them out.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Undo all changes that were made for RESULTS.")] = False,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Write labels into photos as keywords for photo managers.

    They go into XMP sidecars, or into the image files (--embed). Everything else in them stays. Nothing is
    written for 'unknown' and for failed inputs.

    clipcli tag results.csv --prefix "ai|"

    clipcli tag results.csv --undo
    """
    from clipcli.tagging.keywords import KeywordRules
    from clipcli.tagging.xmp import lxml_or_error

    messages = Messages(quiet=quiet)
    if undo:
        _undo(results, root, messages, dry_run=dry_run)
        return
    if not embed:
        lxml_or_error()
    from clipcli.outputs.corrections import corrected, read_corrections
    from clipcli.outputs.readers import read_results
    from clipcli.outputs.recognition import groups_of_run

    corrections = read_corrections(checked)
    base, is_known = read_through(results, corrections, by.value, root)
    if not is_known:
        raise InputError(
            f"cannot tag by node: {results} has no tree of groups (give the labels groups such as animal/bird)"
        )
    groups = groups_of_run(results)
    rules = KeywordRules(
        prefix, min_probability, top, by.value, lambda label: groups.get(label) or corrections.group_of(label)
    )
    tell_unused(corrections, checked, messages)
    if not remove:
        _tell_earlier(results, checked, messages)
    summary = _Summary(remove=remove, dry_run=dry_run)
    with _editor(sidecar, embed=embed, remove=remove) as editor:
        left = _tag(
            results, lambda: corrected(read_results(results), corrections), base, rules,
            editor, summary, messages, dry_run=dry_run,
        )  # fmt: skip
    summary.end(left, messages)


def _tell_earlier(results: Path, checked: Path | None, messages: Messages) -> None:
    """Warn that keywords of an earlier run stay, if the labels may have changed since."""
    from clipcli.tagging.log import log_of

    log = log_of(results)
    if log.is_file() and (checked is not None or results.stat().st_mtime_ns > log.stat().st_mtime_ns):
        messages.warn(
            f"{results} was tagged before: keywords that its images no longer have stay in the photos (to replace "
            f"them, run 'clipcli tag {shlex.quote(str(results))} --undo' first)"
        )


def _editor(sidecar: SidecarName, *, embed: bool, remove: bool) -> AbstractContextManager[Editor]:
    if embed:
        from clipcli.tagging.embedded import exiftool_opened

        return exiftool_opened(remove=remove)
    from clipcli.tagging.sidecars import Sidecars

    return nullcontext(Sidecars(sidecar.value, remove))


class _Summary:
    """What was changed, for people and on stdout."""

    def __init__(self, *, remove: bool, dry_run: bool) -> None:
        self._remove, self._dry_run = remove, dry_run
        self._counts: Counter[str] = Counter()
        self._unchanged = 0

    def problems(self, done: Iterator[Tagged]) -> Iterator[tuple[str, str]]:
        """Note what was done, and yield the images that were not changed, with the reason."""
        from clipcli.delimited import tsv_line

        action = "remove" if self._remove else "tag"
        for each in done:
            if each.problem is not None:
                yield each.name or str(each.image), each.problem
                continue
            self._unchanged += not each.files
            if each.files:
                self._counts.update(keyword.hierarchical for keyword in each.keywords)
            if self._dry_run:
                keywords = ", ".join(keyword.hierarchical for keyword in each.keywords)
                for file in each.files:
                    typer.echo(tsv_line([action, str(file), keywords]), nl=False)

    def end(self, left: int, messages: Messages) -> None:
        """Print the numbers; exit with 1 if images are left."""
        from clipcli.delimited import tsv_line

        if self._unchanged:
            what = "had none of their" if self._remove else "already had their"
            messages.note(f"{self._unchanged} images {what} keywords")
        if not self._dry_run:
            for keyword, count in sorted(self._counts.items()):
                typer.echo(tsv_line([keyword, str(count)]), nl=False)
        if left:
            messages.warn(f"{left} images were not {'changed' if self._remove else 'tagged'}")
            raise typer.Exit(SOME_FAILED)


def _tag(
    results: Path, records: Callable[[], Iterator[ReadRecord]], root: Path, rules: KeywordRules, editor: Editor,
    summary: _Summary, messages: Messages, *, dry_run: bool,
) -> int:  # fmt: skip
    """Change the files of all images; return the number of those that were not changed."""
    from clipcli.storage.locks import locked
    from clipcli.tagging.log import log_of, open_log
    from clipcli.tagging.sidecars import carry_out, plan

    for record in records():
        rules.of(record)  # a record without the probabilities that are needed is found before any file is changed
    with ExitStack() as held:
        log = None
        if not dry_run:
            held.enter_context(locked(log_of(results)))
            log = held.enter_context(open_log(results))
        done = carry_out(plan(records(), root, rules), editor, log)
        left = messages.problems(summary.problems(done), "{} more files")
        if log is not None and not log.tell():
            log_of(results).unlink()  # nothing was ever changed
    return left


def _undo(results: Path, root: Path | None, messages: Messages, *, dry_run: bool) -> None:
    from clipcli.storage.locks import locked
    from clipcli.tagging.log import log_of
    from clipcli.tagging.undo import undo

    log = log_of(results)
    with locked(log), ExitStack() as opened:
        undone = undo(results, root, embedded=_starting_late(opened), dry_run=dry_run)
        print_undone(undone, log, "changes", messages, dry_run=dry_run)


def _starting_late(opened: ExitStack) -> TakeBack:
    """Return what removes keywords from images; ExifTool starts with the first image."""
    from clipcli.tagging.embedded import ExifTool, exiftool_opened

    tools: list[ExifTool] = []

    def take_back(image: Path, changes: Sequence[Change], dry_run: bool) -> bool:
        if not tools:
            tools.append(opened.enter_context(exiftool_opened()))
        return tools[0].take_back(image, changes, dry_run)

    return take_back
