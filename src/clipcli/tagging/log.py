"""The log of ``clipcli tag``: one JSON object per line and changed file, written before the file is changed.

It is next to the results, and untrusted: every line is checked before any file is changed. An entry names one sidecar,
and holds its bytes before the change and the digest of those after it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from clipcli.errors import InputError
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
from clipcli.tagging.keywords import FIELDS
from clipcli.tagging.xmp import LARGEST

__all__ = ["Change", "Entry", "TagLog", "digest_of", "log_of", "open_log", "reading_log"]

_LONGEST_LINE = 2 * LARGEST  # bytes: base64 takes 4/3 of what compression left
_LONGEST_LOG = 1 << 34  # bytes
_MOST_CHANGES = 10_000


class Change(NamedTuple):
    """One keyword that was added to an image (``+``) or removed from it (``-``), in one of :data:`FIELDS`."""

    sign: str
    field: str
    text: str


@dataclass(frozen=True)
class Entry:
    """One file that was changed, or was about to be changed.

    Parameters
    ----------
    action
        ``write`` for a sidecar; ``embed`` for an image into which keywords were written.
    file
        Its path: absolute, without links in its folder.
    before
        The bytes of the sidecar before the change; ``None`` if it did not exist.
    before_ns
        Its modification time then, in nanoseconds.
    after
        The SHA-256 of the sidecar after the change; ``None`` if it was deleted.
    changes
        What was added to an image or removed from it.
    log_inode
        The inode of the log, which differs if the log was copied or unpacked.
    """

    action: str
    file: Path
    before: bytes | None
    before_ns: int
    after: str | None
    changes: tuple[Change, ...]
    log_inode: int

    def as_line(self) -> bytes:
        """Return the line of the log; it starts with a newline, in case a full disk cut off the line before."""
        before = None if self.before is None else base64.b64encode(zlib.compress(self.before)).decode()
        values = {
            "action": self.action,
            "file": str(self.file),
            "before": before,
            "before_ns": self.before_ns,
            "after": self.after,
            "changes": [list(change) for change in self.changes],
            "log": self.log_inode,
        }
        return b"\n" + json.dumps(values).encode()

    @classmethod
    def parse(cls, line: bytes) -> Entry:
        """Read one line.

        Raises
        ------
        ValueError
            If it is not JSON of that shape, or names a file that ``tag`` never changes.
        """
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError("it is not an object")
        action, file = text_in(values, "action"), path_in_log(values, "file")
        if action not in ("write", "embed"):
            raise ValueError(f"unknown action {action!r}")
        if (file.suffix.lower() == ".xmp") != (action == "write"):
            raise ValueError(f"'file' has the wrong extension: {file.name!r}")
        after = values.get("after")
        if after is not None and (len(text := text_in(values, "after")) != 64 or not set(text) <= set(_HEX)):
            raise ValueError("'after' is not a digest")
        times = number_in(values, "before_ns"), number_in(values, "log")
        return cls(action, file, _unpacked(values.get("before")), times[0], after, _changes_in(values), times[1])


_HEX = "0123456789abcdef"


def _unpacked(text: object) -> bytes | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError("'before' is not text")
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(base64.b64decode(text, validate=True), LARGEST + 1)
    except zlib.error as problem:
        raise ValueError(str(problem)) from None
    if len(data) > LARGEST or not unpacker.eof:
        raise ValueError("'before' is too large or incomplete")
    return data


def _changes_in(values: dict[str, Any]) -> tuple[Change, ...]:
    found = values.get("changes")
    if not isinstance(found, list) or len(found) > _MOST_CHANGES:
        raise ValueError("'changes' is not a list")
    for change in found:
        if not isinstance(change, list) or len(change) != 3 or not all(isinstance(each, str) for each in change):
            raise ValueError("a change is not three texts")
        if change[0] not in ("+", "-") or change[1] not in FIELDS or not change[2].isprintable():
            raise ValueError(f"unknown change {change!r}")
    return tuple(Change(*change) for change in found)


def digest_of(data: bytes | None) -> str | None:
    """Return the SHA-256 of a sidecar's bytes, ``None`` if there is none."""
    return None if data is None else hashlib.sha256(data).hexdigest()


def log_of(results: Path) -> Path:
    """Return the path of the log of some results."""
    return results.with_name(f"{results.name}.tags.jsonl")


def open_log(results: Path) -> BinaryIO:
    """Open the log of some results to add entries, with mode 0600; see :func:`clipcli.storage.own_log.open_to_add`."""
    return open_to_add(log_of(results), "remove it, or copy the results to another folder")


class TagLog:
    """The entries of a log whose every line was checked; read again one by one, as they hold whole sidecars.

    Attributes
    ----------
    is_own
        Whether this user wrote the log in this place: the user owns it, no other user may write it, and every entry
        has the log's inode. That is false for a log that was copied, unpacked or written by others.
    """

    def __init__(self, file: BinaryIO, places: Sequence[tuple[int, int]], *, is_own: bool) -> None:
        self._file, self._places, self.is_own = file, places, is_own

    def __len__(self) -> int:
        return len(self._places)

    def reversed(self) -> Iterator[Entry]:
        """Yield the entries, last first."""
        for start, length in reversed(self._places):
            self._file.seek(start)
            yield Entry.parse(self._file.read(length))


@contextmanager
def reading_log(results: Path) -> Iterator[TagLog]:
    """Open the log of some results, and check every line.

    An incomplete last line, left by a kill or a full disk, belongs to a file that was not changed, and is ignored.

    Raises
    ------
    InputError
        If there is no log, it is not a regular file, or a line is damaged.
    """
    log = log_of(results)
    try:
        file = open_to_read(log)
    except NotRegularError as problem:
        raise InputError(f"cannot undo {results}: its log {log.name} cannot be used: {problem}") from None
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"cannot undo {results}: there is no {log.name}") from None
    except OSError as problem:
        raise InputError(f"cannot read {log}: {problem.strerror or problem}") from None
    with file:
        status = os.fstat(file.fileno())
        if status.st_size > _LONGEST_LOG:
            raise InputError(f"cannot undo {results}: {log.name} is too large to be a log of clipcli tag")
        places, inodes = list[tuple[int, int]](), set[int]()
        for start, length, entry in entries_in(log, file, Entry.parse, _LONGEST_LINE):
            places.append((start, length))
            inodes.add(entry.log_inode)
        yield TagLog(file, places, is_own=inodes <= {status.st_ino} and is_private(status))
