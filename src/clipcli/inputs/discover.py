"""Expand the user's inputs into a stream of single inputs, in a fixed order.

Inputs are files, folders, glob patterns, tar archives, tables with a column of paths or of images, and lists of paths
on standard input; on disk or behind a URL. Nothing is read ahead, so memory use does not grow with the number of
inputs. An input that cannot be an image becomes a :class:`~clipcli.inputs.items.BadInput`, so that it gets a record.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import BinaryIO, TypeVar

from clipcli.errors import ImageError, InputError
from clipcli.images.files import has_image_suffix, looks_like_image, read_signature
from clipcli.images.limits import MAX_BYTES, too_many_bytes
from clipcli.inputs.archives import archive_of, is_archive
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.items import (
    BadInput,
    EmbeddedImages,
    FileInput,
    Input,
    MemberInput,
    Unit,
    inputs_of,
    shown_name,
)
from clipcli.inputs.mistakes import check_not_only_tables, table_problem
from clipcli.inputs.path_lists import begin_stream, check_is_list, read_paths
from clipcli.inputs.patterns import is_pattern, matches_of
from clipcli.inputs.repetition import Repetition
from clipcli.inputs.tables import Columns, DamagedTableError, is_parquet, rows_of
from clipcli.inputs.walk import is_folder, walk
from clipcli.log import LOG
from clipcli.schemes import is_remote, path_part, schemes_in_words, url_start
from clipcli.storage.network_policy import check_location
from clipcli.storage.remote import is_folder_url, list_url

__all__ = [
    "BadInput",
    "FileInput",
    "Input",
    "MemberInput",
    "NoImagesError",
    "Source",
    "discover",
    "discover_units",
]

Found = TypeVar("Found")


@dataclass(frozen=True)
class Source:
    """The user's inputs.

    Parameters
    ----------
    names
        Files, folders, patterns, archives; ``-`` means the paths on ``stream``, or the image that it is.
    stream
        The binary stream that ``-`` reads from.
    null_separated
        Whether NUL bytes, not newlines, separate the paths on ``stream``.
    path_column
        If given, the inputs are CSV, TSV or Parquet tables, and this is their column of paths. A relative path is
        relative to the folder of its table.
    image_column
        If given, the inputs are Parquet tables with encoded images in this column. Without either column, a Parquet
        table must have exactly one column of bytes.
    exclusion
        The files and folders to exclude.
    embedded
        If given, the inputs are the rows of this file of image embeddings, and there are no names.
    distinct
        Leave out files, archives and row groups that came before, also under another spelling of their path.
    """

    names: tuple[str, ...]
    stream: BinaryIO | None = None
    null_separated: bool = False
    path_column: str | None = None
    image_column: str | None = None
    exclusion: Exclusion = field(default=Exclusion())
    embedded: EmbeddedImages | None = None
    distinct: bool = True

    @property
    def may_repeat(self) -> bool:
        """Whether to look for inputs that came before: there are none in a single file, folder or archive."""
        several = len(self.names) > 1 or self.columns is not None
        return self.distinct and (several or any(name == "-" or is_pattern(name) for name in self.names))

    @property
    def columns(self) -> Columns | None:
        """The columns of the tables; ``None`` if the inputs are not tables."""
        given = self.path_column is not None or self.image_column is not None
        return Columns(self.path_column, self.image_column) if given else None


class NoImagesError(InputError):
    """There is nothing to work on: empty folders, or an empty list."""


def discover(source: Source) -> Iterator[Input]:
    """Yield every input in a fixed order.

    A file named by the user is always yielded. A folder is walked in the order of names, and yields the files that
    are images by extension or content (behind a URL, by extension); hidden files are excluded.

    Raises
    ------
    InputError
        If a pattern matches nothing, which is checked first; if a table lacks the column; or if no folder or archive
        has an image. An empty folder among others causes a warning only.
    """
    yield from _counted(source, inputs_of)


def discover_units(source: Source) -> Iterator[Unit]:
    """Yield the same as :func:`discover`, except that archives and tables of images are yielded unread."""
    yield from _counted(source, iter)


def _all_matches(source: Source) -> dict[str, list[str]]:
    for name in source.names:
        _check_named(name)
    if source.columns is None:
        check_not_only_tables(source.names)
    matches = {name: matches_of(name, source.exclusion) for name in source.names if is_pattern(name)}
    for pattern, matching in matches.items():
        if not matching:
            raise InputError(f"cannot read {pattern}: no file matches this pattern")
    return matches


def _counted(source: Source, opened: Callable[[Iterator[Unit]], Iterator[Found]]) -> Iterator[Found]:
    """Yield the inputs, and warn of names without inputs and of inputs that came before."""
    left_out = " after --exclude" if source.exclusion.patterns else ""
    empty: list[str] = []  # those without a warning so far
    before = Repetition(is_possible=source.may_repeat)
    count = 0
    for name, units in _behind(source, _all_matches(source)):
        counts = count, before.count
        for item in opened(filter(before.is_new, map(_allowed, units))):
            while empty:
                LOG.warning(empty.pop(0))
            count += 1
            yield item
        if counts == (count, before.count):
            empty.append(f"{shown_name(name)}: no images found{left_out}")
    if empty and not count:
        raise NoImagesError(empty[0])
    for problem in empty:
        LOG.warning(problem)
    before.tell()


def _allowed(unit: Unit) -> Unit:
    check_location(getattr(unit, "path", ""))
    return unit


def _check_named(name: str) -> None:
    """Check all names before anything is read."""
    check_location(name)
    if name.endswith(("/", os.sep)) and not is_remote(name) and not is_pattern(name) and not is_folder(name):
        known = "a file, not a folder" if os.path.lexists(name.rstrip("/" + os.sep)) else "no such folder"
        raise InputError(f"cannot read {name}: {known} (check the name)")


def _behind(source: Source, matches: dict[str, list[str]]) -> Iterator[tuple[str, Iterator[Unit]]]:
    columns, exclusion = source.columns, source.exclusion
    if source.embedded is not None:
        embedded = source.embedded.inputs()
        yield source.embedded.name, (row for row in embedded if not exclusion.leaves_out_named(row.name))
    for name in source.names:
        if name == "-" and source.stream is not None:
            yield "standard input", _on_stream(source.stream, exclusion, null_separated=source.null_separated)
        elif columns is not None:
            rows = (unit for table in matches.get(name, [name]) for unit in rows_of(table, columns))
            yield name, (row for row in rows if not exclusion.leaves_out_named(row.name))
        else:
            yield name, (unit for match in matches.get(name, [name]) for unit in _of_path(match, exclusion))


def _on_stream(stream: BinaryIO, exclusion: Exclusion, *, null_separated: bool) -> Iterator[Unit]:
    """Yield the inputs of the paths on a stream, or the image that the stream itself is."""
    start, rest = begin_stream(stream, null_separated=null_separated)
    if looks_like_image(start):
        data = bytearray(start)
        while len(data) <= MAX_BYTES and (piece := next(rest, b"")):
            data += piece
        yield BadInput("-", too_many_bytes(len(data))) if len(data) > MAX_BYTES else MemberInput("-", bytes(data))
        return
    check_is_list(start)
    for path in read_paths(chain((start,), rest), null_separated=null_separated):
        yield from _of_path(path, exclusion)


def _of_path(name: str, exclusion: Exclusion) -> Iterator[Unit]:
    """Yield the inputs of one path: the file itself, those of a folder, or an archive or table of images."""
    if is_remote(name):
        yield from _of_url(name, exclusion)
        return
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - also for names that are not valid text
    except (OSError, ValueError):
        yield _file(name, name)
        return
    if stat.S_ISDIR(mode):
        yield from _in_folder(name, exclusion)
    elif exclusion.leaves_out_named(name):
        return
    elif stat.S_ISREG(mode) and is_archive(name):
        yield archive_of(name, exclusion)
    elif stat.S_ISREG(mode) and is_parquet(name):
        yield from _table(name)
    elif (problem := table_problem(name)) is not None:
        yield BadInput(name, problem)
    else:
        yield FileInput(name, name)


def _table(name: str) -> Iterator[Unit]:
    """Yield the images of a table among other inputs; damage becomes a failure of that table."""
    try:
        yield from rows_of(name, Columns())
    except DamagedTableError as problem:
        yield BadInput(name, ImageError("truncated", f"damaged table ({problem.reason})"))


def _of_url(url: str, exclusion: Exclusion) -> Iterator[Unit]:
    is_single = is_archive(url) or is_parquet(url) or has_image_suffix(path_part(url)) or not is_folder_url(url)
    if is_single and exclusion.leaves_out_named(url):
        return
    if is_archive(url):
        yield archive_of(url, exclusion)
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
        return BadInput(name, ImageError("not_found", "a file name cannot contain NUL"))
    if scheme := url_start(path):
        return BadInput(name, ImageError("unsupported", f"unknown URL scheme {scheme} (use {schemes_in_words()})"))
    if path.endswith(("/", os.sep)):
        return BadInput(name, ImageError("not_found", "no such folder"))
    return FileInput(name, path)


def _in_folder(folder: str, exclusion: Exclusion) -> Iterator[Input]:
    for found in walk(folder, exclusion, _say_sorted):
        if found.problem is not None:
            yield BadInput(found.path, found.problem)
        elif has_image_suffix(found.path) or looks_like_image(read_signature(found.path)):
            yield FileInput(found.path, found.path)


def _say_sorted(folder: str) -> None:
    LOG.warning(f"{folder} is left out: it holds what 'clipcli sort' placed there (to include it, name it as an input)")
