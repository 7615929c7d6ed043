"""Write keywords into images with ExifTool, a program that keeps everything else in them as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from clipcli.errors import OutputError
from clipcli.storage.locks import locked
from clipcli.tagging.keywords import FIELDS, Keyword, texts_of
from clipcli.tagging.log import Change, Entry
from clipcli.tagging.xmp import XmpError
from clipcli.text import name_key

__all__ = ["ExifTool", "exiftool_opened"]

_PATIENCE = 20.0  # seconds that an image may be locked by another run
_TAGS = dict(zip(FIELDS, ("XMP-dc:Subject", "XMP-lr:HierarchicalSubject", "XMP-digiKam:TagsList"), strict=True))
# -P keeps the modification time, and the new file replaces the old one when it is complete.
_WRITE = ("-overwrite_original", "-P")
_COMMON = ["-charset", "filename=utf8", "-G1"]


@contextmanager
def exiftool_opened(*, remove: bool = False) -> Iterator[ExifTool]:
    """Start ExifTool, which edits all images of the block.

    Raises
    ------
    OutputError
        If the program or PyExifTool is not installed.
    """
    try:
        import exiftool
    except ImportError:
        raise OutputError("cannot use --embed: it needs an extra (pip install 'clipcli[tag]')") from None
    try:
        opened = exiftool.ExifToolHelper(common_args=_COMMON, config_file="", encoding="utf-8", check_tag_names=False)
    except FileNotFoundError:
        raise OutputError(
            "cannot use --embed: the program exiftool is not installed (install it, as with "
            "'apt install libimage-exiftool-perl' or 'brew install exiftool', or leave out --embed)"
        ) from None
    with opened:
        yield ExifTool(opened, remove=remove)


class ExifTool:
    """Adds keywords to images, or removes them; an editor as :class:`clipcli.tagging.sidecars.Sidecars`."""

    def __init__(self, tool: Any, *, remove: bool) -> None:
        self._tool, self._remove = tool, remove

    def edit(self, image: Path, keywords: Sequence[Keyword], log: BinaryIO | None) -> tuple[Path, ...]:
        """Change an image; what a link leads to if it is one."""
        image = image.resolve()
        sign = "-" if self._remove else "+"
        wanted = [Change(sign, field, text) for field, texts in texts_of(keywords).items() for text in texts]
        with locked(image, patience=_PATIENCE) if log is not None else nullcontext():
            changes = self._needed(image, wanted)
            if changes and log is not None:
                log.write(Entry("embed", image, None, 0, None, changes, os.fstat(log.fileno()).st_ino).as_line())
                log.flush()
                self._change(image, changes)
        return (image,) if changes else ()

    def take_back(self, image: Path, changes: Sequence[Change], dry_run: bool = False) -> bool:
        """Take back changes to an image, as far as they are still there; return whether any was."""
        inverse = [Change("-" if sign == "+" else "+", field, text) for sign, field, text in changes]
        with locked(image, patience=_PATIENCE):
            needed = self._needed(image, inverse)
            if needed and not dry_run:
                self._change(image, needed)
        return bool(needed)

    def _needed(self, image: Path, wanted: Sequence[Change]) -> tuple[Change, ...]:
        """Return those changes that would have an effect."""
        found = {field: set(map(name_key, texts)) for field, texts in self._read(image).items()}
        return tuple(each for each in wanted if (name_key(each.text) in found[each.field]) == (each.sign == "-"))

    def _change(self, image: Path, changes: Sequence[Change]) -> None:
        self._execute(*_WRITE, *(f"-{_TAGS[field]}{sign}={text}" for sign, field, text in changes), image)

    def _read(self, image: Path) -> dict[str, list[str]]:
        import json

        text = self._execute("-j", *(f"-{tag}" for tag in _TAGS.values()), image)
        try:
            found = dict(json.loads(text)[0])
        except (LookupError, TypeError, ValueError):
            raise XmpError("exiftool cannot read its keywords") from None
        values = {field: found.get(tag, []) for field, tag in _TAGS.items()}
        return {field: list(map(str, each if isinstance(each, list) else [each])) for field, each in values.items()}

    def _execute(self, *arguments: object) -> str:
        from exiftool.exceptions import ExifToolException

        *options, image = arguments
        path = os.path.abspath(str(image))  # noqa: PTH100 - an option does not begin with "/"
        try:
            path.encode()
        except UnicodeEncodeError:
            raise XmpError("its name is not UTF-8 text, which exiftool needs (rename it)") from None
        if not path.isprintable():
            raise XmpError("its name has control characters, which exiftool cannot take (rename it)")
        try:
            return str(self._tool.execute(*map(str, options), path))
        except ExifToolException as problem:
            reason = str(getattr(problem, "stderr", "") or problem).strip().splitlines()[:1]
            first = reason[0].removeprefix("Error: ").removesuffix(f" - {path}") if reason else "no reason given"
            raise XmpError(f"exiftool: {first}") from None
