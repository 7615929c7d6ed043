"""Keeping the cache to its user: folders with mode 0700, files with mode 0600, and no links or pipes in their place."""

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
    """Make the folder of a cache if it is missing, and close it and its files to other users.

    A folder that holds other things as well, that belongs to another user, or that has the set-group-ID or sticky
    bit of a shared folder keeps its mode; the files of the cache in it are closed all the same.

    Raises
    ------
    OSError
        If the folder cannot be made, or is not a folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = os.listdir(folder)  # noqa: PTH208 - names, not paths
    ours = [name for name in names if _OURS.fullmatch(name)]
    if len(ours) == len(names) and not folder.stat().st_mode & _SHARED:
        _close(folder.resolve())
    for name in ours:
        _close(folder / name)


def _close(path: Path) -> None:
    """Take the permissions of other users away, where the file or folder belongs to this one."""
    with suppress(FileNotFoundError, PermissionError):  # removed by another process; a file system without modes
        status = path.lstat()
        mine = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
        if mine and status.st_mode & _OTHERS and not stat.S_ISLNK(status.st_mode):
            path.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)


def private_file(path: Path) -> None:
    """Make an empty file with mode 0600 if there is none.

    An existing file is not opened: SQLite would lose its locks on it when the second handle is closed.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def refuse_special(path: Path) -> None:
    """Raise :class:`OSError` if a path is a link, pipe, device or folder, rather than a regular file or nothing."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
        raise OSError(errno.EINVAL, f"{path.name} is {kind}", str(path))
