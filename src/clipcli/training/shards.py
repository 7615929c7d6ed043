"""Webdataset shards: tar archives of images and captions, read by their index."""

from __future__ import annotations

import glob
import json
import tarfile
from collections.abc import Iterator
from typing import Any

from clipcli.images.files import has_image_suffix
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.tar import DAMAGE, StrictHeader
from clipcli.text import decode_text
from clipcli.training.examples import LONGEST_TEXT, Example, ImageFile, LeftOut, captions_of

__all__ = ["read_shard", "shards_of"]


def shards_of(pattern: str) -> list[str]:
    """Return the shards that match a pattern: ``*``, ``?``, and ranges and lists in braces."""
    if not pattern.endswith(".tar"):
        return []
    return [name for each in _braces(pattern) for name in (sorted(glob.glob(each)) if glob.has_magic(each) else [each])]  # noqa: PTH207


def _braces(pattern: str) -> list[str]:
    """Expand ``{000..012}`` and ``{a,b}`` like webdataset."""
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


def read_shard(archive: str, exclusion: Exclusion) -> Iterator[Example | LeftOut]:
    """Read the index of a webdataset shard: files with the same name up to the first dot make one sample."""
    samples: dict[str, dict[str, tarfile.TarInfo]] = {}
    try:
        with tarfile.open(archive, "r:", tarinfo=StrictHeader) as members:
            for member in members:
                folder, _, base = member.name.rpartition("/")
                stem, _, suffix = base.partition(".")
                if member.isfile() and stem and exclusion.lets_in(member.name):
                    samples.setdefault(f"{folder}/{stem}" if folder else stem, {})[suffix.lower()] = member
            yield from [_sample(archive, key, sample, members) for key, sample in samples.items()]
    except DAMAGE as problem:
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
    captions, label = captions_of(row), _member_text(members, sample.get("cls")) or None
    if not captions and label is None:
        return LeftOut(where, name, "no caption in this sample (.txt, .json or .cls)")
    return Example(name, ImageFile(archive, image.offset_data, image.size), where, captions, label)


def _member_text(members: tarfile.TarFile, member: tarfile.TarInfo | None) -> str:
    file = members.extractfile(member) if member is not None else None
    return decode_text(file.read(LONGEST_TEXT)).strip() if file is not None else ""


def _json_row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}
