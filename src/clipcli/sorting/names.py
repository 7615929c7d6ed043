"""Folder names for labels, and nested ones for paths in a tree of groups; valid on every system."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

from pathvalidate import sanitize_filename

from clipcli.text import name_key

__all__ = ["ExistingFolders", "FolderNames", "cut_name", "first_free", "folded", "folder_names"]

_LONGEST = 180  # bytes of a folder or file name: the limit is 255, and a number may be appended


class FolderNames:
    """Gives each label, or path of groups, a unique folder that is valid on every system.

    Names in one folder are unique ignoring case, because some file systems ignore it. Labels that differ only in
    Unicode composition are one label, and have one folder.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[PurePath, str], str] = {}
        self._taken: dict[PurePath, set[str]] = {}

    def of(self, parts: Sequence[str]) -> PurePath:
        """Return the folder of a label, or the nested folders of a path, the same on every call."""
        folder = PurePath()
        for part in parts:
            key = (folder, name_key(part))
            if key not in self._names:
                self._names[key] = self._new_name(part, self._taken.setdefault(folder, set()))
            folder /= self._names[key]
        return folder

    @staticmethod
    def _new_name(part: str, taken: set[str]) -> str:
        name = first_free(_valid_name(part), "", lambda candidate: folded(candidate) in taken)
        taken.add(folded(name))
        return name


class ExistingFolders:
    """Finds folders that exist already, whose names another system may have decomposed, as macOS does.

    Parameters
    ----------
    into
        The sorted folder.
    """

    def __init__(self, into: Path) -> None:
        self._into = into
        self._known: dict[Path, dict[str, str]] = {}

    def place_of(self, folder: PurePath) -> Path:
        """Return where a folder is, or is to be made, in the sorted folder."""
        place = self._into
        for name in folder.parts:
            if place not in self._known:
                self._known[place] = _names_in(place)
            known = self._known[place]
            place /= known.get(name, known.get(name_key(name), name))
        return place


def _names_in(folder: Path) -> dict[str, str]:
    """Return the names in a folder, also by their normalised form."""
    names: list[str] = []
    with suppress(OSError):  # no such folder, or a name that is too long
        names = sorted(each.name for each in folder.iterdir())
    return {name_key(name): name for name in names} | {name: name for name in names}


def _valid_name(label: str) -> str:
    """Turn a label into one path component that is valid on every system."""
    name = label.encode("utf-8", "replace").decode()  # half a surrogate pair is not a character
    while True:
        before = name
        name = sanitize_filename(name, replacement_text="_", platform="universal", max_len=_LONGEST)
        name = cut_name(name).strip(" .")
        if name == before:
            return name or "_"


def cut_name(text: str) -> str:
    """Shorten a name to a number of bytes in UTF-8, without splitting a character."""
    encoded = os.fsencode(text)
    return text if len(encoded) <= _LONGEST else encoded[:_LONGEST].decode("utf-8", "ignore")


def folded(name: str) -> str:
    """Return a name without case and Unicode form, as some file systems compare names."""
    return name_key(name_key(name).casefold())


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Return the folder name of each label."""
    names = FolderNames()
    return {label: str(names.of([label])) for label in labels}


def first_free(stem: str, suffix: str, is_taken: Callable[[str], bool]) -> str:
    """Return the first name that is not taken, with a number from 2 on if necessary."""
    name, number = f"{stem}{suffix}", 1
    while is_taken(name):
        number += 1
        name = f"{stem}-{number}{suffix}"
    return name
