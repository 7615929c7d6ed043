"""Logs of changes that this user made, from which the changes are undone.

A log may come from other people, so it is opened without following links, and a log proves something only if this user
wrote it in this place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from clipcli.errors import InputError, OutputError

__all__ = [
    "NotRegularError",
    "entries_in",
    "is_private",
    "number_in",
    "open_to_add",
    "open_to_read",
    "path_in_log",
    "text_in",
]

_BEGINNING = b'{"action": "'

Parsed = TypeVar("Parsed")

# Links are not followed, and opening a pipe without a writer does not block. Windows has neither flag.
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class NotRegularError(OSError):
    """A file is a link, a folder, a pipe or a device."""


def open_to_add(log: Path, remedy: str) -> BinaryIO:
    """Open a log to add entries; a new one has mode 0600.

    Raises
    ------
    OutputError
        If the log is a link, has a second name or is not a regular file, or the folder cannot be written to.
    """
    try:
        opened = _open_regular(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    except NotRegularError as problem:
        raise OutputError(f"cannot write {log}: {problem} ({remedy})") from None
    except OSError as problem:
        raise OutputError(f"cannot write to {log.parent}: {problem.strerror or problem}") from None
    if os.fstat(opened).st_nlink > 1:
        os.close(opened)
        raise OutputError(f"cannot write {log}: it has a second name ({remedy})")
    return os.fdopen(opened, "ab")


def open_to_read(log: Path) -> BinaryIO:
    """Open a log to read it; raise :class:`OSError`, which is :class:`NotRegularError` for a link or a pipe."""
    return os.fdopen(_open_regular(log, os.O_RDONLY), "rb")


def entries_in(
    log: Path, file: BinaryIO, parse: Callable[[bytes], Parsed], longest_line: int
) -> Iterator[tuple[int, int, Parsed]]:
    """Yield the entry of each line, with the place and length of the line in bytes.

    An incomplete line, left by a kill or a full disk, belongs to a file that was not changed, and is ignored.

    Parameters
    ----------
    log
        The path of the file, for messages.
    parse
        Returns the entry of a line, or raises :class:`ValueError`.
    longest_line
        In bytes.

    Raises
    ------
    InputError
        If a line is damaged, or all are incomplete.
    """
    number = start = whole = torn = 0
    while line := file.readline(longest_line + 1):
        number, start = number + 1, start + len(line)
        if not (text := line.strip()):
            continue
        try:
            if len(line) > longest_line:
                raise ValueError("it is too long")
            entry = parse(text)
        except (ValueError, RecursionError) as problem:
            if len(line) <= longest_line and not text.endswith(b"}") and text[:12] == _BEGINNING[: len(text)]:
                torn += 1
                continue
            reason = " ".join(str(problem).split())[:120]
            raise InputError(
                f"cannot undo: {log} is damaged at line {number}: {reason} (no file was changed)"
            ) from None
        whole += 1
        yield start - len(line), len(line), entry
    if torn and not whole:
        raise InputError(f"cannot undo: {log} is damaged: it has no complete line (no file was changed)")


def _open_regular(path: Path, flags: int) -> int:
    """Open a regular file, without following links, waiting or changing anything else."""
    try:
        opened = os.open(path, flags | _SAFE, 0o600)
    except OSError:
        if path.is_symlink():
            raise NotRegularError("it is a link") from None
        if os.path.lexists(path) and not path.is_file():
            raise NotRegularError("it is not a regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise NotRegularError("it is not a regular file")
    return opened


def is_private(status: os.stat_result) -> bool:
    """Return whether only this user can have written a file; false if the system does not know users."""
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def text_in(values: Mapping[str, Any], name: str) -> str:
    """Return a text of an entry, or raise :class:`ValueError`."""
    text = values.get(name)
    if not isinstance(text, str) or "\0" in text:
        raise ValueError(f"{name!r} is not text")
    os.fsencode(text)  # UnicodeEncodeError is a ValueError
    return text


def path_in_log(values: Mapping[str, Any], name: str) -> Path:
    """Return an absolute, normalised path of an entry, or raise :class:`ValueError`."""
    path = text_in(values, name)
    if not os.path.isabs(path) or os.path.normpath(path) != path or not os.path.basename(path):  # noqa: PTH117, PTH119
        raise ValueError(f"{name!r} is not an absolute path: {path!r}")
    return Path(path)


def number_in(values: Mapping[str, Any], name: str) -> int:
    """Return a number of 64 bits of an entry, or raise :class:`ValueError`."""
    number = values.get(name)
    if type(number) is not int or not -(2**63) <= number < 2**64:
        raise ValueError(f"{name!r} is not a number of 64 bits")
    return number
