"""Decode the images of all pairs once, before a run: one that cannot be read would stop it hours later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from clipcli.errors import ImageError
from clipcli.images.files import open_image
from clipcli.training.pairs import Example

__all__ = ["check_images"]

_CHECKED = 64  # pixels; a JPEG is decoded at low resolution, which is enough to detect truncation
_AHEAD = 256


def check_images(examples: Sequence[Example], threads: int) -> Iterator[tuple[Example, ImageError | None]]:
    """Decode every image once, and yield each example in order with its error or ``None``."""
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(examples), _AHEAD):
            part = examples[start : start + _AHEAD]
            yield from zip(part, pool.map(_problem_with, part), strict=True)


def _problem_with(example: Example) -> ImageError | None:
    try:
        open_image(example.image.read(), lambda _width, _height: (_CHECKED, _CHECKED))
    except ImageError as problem:
        return problem
    except OSError as problem:
        return ImageError("unreadable", problem.strerror or str(problem))
    return None
