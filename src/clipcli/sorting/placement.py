"""Sort images into one folder per label or node of a tree, by results; without overwriting, and undoable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from clipcli.inputs.originals import existing_file, reason_not_local
from clipcli.outputs.readers import ReadRecord
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.tree import levels_of
from clipcli.sorting.actions import ACTIONS, remove_empty
from clipcli.sorting.already_there import PlacedBefore, is_beginning_of, is_same_image
from clipcli.sorting.log import LOG_NAME, Entry, open_log
from clipcli.sorting.names import ExistingFolders, FolderNames, cut_name, first_free, folded, folder_names
from clipcli.sorting.undo import undo
from clipcli.storage.locks import locked

__all__ = ["ACTIONS", "LOG_NAME", "By", "Placement", "carry_out", "folder_names", "plan", "undo"]

By = Literal["label", "group", "node"]
_DEEPEST = 20  # levels of folders: a path of the system has a limit


@dataclass(frozen=True)
class Placement:
    """The target of one image, or the ``problem`` that prevents sorting it.

    Parameters
    ----------
    label
        The label, the group, or the node of the tree, that the image is sorted by.
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


def plan(
    records: Iterable[ReadRecord], into: Path, root: Path, *, by: By = "label", level: int | None = None
) -> Iterator[Placement]:
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
    by
        ``label``; ``group``, where images that are ``unknown`` have none; or ``node``, the answer in a tree of groups.
        Groups and nodes that are paths become nested folders.
    level
        The greatest number of folders in each other; ``None`` for no limit.
    """
    names, existing, earlier = FolderNames(), ExistingFolders(into), PlacedBefore(into)
    taken = set[str]()  # by images that are placed before it
    for record in records:
        if record.label is None:
            continue
        source = existing_file(root, record.path)
        placements: list[Placement] = []
        for parts in _folders_of(record, by):
            label = "/".join(parts[:level]) or record.label
            if (problem := _problem_of(parts[:level], record, by)) is not None:
                placements.append(Placement(label, root / record.path, None, problem))
                continue
            folder = existing.place_of(names.of(parts[:level]))
            if source is None:
                placements.append(_moved_or_missing(label, root, record.path, folder, earlier))
                continue
            earlier.read()  # before this run adds to the log
            found = _Search(source, folder, taken, earlier)
            target = folder / first_free(cut_name(source.stem), source.suffix, found.is_taken)
            taken.add(folded(str(target)))
            placements.append(Placement(label, source, target, is_there=found.is_there, is_half=found.is_half))
        yield from placements[:-1]
        last, places = placements[-1], [each.target for each in placements if each.target is not None]
        old = (
            tuple(earlier.old_copies_of(last.source, places)) if source is not None and last.target is not None else ()
        )
        yield replace(last, old=old)


def _folders_of(record: ReadRecord, by: By) -> list[tuple[str, ...]]:
    """Return the folders that an image goes into, each as labels or levels of the tree; an empty one if it has none."""
    if by == "label" or (by == "group" and record.label == UNKNOWN):
        return [(label,) for label in record.labels or [str(record.label)]]
    path = record.group if by == "group" else record.node
    return [() if path is None else levels_of(path, str(record.label) if by == "node" else None)]


def _problem_of(parts: tuple[str, ...], record: ReadRecord, by: By) -> str | None:
    if not parts:
        return f"its label {record.label!r} has no {by}"
    if len(parts) > _DEEPEST:
        return f"its {by} has {len(parts)} levels, and folders have at most {_DEEPEST} (use --level)"
    return None


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
        if folded(str(place)) in self._taken:
            return True
        if not os.path.lexists(place):
            return False
        self.is_there = is_same_image(self._source, place)
        self.is_half = not self.is_there and self._earlier.is_half(self._source, place)
        return not (self.is_there or self.is_half)


def carry_out(placements: Iterable[Placement], action: str, into: Path) -> Iterator[Placement]:
    """Place images one by one, each logged before it is placed, so that all can be undone.

    Raises
    ------
    OutputError
        If the folder or the log cannot be written to, or another run sorts into the folder.
    """
    with open_log(into) as log, locked(into):
        place = _Placer(action, into, log)
        for placement in placements:
            if placement.target is not None:
                try:
                    _place(placement, placement.target, place)
                except OSError as problem:
                    placement = replace(placement, target=None, problem=problem.strerror or str(problem))
            yield placement


def _place(placement: Placement, target: Path, place: _Placer) -> None:
    """Place an image, and remove the copy in another folder that an earlier run made, with its folders if now empty."""
    if not placement.is_there:
        if placement.is_half and is_beginning_of(placement.source, target):
            target.unlink()
        place(placement.source, target)
    for old in placement.old:
        old.unlink()
        remove_empty(old.parent, place.into)


@dataclass(frozen=True)
class _Placer:
    """Carries out one action in a folder, with a log."""

    action: str
    into: Path
    log: BinaryIO

    def __call__(self, source: Path, target: Path) -> None:
        """Log an image and place it."""
        self._note(source, target, source.lstat() if self.action == "move" else source.stat())
        self._make_folders(target.parent)
        ACTIONS[self.action](source, target, lambda status: self._note(source, target, status))

    def _make_folders(self, folder: Path) -> None:
        """Make a folder in the sorted one, and those between; never through a link."""
        place, names = self.into, folder.relative_to(self.into).parts
        try:
            for name in names:
                place /= name
                place.mkdir(exist_ok=True)
                if place.is_symlink():
                    raise OSError(f"{place} is a link")
        except OSError:
            remove_empty(place.parent, self.into)
            raise

    def _note(self, source: Path, target: Path, status: os.stat_result) -> None:
        log_inode = os.fstat(self.log.fileno()).st_ino
        self.log.write(Entry.of(self.action, source, target, self.into, status, log_inode).as_line())
        self.log.flush()
