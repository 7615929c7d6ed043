"""Thumbnails of the images in results."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path

from PIL import Image

from clipcli.errors import ImageError
from clipcli.images.decode import scaled_to
from clipcli.images.files import open_image

__all__ = ["make_thumbnail", "make_thumbnails", "usual_side"]

_QUALITY = 40  # of WebP: about 5 kB for an image of 256 pixels, 2.5 kB for 160
_AT_A_TIME = 256
_SIDE, _SIDE_OF_MANY, _MANY = 256, 160, 5000  # a page of 20,000 images then has about 70 MB


def usual_side(count: int) -> int:
    """Return the longer side, in pixels, that keeps a page of ``count`` thumbnails usable."""
    return _SIDE if count <= _MANY else _SIDE_OF_MANY


def make_thumbnail(path: Path, side: int) -> bytes | None:
    """Return an image as WebP with a longer side of ``side`` pixels, or ``None`` if it cannot be read."""
    try:
        image = open_image(path, scaled_to(side))
    except ImageError:
        return None
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()


def make_thumbnails(paths: Iterable[str], root: Path, side: int, workers: int | None = None) -> Iterator[str]:
    """Create thumbnails on several threads, and yield each as base64 in the order of the paths.

    An unreadable image and an empty path yield an empty text.
    """
    stream = iter(paths)
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        while some := list(islice(stream, _AT_A_TIME)):
            yield from pool.map(partial(_encoded, root=root, side=side), some)


def _encoded(path: str, root: Path, side: int) -> str:
    if not path or not side or "\0" in path:
        return ""
    found = make_thumbnail(root / path, side)
    return base64.b64encode(found).decode("ascii") if found else ""
