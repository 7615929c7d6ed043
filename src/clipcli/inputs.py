"""Discover: from what the user named to a stream of single inputs, in a fixed order.

Inputs are files, folders, glob patterns, tar archives, tables with a column of paths or of pictures, and
lists of paths on standard input, on disk or behind a URL. Nothing is read ahead, so that a million inputs
cost no more memory than one folder's names. What cannot be an image becomes a
:class:`~clipcli.items.BadInput`, so that it gets its record in its place.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from clipcli.archives import Archive, is_archive
from clipcli.errors import ImageError, InputError
from clipcli.images import has_image_suffix, looks_like_image, read_signature
from clipcli.items import BadInput, FileInput, Input, MemberInput, Unit, inputs_of
from clipcli.remote import glob_url, is_folder_url, is_remote, list_url
from clipcli.tables import Columns, DamagedTableError, is_parquet, rows_of
from clipcli.walk import walk

__all__ = ["BadInput", "FileInput", "Input", "MemberInput", "Source", "count_files", "discover", "discover_units"]

_UNKNOWN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CHUNK = 1 << 16

Warn = Callable[[str], None]
Found = TypeVar("Found")


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
        Where given, the files named are CSV, TSV or Parquet tables, and this is their column of paths. A path
        that is not absolute is relative to its table's folder.
    image_column
        Where given, the files named are Parquet tables with the encoded pictures in this column. Parquet
        without either has just one column of bytes.
    offline
        Refuse what is behind a URL.
    """

    names: tuple[str, ...]
    stream: BinaryIO | None = None
    null_separated: bool = False
    path_column: str | None = None
    image_column: str | None = None
    offline: bool = False

    @property
    def columns(self) -> Columns | None:
        """The columns of the tables that are named; ``None`` where it isn't tables."""
        given = self.path_column is not None or self.image_column is not None
        return Columns(self.path_column, self.image_column) if given else None


def discover(source: Source, warn: Warn = lambda _: None) -> Iterator[Input]:
    """Yield every input in a fixed order.

    A file that was named is always yielded. A folder is walked in the order of names, and yields what is
    an image by its suffix or its content (behind a URL, by its suffix); hidden files are passed over.

    Raises
    ------
    InputError
        If a pattern matches nothing, which is found out first of all; a table lacks the column; or there is
        no image in any folder or archive. A single empty one among others is only warned of.
    """
    expanded = ((name, inputs_of(units)) for name, units in _expanded(source, _all_matches(source)))
    yield from _counted(expanded, warn)


def discover_units(source: Source, warn: Warn = lambda _: None) -> Iterator[Unit]:
    """Yield what :func:`discover` does, but leave archives and tables of pictures for others to read."""
    yield from _counted(_expanded(source, _all_matches(source)), warn)


def _all_matches(source: Source) -> dict[str, list[str]]:
    for name in source.names:
        _check_offline(source, name)
    matches = {name: _matches(name) for name in source.names if _is_pattern(name)}
    for pattern, matching in matches.items():
        if not matching:
            raise InputError(f"{pattern}: no file matches this pattern")
    return matches


def _counted(expanded: Iterable[tuple[str, Iterator[Found]]], warn: Warn) -> Iterator[Found]:
    """Pass on what is found behind each name, and tell of names with nothing behind them."""
    empty: list[str] = []  # those that nothing was said about yet
    count = 0
    for name, found in expanded:
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


def _expanded(source: Source, matches: dict[str, list[str]]) -> Iterator[tuple[str, Iterator[Unit]]]:
    """Yield each name with the inputs behind it."""
    for name, units in _behind(source, matches):
        yield name, (_allowed(unit, source) for unit in units)


def _allowed(unit: Unit, source: Source) -> Unit:
    _check_offline(source, getattr(unit, "path", ""))
    return unit


def _check_offline(source: Source, path: str) -> None:
    if source.offline and is_remote(path):
        raise InputError(f"{path}: is behind a network, and --offline forbids to use that")


def _behind(source: Source, matches: dict[str, list[str]]) -> Iterator[tuple[str, Iterator[Unit]]]:
    columns = source.columns
    for name in source.names:
        if name == "-" and source.stream is not None:
            paths = _listed(source.stream, b"\0" if source.null_separated else b"\n")
            yield "standard input", (unit for path in paths for unit in _of_path(path))
        elif columns is not None:
            yield name, (unit for table in matches.get(name, [name]) for unit in rows_of(table, columns))
        else:
            yield name, (unit for match in matches.get(name, [name]) for unit in _of_path(match))


def _is_pattern(name: str) -> bool:
    """Tell whether a name stands for others; a file of that very name is meant itself."""
    if is_remote(name):  # in an HTTP address, a question mark begins a query
        return glob.has_magic(name) and not name.lower().startswith("http")
    return glob.has_magic(name) and not os.path.lexists(name)


def _matches(pattern: str) -> list[str]:
    """Expand a pattern in the order of names; ``**`` stands for folders below, but not for links to them."""
    if is_remote(pattern):
        return glob_url(pattern)
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


def _of_path(name: str) -> Iterator[Unit]:
    """Yield what is behind one path: itself, what a folder holds, or an archive or table of pictures."""
    if is_remote(name):
        yield from _of_url(name)
        return
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - also of names that are no valid text
    except (OSError, ValueError):
        yield _file(name, name)
        return
    if stat.S_ISDIR(mode):
        yield from _in_folder(name)
    elif stat.S_ISREG(mode) and is_archive(name):
        yield Archive(name, name)
    elif stat.S_ISREG(mode) and is_parquet(name):
        yield from _table(name)
    else:
        yield FileInput(name, name)


def _table(name: str) -> Iterator[Unit]:
    """Yield the pictures of a table that was named among other inputs: damage is its own failure."""
    try:
        yield from rows_of(name, Columns())
    except DamagedTableError as problem:
        yield BadInput(name, ImageError("truncated", f"damaged table ({str(problem).removeprefix(f'{name}: ')})"))


def _of_url(url: str) -> Iterator[Unit]:
    if is_archive(url):
        yield Archive(url, url)
    elif is_parquet(url):
        yield from _table(url)
    elif has_image_suffix(url) or not is_folder_url(url):
        yield FileInput(url, url)
    else:
        for name in list_url(url):
            if has_image_suffix(name) and "/." not in name:
                yield FileInput(name, name)


def _file(name: str, path: str) -> Input:
    if "\0" in path:
        return BadInput(name, ImageError("not_found", "no file can have NUL in its name"))
    if scheme := _UNKNOWN_URL.match(path):
        told = f"{scheme[0]} is no place that can be read; s3, gs, az, http and https are"
        return BadInput(name, ImageError("unsupported", told))
    return FileInput(name, path)


def _in_folder(folder: str) -> Iterator[Input]:
    for found in walk(folder):
        if found.problem is not None:
            yield BadInput(found.path, found.problem)
        elif has_image_suffix(found.path) or looks_like_image(read_signature(found.path)):
            yield FileInput(found.path, found.path)


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


def count_files(source: Source) -> int | None:
    """Count the inputs for a progress bar, by names alone; ``None`` where that takes reading them."""
    if source.columns is not None or "-" in source.names or any(map(is_remote, source.names)):
        return None
    total = 0
    for name in source.names:
        if is_archive(name) or is_parquet(name):
            return None
        for match in _matches(name) if _is_pattern(name) else [name]:
            total += sum(has_image_suffix(found.path) for found in walk(match)) if _is_folder(match) else 1
    return total


def _is_folder(name: str) -> bool:
    """Tell whether a name is a folder; no for one that cannot be asked."""
    try:
        return stat.S_ISDIR(os.stat(name).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False
