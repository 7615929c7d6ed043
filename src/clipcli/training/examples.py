"""One image-text pair, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clipcli.text import printable

__all__ = ["CAPTIONS", "LONGEST_TEXT", "Example", "ImageFile", "LeftOut", "captions_of"]

CAPTIONS = ("caption", "title", "text")
"""Columns and keys that hold captions."""

LONGEST_TEXT = 1 << 20
"""Bytes of a caption file that are read: nobody's caption is longer."""


@dataclass(frozen=True)
class ImageFile:
    """Where the bytes of an image are: a whole file, or ``size`` bytes of a tar archive from ``offset`` on."""

    path: str
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """Return the encoded bytes; raise :class:`~clipcli.errors.ImageError` or ``OSError`` where that fails."""
        if self.size is None:
            from clipcli.images.files import read_file

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


def captions_of(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the captions in a row or object, each once."""
    value = next((row[column] for column in CAPTIONS if row.get(column) is not None), "")
    texts = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(text.strip() for text in texts if isinstance(text, str) and text.strip()))
