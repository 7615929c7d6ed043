"""Find images that an earlier run has sorted already, so that sorting again changes nothing."""

from __future__ import annotations

import filecmp
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from clipcli.errors import InputError
from clipcli.sorting.actions import CHUNK
from clipcli.sorting.log import Entry, link_on_the_way, read_log

__all__ = ["PlacedBefore", "is_beginning_of", "is_same_image"]


def is_same_image(source: Path, target: Path) -> bool:
    """Return whether a file in the place of an image is that image: the file itself, a link to it, or a copy.

    Links to other files are not followed; a pipe or device is not opened.
    """
    try:
        if target.samefile(source):
            return True
        if not stat.S_ISREG(target.lstat().st_mode):
            return False
        return filecmp.cmp(source, target, shallow=False)
    except OSError:
        return False


def is_beginning_of(source: Path, target: Path) -> bool:
    """Return whether ``target`` equals ``source`` or its beginning, so that removing ``target`` loses nothing."""
    if not stat.S_ISREG(target.lstat().st_mode) or not source.is_file():
        return False
    with source.open("rb") as original, target.open("rb") as copy:
        while part := copy.read(CHUNK):
            if part != original.read(len(part)):
                return False
    return True


class PlacedBefore:
    """The images that earlier runs placed in a folder, according to its log."""

    def __init__(self, into: Path) -> None:
        self._into = into
        self._known: dict[Path, dict[Path, Entry]] | None = None

    def place_of(self, source: Path) -> Path | None:
        """Return the present place of an image that was moved from a path, ``None`` if there is none."""
        moved = [place for place, entry in self._entries_of(source).items() if entry.action == "move"]
        return moved[-1] if moved and os.path.lexists(moved[-1]) else None

    def old_copies_of(self, source: Path, places: Collection[Path]) -> Iterator[Path]:
        """Yield the copies of an image, or the links to it, that runs placed elsewhere, if removing them loses nothing.

        Parameters
        ----------
        places
            Where the image is to be.
        """
        for old, entry in self._entries_of(source).items():
            if entry.action == "move" or old in places or not os.path.lexists(old):
                continue
            if link_on_the_way(self._into, old.parent) is not None:
                continue
            with suppress(OSError, RuntimeError):
                if old.is_symlink():
                    is_ours = entry.action == "link" and old.readlink() == source.resolve()
                else:
                    is_ours = not old.samefile(source) and is_beginning_of(source, old)
                if is_ours:
                    yield old

    def is_half(self, source: Path, place: Path) -> bool:
        """Return whether a file is what a run that was killed left of an image: its beginning, logged there."""
        if place not in self._entries_of(source):
            return False
        try:
            return is_beginning_of(source, place)
        except OSError:
            return False

    def read(self) -> None:
        """Read the log, unless that is done."""
        if self._known is None:
            self._known = {}
            for entry in _entries_in(self._into):
                entries = self._known.setdefault(entry.source, {})
                place = self._into / entry.folder / entry.name
                entries.pop(place, None)  # the last entry of a place comes last
                entries[place] = entry

    def _entries_of(self, source: Path) -> dict[Path, Entry]:
        """Return the places that an image was given, with the last entry of each."""
        self.read()
        try:
            return (self._known or {}).get(source.parent.resolve() / source.name, {})
        except (OSError, RuntimeError, ValueError):
            return {}


def _entries_in(into: Path) -> list[Entry]:
    try:
        return list(read_log(into).entries)
    except InputError:  # no log, or a damaged one; --undo reports the damage
        return []
