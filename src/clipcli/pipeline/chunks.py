"""Split inputs into numbered chunks, and gather the rows of each chunk from pieces.

Every engine takes chunks and returns pieces, in any order. The chunks depend on the inputs alone, so a chunk that
was done in an earlier run is identified by its number.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, Protocol, TypeVar

from clipcli.inputs.items import Input, Unit, inputs_of, is_input

__all__ = ["Chunk", "EncoderFacts", "Engine", "Gathered", "LocalEngine", "Piece", "in_chunks", "in_order"]

Row = TypeVar("Row")


@dataclass(frozen=True)
class Chunk:
    """Some inputs, or one shard.

    Parameters
    ----------
    number
        Its position in the stream, from 0.
    units
        Inputs in order, or a single shard of any size.
    """

    number: int
    units: tuple[Unit, ...]

    @property
    def total(self) -> int | None:
        """The number of inputs; ``None`` for a shard, which would have to be read."""
        return len(self.units) if all(map(is_input, self.units)) else None

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits computed from the names of its inputs."""
        names = b"\0".join(os.fsencode(unit.name) for unit in self.units)
        return hashlib.sha256(names).hexdigest()[:8]

    def inputs(self) -> Iterator[Input]:
        """Yield its inputs."""
        return inputs_of(self.units)


@dataclass(frozen=True)
class Piece(Generic[Row]):
    """Consecutive rows of one chunk.

    Parameters
    ----------
    first
        The position of the first row in the chunk.
    total
        The number of rows of the whole chunk, if known.
    """

    chunk: Chunk
    first: int
    rows: list[Row]
    total: int | None = None


def in_chunks(units: Iterable[Unit], size: int) -> Iterator[Chunk]:
    """Split a stream into chunks of ``size`` inputs; each shard is a separate chunk."""
    gathered: list[Unit] = []
    number = 0
    for unit in units:
        alone = not is_input(unit)
        if gathered and (alone or len(gathered) == size):
            yield Chunk(number, tuple(gathered))
            number, gathered = number + 1, []
        if alone:
            yield Chunk(number, (unit,))
            number += 1
        else:
            gathered.append(unit)
    if gathered:
        yield Chunk(number, tuple(gathered))


class EncoderFacts(Protocol):
    """Facts about an image encoder that is not open in this process: on a cluster, or when a file was written."""

    @property
    def precision(self) -> str:
        """Its precision."""

    @property
    def fingerprint(self) -> str:
        """Its fingerprint, which identifies the image embeddings it computes."""

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the embeddings, for :class:`~clipcli.outputs.run_settings.RunSettings`."""


class Engine(Protocol[Row]):
    """An engine, which turns inputs into rows."""

    @property
    def facts(self) -> EncoderFacts | None:
        """Facts about the image encoder, if it is not open in this process."""

    def rows(self, items: Iterable[Input], *, even_batches: bool = False) -> Iterator[Row]:
        """Yield one row per input, in order."""

    def pieces(self, chunks: Iterable[Chunk]) -> Iterator[Piece[Row]]:
        """Process chunks, in any order."""


class LocalEngine(Generic[Row]):
    """The engine that runs in this process, as one stream.

    Parameters
    ----------
    process
        Yields one row per input, in order; it may read some inputs ahead. Its second argument is whether to fill the
        last batch, see :class:`~clipcli.pipeline.stream.Plan`.
    facts
        Those of the image encoder that made the embeddings, if they are read from a file.
    """

    def __init__(
        self, process: Callable[[Iterable[Input], bool], Iterator[Row]], facts: EncoderFacts | None = None
    ) -> None:
        self._process, self.facts = process, facts

    def rows(self, items: Iterable[Input], *, even_batches: bool = False) -> Iterator[Row]:
        """Yield one row per input, in order."""
        return self._process(items, even_batches)

    def pieces(self, chunks: Iterable[Chunk]) -> Iterator[Piece[Row]]:
        """Process chunks in order."""
        owners: deque[tuple[Chunk, int]] = deque()  # of the inputs in the stream
        finished: deque[tuple[Chunk, int]] = deque()  # shards whose inputs have all been taken

        def inputs() -> Iterator[Input]:
            for chunk in chunks:
                count = 0
                for item in chunk.inputs():
                    owners.append((chunk, count))
                    count += 1
                    yield item
                if chunk.total is None:
                    finished.append((chunk, count))

        for row in self._process(inputs(), True):
            chunk, place = owners.popleft()
            while finished and finished[0][0].number < chunk.number:
                yield _end_of(*finished.popleft())
            yield Piece(chunk, place, [row])
        while finished:
            yield _end_of(*finished.popleft())


def _end_of(chunk: Chunk, count: int) -> Piece[Row]:
    return Piece(chunk, count, [], count)


class Gathered(Generic[Row]):
    """The pieces of one chunk so far."""

    def __init__(self) -> None:
        self._rows: dict[int, list[Row]] = {}
        self._count, self._total = 0, -1

    def add(self, piece: Piece[Row]) -> None:
        """Add a piece; a repeated piece is ignored."""
        if piece.rows and piece.first not in self._rows:
            self._rows[piece.first] = piece.rows
            self._count += len(piece.rows)
        total = piece.total if piece.total is not None else piece.chunk.total
        self._total = self._total if total is None else total

    def is_whole(self) -> bool:
        """Return whether the chunk is complete."""
        return self._count == self._total

    def rows(self) -> list[Row]:
        """Return the rows, in the order of the inputs."""
        return list(chain.from_iterable(self._rows[first] for first in sorted(self._rows)))


def in_order(pieces: Iterable[Piece[Row]]) -> Iterator[Row]:
    """Yield the rows of all chunks in the order of the inputs, for pieces in any order."""
    waiting: dict[int, Gathered[Row]] = {}
    number = 0
    for piece in pieces:
        waiting.setdefault(piece.chunk.number, Gathered()).add(piece)
        while number in waiting and waiting[number].is_whole():
            yield from waiting.pop(number).rows()
            number += 1
