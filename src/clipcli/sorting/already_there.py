"""Find images that an earlier run has sorted already, so that sorting again changes nothing."""

from __future__ import annotations

import filecmp
import os
import stat
from pathlib import Path

from clipcli.errors import InputError
from clipcli.sorting.log import Entry, read_log

__all__ = ["MovedBefore", "is_same_image"]


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


class MovedBefore:
    """The images that earlier runs moved into a folder, according to its log."""

    def __init__(self, into: Path) -> None:
        self._into = into
        self._entries: dict[Path, Entry] | None = None

    def place_of(self, source: Path) -> Path | None:
        """Return the present place of an image that was moved from a path, ``None`` if there is none."""
        if self._entries is None:
            self._entries = _moves_in(self._into)
        try:
            entry = self._entries.get(source.parent.resolve() / source.name)
        except (OSError, RuntimeError, ValueError):
            return None
        place = self._into / entry.folder / entry.name if entry is not None else None
        return place if place is not None and os.path.lexists(place) else None


def _moves_in(into: Path) -> dict[Path, Entry]:
    try:
        return {entry.source: entry for entry in read_log(into).entries if entry.action == "move"}
    except InputError:  # no log, or a damaged one; --undo reports the damage
        return {}
