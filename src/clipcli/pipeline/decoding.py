"""Read and decode one input into the pixels for a model, the same for every engine."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ImageError
from clipcli.images.files import decoded_image, read_file
from clipcli.images.preprocess import Preprocessing
from clipcli.inputs.items import BadInput, EmbeddedInput, Input, MemberInput
from clipcli.schemes import is_remote
from clipcli.storage.remote import read_url

__all__ = ["default_workers", "pixels_of", "read_input"]

_MOST_WORKERS = 4


def default_workers() -> int:
    """Return the number of decoding threads for this machine."""
    return min(_MOST_WORKERS, os.cpu_count() or 1)


def read_input(item: Input) -> bytes:
    """Return the encoded bytes of an input.

    Raises
    ------
    ImageError
        If the input cannot be read.
    InputError
        If an object store refuses the credentials.
    """
    if isinstance(item, BadInput):
        raise item.problem
    if isinstance(item, MemberInput):
        return item.data
    if isinstance(item, EmbeddedInput):
        raise ImageError("unsupported", "an embedding, not an image")
    return read_url(item.path) if is_remote(item.path) else read_file(item.path)


def pixels_of(data: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Decode, resize and crop an image for a model; (H, W, 3) bytes.

    Raises
    ------
    ImageError
        If the data cannot be read as an image.
    """
    try:
        with decoded_image(data, preprocessing.resized) as image:
            return preprocessing.pixels(image)
    except MemoryError:
        raise ImageError("too_large", "not enough memory to prepare it") from None
