"""What callers of the library give: names of things to read, or images in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipcli.errors import InputError
from clipcli.inputs.discover import Source, discover
from clipcli.inputs.items import Input, is_input

if TYPE_CHECKING:
    from PIL import Image

    ImageLike = str | Path | Image.Image | Input
    Names = str | Path | Iterable[str | Path] | Source

__all__ = ["inputs_from", "source_of"]


def inputs_from(images: Iterable[ImageLike] | ImageLike) -> Iterator[Any]:
    """Turn what a caller gave into single inputs and Pillow images; folders and archives are looked into.

    Raises
    ------
    InputError
        If something is neither a path nor an image, or cannot be found.
    """
    if isinstance(images, str | Path) or not isinstance(images, Iterable):
        images = [images]
    for image in images:
        if isinstance(image, str | Path):
            yield from discover(Source((os.fspath(image),)))
        elif is_input(image) or hasattr(image, "convert"):
            yield image
        else:
            raise InputError(f"cannot classify a {type(image).__name__} (give paths or Pillow images)")


def source_of(names: Names) -> Source:
    """Return the source that one name or several stand for.

    Raises
    ------
    InputError
        If there is something else than a path among them: records need a name.
    """
    if isinstance(names, Source):
        return names
    listed = [names] if isinstance(names, str | Path) else list(names)
    for name in listed:
        if not isinstance(name, str | Path):
            raise InputError(f"cannot write the result for a {type(name).__name__}: it has no name (give paths)")
    return Source(tuple(os.fspath(name) for name in listed))
