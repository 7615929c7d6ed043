"""Sort images into one folder per label, according to results; without overwriting, and undoable."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pathvalidate import sanitize_filename

from clipcli.inputs.originals import reason_not_local
from clipcli.outputs.readers import ReadRecord
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.sorting.actions import ACTIONS
from clipcli.sorting.already_there import PlacedBefore, is_beginning_of, is_same_image
from clipcli.sorting.log import LOG_NAME, Entry, open_log
from clipcli.sorting.undo import undo
from clipcli.text import name_key

__all__ = ["ACTIONS", "LOG_NAME", "Placement", "carry_out", "folder_names", "plan", "undo"]

_LONGEST = 180  # bytes of a folder or file name: the limit is 255, and a number may be appended


@dataclass(frozen=True)
class Placement:
    """The target of one image, or the ``problem`` that prevents sorting it.

    Parameters
    ----------
    label
        The label, or the group, that the image is sorted by.
    is_there
        Whether an earlier run sorted the image, so that nothing is to be done.
    is_half
        Whether the target is the beginning of the image, which a run that was killed left; it is replaced.
    old
        Where earlier runs placed the image, if it no longer belongs there and the copies or links can be removed.
    name
        Its name in messages if that is not ``source``: a path changes a URL.
    """

    label: str
    source: Path
    target: Path | None
    problem: str | None = None
    is_there: bool = False
    is_half: bool = False
    old: tuple[Path, ...] = ()
    name: str = ""


class FolderNames:
    """Gives each label a unique folder name that is valid on every system.

    Names are unique ignoring case, because some file systems ignore it. Labels that differ only in Unicode
    composition are one label, and have one folder.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, label: str) -> str:
        """Return the folder name of a label, the same on every call."""
        key = name_key(label)
        if key not in self._names:
            name = _first_free(_valid_name(label), "", lambda candidate: _folded(candidate) in self._taken)
            self._names[key] = name
            self._taken.add(_folded(name))
        return self._names[key]


def _valid_name(label: str) -> str:
    """Turn a label into one path component that is valid on every system."""
    name = label.encode("utf-8", "replace").decode()  # half a surrogate pair is not a character
    while True:
        before = name
        name = sanitize_filename(name, replacement_text="_", platform="universal", max_len=_LONGEST)
        name = _cut(name, _LONGEST).strip(" .")
        if name == before:
            return name or "_"


def _cut(text: str, longest: int) -> str:
    """Shorten text to a number of bytes in UTF-8, without splitting a character."""
    encoded = os.fsencode(text)
    return text if len(encoded) <= longest else encoded[:longest].decode("utf-8", "ignore")


def _folded(name: str) -> str:
    return name_key(name_key(name).casefold())


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Return the folder name of each label."""
    names = FolderNames()
    return {label: names.of(label) for label in labels}


def plan(records: Iterable[ReadRecord], into: Path, root: Path, *, by_group: bool = False) -> Iterator[Placement]:
    """Yield the target of each classified image; failed ones are skipped, and one with several labels has several.

    An image that is in its place already gets no second one: names are compared, then contents.

    Parameters
    ----------
    records
        From :func:`clipcli.outputs.readers.read_results`.
    into
        The folder in which the folders of the labels are created.
    root
        The folder that the paths of the records are relative to.
    by_group
        Sort by group instead of label.
    """
    names, known, earlier = FolderNames(), _folders_in(into), PlacedBefore(into)
    taken = set[str]()  # by images that are placed before it
    for record in records:
        if record.label is None:
            continue
        source = _found(root, record.path)
        placements: list[Placement] = []
        for label in _labels_of(record, by_group=by_group):
            if label is None:
                problem = f"its label {record.label!r} has no group"
                placements.append(Placement(record.label, root / record.path, None, problem))
                continue
            name = names.of(label)
            folder = into / known.get(name, known.get(name_key(name), name))
            if source is None:
                placements.append(_moved_or_missing(label, root, record.path, folder, earlier))
                continue
            earlier.read()  # before this run adds to the log
            found = _Search(source, folder, taken, earlier)
            target = folder / _first_free(_cut(source.stem, _LONGEST), source.suffix, found.is_taken)
            taken.add(_folded(str(target)))
            placements.append(Placement(label, source, target, is_there=found.is_there, is_half=found.is_half))
        yield from placements[:-1]
        last, places = placements[-1], [each.target for each in placements if each.target is not None]
        old = (
            tuple(earlier.old_copies_of(last.source, places)) if source is not None and last.target is not None else ()
        )
        yield replace(last, old=old)


def _labels_of(record: ReadRecord, *, by_group: bool) -> Sequence[str | None]:
    """Return the labels whose folders an image goes into, or its group; ``None`` if it has none."""
    if not by_group or (record.label == UNKNOWN and record.group is None):
        return record.labels or [record.label]
    return [record.group]


def _moved_or_missing(label: str, root: Path, path: str, folder: Path, earlier: PlacedBefore) -> Placement:
    """Return the placement of an image that is not in its place: an earlier run may have moved it."""
    source = root / path
    if (reason := reason_not_local(path, root)) is not None:
        return Placement(label, source, None, reason, name=path)
    place = earlier.place_of(source)
    if place is None:
        return Placement(label, source, None, "no such file")
    if place.parent != folder:
        return Placement(label, source, None, f"it was moved to {place} before (undo that first)")
    return Placement(label, source, place, is_there=True)


class _Search:
    """Searches the place of one image in a folder, which an earlier run may have given to it."""

    def __init__(self, source: Path, folder: Path, taken: set[str], earlier: PlacedBefore) -> None:
        self._source, self._folder, self._taken, self._earlier = source, folder, taken, earlier
        self.is_there = self.is_half = False

    def is_taken(self, name: str) -> bool:
        place = self._folder / name
        if _folded(str(place)) in self._taken:
            return True
        if not os.path.lexists(place):
            return False
        self.is_there = is_same_image(self._source, place)
        self.is_half = not self.is_there and self._earlier.is_half(self._source, place)
        return not (self.is_there or self.is_half)


def _folders_in(into: Path) -> dict[str, str]:
    """Return the names in a folder by their normalised form: macOS decomposes letters."""
    names = sorted(each.name for each in into.iterdir()) if into.is_dir() else []
    return {name_key(name): name for name in names} | {name: name for name in names}


def _found(root: Path, path: str) -> Path | None:
    r"""Find a record's file; results write bytes of a name that are not UTF-8 as ``\xff``."""
    with suppress(OSError, ValueError):  # an impossible file name
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
    """Place images one by one, each logged before it is placed, so that all can be undone.

    Raises
    ------
    OutputError
        If the folder or the log cannot be written to.
    """
    with open_log(into) as log:
        place = _Placer(action, log)
        for placement in placements:
            if placement.target is not None:
                try:
                    _place(placement, placement.target, place)
                except OSError as problem:
                    placement = replace(placement, target=None, problem=problem.strerror or str(problem))
            yield placement


def _place(placement: Placement, target: Path, place: _Placer) -> None:
    """Place an image, and remove the copy in another folder that an earlier run made, with its folder if now empty."""
    if not placement.is_there:
        if placement.is_half and is_beginning_of(placement.source, target):
            target.unlink()
        place(placement.source, target)
    for old in placement.old:
        old.unlink()
        with suppress(OSError):
            old.parent.rmdir()  # fails if the folder is not empty


@dataclass(frozen=True)
class _Placer:
    """Carries out one action, with a log."""

    action: str
    log: BinaryIO

    def __call__(self, source: Path, target: Path) -> None:
        """Log an image and place it."""
        self._note(source, target, source.lstat() if self.action == "move" else source.stat())
        target.parent.mkdir(exist_ok=True)
        if target.parent.is_symlink():
            raise OSError(f"{target.parent} is a link")
        ACTIONS[self.action](source, target, lambda status: self._note(source, target, status))

    def _note(self, source: Path, target: Path, status: os.stat_result) -> None:
        log_inode = os.fstat(self.log.fileno()).st_ino
        self.log.write(Entry.of(self.action, source, target, status, log_inode).as_line())
        self.log.flush()
