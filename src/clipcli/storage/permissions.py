"""Permissions of the cache: folders with mode 0700, files with mode 0600, no links or pipes."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["make_private", "private_file", "refuse_special"]

_OURS = re.compile(r"embeddings-v\d+(\.damaged-\d+)?\.sqlite(-wal|-shm|-journal)?|engines")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SHARED = stat.S_ISGID | stat.S_ISVTX


def make_private(folder: Path) -> None:
    """Create the folder of a cache if it is missing, and remove the permissions of other users.

    A folder that also holds other files, belongs to another user, or has the set-group-ID or sticky bit of a shared
    folder keeps its mode; the files of the cache in it still become private.

    Raises
    ------
    OSError
        If the folder cannot be created, or is not a folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = os.listdir(folder)  # noqa: PTH208 - names, not paths
    ours = [name for name in names if _OURS.fullmatch(name)]
    if len(ours) == len(names) and not folder.stat().st_mode & _SHARED:
        _close(folder.resolve())
    for name in ours:
        _close(folder / name)


def _close(path: Path) -> None:
    """Remove the permissions of other users, if the file or folder belongs to this user."""
    with suppress(FileNotFoundError, PermissionError):  # removed by another process; a file system without modes
        status = path.lstat()
        mine = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
        if mine and status.st_mode & _OTHERS and not stat.S_ISLNK(status.st_mode):
            path.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)


def private_file(path: Path) -> None:
    """Create an empty file with mode 0600 if it does not exist.

    An existing file is not opened: SQLite would lose its locks when the second handle is closed.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def refuse_special(path: Path) -> None:
    """Raise :class:`OSError` if a path exists and is not a regular file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
        raise OSError(errno.EINVAL, f"{path.name} is {kind}", str(path))
