"""Read image-text pairs from tables, folders and webdataset shards, without torch and without decoding.

An image in several rows is one example with several captions, of which training draws one per epoch. So no batch
contains the same image twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipcli.delimited import JSON_LINES, read_delimited, read_json_lines
from clipcli.errors import InputError
from clipcli.evaluation.ground_truth import warn_of_own_answers
from clipcli.images.files import has_image_suffix
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.items import shown_name
from clipcli.inputs.path_base import PathBase
from clipcli.inputs.tables import PATH_COLUMNS
from clipcli.inputs.walk import walk
from clipcli.schemes import is_remote
from clipcli.sorting.log import LOG_NAME
from clipcli.text import decode_text, is_unicode, name_key, numbered_lines, open_text
from clipcli.training.examples import CAPTIONS, LONGEST_TEXT, Example, ImageFile, LeftOut, captions_of
from clipcli.training.shards import read_shard, shards_of

__all__ = ["Example", "ImageFile", "LeftOut", "Pairs", "read_pairs"]

_LABELS = ("label",)
_TABLES = (".csv", ".tsv")


@dataclass
class Pairs:
    """The examples in a fixed order, and the pairs that cannot be used."""

    examples: list[Example] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def read_pairs(sources: Iterable[str], exclusion: Exclusion = Exclusion()) -> Pairs:  # noqa: B008 - a value
    """Read image-text pairs.

    Parameters
    ----------
    sources
        Each a ``.csv`` or ``.tsv`` table with columns ``path`` and ``caption``, or ``label``; a ``.jsonl``
        of such objects; a folder with ``x.jpg`` and ``x.txt``; a folder with one folder per class; or a
        webdataset shard (``.tar``), a folder or a pattern of them. For the paths of a table see
        :class:`~clipcli.delimited.PathBase`.
    exclusion
        The files and folders to exclude.

    Raises
    ------
    InputError
        If a source does not exist, or has no pairs.
    """
    found = Pairs()
    merged: dict[ImageFile, int] = {}
    for source in sources:
        before = len(found.examples) + len(found.left_out)
        for item in _read(source, exclusion):
            if isinstance(item, LeftOut):
                found.left_out.append(item)
            elif (place := merged.setdefault(item.image, len(found.examples))) == len(found.examples):
                found.examples.append(item)
            else:
                _merge(found, place, item)
        if len(found.examples) + len(found.left_out) == before:
            raise InputError(f"cannot train on {source}: it has no image-text pairs")
    return found


def _merge(found: Pairs, place: int, other: Example) -> None:
    """Add the caption of another row to its image; contradictory rows are left out."""
    known = found.examples[place]
    if name_key(known.label or "") != name_key(other.label or ""):
        reason = f"labelled {other.label!r} here but {known.label!r} in {known.where}"
        found.left_out.append(LeftOut(other.where, other.name, reason))
        return
    captions = tuple(dict.fromkeys((*known.captions, *other.captions)))
    found.examples[place] = Example(known.name, known.image, known.where, captions, known.label)


def _read(source: str, exclusion: Exclusion) -> Iterator[Example | LeftOut]:
    path = Path(source)
    if path.is_dir():
        return _from_folder(path, exclusion)
    if is_remote(source):
        raise InputError(f"cannot read {source}: training reads pairs on this machine (copy them here)")
    suffix = path.suffix.lower()
    if suffix == ".tar" and path.is_file():
        return read_shard(source, exclusion)
    if not path.exists() and (shards := shards_of(source)):
        return (item for shard in shards for item in read_shard(shard, exclusion))
    if not path.exists():
        raise InputError(f"cannot read {source}: no such file or folder")
    if suffix in (*_TABLES, *JSON_LINES):
        return (row for row in _rows_of(path) if not exclusion.leaves_out_named(row.name))
    kinds = ", ".join((*_TABLES, *JSON_LINES, ".tar"))
    raise InputError(f"cannot read {source}: pairs must be in a folder or a {kinds} file (unpack archives)")


Row = tuple[str, dict[str, Any]]


def _from_rows(base: PathBase, rows: Iterable[Row]) -> Iterator[Example | LeftOut]:
    for where, row in rows:
        name = _text(row, PATH_COLUMNS)
        label = _text(row, _LABELS) or None
        captions = captions_of(row)
        if not row:
            yield LeftOut(where, "", "the line cannot be read")
        elif not name or "\0" in name:
            yield LeftOut(where, "", "no path")
        elif not captions and label is None:
            yield LeftOut(where, name, "the caption is empty")
        elif not all(is_unicode(text) for text in (*captions, label or "")):
            yield LeftOut(where, name, "the caption is not valid Unicode text")
        elif is_remote(name):
            yield LeftOut(where, shown_name(name), "remote URL: training reads files on this machine (copy it here)")
        else:
            yield Example(name, ImageFile(base.locate(name)), where, captions, label)


def _text(row: dict[str, Any], columns: tuple[str, ...]) -> str:
    value = next((row[column] for column in columns if row.get(column) is not None), "")
    return value.strip() if isinstance(value, str) else ""


def _rows_of(table: Path) -> Iterator[Example | LeftOut]:
    lines = table.suffix.lower() in JSON_LINES
    try:
        with table.open("rb") as raw, open_text(raw) as file:
            read = read_json_lines(file, str(table)) if lines else read_delimited(file, str(table))
            known = [name.strip().lower() for name in read.columns]
            if not lines and (not set(known) & set(PATH_COLUMNS) or not set(known) & {*CAPTIONS, *_LABELS}):
                raise InputError(
                    f"cannot read {table}: it needs the columns 'path', and 'caption' or 'label' "
                    f"(it has: {', '.join(known) or 'none'})"
                )
            warn_of_own_answers(table, is_own=read.own == "results")
            base = PathBase(str(table), own=read.own is not None)
            rows = ((f"{table}:{number}", cells) for number, cells in read.rows)
            named = ((where, {name.strip().lower(): cell for name, cell in cells.items()}) for where, cells in rows)
            yield from _from_rows(base, rows if lines else named)
    except (OSError, UnicodeError) as problem:
        raise InputError(f"cannot read {table}: {getattr(problem, 'strerror', None) or problem}") from None


def _from_folder(root: Path, exclusion: Exclusion) -> Iterator[Example | LeftOut]:
    warn_of_own_answers(root, is_own=(root / LOG_NAME).is_file())
    files = list(walk(os.fspath(root), exclusion))
    paths = [found.path for found in files if found.problem is None]
    shards = [path for path in paths if path.lower().endswith(".tar")]
    images = [path for path in paths if has_image_suffix(path)]
    if shards and not images:
        for shard in shards:
            yield from read_shard(shard, exclusion)
        return
    for found in files:
        if found.problem is not None:
            yield LeftOut(found.path, found.path, str(found.problem))
    known = set(paths)
    if any(_sidecar(path) in known for path in images):
        yield from (_with_sidecar(path, known) for path in images)
    else:
        yield from (_in_class(root, path) for path in images)


def _sidecar(image: str) -> str:
    return os.path.splitext(image)[0] + ".txt"  # noqa: PTH122


def _with_sidecar(image: str, known: set[str]) -> Example | LeftOut:
    """Read the captions of an image from its text file, one per line."""
    text = _sidecar(image)
    if text not in known:
        return LeftOut(image, image, f"its caption file {os.path.basename(text)} is missing")  # noqa: PTH119
    try:
        with open(text, "rb") as file:  # noqa: PTH123
            lines = numbered_lines(decode_text(file.read(LONGEST_TEXT)))
            captions = tuple(dict.fromkeys(line for _, line in lines))
    except (OSError, UnicodeError):
        return LeftOut(text, image, "cannot be read as UTF-8 text")
    if not captions:
        return LeftOut(text, image, "the caption is empty")
    return Example(image, ImageFile(image), text, captions)


def _in_class(root: Path, image: str) -> Example | LeftOut:
    inner = os.path.relpath(image, root)
    label, separator, _ = inner.partition(os.sep)
    if not separator:
        return LeftOut(image, image, "it has no caption file and is not in a class folder")
    return Example(image, ImageFile(image), image, (), label)
