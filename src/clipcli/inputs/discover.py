"""Discover: from what the user named to a stream of single inputs, in a fixed order.

Inputs are files, folders, glob patterns, tar archives, tables with a column of paths or of pictures, and
lists of paths on standard input, on disk or behind a URL. Nothing is read ahead, so that a million inputs
cost no more memory than one folder's names. What cannot be an image becomes a
:class:`~clipcli.inputs.items.BadInput`, so that it gets its record in its place.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

from clipcli.errors import ImageError, InputError
from clipcli.images.files import has_image_suffix, looks_like_image, read_signature
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.items import BadInput, FileInput, Input, MemberInput, Unit, inputs_of, shown_name
from clipcli.inputs.path_lists import read_paths
from clipcli.inputs.patterns import is_pattern, matches_of
from clipcli.inputs.tables import Columns, DamagedTableError, is_parquet, rows_of
from clipcli.inputs.tar import Archive, is_archive
from clipcli.inputs.walk import walk
from clipcli.log import LOG
from clipcli.storage.locations import is_remote, path_part
from clipcli.storage.network import check_location
from clipcli.storage.remote import is_folder_url, list_url

__all__ = ["BadInput", "FileInput", "Input", "MemberInput", "Source", "count_files", "discover", "discover_units"]

_UNKNOWN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")

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
    exclusion
        What to pass over.
    """

    names: tuple[str, ...]
    stream: BinaryIO | None = None
    null_separated: bool = False
    path_column: str | None = None
    image_column: str | None = None
    exclusion: Exclusion = field(default=Exclusion())

    @property
    def columns(self) -> Columns | None:
        """The columns of the tables that are named; ``None`` where it isn't tables."""
        given = self.path_column is not None or self.image_column is not None
        return Columns(self.path_column, self.image_column) if given else None


def discover(source: Source) -> Iterator[Input]:
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
    yield from _counted(expanded, source)


def discover_units(source: Source) -> Iterator[Unit]:
    """Yield what :func:`discover` does, but leave archives and tables of pictures for others to read."""
    yield from _counted(_expanded(source, _all_matches(source)), source)


def _all_matches(source: Source) -> dict[str, list[str]]:
    for name in source.names:
        _check_named(name)
    matches = {name: matches_of(name, source.exclusion) for name in source.names if is_pattern(name)}
    for pattern, matching in matches.items():
        if not matching:
            raise InputError(f"{pattern}: no file matches this pattern")
    return matches


def _counted(expanded: Iterable[tuple[str, Iterator[Found]]], source: Source) -> Iterator[Found]:
    """Pass on what is found behind each name, and tell of names with nothing behind them."""
    left_out = " that --exclude leaves" if source.exclusion.patterns else ""
    empty: list[str] = []  # those that nothing was said about yet
    count = 0
    for name, found in expanded:
        before = count
        for item in found:
            while empty:
                LOG.warning(empty.pop(0))
            count += 1
            yield item
        if count == before:
            empty.append(f"{shown_name(name)}: no images in it{left_out}")
    if empty and not count:
        raise InputError(empty[0])
    for problem in empty:
        LOG.warning(problem)


def _expanded(source: Source, matches: dict[str, list[str]]) -> Iterator[tuple[str, Iterator[Unit]]]:
    """Yield each name with the inputs behind it."""
    for name, units in _behind(source, matches):
        yield name, (_allowed(unit) for unit in units)


def _allowed(unit: Unit) -> Unit:
    check_location(getattr(unit, "path", ""))
    return unit


def _check_named(name: str) -> None:
    """Find out before anything is done what cannot be used at all."""
    check_location(name)
    if name.endswith(("/", os.sep)) and not is_remote(name) and not is_pattern(name) and not _is_folder(name):
        known = "a file, not a folder" if os.path.lexists(name.rstrip("/" + os.sep)) else "no such folder"
        raise InputError(f"cannot read {name}: {known} (check the name)")


def _behind(source: Source, matches: dict[str, list[str]]) -> Iterator[tuple[str, Iterator[Unit]]]:
    columns, exclusion = source.columns, source.exclusion
    for name in source.names:
        if name == "-" and source.stream is not None:
            paths = read_paths(source.stream, null_separated=source.null_separated)
            yield "standard input", (unit for path in paths for unit in _of_path(path, exclusion))
        elif columns is not None:
            rows = (unit for table in matches.get(name, [name]) for unit in rows_of(table, columns))
            yield name, (row for row in rows if not exclusion.leaves_out_named(row.name))
        else:
            yield name, (unit for match in matches.get(name, [name]) for unit in _of_path(match, exclusion))


def _of_path(name: str, exclusion: Exclusion) -> Iterator[Unit]:
    """Yield what is behind one path: itself, what a folder holds, or an archive or table of pictures."""
    if is_remote(name):
        yield from _of_url(name, exclusion)
        return
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - also of names that are no valid text
    except (OSError, ValueError):
        yield _file(name, name)
        return
    if stat.S_ISDIR(mode):
        yield from _in_folder(name, exclusion)
    elif exclusion.leaves_out_named(name):
        return
    elif stat.S_ISREG(mode) and is_archive(name):
        yield Archive(name, name, exclusion)
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


def _of_url(url: str, exclusion: Exclusion) -> Iterator[Unit]:
    is_single = is_archive(url) or is_parquet(url) or has_image_suffix(path_part(url)) or not is_folder_url(url)
    if is_single and exclusion.leaves_out_named(url):
        return
    if is_archive(url):
        yield Archive(url, url, exclusion)
    elif is_parquet(url):
        yield from _table(url)
    elif is_single:
        yield FileInput(url, url)
    else:
        start = len(url.rstrip("/"))
        for name in list_url(url):
            if has_image_suffix(name) and exclusion.lets_in(name[start:].lstrip("/")):
                yield FileInput(name, name)


def _file(name: str, path: str) -> Input:
    if "\0" in path:
        return BadInput(name, ImageError("not_found", "no file can have NUL in its name"))
    if scheme := _UNKNOWN_URL.match(path):
        told = f"{scheme[0]} is no place that can be read; s3, gs, az, http and https are"
        return BadInput(name, ImageError("unsupported", told))
    if path.endswith(("/", os.sep)):
        return BadInput(name, ImageError("not_found", "no such folder"))
    return FileInput(name, path)


def _in_folder(folder: str, exclusion: Exclusion) -> Iterator[Input]:
    for found in walk(folder, exclusion):
        if found.problem is not None:
            yield BadInput(found.path, found.problem)
        elif has_image_suffix(found.path) or looks_like_image(read_signature(found.path)):
            yield FileInput(found.path, found.path)


def count_files(source: Source) -> int | None:
    """Count the inputs for a progress bar, by names alone; ``None`` where that takes reading them."""
    if source.columns is not None or "-" in source.names or any(map(is_remote, source.names)):
        return None
    total, exclusion = 0, source.exclusion
    for name in source.names:
        if is_archive(name) or is_parquet(name):
            return None
        for match in matches_of(name, exclusion) if is_pattern(name) else [name]:
            below = walk(match, exclusion) if _is_folder(match) else ()
            single = not _is_folder(match) and not exclusion.leaves_out_named(match)
            total += sum(has_image_suffix(found.path) for found in below) + single
    return total


def _is_folder(name: str) -> bool:
    """Tell whether a name is a folder; no for one that cannot be asked."""
    try:
        return stat.S_ISDIR(os.stat(name).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False
