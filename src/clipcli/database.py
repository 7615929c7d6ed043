"""One SQLite file that several processes share and whose faults are never fatal.

A damaged file is set aside and a new one begun. Where the folder cannot be written, or the disk is full,
the work goes on without the file, and that is said once.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["Database"]

_BUSY_SECONDS = 30.0

Result = TypeVar("Result")
Warn = Callable[[str], None]


class Database:
    """Runs work on a connection in a transaction; gives a stand-in result where that is impossible.

    Parameters
    ----------
    path
        The file; its folder is made if missing. ``None`` keeps nothing.
    schema
        SQL that makes the tables where they are missing.
    warn
        Called with one line when the file is set aside or given up.
    """

    def __init__(self, path: Path | None, schema: str, warn: Warn) -> None:
        self.path = path
        self.damage: list[str] = []
        self._schema, self._warn = schema, warn
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        self.run(lambda _: None, None)

    def close(self) -> None:
        """Close the file; later work gets its stand-in."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self.path = None, None

    def run(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """Run ``work``; set a damaged file aside and try once more, give the file up on other faults."""
        with self._lock:
            for attempt in (1, 2):
                if self.path is None:
                    break
                try:
                    connection = self._connection or self._connect(self.path)
                    with connection:
                        return work(connection)
                except sqlite3.OperationalError as problem:
                    self._give_up(str(problem))
                except sqlite3.DatabaseError:
                    self._set_aside(self.path, last=attempt == 2)
                except OSError as problem:
                    self._give_up(problem.strerror or str(problem))
            return otherwise

    def _connect(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(self._schema)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _give_up(self, reason: str) -> None:
        self._warn(f"going on without a cache: {self.path}: {reason}")
        self.close()

    def _set_aside(self, path: Path, *, last: bool) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        aside = path.with_name(f"{path.stem}.damaged-{time.time_ns()}.sqlite")
        try:
            path.rename(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # another process set it aside first
        except OSError as problem:
            self._give_up(problem.strerror or str(problem))
            return
        self.damage.append(f"the cache was damaged; set aside as {aside}")
        if last:
            self._give_up("damaged again at once")
        else:
            self._warn(f"{self.damage[-1]}, a new one begun")

    def size(self) -> int:
        """Return the bytes on disk, with what is not yet merged into the file itself."""
        if self.path is None:
            return 0
        parts = [self.path, *(self.path.with_name(self.path.name + suffix) for suffix in ("-wal", "-shm"))]
        return sum(part.stat().st_size for part in parts if part.exists())

    def shrink(self) -> None:
        """Give the space of deleted rows back to the disk."""

        def vacuum(connection: sqlite3.Connection) -> None:
            connection.commit()
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        if self._connection is not None:
            self.run(vacuum, None)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait by itself where another process does so at the same moment."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as problem:
            if "locked" not in str(problem) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
