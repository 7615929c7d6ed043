"""The log of ``clipcli sort``: one JSON object per line and image, written before the image is placed.

A folder and its log may come from other people. So the log is untrusted: every line is checked before any file is
changed, an entry can only name a file in a folder of the sorted folder, at any depth, and the inode in the log shows
whether it was copied.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clipcli.errors import InputError, OutputError
from clipcli.inputs.system_files import SORT_LOG
from clipcli.storage.own_log import (
    NotRegularError,
    entries_in,
    is_private,
    number_in,
    open_to_add,
    open_to_read,
    path_in_log,
    text_in,
)

__all__ = ["LOG_NAME", "Entry", "SortLog", "link_on_the_way", "open_log", "read_log"]

LOG_NAME = SORT_LOG
_LONGEST_LINE = 1 << 16  # bytes: two of the longest paths there are, with every character escaped
_LONGEST_LOG = 1 << 30  # bytes, some four million images


@dataclass(frozen=True)
class Entry:
    """One image that was placed, or was about to be placed.

    Parameters
    ----------
    action
        ``copy``, ``link`` or ``move``.
    source
        The original path: absolute, without links in its folder.
    folder, name
        The new place: a folder in the sorted folder, or folders in each other separated by ``/``; and the file name.
    size, mtime_ns, inode
        Status of the original before it was placed, in bytes and nanoseconds; of the copy if the image was moved to
        another disk. ``inode`` is ``None`` in the logs of earlier versions.
    log_inode
        The inode of the log, which differs if the log was copied or unpacked.
    """

    action: str
    source: Path
    folder: str
    name: str
    size: int
    mtime_ns: int
    inode: int | None
    log_inode: int | None

    @classmethod
    def of(cls, action: str, source: Path, target: Path, into: Path, status: os.stat_result, log_inode: int) -> Entry:
        """Return the entry of an image that is placed from ``source`` to ``target`` in the sorted folder ``into``."""
        origin = source.parent.resolve() / source.name
        where = (target.parent.relative_to(into).as_posix(), target.name)
        return cls(action, origin, *where, status.st_size, status.st_mtime_ns, status.st_ino, log_inode)

    def as_line(self) -> bytes:
        """Return the line of the log; it starts with a newline, in case a full disk cut off the line before."""
        values = {
            "action": self.action,
            "from": str(self.source),
            "to": f"{self.folder}/{self.name}",
            "size": self.size,
            "mtime_ns": self.mtime_ns,
            "inode": self.inode,
            "log": self.log_inode,
        }
        return b"\n" + json.dumps(values).encode()

    @classmethod
    def parse(cls, line: bytes) -> Entry:
        """Read one line.

        Raises
        ------
        ValueError
            If it is not JSON of that shape, or names an impossible place.
        """
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError("it is not an object")
        action, to = text_in(values, "action"), text_in(values, "to")
        if action not in ("copy", "link", "move"):
            raise ValueError(f"unknown action {action!r}")
        source = path_in_log(values, "from")
        folder, separator, name = to.rpartition("/")
        if not separator or not all(map(_is_component, to.split("/"))):
            raise ValueError(f"'to' is not a file in one of the folders: {to!r}")
        numbers = (number_in(values, key) for key in ("size", "mtime_ns"))
        inodes = (number_in(values, key) if values.get(key) is not None else None for key in ("inode", "log"))
        return cls(action, source, folder, name, *numbers, *inodes)


def _is_component(name: str) -> bool:
    return name not in ("", ".", "..") and not set(name) & {"/", os.sep} and not os.path.splitdrive(name)[0]


def link_on_the_way(into: Path, folder: Path) -> Path | None:
    """Return the first link among a folder and those that contain it, in the sorted folder; ``None`` if there is none.

    Parameters
    ----------
    folder
        A folder in ``into``, at any depth.
    """
    place = into
    for name in folder.relative_to(into).parts:
        place /= name
        if place.is_symlink():
            return place
    return None


def open_log(into: Path) -> BinaryIO:
    """Open a folder's log to add entries, with mode 0600.

    Raises
    ------
    OutputError
        If the log is a link, has a second name or is not a regular file, or the folder cannot be written to.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(f"cannot write to {into}: {problem.strerror or problem}") from None
    return open_to_add(into / LOG_NAME, "remove it, or sort into another folder")


@dataclass(frozen=True)
class SortLog:
    """The content of a log.

    Parameters
    ----------
    entries
        In the order of writing, each once.
    is_own
        Whether this user wrote the log in this place: the user owns it, no other user may write it, and every entry
        has the log's inode. That is false for a log that was copied, unpacked or written by others.
    """

    entries: list[Entry]
    is_own: bool


def read_log(into: Path) -> SortLog:
    """Read a folder's log and check every line.

    An incomplete last line, left by a kill or a full disk, belongs to an image that was not placed, and is ignored.

    Raises
    ------
    InputError
        If there is no log, it is not a regular file, or a line is damaged.
    """
    log = into / LOG_NAME
    try:
        file = open_to_read(log)
    except NotRegularError as problem:
        raise InputError(f"cannot undo {into}: its log {LOG_NAME} cannot be used: {problem}") from None
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"cannot undo {into}: it has no {LOG_NAME}") from None
    except OSError as problem:
        raise InputError(f"cannot read {log}: {problem.strerror or problem}") from None
    with file:
        status = os.fstat(file.fileno())
        if status.st_size > _LONGEST_LOG:
            raise InputError(f"cannot undo {into}: {LOG_NAME} is too large to be a log of clipcli sort")
        parsed = entries_in(log, file, Entry.parse, _LONGEST_LINE)
        entries = list(dict.fromkeys(entry for _, _, entry in parsed))
    own = all(entry.log_inode == status.st_ino for entry in entries) and is_private(status)
    return SortLog(entries, own)
