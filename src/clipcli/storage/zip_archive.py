"""Open untrusted zip archives: all errors of Python's reader for a damaged one become one error."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from clipcli.text import one_line

__all__ = ["DamagedZipError", "check_members", "is_zip", "member_errors", "opened_zip"]

# RuntimeError: an entry that claims to be encrypted, or RecursionError. NotImplementedError: one that claims to
# need a newer reader. ValueError: impossible sizes and offsets, names that are not text.
_RAISED = (zipfile.BadZipFile, RuntimeError, ValueError, OverflowError, EOFError, struct.error, zlib.error)


class DamagedZipError(Exception):
    """A zip archive cannot be read because its content is damaged."""


def is_zip(path: Path) -> bool:
    """Return whether a file ends like a zip archive, damaged or not.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # older versions of Python raise it for an archive that claims to span several disks
        return True


@contextmanager
def opened_zip(path: Path | BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open an archive for reading; errors while entries are read are translated too.

    Raises
    ------
    DamagedZipError
        If the archive is damaged; the message has one line.
    OSError
        If the file cannot be read.
    """
    with member_errors(), zipfile.ZipFile(path) as archive:
        yield archive


@contextmanager
def member_errors() -> Iterator[None]:
    """Translate the errors while one entry is read, so that the others can be read after it.

    Raises
    ------
    DamagedZipError, OSError
        As for :func:`opened_zip`.
    """
    try:
        yield
    except _RAISED as problem:
        raise DamagedZipError(_reason(problem)) from None
    except OSError as problem:
        if problem.errno != errno.EINVAL:  # a damaged offset makes the reader seek before the start of the file
            raise
        raise DamagedZipError("an offset outside the file") from None


def check_members(archive: zipfile.ZipFile) -> None:
    """Check that no entries overlap: a small archive could otherwise hold any number of large files.

    Raises
    ------
    DamagedZipError
        If two do, or one has impossible sizes.
    """
    end = 0
    for member in sorted(archive.infolist(), key=lambda each: each.header_offset):
        if member.header_offset < end or member.compress_size < 0:
            raise DamagedZipError("overlapping entries")
        end = member.header_offset + member.compress_size


def _reason(problem: Exception) -> str:
    if isinstance(problem, RecursionError):
        return "nested too deeply"
    return one_line(str(problem))[:120] or type(problem).__name__
