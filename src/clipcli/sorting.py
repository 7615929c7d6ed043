"""Sort photographs into one folder a label, by the results of a run; never overwriting, and undoable."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathvalidate import sanitize_filename

from clipcli.errors import InputError, OutputError
from clipcli.reading import ReadRecord

__all__ = ["ACTIONS", "Placement", "carry_out", "folder_names", "plan", "undo"]

LOG_NAME = ".clipcli-sort.jsonl"
_LONGEST = 120  # characters of a folder's or file's name, to stay within 255 bytes on every system


@dataclass(frozen=True)
class Placement:
    """Where one photograph goes, or the ``problem`` that keeps it where it is."""

    label: str
    source: Path
    target: Path | None
    problem: str | None = None


class FolderNames:
    """Gives each label a folder name that is valid on every system and that no other label has."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, label: str) -> str:
        """Return the folder name of a label; the same each time."""
        if label not in self._names:
            name = sanitize_filename(label, replacement_text="_", platform="universal", max_len=_LONGEST).strip(" .")
            name = _first_free(name or "_", "", lambda candidate: candidate.casefold() in self._taken)
            self._names[label] = name
            self._taken.add(name.casefold())
        return self._names[label]


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Return the folder name of each label."""
    names = FolderNames()
    return {label: names.of(label) for label in labels}


def plan(records: Iterable[ReadRecord], into: Path, root: Path) -> Iterator[Placement]:
    """Say where each classified photograph goes; failed ones are passed over.

    Parameters
    ----------
    records
        From :func:`clipcli.reading.read_results`.
    into
        The folder that the labels' folders are made in.
    root
        What the paths of the records are relative to.
    """
    names, taken = FolderNames(), set[str]()
    for record in records:
        if record.label is None:
            continue
        source = _found(root, record.path)
        if source is None:
            yield Placement(record.label, root / record.path, None, "no such file")
            continue
        folder = into / names.of(record.label)

        def is_taken(name: str, folder: Path = folder) -> bool:
            return str(folder / name).casefold() in taken or os.path.lexists(folder / name)

        target = folder / _first_free(source.stem[:_LONGEST], source.suffix, is_taken)
        taken.add(str(target).casefold())
        yield Placement(record.label, source, target)


def _found(root: Path, path: str) -> Path | None:
    r"""Find a record's file; results show bytes of a name that are no text as ``\xff``."""
    escaped = re.sub(rb"\\x([89a-f][0-9a-f])", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(path))
    for candidate in (root / path, root / os.fsdecode(escaped)):
        try:
            if candidate.is_file():
                return candidate
        except (OSError, ValueError):
            continue
    return None


def _first_free(stem: str, suffix: str, is_taken: Callable[[str], bool]) -> str:
    name, number = f"{stem}{suffix}", 1
    while is_taken(name):
        number += 1
        name = f"{stem}-{number}{suffix}"
    return name


def _link(source: Path, target: Path) -> None:
    target.symlink_to(source.resolve())


ACTIONS: dict[str, Callable[[Path, Path], object]] = {"copy": shutil.copy2, "link": _link, "move": shutil.move}
"""What can be done with a photograph."""


def carry_out(placements: Iterable[Placement], action: str, into: Path) -> Iterator[Placement]:
    """Place photographs one by one, writing each down before it is done, so that all can be undone.

    Raises
    ------
    OutputError
        If the folder or the log cannot be written.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
        log = (into / LOG_NAME).open("a", encoding="utf-8")
    except OSError as problem:
        raise OutputError(f"{into}: cannot be written ({problem.strerror or problem})") from None
    with log:
        for placement in placements:
            if placement.target is None:
                yield placement
                continue
            try:
                log.write(json.dumps(_entry(placement.source, placement.target, action)) + "\n")
                log.flush()
                placement.target.parent.mkdir(exist_ok=True)
                if placement.target.parent.is_symlink():
                    raise OSError(f"{placement.target.parent} is a link, which may lead elsewhere")
                ACTIONS[action](placement.source, placement.target)
                yield placement
            except OSError as problem:
                yield Placement(placement.label, placement.source, None, problem.strerror or str(problem))


def _entry(source: Path, target: Path, action: str) -> dict[str, Any]:
    status = source.stat()
    return {
        "action": action,
        "from": os.path.abspath(source),  # noqa: PTH100 - resolve() would follow links
        "to": os.path.abspath(target),  # noqa: PTH100
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }


def undo(into: Path) -> Iterator[tuple[Path, str | None]]:
    """Take back all that was placed in a folder, last first; yields each path and why it was left, if it was.

    A photograph that was moved goes back to where it was; a copy or link is removed, unless it was changed
    meanwhile. Folders that become empty are removed.

    Raises
    ------
    InputError
        If there is nothing to undo in that folder, or its log is damaged.
    """
    log = into / LOG_NAME
    try:
        entries = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.endswith("}")]
    except OSError:
        raise InputError(f"{into}: nothing to undo, there is no {LOG_NAME} in it") from None
    except ValueError:
        raise InputError(f"{log}: damaged") from None
    kept = False
    for entry in reversed(entries):
        source, target = Path(entry["from"]), Path(entry["to"])
        if not os.path.lexists(target):
            continue  # written down, but never done
        problem = _take_back(entry, source, target)
        kept = kept or problem is not None
        yield target, problem
        if problem is None and not any(target.parent.iterdir()):
            target.parent.rmdir()
    if not kept:
        log.unlink()


def _take_back(entry: dict[str, Any], source: Path, target: Path) -> str | None:
    """Undo one placement; return why it cannot be, if so."""
    if entry["action"] == "move":
        if os.path.lexists(source):
            return f"{source} exists again"
        try:
            shutil.move(target, source)
        except OSError as problem:
            return problem.strerror or str(problem)
        return None
    if entry["action"] == "copy":
        status = target.stat()
        if (status.st_size, status.st_mtime_ns) != (entry["size"], entry["mtime_ns"]):
            return "it was changed"
    target.unlink()
    return None
