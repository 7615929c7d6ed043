"""Sort photographs into one folder a label, by the results of a run; never overwriting, and undoable."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pathvalidate import sanitize_filename

from clipcli.outputs.readers import ReadRecord
from clipcli.sorting.actions import ACTIONS
from clipcli.sorting.log import LOG_NAME, Entry, open_log
from clipcli.sorting.undo import undo
from clipcli.text import name_key

__all__ = ["ACTIONS", "LOG_NAME", "Placement", "carry_out", "folder_names", "plan", "undo"]

_LONGEST = 180  # bytes of a folder's or file's name: 255 is the most there is, and a number may have to follow


@dataclass(frozen=True)
class Placement:
    """Where one photograph goes, or the ``problem`` that keeps it where it is."""

    label: str
    source: Path
    target: Path | None
    problem: str | None = None


class FolderNames:
    """Gives each label a folder name that is valid on every system and that no other label has.

    Nor one that differs in case alone: some file systems take these for the same. Labels that differ only in how
    their letters are composed are one label, and have one folder.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, label: str) -> str:
        """Return the folder name of a label; the same each time."""
        key = name_key(label)
        if key not in self._names:
            name = _first_free(_valid_name(label), "", lambda candidate: _folded(candidate) in self._taken)
            self._names[key] = name
            self._taken.add(_folded(name))
        return self._names[key]


def _valid_name(label: str) -> str:
    """Make a label one path component that every system takes: no reserved names, no dots or spaces at its ends."""
    name = label.encode("utf-8", "replace").decode()  # half a surrogate pair stands for nothing
    while True:
        before = name
        name = sanitize_filename(name, replacement_text="_", platform="universal", max_len=_LONGEST)
        name = _cut(name, _LONGEST).strip(" .")
        if name == before:
            return name or "_"


def _cut(text: str, longest: int) -> str:
    """Shorten text to so many bytes of UTF-8, to whole characters."""
    encoded = os.fsencode(text)
    return text if len(encoded) <= longest else encoded[:longest].decode("utf-8", "ignore")


def _folded(name: str) -> str:
    return name_key(name_key(name).casefold())


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Return the folder name of each label."""
    names = FolderNames()
    return {label: names.of(label) for label in labels}


def plan(records: Iterable[ReadRecord], into: Path, root: Path) -> Iterator[Placement]:
    """Say where each classified photograph goes; failed ones are passed over.

    Parameters
    ----------
    records
        From :func:`clipcli.outputs.readers.read_results`.
    into
        The folder that the labels' folders are made in.
    root
        What the paths of the records are relative to.
    """
    names, known = FolderNames(), _folders_in(into)
    taken = set[str]()  # by what is placed before it, or would be
    for record in records:
        if record.label is None:
            continue
        source = _found(root, record.path)
        if source is None:
            yield Placement(record.label, root / record.path, None, "no such file")
            continue
        name = names.of(record.label)
        folder = into / known.get(name, known.get(name_key(name), name))

        def is_taken(name: str, folder: Path = folder) -> bool:
            return _folded(str(folder / name)) in taken or os.path.lexists(folder / name)

        target = folder / _first_free(_cut(source.stem, _LONGEST), source.suffix, is_taken)
        taken.add(_folded(str(target)))
        yield Placement(record.label, source, target)


def _folders_in(into: Path) -> dict[str, str]:
    """Return the names in a folder, under what they are compared by: macOS composes letters in its own way."""
    names = sorted(each.name for each in into.iterdir()) if into.is_dir() else []
    return {name_key(name): name for name in names} | {name: name for name in names}


def _found(root: Path, path: str) -> Path | None:
    r"""Find a record's file; results show bytes of a name that are no text as ``\xff``."""
    with suppress(OSError, ValueError):  # a name that no file can have
        if (root / path).is_file():
            return root / path
        escaped = re.sub(rb"\\x([89a-f][0-9a-f])", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(path))
        if (root / os.fsdecode(escaped)).is_file():
            return root / os.fsdecode(escaped)
    return None


def _first_free(stem: str, suffix: str, is_taken: Callable[[str], bool]) -> str:
    name, number = f"{stem}{suffix}", 1
    while is_taken(name):
        number += 1
        name = f"{stem}-{number}{suffix}"
    return name


def carry_out(placements: Iterable[Placement], action: str, into: Path) -> Iterator[Placement]:
    """Place images one by one, writing each down before it is done, so that all can be undone.

    Raises
    ------
    OutputError
        If the folder or the log cannot be written.
    """
    with open_log(into) as log:
        place = _Placer(action, log)
        for placement in placements:
            if placement.target is not None:
                try:
                    place(placement.source, placement.target)
                except OSError as problem:
                    placement = replace(placement, target=None, problem=problem.strerror or str(problem))
            yield placement


@dataclass(frozen=True)
class _Placer:
    """Does one action, with a log."""

    action: str
    log: BinaryIO

    def __call__(self, source: Path, target: Path) -> None:
        """Write an image down and place it."""
        self._note(source, target, source.lstat() if self.action == "move" else source.stat())
        target.parent.mkdir(exist_ok=True)
        if target.parent.is_symlink():
            raise OSError(f"{target.parent} is a link, which may lead elsewhere")
        ACTIONS[self.action](source, target, lambda status: self._note(source, target, status))

    def _note(self, source: Path, target: Path, status: os.stat_result) -> None:
        log_inode = os.fstat(self.log.fileno()).st_ino
        self.log.write(Entry.of(self.action, source, target, status, log_inode).as_line())
        self.log.flush()
