"""Small pictures of the images that results name."""

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
from clipcli.images.files import open_image

__all__ = ["make_thumbnail", "make_thumbnails"]

_QUALITY = 55  # of WebP: about 2 kB for a picture of 128 pixels
_AT_A_TIME = 256


def make_thumbnail(path: Path, side: int) -> bytes | None:
    """Return a picture whose longer side is ``side`` pixels as WebP, or ``None`` where it cannot be read."""

    def reduced(width: int, height: int) -> tuple[int, int]:
        scale = side / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    try:
        image = open_image(path, reduced)
    except ImageError:
        return None
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()


def make_thumbnails(paths: Iterable[str], root: Path, side: int, workers: int | None = None) -> Iterator[str]:
    """Make thumbnails on several threads, yielding each in base64 in the order of the paths.

    What cannot be read, and an empty path, yields an empty text.
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
