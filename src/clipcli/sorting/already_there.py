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
        self._places: dict[Path, set[Path]] = {}

    def place_of(self, source: Path) -> Path | None:
        """Return the present place of an image that was moved from a path, ``None`` if there is none."""
        self._read()
        entry = self._moves.get(_resolved(source) or source)
        place = self._into / entry.folder / entry.name if entry is not None else None
        return place if place is not None and os.path.lexists(place) else None

    def is_half(self, source: Path, place: Path) -> bool:
        """Return whether a file is what a run that was killed left of an image: its beginning, logged there."""
        self._read()
        if place not in self._places.get(_resolved(source) or source, ()):
            return False
        try:
            return is_beginning_of(source, place)
        except OSError:
            return False

    def _read(self) -> None:
        if self._known is not None:
            return
        self._known = _entries_in(self._into)
        for entry in self._known:
            self._places.setdefault(entry.source, set()).add(self._into / entry.folder / entry.name)
        self._moves = {entry.source: entry for entry in self._known if entry.action == "move"}


def _resolved(source: Path) -> Path | None:
    """Return a path as the log has it, ``None`` if it is impossible."""
    try:
        return source.parent.resolve() / source.name
    except (OSError, RuntimeError, ValueError):
        return None


def _entries_in(into: Path) -> list[Entry]:
    try:
        return list(read_log(into).entries)
    except InputError:  # no log, or a damaged one; --undo reports the damage
        return []
