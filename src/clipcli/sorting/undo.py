"""Undo ``clipcli sort``: copies and links are removed, moved files are restored.

The log is untrusted (see :mod:`clipcli.sorting.log`), so undoing

* changes nothing outside the sorted folder and the folders that images were moved from, follows no links on the way
  to an image, creates no folders and overwrites nothing;
* removes a copy only if its original has the same content, or begins with it: an original that was damaged or
  replaced since leaves the copy as the only one;
* restores an image only if it is the one that was moved: same size, modification time and inode, according to a log
  that this user wrote in this place. If the log or the inodes changed, because the folder was copied, unpacked or is
  on a disk without stable inodes, the user has to name the folder that images may be restored to.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from clipcli.sorting.actions import move, remove_empty
from clipcli.sorting.already_there import is_beginning_of
from clipcli.sorting.log import LOG_NAME, Entry, SortLog, link_on_the_way, read_log
from clipcli.storage.locks import locked

__all__ = ["undo"]


def undo(into: Path, root: Path | None = None, *, dry_run: bool = False) -> Iterator[tuple[Path, str | None]]:
    """Undo all placements in a folder, last first; yield each path with the reason if it could not be undone.

    Folders that become empty are removed, and the log too if everything was undone.

    Parameters
    ----------
    into
        The sorted folder.
    root
        The folder that moved images may be restored to, at any depth. Without it, they are only restored according
        to a log that this user wrote in this place.
    dry_run
        Change nothing, and yield the same.

    Raises
    ------
    InputError
        If there is nothing to undo in that folder, or its log is damaged; no file is changed then.
    OutputError
        If another run sorts into the folder.
    """
    changes = not dry_run and os.path.lexists(into / LOG_NAME)
    with locked(into) if changes else nullcontext():
        log = read_log(into)
        yield from _undone(into, log, _Trust(log, root.resolve() if root is not None else None), dry_run=dry_run)


def _undone(into: Path, log: SortLog, trust: _Trust, *, dry_run: bool) -> Iterator[tuple[Path, str | None]]:
    kept = False
    for entry in reversed(log.entries):
        target = into / entry.folder / entry.name
        if (link := link_on_the_way(into, target.parent)) is not None:
            kept = True
            yield target, f"{link} is a link"
            continue
        if os.path.lexists(target):
            problem = _take_back(entry, target, trust, dry_run=dry_run)
            kept = kept or problem is not None
            yield target, problem
        elif entry.action == "move" and not os.path.lexists(entry.source):
            kept = True
            yield target, f"neither it nor {entry.source} exists"
        if not dry_run:
            remove_empty(target.parent, into)
    if not kept and not dry_run:
        (into / LOG_NAME).unlink()


@dataclass(frozen=True)
class _Trust:
    """Decides which images may be restored."""

    log: SortLog
    root: Path | None

    def problem(self, entry: Entry, target: Path) -> str | None:
        """Return why an image may not be restored to the source of an entry, or ``None``."""
        status, parent = target.lstat(), entry.source.parent
        if not _is_as_placed(entry, status):
            return "it has changed"
        if self.root is None and (not self.log.is_own or entry.inode != status.st_ino):
            return (
                f"the log does not prove that it came from {entry.source}, as in a copied folder; name the folder "
                "that images may be restored to with --root DIR"
            )
        if not parent.is_dir():
            return f"its folder {parent} no longer exists"
        real = parent.resolve()
        if self.root is None and real != parent:
            return f"{parent} is now a link to another folder"
        if self.root is not None and not real.is_relative_to(self.root):
            return f"{parent} is not in {self.root}"
        return None


def _take_back(entry: Entry, target: Path, trust: _Trust, *, dry_run: bool) -> str | None:
    """Undo one placement; return the reason if it cannot be undone."""
    source = entry.source

    def remove() -> None:
        if not dry_run:
            target.unlink()

    try:
        if entry.action == "link":
            if not target.is_symlink() or target.readlink() != source.resolve():
                return "it is now a different file"
            remove()
        elif not os.path.lexists(source):
            if entry.action == "copy":
                return f"{source} no longer exists, so this is the only copy"
            if problem := trust.problem(entry, target):
                return problem
            if not dry_run:
                move(target, source)
        elif source.samefile(target):
            return f"{source} is now a link to it"
        elif is_beginning_of(source, target):
            remove()
        else:
            return _why_it_stays(entry, target)
    except OSError as problem:
        return problem.strerror or str(problem)
    return None


def _why_it_stays(entry: Entry, target: Path) -> str:
    """Return why a file stays whose original exists, but has other content."""
    if entry.action != "copy":
        return f"{entry.source} already exists"
    if _is_as_placed(entry, target.lstat()):
        return f"{entry.source} is no longer the image that was copied, so this is the only copy"
    return "it has changed"


def _is_as_placed(entry: Entry, status: os.stat_result) -> bool:
    """Return whether a file is unchanged since it was placed, by kind, size and time."""
    kinds = (stat.S_ISREG, stat.S_ISLNK) if entry.action == "move" else (stat.S_ISREG,)
    is_kind = any(is_such(status.st_mode) for is_such in kinds)
    return is_kind and (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime_ns)
