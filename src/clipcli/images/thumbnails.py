"""Thumbnails of the images in results."""

from __future__ import annotations

import base64
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

from PIL import Image

from clipcli.errors import ImageError
from clipcli.images.files import open_image

__all__ = ["make_thumbnail", "make_thumbnails", "usual_side"]

_QUALITY = 40  # of WebP: about 5 kB for an image of 256 pixels, 2.5 kB for 160
_AHEAD = 4  # images per thread that are prepared or waiting
_SIDE, _SIDE_OF_MANY, _MANY = 256, 160, 5000  # a page of 20,000 images then has about 70 MB


def usual_side(count: int) -> int:
    """Return the longer side, in pixels, that keeps a page of ``count`` thumbnails usable."""
    return _SIDE if count <= _MANY else _SIDE_OF_MANY


def make_thumbnail(source: Path | bytes, side: int) -> bytes | None:
    """Return an image as WebP with a longer side of ``side`` pixels, or ``None`` if it cannot be read."""

    def reduced(width: int, height: int) -> tuple[int, int]:
        scale = side / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    try:
        image = open_image(source, reduced)
    except ImageError:
        return None
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()


def make_thumbnails(images: Iterable[Path | bytes | None], side: int, workers: int | None = None) -> Iterator[str]:
    """Create thumbnails on several threads, and yield each as base64 in the order of the images.

    An unreadable image and ``None`` yield an empty text. Only a few images are in memory at a time.

    Parameters
    ----------
    images
        Files, or encoded bytes.
    side
        Longer side in pixels.
    workers
        Number of threads; by default one per processor.
    """
    count = workers or os.cpu_count() or 1
    waiting: deque[Future[str]] = deque()
    with ThreadPoolExecutor(count) as pool:
        for image in images:
            waiting.append(pool.submit(_encoded, image, side))
            if len(waiting) > _AHEAD * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _encoded(image: Path | bytes | None, side: int) -> str:
    found = None if image is None else make_thumbnail(image, side)
    return base64.b64encode(found).decode("ascii") if found else ""
