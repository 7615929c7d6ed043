"""Images of results that are not files on this machine: members of archives, and objects behind URLs.

Nothing behind a URL is read: results may come from others, and only the URLs that the user names are contacted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from clipcli.inputs.archives import archive_of, is_archive
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.items import MemberInput
from clipcli.schemes import is_remote
from clipcli.text import printable

__all__ = ["archive_in", "existing_file", "file_of", "members_of", "reason_not_local"]


def archive_in(path: str, folder: Path) -> str | None:
    """Return the part of a record's path that is an archive on disk; ``None`` if the record is not in one.

    Parameters
    ----------
    path
        As in the record: ``ARCHIVE/MEMBER``.
    folder
        The folder that a relative path is relative to.
    """
    if "\0" in path or is_remote(path):
        return None
    parts = (path[:place] for place, letter in enumerate(path) if letter == "/")
    return next((name for name in parts if is_archive(name) and (folder / name).is_file()), None)


def reason_not_local(path: str, folder: Path) -> str | None:
    """Return why the image of a record is not a file on this machine; ``None`` if it may be one."""
    if is_remote(path):
        return "it is behind a URL (download the images, classify that folder and use its results)"
    if archive_in(path, folder) is not None:
        return "it is in an archive (extract the archive, classify that folder and use its results)"
    return None


def file_of(path: str, folder: Path) -> Path | None:
    """Return the file of a record; ``None`` for a URL and an impossible name."""
    return None if not path or "\0" in path or is_remote(path) else folder / path


def existing_file(root: Path, path: str) -> Path | None:
    r"""Find a record's file; results write bytes of a name that are not UTF-8 as ``\xff``."""
    with suppress(OSError, ValueError):  # an impossible file name
        if (root / path).is_file():
            return root / path
        escaped = re.sub(rb"\\x([89a-f][0-9a-f])", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(path))
        if (root / os.fsdecode(escaped)).is_file():
            return root / os.fsdecode(escaped)
    return None


def members_of(archive: str, folder: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Read an archive once, and yield those members that are wanted, under the paths of their records.

    Damage ends it early.

    Parameters
    ----------
    archive, folder
        As for :func:`archive_in`.
    wanted
        The paths of records.
    """
    place = os.fspath(folder / archive)
    for item in archive_of(place, Exclusion(include_hidden=True)).inputs():
        path = archive + printable(item.name[len(place) :])
        if isinstance(item, MemberInput) and path in wanted:
            yield path, item.data
