"""Which files of a folder are complete: those that have not changed for some time."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Arrival", "Arrivals", "Look", "look_at"]


class Look(NamedTuple):
    """What shows that a file was written to: its size in bytes, modification time in nanoseconds, and inode."""

    size: int
    mtime_ns: int
    inode: int


def look_at(path: str) -> Look | None:
    """Return the present look of a regular file, ``None`` if there is none: it was renamed or removed."""
    try:
        status = os.stat(path)  # noqa: PTH116 - also for names that are not valid text
    except (OSError, ValueError):
        return None
    return Look(status.st_size, status.st_mtime_ns, status.st_ino) if stat.S_ISREG(status.st_mode) else None


@dataclass(frozen=True)
class Arrival:
    """A complete file.

    Parameters
    ----------
    is_last_try
        Whether it could not be read before, and has not changed for a long time since.
    """

    path: str
    look: Look
    is_last_try: bool


class Arrivals:
    """Notices files, and decides when they are complete.

    Parameters
    ----------
    settle
        Seconds without a change after which a file is complete.
    patience
        Seconds without a change after which a file that cannot be read is given up: a slow writer may pause.
    """

    def __init__(self, settle: float, patience: float) -> None:
        self._settle, self._patience = settle, patience
        self._waiting: dict[str, tuple[Look, float]] = {}
        self._unreadable: dict[str, Look] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a file is not complete yet."""
        return bool(self._waiting)

    def complete(
        self, paths: Iterable[str], now: float, look: Callable[[str], Look | None] = look_at
    ) -> Iterator[Arrival]:
        """Yield those of the files that are complete, once each.

        Parameters
        ----------
        paths
            All files that are there and have no record; what was noticed before and is missing now is forgotten.
        now
            In seconds, by a clock that never goes back.
        """
        before, self._waiting = self._waiting, {}
        unreadable, self._unreadable = self._unreadable, {}
        for path in paths:
            found = look(path)
            if found is None:
                continue
            earlier, since = before.get(path, (found, now))
            since = since if earlier == found else now
            is_last_try = unreadable.get(path) == found
            if is_last_try:
                self._unreadable[path] = found
            if now - since >= (self._patience if is_last_try else self._settle):
                yield Arrival(path, found, is_last_try)
            self._waiting[path] = (found, since)

    def unreadable(self, arrival: Arrival) -> None:
        """Note that a file could not be read: it is tried again when it changes, or when patience ends."""
        self._unreadable[arrival.path] = arrival.look

    def done(self, arrival: Arrival) -> None:
        """Note that a file has a record, or needs none."""
        self._waiting.pop(arrival.path, None)
        self._unreadable.pop(arrival.path, None)
