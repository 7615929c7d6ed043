"""Recognise an unchanged file without reading it.

A stamp that was taken just after the file was written is not reliable: a second write within the same tick of the file
system's clock does not change any time. As in git ("racily clean"), such a stamp is never saved, and the file is read
and hashed again the next time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from time import time_ns

__all__ = ["FileStamp", "stamp_of"]

_TICK_NS = 2_000_000_000  # the coarsest clock of a file system: FAT counts in steps of two seconds


@dataclass(frozen=True)
class FileStamp:
    """The identity of a file's content, according to the file system.

    Parameters
    ----------
    path
        The absolute path, in the bytes of the file system.
    stamp
        Size, modification time, change time, inode and device. If a network file system renumbers inodes or devices,
        stamps differ and files are hashed again, which costs time but never gives a wrong result.
    settled
        Whether the last change was so long before the stamp was taken that any later change is visible in the times.
        Only such a stamp may be saved.
    """

    path: bytes
    stamp: str
    settled: bool = field(default=True, compare=False)


def stamp_of(path: str | os.PathLike[str]) -> FileStamp | None:
    """Return the current stamp of a file; ``None`` if it cannot be examined."""
    look = time_ns()  # before the file is examined, so that a change in between counts as recent
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    parts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
    # A program can set the modification time to any value, even in the future, but not the change time.
    settled = status.st_ctime_ns < look - _TICK_NS and abs(look - status.st_mtime_ns) > _TICK_NS
    return FileStamp(os.fsencode(os.path.abspath(path)), ":".join(map(str, parts)), settled)  # noqa: PTH100
