"""One SQLite file that several processes share and whose faults never stop a run.

A file that is damaged, or contains unknown tables, views or triggers, is set aside and a new one is created. If the
folder cannot be written to, or the disk is full, the run continues without the file, with one warning.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from weakref import finalize

from clipcli.errors import CacheError
from clipcli.log import LOG
from clipcli.storage.permissions import make_private, private_file, refuse_special

__all__ = ["Database", "Schema", "chunked", "used_bytes"]

_PATIENCE = 10.0
_COMPANIONS = ("-wal", "-shm", "-journal")
_LOOKUP_CHUNK = 500
_LIMIT_LENGTH, _CONFIG_DEFENSIVE = 0, 1010  # error codes of SQLite; the module has names for them since Python 3.12
_LONGEST_VALUE = 64 << 20  # bytes; an untrusted file may contain values that fill the memory

Result = TypeVar("Result")


@dataclass(frozen=True)
class Schema:
    """The tables of a file.

    Parameters
    ----------
    version
        Stored as SQLite's ``user_version``. Tables of an older version are dropped, because a cache can be refilled.
    tables
        The statement that creates each table, by the table's name.
    """

    version: int
    tables: Mapping[str, str]


class _Unusable(Exception):  # noqa: N818 - never leaves this module
    """The file cannot be used, but must not be set aside."""


class Database:
    """Runs work on a connection in a transaction; returns a default result if that is impossible.

    Parameters
    ----------
    path
        The file; its folder is created if missing, with mode 0700. ``None`` for no file.
    schema
        The tables; another version's are replaced.
    patience
        Seconds to wait if another process has locked the file.
    create
        Create the file if it is missing; else, work on a missing file returns the default result.
    strict
        Raise :class:`CacheError` instead of disabling the file.
    """

    def __init__(
        self, path: Path | None, schema: Schema,
        *, patience: float = _PATIENCE, create: bool = True, strict: bool = False,
    ) -> None:  # fmt: skip
        self.path = path
        self.damage: list[str] = []
        self._schema = schema
        self._patience, self._create, self._strict = patience, create, strict
        self._connection: sqlite3.Connection | None = None
        self._lock, self._is_closed = threading.RLock(), threading.Event()
        self.run(lambda _: None, None)

    def close(self) -> None:
        """Close the file, when other threads are done with it; later work returns the default result."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection, self.path = None, None

    def run(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """Run ``work``; set a damaged file aside and retry once, disable the file at other faults.

        Raises
        ------
        CacheError
            Only if ``strict`` is set.
        """
        with self._lock:
            for attempt in (1, 2):
                if self.path is None or self._is_closed.is_set():
                    break
                try:
                    if self._connection is None and not (self._create or os.path.lexists(self.path)):
                        break
                    connection = self._connection or self._connect(self.path)
                    with connection:
                        return work(connection)
                except (sqlite3.OperationalError, sqlite3.ProgrammingError, _Unusable) as problem:
                    self._give_up(_reason(problem))
                except sqlite3.DatabaseError:
                    self._set_aside(self.path, last=attempt == 2)
                except OSError as problem:
                    self._give_up(problem.strerror or str(problem))
            return otherwise

    def _connect(self, path: Path) -> sqlite3.Connection:
        if self._create:
            make_private(path.parent)
        for part in _parts(path):
            refuse_special(part)
        if self._create:
            private_file(path)
        connection = sqlite3.connect(path, timeout=self._patience, check_same_thread=False)
        try:
            _harden(connection)
            if not _is_current(connection, self._schema):
                _use_write_ahead_log(connection, self._patience)
                _renew(connection, self._schema)
            _use_write_ahead_log(connection, self._patience)
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        # For those who let go of it without closing it, and at exit, when other threads may still use it.
        finalize(self, _close, connection, self._lock, self._is_closed)
        return connection

    def _give_up(self, reason: str) -> None:
        path = self.path
        self.close()
        if self._strict:
            raise CacheError(f"cannot use the cache {path}: {reason}")
        LOG.warning(f"continuing without the cache {path}: {reason}")

    def _set_aside(self, path: Path, *, last: bool) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        aside = path.with_name(f"{path.stem}.damaged-{time.time_ns()}.sqlite")
        try:
            path.rename(aside)
            for suffix in _COMPANIONS:
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # another process set it aside first
        except OSError as problem:
            self._give_up(problem.strerror or str(problem))
            return
        self.damage.append(f"the cache was damaged and has been set aside as {aside}")
        if last:
            self._give_up("damaged again immediately")
        else:
            LOG.warning(self.damage[-1] + (", a new one has been started" if self._create else ""))

    def remove_set_aside(self) -> int:
        """Delete the damaged files that were set aside, and return how many there were."""
        if self.path is None:
            return 0
        files = list(self.path.parent.glob(f"{self.path.stem}.damaged-*.sqlite"))
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def size(self) -> int:
        """Return the bytes on disk, including the write-ahead log."""
        if self.path is None:
            return 0
        return sum(part.stat().st_size for part in _parts(self.path) if part.exists())

    def shrink(self) -> bool:
        """Release the space of deleted rows; return false if another process prevented it."""
        return self.run(_vacuum, True) if self._connection is not None else True


def chunked(keys: Sequence[bytes]) -> Iterator[tuple[Sequence[bytes], str]]:
    """Split keys into parts that fit into one query, each with its placeholders."""
    for start in range(0, len(keys), _LOOKUP_CHUNK):
        chunk = keys[start : start + _LOOKUP_CHUNK]
        yield chunk, ",".join("?" * len(chunk))


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of rows and indices, without the free pages of deleted rows."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _close(connection: sqlite3.Connection, lock: AbstractContextManager[object], is_closed: threading.Event) -> None:
    with lock:
        is_closed.set()
        connection.close()


def _parts(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + suffix) for suffix in _COMPANIONS)]


def _harden(connection: sqlite3.Connection) -> None:
    """Configure a connection for an untrusted file: functions in its schema, damaged pages, invalid text."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    # Bytes that are not UTF-8 fail a checksum later; here they would raise an error that does not indicate damage.
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    if hasattr(connection, "setlimit"):  # since Python 3.11
        connection.setlimit(_LIMIT_LENGTH, _LONGEST_VALUE)
    if hasattr(connection, "setconfig"):  # since Python 3.12
        connection.setconfig(_CONFIG_DEFENSIVE, True)


def _is_current(connection: sqlite3.Connection, schema: Schema) -> bool:
    """Return whether a file has exactly the tables of the schema, rather than being empty or older.

    Raises
    ------
    sqlite3.DatabaseError
        If the file contains anything else.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    if version > schema.version:
        raise _Unusable("it was made by a newer version of clipcli (update clipcli, or choose another --cache-dir)")
    if version == schema.version:
        if {(kind, name, _words(sql)) for kind, name, sql in rows} == {
            ("table", name, _words(sql)) for name, sql in schema.tables.items()
        }:
            return True
    elif all(name in schema.tables and _words(sql).startswith("CREATE TABLE") for _, name, sql in rows):
        return False
    raise sqlite3.DatabaseError("it does not have the tables of a cache")


def _words(sql: object) -> str:
    return " ".join(str(sql).split())


def _renew(connection: sqlite3.Connection, schema: Schema) -> None:
    """Replace the tables of an older version by empty ones."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _is_current(connection, schema):
            return  # another process was faster
        for name, statement in schema.tables.items():
            connection.execute(f"DROP TABLE IF EXISTS {name}")
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {schema.version}")
    if connection.execute("PRAGMA freelist_count").fetchone()[0]:
        _vacuum(connection)


def _vacuum(connection: sqlite3.Connection) -> bool:
    """Make the file as small as possible; return false if another process prevented it."""
    connection.commit()
    try:
        connection.execute("VACUUM")
        return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as problem:
        if _is_locked(problem):
            return False
        raise


def _use_write_ahead_log(connection: sqlite3.Connection, patience: float) -> None:
    """Switch to WAL; SQLite does not wait if another process does so at the same time."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as problem:
            if not _is_locked(problem) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _is_locked(problem: BaseException) -> bool:
    return "locked" in str(problem) or "busy" in str(problem)


def _reason(problem: BaseException) -> str:
    return "locked by another process (try again when it has finished)" if _is_locked(problem) else str(problem)
