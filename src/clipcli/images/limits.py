"""The limits of one image: bytes, pixels, memory. Above them it gets an error record."""

from __future__ import annotations

from clipcli.errors import ImageError

__all__ = ["DECODING_BYTES", "MAX_BYTES", "MAX_PIXELS", "MAX_PYTHON_PIXELS", "too_many_bytes", "too_many_pixels"]

MAX_BYTES = 2 << 30
"""Maximum size of an image file, in bytes."""

MAX_PIXELS = 178_956_970
"""Maximum number of pixels: Pillow's limit against decompression bombs (half a GiB of RGB)."""

MAX_PYTHON_PIXELS = 1 << 22
"""Maximum number of pixels if Pillow's decoder is written in Python, which takes microseconds per pixel."""

DECODING_BYTES = 1_200 << 20
"""Maximum memory of images that one process decodes at once, in bytes; an image that needs more is rejected."""


def too_many_bytes(size: int) -> ImageError:
    """Return the error for a file over :data:`MAX_BYTES`."""
    return ImageError("too_large", f"{size / 2**30:.1f} GiB, over the limit of {MAX_BYTES >> 30} GiB; not read")


def too_many_pixels(size: str) -> ImageError:
    """Return the error for an image over :data:`MAX_PIXELS`."""
    return ImageError("too_large", f"{size}, over the limit of {MAX_PIXELS / 1e6:.0f} megapixels; not decoded")
