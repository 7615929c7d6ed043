"""Find images that an earlier run has sorted already, so that sorting again changes nothing."""

from __future__ import annotations

import filecmp
import os
import stat
from pathlib import Path

from clipcli.errors import InputError
from clipcli.sorting.actions import CHUNK
from clipcli.sorting.log import Entry, read_log

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
        self._known: list[Entry] | None = None
        self._moves: dict[Path, Entry] = {}
        self._last: dict[Path, Entry] = {}

    def place_of(self, source: Path) -> Path | None:
        """Return the present place of an image that was moved from a path, ``None`` if there is none."""
        entry = self._entry_of(source, moved=True)
        place = self._into / entry.folder / entry.name if entry is not None else None
        return place if place is not None and os.path.lexists(place) else None

    def old_copy_of(self, source: Path, place: Path) -> Path | None:
        """Return the copy of an image, or the link to it, that a run placed elsewhere, if removing it loses nothing."""
        entry = self._entry_of(source)
        if entry is None or entry.action == "move":
            return None
        old = self._into / entry.folder / entry.name
        try:
            if old == place or old.parent.is_symlink() or not os.path.lexists(old):
                return None
            if old.is_symlink():
                return old if entry.action == "link" and old.readlink() == source.resolve() else None
            return old if not old.samefile(source) and is_beginning_of(source, old) else None
        except (OSError, RuntimeError):
            return None

    def is_half(self, source: Path, place: Path) -> bool:
        """Return whether a file is what a run that was killed left of an image: its beginning, logged there."""
        entry = self._entry_of(source)
        if entry is None or self._into / entry.folder / entry.name != place:
            return False
        try:
            return is_beginning_of(source, place)
        except OSError:
            return False

    def read(self) -> None:
        """Read the log, unless that is done."""
        if self._known is None:
            self._known = _entries_in(self._into)
            self._last = {entry.source: entry for entry in self._known}
            self._moves = {entry.source: entry for entry in self._known if entry.action == "move"}

    def _entry_of(self, source: Path, *, moved: bool = False) -> Entry | None:
        self.read()
        try:
            return (self._moves if moved else self._last).get(source.parent.resolve() / source.name)
        except (OSError, RuntimeError, ValueError):
            return None


def _entries_in(into: Path) -> list[Entry]:
    try:
        return list(read_log(into).entries)
    except InputError:  # no log, or a damaged one; --undo reports the damage
        return []
