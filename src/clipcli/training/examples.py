"""One image-text pair, or the reason why it cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clipcli.text import printable

__all__ = ["CAPTIONS", "LONGEST_TEXT", "Example", "ImageFile", "LeftOut", "captions_of"]

CAPTIONS = ("caption", "title", "text")
"""Columns and keys of captions."""

LONGEST_TEXT = 1 << 20
"""Maximum number of bytes that are read from a caption file."""


@dataclass(frozen=True)
class ImageFile:
    """The location of an encoded image: a file, or ``size`` bytes of a tar archive from ``offset`` on."""

    path: str
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """Return the encoded bytes; raise :class:`~clipcli.errors.ImageError` or ``OSError`` if that fails."""
        if self.size is None:
            from clipcli.images.files import read_file

            return read_file(self.path)
        with open(self.path, "rb") as file:  # noqa: PTH123 - also for names that are not valid text
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class Example:
    """One image with its captions or class.

    Parameters
    ----------
    name
        The image's name.
    image
        The location of its bytes.
    where
        The source of the pair: ``pairs.csv:7``, or the image itself in folders.
    captions
        Its captions; empty if they are made from the label.
    label
        Its class, if it has one.
    """

    name: str
    image: ImageFile
    where: str
    captions: tuple[str, ...] = ()
    label: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A pair that cannot be used, with the reason; or, if ``used``, one that is used with a truncated caption."""

    where: str
    name: str
    reason: str
    used: bool = False

    def __str__(self) -> str:
        name = f" {printable(self.name)}:" if self.name and self.name != self.where else ""
        return f"{printable(self.where)}:{name} {self.reason}"


def captions_of(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the distinct captions in a row or object."""
    value = next((row[column] for column in CAPTIONS if row.get(column) is not None), "")
    texts = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(text.strip() for text in texts if isinstance(text, str) and text.strip()))
