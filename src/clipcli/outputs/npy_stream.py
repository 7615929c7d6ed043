"""Read NumPy's ``.npy`` format row by row, also in an ``.npz`` archive; pickled objects are refused."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NpyStream", "npz_members"]

_BLOCK = 1 << 20  # bytes that are read at once, where a row is not larger
_MAXIMUM = 1 << 30  # bytes of one row, or of a text


class NpyStream:
    """An array that is read row by row, after its header.

    Attributes
    ----------
    count
        The number of rows that the header promises.

    Raises
    ------
    ValueError
        If it is not such an array; also while rows are read, if the file ends early.
    """

    def __init__(self, file: IO[bytes]) -> None:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError(f"its array has version {version}")
        self._file = file
        self.shape, is_fortran, self._dtype = read(file)
        if self._dtype.hasobject or is_fortran or len(self.shape) > 2 or min(self.shape, default=0) < 0:
            raise ValueError(f"its array holds {self._dtype} of shape {self.shape}")
        self.count = self.shape[0] if self.shape else 1

    @classmethod
    def of_vectors(cls, file: IO[bytes], dim: int) -> NpyStream:
        """Open an array of shape (N, dim), float32 or float16."""
        stream = cls(file)
        if stream._dtype not in (np.dtype("<f4"), np.dtype("<f2")) or stream.shape[1:] != (dim,):
            raise ValueError(f"its array is {stream._dtype} of shape {stream.shape}, not floats of shape (N, {dim})")
        return stream

    @classmethod
    def of_texts(cls, file: IO[bytes]) -> NpyStream:
        """Open an array of N texts."""
        stream = cls(file)
        if stream._dtype.kind != "U" or len(stream.shape) != 1:
            raise ValueError(f"its names are {stream._dtype} of shape {stream.shape}, not N texts")
        return stream

    @classmethod
    def text(cls, file: IO[bytes]) -> str:
        """Read a single text, an array without dimensions."""
        stream = cls(file)
        if stream._dtype.kind != "U" or stream.shape:
            raise ValueError(f"its metadata are {stream._dtype} of shape {stream.shape}, not a text")
        return str(next(stream.rows()))

    def rows(self) -> Iterator[NDArray[Any]]:
        """Yield the rows, in order."""
        width = self.shape[1] if len(self.shape) > 1 else 1
        size = width * self._dtype.itemsize
        if not 0 < size <= _MAXIMUM:
            raise ValueError(f"a row of its array has {size} bytes")
        left, at_once = self.count, max(1, _BLOCK // size)
        while left:
            data = self._file.read(size * min(left, at_once))
            if not data or len(data) % size:
                raise ValueError("its array ends early")
            block = np.frombuffer(data, self._dtype)
            yield from block.reshape(-1, width) if len(self.shape) > 1 else block
            left -= len(data) // size


@contextmanager
def npz_members(file: IO[bytes], *names: str) -> Iterator[list[IO[bytes]]]:
    """Open several arrays of an ``.npz`` archive side by side.

    Raises
    ------
    ValueError
        If one is missing, or compressed: clipcli does not compress them, and a small file could be any size.
    """
    with ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(file))
        held = {member.filename: member for member in archive.infolist()}
        members = []
        for name in names:
            if (member := held.get(f"{name}.npy")) is None:
                raise ValueError(f"it has no {name}")
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"its {name} are compressed")
            members.append(stack.enter_context(archive.open(member)))
        yield members
