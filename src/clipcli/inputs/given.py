"""What callers of the library give: names of things to read, or images in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from clipcli.errors import InputError
from clipcli.inputs.discover import Source, discover
from clipcli.inputs.items import EmbeddedImages, Input, is_input

if TYPE_CHECKING:
    from PIL import Image

    ImageLike = str | Path | Image.Image | Input | EmbeddedImages
    Names = str | Path | Iterable[str | Path] | Source | EmbeddedImages

__all__ = ["check_count", "inputs_from", "source_of"]


def check_count(name: str, count: int | None) -> None:
    """Raise :class:`InputError` for a count below 1."""
    if count is not None and count < 1:
        raise InputError(f"{name} must be 1 or more, not {count}")


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
        elif _is_embedded(image):
            yield from image.inputs()
        else:
            raise InputError(f"cannot classify a {type(image).__name__} (give paths, Pillow images or ImageEmbeddings)")


def source_of(names: Names) -> Source:
    """Return the source that one name or several stand for.

    Raises
    ------
    InputError
        If there is something else than a path among them: records need a name.
    """
    if isinstance(names, Source):
        return names
    if _is_embedded(names):
        return Source((), embedded=names)
    listed: list[Any] = [names] if isinstance(names, str | Path) else list(names)  # type: ignore[arg-type]
    for name in listed:
        if not isinstance(name, str | Path):
            raise InputError(f"cannot write the result for a {type(name).__name__}: it has no name (give paths)")
    return Source(tuple(os.fspath(name) for name in listed))


def _is_embedded(given: object) -> TypeGuard[EmbeddedImages]:
    return hasattr(given, "made_by") and hasattr(given, "inputs")
