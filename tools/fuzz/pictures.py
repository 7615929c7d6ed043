"""Sound images, of every kind that is to be damaged, made from a photograph that scikit-image ships."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["image_kinds", "photographs", "sound_image"]

_SIZE = (144, 96)


def photographs() -> dict[str, Path]:
    """Return real photographs by what they show."""
    import skimage

    shipped = Path(skimage.__file__).parent / "data"
    names = {"cat": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg", "astronaut": "astronaut.png"}
    return {label: shipped / name for label, name in names.items()}


def _photo(size: tuple[int, int] = _SIZE) -> Image.Image:
    with Image.open(photographs()["cat"]) as opened:
        return opened.convert("RGB").resize(size)


def _saved(form: str, mode: str = "RGB", *, size: tuple[int, int] = _SIZE, **options: Any) -> bytes:
    file = io.BytesIO()
    _photo(size).convert(mode).save(file, form, **options)
    return file.getvalue()


def _deep(form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(_photo().convert("L")).astype(np.uint16) * 250).save(file, form)
    return file.getvalue()


def _tiff(samples: np.ndarray[Any, Any], **options: Any) -> bytes:
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, samples, byteorder="<", **options)
    return file.getvalue()


def _gif() -> bytes:
    frames = [_photo().rotate(angle).quantize(64) for angle in (0, 90, 180)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], transparency=3)
    return file.getvalue()


def _psd() -> bytes:
    """Write a flattened Photoshop document of version 1: header, three empty sections, planes packed row by row."""
    planes = np.moveaxis(np.asarray(_photo()), 2, 0)
    channels, height, width = planes.shape
    rows = [bytes([len(half) - 1]) + half for row in planes.reshape(-1, width) for half in _halves(row.tobytes())]
    packed = [a + b for a, b in zip(rows[::2], rows[1::2], strict=True)]
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, height, width, 8, 3)
    lengths = b"".join(struct.pack(">H", len(row)) for row in packed)
    return header + bytes(12) + struct.pack(">H", 1) + lengths + b"".join(packed)


def _halves(row: bytes) -> tuple[bytes, bytes]:
    """Split a row, as a literal run of PackBits has 128 bytes at most."""
    return row[: len(row) // 2], row[len(row) // 2 :]


def _heif() -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return _saved("HEIF", quality=60)


_KINDS: dict[str, Callable[[], bytes]] = {
    "png": lambda: _saved("PNG"),
    "palette.png": lambda: _saved("PNG", "P", transparency=3),
    "deep.png": lambda: _deep("PNG"),
    "jpg": lambda: _saved("JPEG", exif=_exif(), dpi=(72, 72)),
    "progressive.jpg": lambda: _saved("JPEG", progressive=True),
    "cmyk.jpg": lambda: _saved("JPEG", "CMYK"),
    "gif": _gif,
    "bmp": lambda: _saved("BMP"),
    "tif": lambda: _saved("TIFF", compression="tiff_lzw"),
    "tiled.tif": lambda: _tiff(np.asarray(_photo()), tile=(32, 32), compression="zlib", predictor=True),
    "deep.tif": lambda: _tiff(np.asarray(_photo()).astype(np.uint16) * 250, planarconfig="separate", photometric="rgb"),
    "float.tif": lambda: _tiff(np.asarray(_photo().convert("L")).astype(np.float32) / 255),
    "webp": lambda: _saved("WEBP", exif=_exif()),
    "avif": lambda: _saved("AVIF"),
    "heic": _heif,
    "psd": _psd,
    "ico": lambda: _saved("ICO", sizes=[(32, 32), (64, 64)]),
    "dds": lambda: _saved("DDS", "RGBA"),
    "jp2": lambda: _saved("JPEG2000"),
    "ppm": lambda: _saved("PPM"),
    "deep.pgm": lambda: _deep("PPM"),
    "qoi": lambda: _saved("QOI"),
    "sgi": lambda: _saved("SGI"),
    "icns": lambda: _saved("ICNS", "RGBA", size=(128, 128)),
    "mpo": lambda: _saved("MPO", save_all=True, append_images=[_photo()]),
}


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    exif[0x010E] = "a cat"
    return exif


def image_kinds() -> list[str]:
    """Return the kinds of images that the libraries installed here can write; each is a file's ending."""
    import importlib.util

    kinds = list(_KINDS)
    return kinds if importlib.util.find_spec("pillow_heif") else [kind for kind in kinds if kind != "heic"]


def sound_image(kind: str) -> bytes:
    """Return the bytes of a sound image of one kind."""
    return _KINDS[kind]()
