"""The actions on one image file: copy, link or move it, never overwriting a file."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["ACTIONS", "CHUNK", "move", "remove_empty"]

CHUNK = 1 << 20
"""Number of bytes that are copied or compared at once."""

Note = Callable[[os.stat_result], None]


def _copy(source: Path, target: Path, _: Note | None = None) -> None:
    """Copy a file; never overwrite the target, and never leave a partial copy."""
    with source.open("rb") as original, target.open("xb") as copy:
        try:
            shutil.copyfileobj(original, copy, CHUNK)
        except BaseException:
            target.unlink()
            raise
    shutil.copystat(source, target)


def _link(source: Path, target: Path, _: Note | None = None) -> None:
    target.symlink_to(source.resolve())


def move(source: Path, target: Path, note: Note | None = None) -> None:
    """Move a file; never overwrite the target.

    Parameters
    ----------
    note
        Called with the status of the copy before the source is removed, if the target is on another disk.
    """
    if source.is_symlink() and not source.readlink().is_absolute():
        raise OSError("a relative link would be broken after moving (use --link or --copy)")
    target.open("xb").close()  # in an own folder, because renaming would overwrite
    try:
        source.replace(target)
    except OSError as problem:
        target.unlink()
        if problem.errno != errno.EXDEV:
            raise
        _copy(source, target)
        if note is not None:
            note(target.lstat())
        source.unlink()


ACTIONS: dict[str, Callable[[Path, Path, Note | None], None]] = {"copy": _copy, "link": _link, "move": move}
"""The actions, by name."""


def remove_empty(folder: Path, into: Path) -> None:
    """Remove an empty folder, and those that contain it and become empty, up to but without ``into``."""
    with suppress(OSError):  # a folder is not empty, or is gone
        while folder != into:
            folder.rmdir()
            folder = folder.parent
