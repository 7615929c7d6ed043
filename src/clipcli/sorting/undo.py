"""Undo ``clipcli sort``: what was copied or linked is removed, what was moved goes back.

The log is hostile until shown otherwise (see :mod:`clipcli.sorting.log`), so undoing

* touches nothing outside the sorted folder and the folders that images were moved from, follows no links on the
  way to an image, makes no folders and overwrites nothing;
* removes a copy only while its original exists and the copy is as it was placed, or the beginning of the original;
* moves an image back only if it is the one that was moved: same size, modification time and inode, by a log that
  this user wrote in this place. Where the log or the inodes changed, because the folder was copied, unpacked or is
  on a disk whose inodes do not last, the user has to name the folder that images may go back into.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clipcli.sorting.actions import CHUNK, move
from clipcli.sorting.log import LOG_NAME, Entry, SortLog, read_log

__all__ = ["undo"]


def undo(into: Path, root: Path | None = None) -> Iterator[tuple[Path, str | None]]:
    """Take back all that was placed in a folder, last first; yields each path and why it was left, if it was.

    Folders that become empty are removed, and the log too when nothing was left.

    Parameters
    ----------
    into
        The folder that was sorted into.
    root
        The folder that moved images may go back into, at any depth. Without it they only go back by a log that
        this user wrote where it is.

    Raises
    ------
    InputError
        If there is nothing to undo in that folder, or its log is damaged; nothing was touched then.
    """
    log = read_log(into)
    trust = _Trust(log, root.resolve() if root is not None else None)
    kept = False
    for entry in reversed(log.entries):
        target = into / entry.folder / entry.name
        if target.parent.is_symlink():
            kept = True
            yield target, f"{target.parent} is a link, which may lead elsewhere"
            continue
        if os.path.lexists(target):
            problem = _take_back(entry, target, trust)
            kept = kept or problem is not None
            yield target, problem
        elif entry.action == "move" and not os.path.lexists(entry.source):
            kept = True
            yield target, f"it is not there, nor is {entry.source}"
        with suppress(OSError):
            target.parent.rmdir()  # does nothing where there is something in it
    if not kept:
        (into / LOG_NAME).unlink()


@dataclass(frozen=True)
class _Trust:
    """Decides which images may go back."""

    log: SortLog
    root: Path | None

    def problem(self, entry: Entry, target: Path) -> str | None:
        """Return why an image may not go back to where an entry says it was."""
        status, parent = target.lstat(), entry.source.parent
        if not _is_as_placed(entry, status):
            return "it was changed"
        if self.root is None and (not self.log.is_own or entry.inode != status.st_ino):
            return (
                f"the log does not prove that it came from {entry.source} (was the folder copied?); name the folder "
                "that images may go back into with --root DIR"
            )
        if not parent.is_dir():
            return f"its folder {parent} is gone"
        real = parent.resolve()
        if self.root is None and real != parent:
            return f"{parent} leads elsewhere now"
        if self.root is not None and not real.is_relative_to(self.root):
            return f"{parent} is not in {self.root}"
        return None


def _take_back(entry: Entry, target: Path, trust: _Trust) -> str | None:
    """Undo one placement; return why it cannot be, if so."""
    source = entry.source
    try:
        if entry.action == "link":
            if not target.is_symlink() or target.readlink() != source.resolve():
                return "it is another file now"
            target.unlink()
        elif not os.path.lexists(source):
            if entry.action == "copy":
                return f"{source} is gone, so this is the only one left"
            if problem := trust.problem(entry, target):
                return problem
            move(target, source)
        elif source.samefile(target):
            return f"{source} leads to it now"
        elif _begins(source, target) or (entry.action == "copy" and _is_as_placed(entry, target.lstat())):
            target.unlink()
        else:
            return "it was changed" if entry.action == "copy" else f"{source} exists again"
    except OSError as problem:
        return problem.strerror or str(problem)
    return None


def _is_as_placed(entry: Entry, status: os.stat_result) -> bool:
    """Tell whether a file is what was placed, by its kind, size and time."""
    kinds = (stat.S_ISREG, stat.S_ISLNK) if entry.action == "move" else (stat.S_ISREG,)
    is_kind = any(is_such(status.st_mode) for is_such in kinds)
    return is_kind and (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime_ns)


def _begins(source: Path, target: Path) -> bool:
    """Tell whether a file is a copy of another, or the beginning of one that was cut off; nothing is lost with it."""
    if not stat.S_ISREG(target.lstat().st_mode) or not source.is_file():
        return False
    with source.open("rb") as original, target.open("rb") as copy:
        while part := copy.read(CHUNK):
            if part != original.read(len(part)):
                return False
    return True
