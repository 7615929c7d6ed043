"""Open image files.

Opening means: the first frame, rotated by its EXIF orientation, transparency on white, reduced to 8-bit RGB. Formats
are recognised by content, not by extension.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from clipcli.errors import ImageError
from clipcli.images.formats import SIGNATURE_BYTES, has_image_suffix, is_heif, looks_like_image, open_formats
from clipcli.images.limits import MAX_BYTES, too_many_bytes, too_many_pixels

if TYPE_CHECKING:
    from PIL import Image

    from clipcli.images.decode import Resized

__all__ = [
    "SIGNATURE_BYTES",
    "decoded_image",
    "has_image_suffix",
    "looks_like_image",
    "open_image",
    "read_file",
    "read_signature",
]


def read_signature(path: str | Path) -> bytes:
    """Return the first bytes of a file; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - also for names that are not valid text
            return file.read(SIGNATURE_BYTES)
    except (OSError, ValueError):
        return b""


def read_file(path: str) -> bytes:
    """Read a file that is expected to be an image.

    Raises
    ------
    ImageError
        If it does not exist, is not a regular file, is empty, exceeds :data:`MAX_BYTES`, or cannot be read.
    """
    size = _check_file(Path(path))
    if size > MAX_BYTES:
        raise too_many_bytes(size)
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(size + 1)  # not more: the whole requested size is allocated at once
    except OSError as problem:
        raise ImageError("unreadable", problem.strerror or str(problem)) from None


def open_image(source: Path | bytes | BinaryIO, resized: Resized | None = None) -> Image.Image:
    """Open and decode one image.

    Parameters
    ----------
    source
        A path, the encoded bytes, or a binary file object.
    resized
        Returns the (width, height) that an image of some (width, height) will be resized to. A large JPEG is then
        decoded at a half, a quarter or an eighth of its size, but at least at twice the target size; an image in
        another format is reduced likewise if it has more than 33 megapixels.

    Returns
    -------
    An 8-bit RGB image, upright.

    Raises
    ------
    ImageError
        The only possible exception; its ``kind`` is the reason.
    """
    with decoded_image(source, resized) as image:
        return image


@contextmanager
def decoded_image(source: Path | bytes | BinaryIO, resized: Resized | None = None) -> Iterator[Image.Image]:
    """Open one image like :func:`open_image`, and hold its memory in the budget during the block.

    All threads share :data:`clipcli.images.limits.DECODING_BYTES`: an image that does not fit into the rest waits for
    others. So very large images are decoded one by one, however many threads there are.

    Raises
    ------
    ImageError
        See :func:`open_image`.
    """
    from PIL import Image, UnidentifiedImageError

    from clipcli.images.decode import decode

    data = _bytes_of(source)
    with ExitStack() as claims:
        try:
            image = decode(data, resized, claims)
        except ImageError:
            raise
        except Image.DecompressionBombError as problem:
            raise too_many_pixels(_pixels_in(str(problem))) from None
        except UnidentifiedImageError:
            raise _unidentified(data[:SIGNATURE_BYTES]) from None
        except MemoryError:
            raise ImageError("too_large", "not enough memory to decode it") from None
        except Exception as problem:  # noqa: BLE001 - decoders raise any exception for damaged input
            raise _damaged(problem) from None
        yield image


def _bytes_of(source: Path | bytes | BinaryIO) -> bytes:
    if isinstance(source, Path):
        return read_file(str(source))
    data = source if isinstance(source, bytes) else source.read()
    if not data:
        raise _empty()
    return data


def _check_file(path: Path) -> int:
    """Return the size of a file in bytes, after checking that it can be an image."""
    try:
        status = path.stat()
    except FileNotFoundError:
        kind = "dangling link" if path.is_symlink() else "no such file"
        raise ImageError("not_found", kind) from None
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        raise ImageError("unreadable", getattr(problem, "strerror", None) or str(problem)) from None
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise ImageError("not_a_file", f"{what}, not a file")
    if status.st_size == 0:
        raise _empty()
    return status.st_size


def _empty() -> ImageError:
    return ImageError("empty", "the file is empty (0 bytes)")


def _pixels_in(message: str) -> str:
    digits = "".join(character if character.isdigit() else " " for character in message).split()
    return f"{int(digits[0]):,} pixels" if digits else "too many pixels"


def _unidentified(signature: bytes) -> ImageError:
    if is_heif(signature) and "HEIF" not in open_formats():
        return ImageError("unsupported", "HEIC needs an extra (pip install 'clipcli[heif]')")
    if looks_like_image(signature):
        return ImageError("unreadable", "starts like an image, but is truncated, damaged or of an unsupported kind")
    return ImageError("not_an_image", "not an image in a known format")


def _damaged(problem: Exception) -> ImageError:
    if isinstance(problem, PermissionError):
        return ImageError("unreadable", problem.strerror or "permission denied")
    message = " ".join(str(problem).split()) or type(problem).__name__
    cut_off = any(word in message.lower() for word in ("truncated", "broken data", "unexpected end", "eof"))
    return ImageError("truncated" if cut_off else "unreadable", f"damaged image ({message})")
