"""Open zip archives from others: whatever Python's reader raises for a damaged one is one error here."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipcli.text import one_line

__all__ = ["DamagedZipError", "is_zip", "opened_zip"]

# RuntimeError: an entry that claims to be encrypted, or RecursionError. NotImplementedError: one that claims to
# need a newer reader. ValueError: sizes and offsets that no file can have, names that are not text.
_RAISED = (zipfile.BadZipFile, RuntimeError, ValueError, OverflowError, EOFError, struct.error, zlib.error)


class DamagedZipError(Exception):
    """A zip archive cannot be read because of what is in it."""


def is_zip(path: Path) -> bool:
    """Return whether a file ends as zip archives do, damaged or not.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # older versions of Python raise it for an archive that claims several disks
        return True


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive for reading; also what is raised while entries are read is translated.

    Raises
    ------
    DamagedZipError
        If the archive is damaged, in one line.
    OSError
        If the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _RAISED as problem:
        raise DamagedZipError(_reason(problem)) from None
    except OSError as problem:
        if problem.errno != errno.EINVAL:  # a seek to before the file's start, where a damaged offset leads
            raise
        raise DamagedZipError("an offset outside the file") from None


def _reason(problem: Exception) -> str:
    if isinstance(problem, RecursionError):
        return "nested too deeply"
    return one_line(str(problem))[:120] or type(problem).__name__
