"""What can be done with one image file: copy, link or move it to where nothing is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

__all__ = ["ACTIONS", "CHUNK", "move"]

CHUNK = 1 << 20
"""Bytes that are copied or compared at a time."""

Note = Callable[[os.stat_result], None]


def _copy(source: Path, target: Path, _: Note | None = None) -> None:
    """Copy to where nothing is; what is there meanwhile is not overwritten, and half a copy not left."""
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
    """Move to where nothing is.

    Parameters
    ----------
    note
        Called with the status of the copy where the target is on another disk, before the source is removed.
    """
    if source.is_symlink() and not source.readlink().is_absolute():
        raise OSError("a relative link, which would lead nowhere from there; use --link or --copy")
    target.open("xb").close()  # a place of our own, as renaming would overwrite
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
"""What can be done with an image."""
