"""Images of results that are not files on this machine: members of archives, and objects behind URLs."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from clipcli.inputs.archives import archive_of, is_archive
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.items import MemberInput
from clipcli.schemes import is_remote
from clipcli.storage.remote import read_url
from clipcli.text import printable

__all__ = ["archive_in", "members_of", "original_of", "reason_not_local"]


def archive_in(path: str, folder: Path) -> str | None:
    """Return the part of a record's path that is an archive; ``None`` if the record is not a member of one.

    Parameters
    ----------
    path
        As in the record: ``ARCHIVE/MEMBER``, on disk or behind a URL.
    folder
        The folder that a relative path is relative to.
    """
    if "\0" in path:
        return None
    for place in (place for place, letter in enumerate(path) if letter == "/"):
        name = path[:place]
        if is_archive(name) and (is_remote(name) or (folder / name).is_file()):
            return name
    return None


def reason_not_local(path: str, folder: Path) -> str | None:
    """Return why the image of a record is not a file on this machine; ``None`` if it may be one."""
    if is_remote(path):
        return "it is behind a URL (download the images, classify that folder and sort its results)"
    if archive_in(path, folder) is not None:
        return "it is in an archive (extract the archive, classify that folder and sort its results)"
    return None


def original_of(path: str, folder: Path) -> Path | Callable[[], bytes] | None:
    """Return the file of a record, or a function that reads it from its URL; ``None`` for an impossible name.

    The function raises :class:`~clipcli.errors.ImageError` if the object cannot be read.
    """
    if not path or "\0" in path:
        return None
    return partial(read_url, path) if is_remote(path) else folder / path


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
    place = archive if is_remote(archive) else os.fspath(folder / archive)
    for item in archive_of(place, Exclusion(include_hidden=True)).inputs():
        path = archive + printable(item.name[len(place) :])
        if isinstance(item, MemberInput) and path in wanted:
            yield path, item.data
