"""Image-text pairs from what people have: tables, folders and webdataset shards. No torch, no decoding.

An image that stands in several rows is one example with several captions, of which training draws one
each epoch: so no batch holds the same image twice.
"""

from __future__ import annotations

import glob
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipcli.archives import StrictHeader
from clipcli.delimited import JSON_LINES, PathBase, read_delimited, read_json_lines
from clipcli.errors import InputError
from clipcli.images import has_image_suffix
from clipcli.items import shown_name
from clipcli.locations import is_remote
from clipcli.records import printable
from clipcli.textfiles import decode_text, is_unicode, numbered_lines, open_text
from clipcli.walk import walk

__all__ = ["Example", "ImageFile", "LeftOut", "Pairs", "read_pairs"]

_PATHS = ("path", "filepath", "file_name", "image")
_CAPTIONS = ("caption", "title", "text")
_LABELS = ("label",)
_TABLES = (".csv", ".tsv")
_LONGEST_TEXT = 1 << 20  # bytes of captions that are read: no more is anybody's caption


@dataclass(frozen=True)
class ImageFile:
    """Where the bytes of an image are: a whole file, or ``size`` bytes of a tar archive from ``offset`` on."""

    path: str
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """Return the encoded bytes; raise :class:`~clipcli.errors.ImageError` or ``OSError`` where that fails."""
        if self.size is None:
            from clipcli.images import read_file

            return read_file(self.path)
        with open(self.path, "rb") as file:  # noqa: PTH123 - also names that are no valid text
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class Example:
    """One image and what is said of it.

    Parameters
    ----------
    name
        The image, as the user named it.
    image
        Where its bytes are.
    where
        Where the pair stands: ``pairs.csv:7``; the image itself for folders.
    captions
        The captions that stand with it; none where they are made from the label.
    label
        Its class, where it has one.
    """

    name: str
    image: ImageFile
    where: str
    captions: tuple[str, ...] = ()
    label: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A pair that cannot be used and why; or, where ``used``, one that is used with a loss."""

    where: str
    name: str
    reason: str
    used: bool = False

    def __str__(self) -> str:
        name = f" {printable(self.name)}:" if self.name and self.name != self.where else ""
        return f"{printable(self.where)}:{name} {self.reason}"


@dataclass
class Pairs:
    """All that was read: the examples in a fixed order, and what cannot be used."""

    examples: list[Example] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def read_pairs(sources: Iterable[str]) -> Pairs:
    """Read image-text pairs.

    Parameters
    ----------
    sources
        Each a ``.csv`` or ``.tsv`` table with columns ``path`` and ``caption``, or ``label``; a ``.jsonl``
        of such objects; a folder of ``x.jpg`` beside ``x.txt``; a folder with one folder a class; or a
        webdataset shard (``.tar``), a folder or a pattern of them. Paths of a table are relative to its folder.

    Raises
    ------
    InputError
        If there is no such thing, or no pair in it.
    """
    found = Pairs()
    merged: dict[ImageFile, int] = {}
    for source in sources:
        before = len(found.examples) + len(found.left_out)
        for item in _read(source):
            if isinstance(item, LeftOut):
                found.left_out.append(item)
            elif (place := merged.setdefault(item.image, len(found.examples))) == len(found.examples):
                found.examples.append(item)
            else:
                _merge(found, place, item)
        if len(found.examples) + len(found.left_out) == before:
            raise InputError(f"{source}: no image-text pairs in it")
    return found


def _merge(found: Pairs, place: int, other: Example) -> None:
    """Add a further row's caption to its image; rows that contradict each other are left out."""
    known = found.examples[place]
    if known.label != other.label:
        reason = f"labelled {other.label!r} here and {known.label!r} in {known.where}"
        found.left_out.append(LeftOut(other.where, other.name, reason))
        return
    captions = tuple(dict.fromkeys((*known.captions, *other.captions)))
    found.examples[place] = Example(known.name, known.image, known.where, captions, known.label)


def _read(source: str) -> Iterator[Example | LeftOut]:
    path = Path(source)
    if path.is_dir():
        return _from_folder(path)
    suffix = path.suffix.lower()
    if suffix == ".tar" and path.is_file():
        return _from_shard(source)
    if not path.exists() and (shards := _expand(source)):
        return (item for shard in shards for item in _from_shard(shard))
    if not path.exists():
        raise InputError(f"{source}: no such file or folder")
    if suffix in (*_TABLES, *JSON_LINES):
        return _rows_of(path)
    kinds = ", ".join((*_TABLES, *JSON_LINES, ".tar"))
    raise InputError(f"{source}: pairs are a folder or one of {kinds} (a compressed archive must be unpacked)")


def _expand(pattern: str) -> list[str]:
    """Return the shards that a pattern stands for: ``*``, ``?``, and ranges and lists in braces."""
    if not pattern.endswith(".tar"):
        return []
    return [name for each in _braces(pattern) for name in (sorted(glob.glob(each)) if glob.has_magic(each) else [each])]  # noqa: PTH207


def _braces(pattern: str) -> list[str]:
    """Expand ``{000..012}`` and ``{a,b}``, as webdataset does."""
    head, opened, rest = pattern.partition("{")
    inside, closed, tail = rest.partition("}")
    if not opened or not closed:
        return [pattern]
    first, dots, last = inside.partition("..")
    if dots and first.isdecimal() and last.isdecimal():
        choices = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    else:
        choices = inside.split(",")
    return [f"{head}{choice}{end}" for choice in choices for end in _braces(tail)]


Row = tuple[str, dict[str, Any]]


def _from_rows(base: PathBase, rows: Iterable[Row]) -> Iterator[Example | LeftOut]:
    for where, row in rows:
        name = _text(row, _PATHS)
        label = _text(row, _LABELS) or None
        captions = _captions(row)
        if not row:
            yield LeftOut(where, "", "nothing in this line that can be read")
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


def _captions(row: dict[str, Any]) -> tuple[str, ...]:
    value = next((row[column] for column in _CAPTIONS if row.get(column) is not None), "")
    texts = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(text.strip() for text in texts if isinstance(text, str) and text.strip()))


def _rows_of(table: Path) -> Iterator[Example | LeftOut]:
    lines = table.suffix.lower() in JSON_LINES
    try:
        with table.open("rb") as raw, open_text(raw) as file:
            read = read_json_lines(file, str(table)) if lines else read_delimited(file, str(table))
            known = [name.strip().lower() for name in read.columns]
            if not lines and (not set(known) & set(_PATHS) or not set(known) & {*_CAPTIONS, *_LABELS}):
                raise InputError(
                    f"{table}: needs a column 'path', and 'caption' or 'label'; it has: {', '.join(known) or 'none'}"
                )
            base = PathBase(str(table), own=read.own is not None)
            rows = ((f"{table}:{number}", cells) for number, cells in read.rows)
            named = ((where, {name.strip().lower(): cell for name, cell in cells.items()}) for where, cells in rows)
            yield from _from_rows(base, rows if lines else named)
    except (OSError, UnicodeError) as problem:
        raise InputError(f"{table}: {getattr(problem, 'strerror', None) or problem}") from None


def _json_row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _from_folder(root: Path) -> Iterator[Example | LeftOut]:
    files = list(walk(os.fspath(root)))
    paths = [found.path for found in files if found.problem is None]
    shards = [path for path in paths if path.lower().endswith(".tar")]
    images = [path for path in paths if has_image_suffix(path)]
    if shards and not images:
        for shard in shards:
            yield from _from_shard(shard)
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
    """Take the captions of an image from the file beside it, one a line."""
    text = _sidecar(image)
    if text not in known:
        return LeftOut(image, image, f"no {os.path.basename(text)} beside it")  # noqa: PTH119
    try:
        with open(text, "rb") as file:  # noqa: PTH123
            lines = numbered_lines(decode_text(file.read(_LONGEST_TEXT)))
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
        return LeftOut(image, image, "has no caption beside it and stands in no class's folder")
    return Example(image, ImageFile(image), image, (), label)


def _from_shard(archive: str) -> Iterator[Example | LeftOut]:
    """Read the index of a webdataset shard: files that share a name up to its first dot make one sample."""
    samples: dict[str, dict[str, tarfile.TarInfo]] = {}
    try:
        with tarfile.open(archive, "r:", tarinfo=StrictHeader) as members:
            for member in members:
                folder, _, base = member.name.rpartition("/")
                stem, _, suffix = base.partition(".")
                if member.isfile() and stem:
                    samples.setdefault(f"{folder}/{stem}" if folder else stem, {})[suffix.lower()] = member
            yield from [_sample(archive, key, sample, members) for key, sample in samples.items()]
    except (OSError, tarfile.TarError) as problem:
        reason = getattr(problem, "strerror", None) or " ".join(str(problem).split())
        yield LeftOut(archive, archive, f"damaged archive, or a compressed one ({reason})")


def _sample(archive: str, key: str, sample: dict[str, tarfile.TarInfo], members: tarfile.TarFile) -> Example | LeftOut:
    where = f"{archive}/{key}"
    try:
        return _readable_sample(archive, where, sample, members)
    except UnicodeError:
        return LeftOut(where, where, "its caption cannot be read as UTF-8 text")


def _readable_sample(
    archive: str, where: str, sample: dict[str, tarfile.TarInfo], members: tarfile.TarFile
) -> Example | LeftOut:
    image = next((member for suffix, member in sample.items() if has_image_suffix(f"x.{suffix}")), None)
    if image is None:
        return LeftOut(where, where, "no image in this sample")
    name = f"{archive}/{image.name}"
    row = {"caption": _member_text(members, sample.get("txt"))}
    row |= _json_row(_member_text(members, sample["json"])) if not row["caption"] and "json" in sample else {}
    captions, label = _captions(row), _member_text(members, sample.get("cls")) or None
    if not captions and label is None:
        return LeftOut(where, name, "no caption in this sample (.txt, .json or .cls)")
    return Example(name, ImageFile(archive, image.offset_data, image.size), where, captions, label)


def _member_text(members: tarfile.TarFile, member: tarfile.TarInfo | None) -> str:
    file = members.extractfile(member) if member is not None else None
    return decode_text(file.read(_LONGEST_TEXT)).strip() if file is not None else ""
