"""Sort photographs into one folder a label, by the results of a run; never overwriting, and undoable."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pathvalidate import sanitize_filename

from clipcli.errors import InputError, OutputError
from clipcli.reading import ReadRecord

__all__ = ["ACTIONS", "Placement", "carry_out", "folder_names", "plan", "undo"]

LOG_NAME = ".clipcli-sort.jsonl"
_CHUNK = 1 << 20
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

    Nor one that differs in case or composition of letters alone: some file systems take these for the same.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, label: str) -> str:
        """Return the folder name of a label; the same each time."""
        if label not in self._names:
            name = _first_free(_valid_name(label), "", lambda candidate: _folded(candidate) in self._taken)
            self._names[label] = name
            self._taken.add(_folded(name))
        return self._names[label]


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
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


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
    names, taken = FolderNames(), set[str]()  # taken: by what is placed before it, or would be
    for record in records:
        if record.label is None:
            continue
        source = _found(root, record.path)
        if source is None:
            yield Placement(record.label, root / record.path, None, "no such file")
            continue
        folder = into / names.of(record.label)

        def is_taken(name: str, folder: Path = folder) -> bool:
            return _folded(str(folder / name)) in taken or os.path.lexists(folder / name)

        target = folder / _first_free(_cut(source.stem, _LONGEST), source.suffix, is_taken)
        taken.add(_folded(str(target)))
        yield Placement(record.label, source, target)


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


def _copy(source: Path, target: Path) -> None:
    """Copy to where nothing is; what is there meanwhile is not overwritten, and half a copy not left."""
    with source.open("rb") as original, target.open("xb") as copy:
        try:
            shutil.copyfileobj(original, copy, _CHUNK)
        except BaseException:
            target.unlink()
            raise
    shutil.copystat(source, target)


def _link(source: Path, target: Path) -> None:
    target.symlink_to(source.resolve())


def _move(source: Path, target: Path) -> None:
    if source.is_symlink() and not source.readlink().is_absolute():
        raise OSError("a relative link, which would lead nowhere from there; use --link or --copy")
    target.open("xb").close()  # a place of our own, as renaming would overwrite
    try:
        source.replace(target)
    except OSError as problem:
        target.unlink()
        if problem.errno != errno.EXDEV:
            raise
        _copy(source, target)
        source.unlink()


ACTIONS: dict[str, Callable[[Path, Path], None]] = {"copy": _copy, "link": _link, "move": _move}
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
        log = (into / LOG_NAME).open("ab")
    except OSError as problem:
        raise OutputError(f"{into}: cannot be written ({problem.strerror or problem})") from None
    with log:
        for placement in placements:
            if placement.target is None:
                yield placement
                continue
            try:
                # Begins a line of its own even where the one before was cut off by a full disk.
                log.write(b"\n" + json.dumps(_entry(placement.source, placement.target, into, action)).encode())
                log.flush()
                placement.target.parent.mkdir(exist_ok=True)
                if placement.target.parent.is_symlink():
                    raise OSError(f"{placement.target.parent} is a link, which may lead elsewhere")
                ACTIONS[action](placement.source, placement.target)
            except OSError as problem:
                placement = replace(placement, target=None, problem=problem.strerror or str(problem))
            yield placement


def _entry(source: Path, target: Path, into: Path, action: str) -> dict[str, Any]:
    """Return what undoing must know; the target within its folder, as that may be moved or copied."""
    status = source.stat()
    return {
        "action": action,
        "from": os.path.abspath(source),  # noqa: PTH100 - resolve() would follow links
        "to": os.path.relpath(target, into),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }


def undo(into: Path) -> Iterator[tuple[Path, str | None]]:
    """Take back all that was placed in a folder, last first; yields each path and why it was left, if it was.

    A photograph that was moved goes back to where it was; a copy or link is removed, unless it was changed
    meanwhile, or its original is gone. Folders that become empty are removed.

    Raises
    ------
    InputError
        If there is nothing to undo in that folder, or its log is damaged.
    """
    kept = False
    for entry in reversed(_entries(into)):
        source, target = Path(entry["from"]), into / entry["to"]
        if os.path.lexists(target):
            problem = _take_back(entry, source, target)
            kept = kept or problem is not None
            yield target, problem
        elif entry["action"] == "move" and not os.path.lexists(source):
            kept = True
            yield target, f"it is not there, nor is {source}"
        with suppress(OSError):
            target.parent.rmdir()  # does nothing where there is something in it
    if not kept:
        (into / LOG_NAME).unlink()


def _entries(into: Path) -> list[dict[str, Any]]:
    """Return the log's entries; a line that a kill cut off stands for something that was never carried out."""
    log = into / LOG_NAME
    try:
        lines = [line for line in log.read_bytes().split(b"\n") if line.strip()]
        entries = [json.loads(line) for line in lines if line.endswith(b"}")]
    except OSError:
        raise InputError(f"{into}: nothing to undo, there is no {LOG_NAME} in it") from None
    except ValueError:
        raise InputError(f"{log}: damaged") from None
    known = {"action", "from", "to", "size", "mtime_ns"}
    if not all(isinstance(entry, dict) and known <= entry.keys() for entry in entries) or (lines and not entries):
        raise InputError(f"{log}: damaged")
    return entries


def _take_back(entry: dict[str, Any], source: Path, target: Path) -> str | None:
    """Undo one placement; return why it cannot be, if so."""
    try:
        if entry["action"] == "link":
            if not target.is_symlink() or target.readlink() != source.resolve():
                return "it is another file now"
            target.unlink()
        elif not os.path.lexists(source):
            if entry["action"] == "copy":
                return f"{source} is gone, so this is the only one left"
            source.parent.mkdir(parents=True, exist_ok=True)
            _move(target, source)
        elif source.samefile(target):
            return f"{source} leads to it now"
        elif _begins(source, target) or (entry["action"] == "copy" and _is_as_placed(entry, target)):
            target.unlink()
        else:
            return "it was changed" if entry["action"] == "copy" else f"{source} exists again"
    except OSError as problem:
        return problem.strerror or str(problem)
    return None


def _is_as_placed(entry: dict[str, Any], target: Path) -> bool:
    status = target.lstat()
    return (status.st_size, status.st_mtime_ns) == (entry["size"], entry["mtime_ns"])


def _begins(source: Path, target: Path) -> bool:
    """Tell whether a file is a copy of another, or the beginning of one that was cut off; nothing is lost with it."""
    if target.is_symlink() or not source.is_file():
        return False
    with source.open("rb") as original, target.open("rb") as copy:
        while part := copy.read(_CHUNK):
            if part != original.read(len(part)):
                return False
    return True
