"""Discover: from what the user named to a stream of single inputs, in a fixed order.

Inputs are files, folders, glob patterns, tar archives, tables with a column of paths, and lists of paths
on standard input. Nothing is read ahead, so that a million inputs cost no more memory than one folder's
names. What cannot be an image becomes a :class:`BadInput`, so that it gets its record in its place.
"""

from __future__ import annotations

import csv
import glob
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from clipcli.errors import ImageError, InputError
from clipcli.images import (
    MAX_BYTES,
    SIGNATURE_BYTES,
    has_image_suffix,
    looks_like_image,
    read_signature,
    too_many_bytes,
)
from clipcli.walk import walk

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BadInput", "FileInput", "Input", "MemberInput", "Source", "StrictHeader", "count_files", "discover"]

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_CHUNK = 1 << 16

Warn = Callable[[str], None]


@dataclass(frozen=True)
class FileInput:
    """A file on disk, whether or not it can be opened; ``name`` is what its record says."""

    name: str
    path: str


@dataclass(frozen=True)
class MemberInput:
    """A member of an archive, already read."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class BadInput:
    """Something found in an input's place that cannot be an image."""

    name: str
    problem: ImageError


Input = FileInput | MemberInput | BadInput


@dataclass(frozen=True)
class Source:
    """What the user named.

    Parameters
    ----------
    names
        Files, folders, patterns, archives; ``-`` stands for the paths on ``stream``.
    stream
        Where ``-`` reads from, bytes.
    null_separated
        Whether NUL, not newline, separates the paths on ``stream``.
    path_column
        Where given, the files named are CSV or TSV tables, and this is their column of paths. A path
        that is not absolute is relative to its table's folder.
    """

    names: tuple[str, ...]
    stream: BinaryIO | None = None
    null_separated: bool = False
    path_column: str | None = None


def discover(source: Source, warn: Warn = lambda _: None) -> Iterator[Input]:
    """Yield every input in a fixed order.

    A file that was named is always yielded. A folder is walked in the order of names, and yields what is
    an image by its suffix or its content; hidden files are passed over.

    Raises
    ------
    InputError
        If a pattern matches nothing, which is found out first of all; a table lacks the column; or there is
        no image in any folder or archive. A single empty one among others is only warned of.
    """
    matches = {name: _matches(name) for name in source.names if _is_pattern(source, name)}
    for pattern, matching in matches.items():
        if not matching:
            raise InputError(f"{pattern}: no file matches this pattern")
    empty: list[str] = []  # those that nothing was said about yet
    count = 0
    for name, found in _expanded(source, matches):
        before = count
        for item in found:
            while empty:
                warn(empty.pop(0))
            count += 1
            yield item
        if count == before:
            empty.append(f"{name}: no images in it")
    if empty and not count:
        raise InputError(empty[0])
    for problem in empty:
        warn(problem)


def _expanded(source: Source, matches: dict[str, list[str]]) -> Iterator[tuple[str, Iterator[Input]]]:
    """Yield each name with the inputs behind it."""
    for name in source.names:
        if name == "-" and source.stream is not None:
            paths = _listed(source.stream, b"\0" if source.null_separated else b"\n")
            yield "standard input", (item for path in paths for item in _of_path(path))
        elif source.path_column is not None:
            yield name, _rows(Path(name), source.path_column)
        elif name in matches:
            yield name, (item for match in matches[name] for item in _of_path(match))
        else:
            yield name, _of_path(name)


def _is_pattern(source: Source, name: str) -> bool:
    """Tell whether a name stands for others; a file of that very name is meant itself."""
    return source.path_column is None and glob.has_magic(name) and not os.path.lexists(name)


def _matches(pattern: str) -> list[str]:
    """Expand a pattern in the order of names; ``**`` stands for folders below, but not for links to them."""
    head, stars, tail = pattern.partition("**")
    alone = head[-1:] in ("", "/", os.sep) and tail[:1] in ("", "/", os.sep)
    if not stars or not alone:
        return sorted(glob.glob(pattern))  # noqa: PTH207 - keeps names as they are
    if not tail:  # all that is there, as if the folder itself were named
        return sorted(glob.glob(head)) if head else ["."]  # noqa: PTH207
    starts = glob.glob(head) if head else [""]  # noqa: PTH207
    patterns = (glob.escape(folder) + tail[1:] for start in starts for folder in _folders(start))
    return sorted({match for each in patterns for match in _matches(each)})


def _folders(start: str) -> Iterator[str]:
    """Yield a folder and all below it, each with a separator at its end; no hidden ones and no links."""
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        yield folder
        with suppress(OSError), os.scandir(folder or ".") as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
            waiting += [f"{folder}{entry.name}{os.sep}" for entry in visible if entry.is_dir(follow_symlinks=False)]


def _of_path(name: str) -> Iterator[Input]:
    """Yield what is behind one path: itself, or what a folder or an archive holds."""
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - also of names that are no valid text
    except (OSError, ValueError):
        yield _file(name, name)
        return
    if stat.S_ISDIR(mode):
        yield from _in_folder(name)
    elif stat.S_ISREG(mode) and name.lower().endswith(_ARCHIVES):
        yield from _members(name)
    else:
        yield FileInput(name, name)


def _file(name: str, path: str) -> Input:
    if "\0" in path:
        return BadInput(name, ImageError("not_found", "no file can have NUL in its name"))
    return FileInput(name, path)


def _in_folder(folder: str) -> Iterator[Input]:
    for found in walk(folder):
        if found.problem is not None:
            yield BadInput(found.path, found.problem)
        elif has_image_suffix(found.path) or looks_like_image(read_signature(found.path)):
            yield FileInput(found.path, found.path)


class StrictHeader(tarfile.TarInfo):
    """A member's header; without one, and without the mark of the end, an archive is damaged."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Read the next header; left alone, tarfile takes most damage for the end."""
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as problem:
            raise tarfile.ReadError(str(problem)) from None


def _members(archive: str) -> Iterator[Input]:
    """Read a tar archive from front to back, as webdataset shards are; members are named ARCHIVE/MEMBER."""
    count = 0
    try:
        with tarfile.open(archive, "r|*", tarinfo=StrictHeader) as members:
            while (member := members.next()) is not None:
                vars(members)["members"] = []  # before Python 3.13, all that was read is kept there
                count += 1
                item = _member(f"{archive}/{member.name}", member, members)
                if item is not None:
                    yield item
    except PermissionError as problem:
        yield BadInput(archive, ImageError("unreadable", problem.strerror or "permission denied"))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as problem:
        reason = getattr(problem, "strerror", None) or " ".join(str(problem).split())
        message = f"damaged archive ({reason}); {count} members came before the damage"
        yield BadInput(archive, ImageError("truncated", message))


def _member(name: str, member: tarfile.TarInfo, members: tarfile.TarFile) -> Input | None:
    hidden = any(part.startswith(".") and part not in (".", "..") for part in member.name.split("/"))
    file = None if hidden or not member.isfile() else members.extractfile(member)
    if file is None:
        return None
    if member.size > MAX_BYTES:
        return BadInput(name, too_many_bytes(member.size)) if has_image_suffix(name) else None
    start = file.read(SIGNATURE_BYTES)
    if not has_image_suffix(name) and not looks_like_image(start):
        return None  # unread, whatever its size
    data = start + file.read()
    if len(data) < member.size:
        raise EOFError("ends within a member")
    return MemberInput(name, data)


def _listed(stream: BinaryIO, separator: bytes) -> Iterator[str]:
    """Split a stream of paths; bytes that are no UTF-8 are kept as the file system has them."""
    rest = b""
    while chunk := stream.read1(_CHUNK) if hasattr(stream, "read1") else stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(separator)
        yield from _paths(whole, separator)
    yield from _paths([rest], separator)


def _paths(pieces: Iterable[bytes], separator: bytes) -> Iterator[str]:
    for piece in pieces:
        path = piece.rstrip(b"\r") if separator == b"\n" else piece
        if b"\0" in path:
            raise InputError("standard input: the paths are separated by NUL, not by newlines; say so with -0")
        if path.strip():
            yield os.fsdecode(path)


def _rows(table: Path, column: str) -> Iterator[Input]:
    """Yield the files that a column of a CSV or TSV table names."""
    try:
        with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t" if table.suffix.lower() == ".tsv" else ",")
            if column not in (reader.fieldnames or ()):
                known = ", ".join(reader.fieldnames or ()) or "none"
                raise InputError(f"{table}: no column {column!r}; it has: {known}")
            for row in reader:
                name = row[column]
                if name and not name.isspace():
                    yield _file(name, str(table.parent / name))
                else:
                    where = f"{table}:{reader.line_num}"
                    yield BadInput(where, ImageError("not_found", f"the column {column!r} is empty in this row"))
    except OSError as problem:
        raise InputError(f"{table}: {problem.strerror or problem}") from None
    except csv.Error as problem:
        raise InputError(f"{table}: not a table ({problem})") from None


def count_files(source: Source) -> int | None:
    """Count the inputs for a progress bar, by names alone; ``None`` where that takes reading them."""
    if source.path_column is not None or "-" in source.names:
        return None
    total = 0
    for name in source.names:
        if name.lower().endswith(_ARCHIVES):
            return None
        for match in _matches(name) if _is_pattern(source, name) else [name]:
            total += sum(has_image_suffix(found.path) for found in walk(match)) if _is_folder(match) else 1
    return total


def _is_folder(name: str) -> bool:
    """Tell whether a name is a folder; no for one that cannot be asked."""
    try:
        return stat.S_ISDIR(os.stat(name).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False
