"""Messages between the driver, the workers and the actors."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipcli.errors import ImageError
from clipcli.inputs.items import BadInput, FileInput, Input, Unit, absolute, inputs_of
from clipcli.pipeline.chunks import Chunk

__all__ = ["Batch", "Portion", "Rows", "portions_of"]


@dataclass(frozen=True)
class Portion:
    """The inputs that one worker reads and decodes: a part of a chunk, or a shard.

    Parameters
    ----------
    index
        Its position among all portions of this run.
    first
        The position of its first input in the chunk.
    """

    index: int
    first: int
    units: tuple[Unit, ...]

    def inputs(self) -> Iterator[Input]:
        """Yield its inputs."""
        return inputs_of(self.units)

    def packed(self) -> pa.Table:
        """Return a table of one row that Ray carries."""
        return pa.table({"portion": pa.array([pickle.dumps(self)], pa.binary())})

    @staticmethod
    def unpacked(table: pa.Table) -> Portion:
        """Read back what :meth:`packed` made."""
        portion: Portion = _loaded(table, "portion")
        return portion


def portions_of(chunk: Chunk, size: int, index: int) -> Iterator[Portion]:
    """Split a chunk into portions of ``size`` inputs, numbered from ``index``; a shard is one portion."""
    units = tuple(absolute(unit) for unit in chunk.units)
    for number, first in enumerate(range(0, len(units), size)):
        yield Portion(index + number, first, units[first : first + size])


@dataclass(frozen=True)
class Batch:
    """Decoded images that go through the image encoder together.

    Parameters
    ----------
    index, offset
        The portion, and the place of the first input in it.
    is_last
        Whether the portion ends with it.
    entries
        Each input's name, with ``None`` or with why it has no pixels.
    pixels
        (N, H, W, 3) bytes of those that have.
    """

    index: int
    offset: int
    is_last: bool
    entries: list[tuple[str, ImageError | None]]
    pixels: NDArray[np.uint8]

    def packed(self) -> pa.Table:
        """Return a table of one row that Ray carries; the pixels are read back without a copy."""
        head = (self.index, self.offset, self.is_last, self.entries, self.pixels.shape)
        data = pa.py_buffer(np.ascontiguousarray(self.pixels))
        ends = pa.py_buffer(np.array([0, self.pixels.nbytes], np.int64))
        pixels = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, data])
        return pa.table({"head": pa.array([pickle.dumps(head)], pa.binary()), "pixels": pixels})

    @staticmethod
    def unpacked(table: pa.Table) -> Batch:
        """Read back what :meth:`packed` made."""
        index, offset, is_last, entries, shape = _loaded(table, "head")
        data = table["pixels"].chunk(0)[0].as_buffer()
        pixels = np.frombuffer(data, np.uint8).reshape(shape) if data.size else np.empty(shape, np.uint8)
        return Batch(index, offset, is_last, entries, pixels)

    def block(self, vectors: NDArray[np.float32]) -> list[tuple[Input, Any]]:
        """Return the inputs, each with its row of ``vectors``, (N, D), or with its error."""
        rows = iter(vectors)
        return [
            (FileInput(name, ""), next(rows)) if problem is None else (BadInput(name, problem), problem)
            for name, problem in self.entries
        ]


@dataclass(frozen=True)
class Rows:
    """The rows of a batch's inputs, on their way back to the driver."""

    index: int
    offset: int
    is_last: bool
    rows: list[Any]

    def packed(self) -> pa.Table:
        """Return a table of one row that Ray carries."""
        return pa.table({"rows": pa.array([pickle.dumps(self)], pa.binary())})

    @staticmethod
    def unpacked(table: pa.Table) -> Iterator[Rows]:
        """Read back any number of what :meth:`packed` made."""
        for value in table["rows"]:
            yield pickle.loads(value.as_py())  # noqa: S301 - made by our own actors


def _loaded(table: pa.Table, column: str) -> Any:
    return pickle.loads(table[column][0].as_py())  # noqa: S301 - made by our own processes
