"""Work cut into numbered chunks, and what comes back for them in pieces.

Every engine takes chunks and gives pieces, in any order. The cut depends on the inputs alone, so a chunk
that was done in an earlier run is known by its number.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Generic, Protocol, TypeVar

from clipcli.inputs.items import Input, Unit, inputs_of, is_input

__all__ = ["Chunk", "EncoderFacts", "Engine", "Gathered", "InTurn", "Piece", "in_chunks", "in_order"]

Row = TypeVar("Row")


@dataclass(frozen=True)
class Chunk:
    """Some inputs, or one shard.

    Parameters
    ----------
    number
        Its place among all, from nought.
    units
        Inputs in their order; or a single shard, however much is in it.
    """

    number: int
    units: tuple[Unit, ...]

    @property
    def total(self) -> int | None:
        """How many inputs are in it; ``None`` where that takes reading a shard."""
        return len(self.units) if all(map(is_input, self.units)) else None

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that depend on the names of its inputs."""
        names = b"\0".join(os.fsencode(unit.name) for unit in self.units)
        return hashlib.sha256(names).hexdigest()[:8]

    def inputs(self) -> Iterator[Input]:
        """Yield what is in it, one by one."""
        return inputs_of(self.units)


@dataclass(frozen=True)
class Piece(Generic[Row]):
    """Rows that follow each other in one chunk.

    Parameters
    ----------
    first
        The place of the first of them in the chunk.
    total
        How many rows the whole chunk has, as soon as that is known.
    """

    chunk: Chunk
    first: int
    rows: list[Row]
    total: int | None = None


def in_chunks(units: Iterable[Unit], size: int) -> Iterator[Chunk]:
    """Cut a stream into chunks of ``size`` inputs; a shard is a chunk of its own."""
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
    """What an image encoder turned out to be where it was opened."""

    @property
    def precision(self) -> str:
        """What it computes in."""

    @property
    def fingerprint(self) -> str:
        """Identify what makes the image embeddings."""


class Engine(Protocol[Row]):
    """What turns inputs into rows."""

    @property
    def facts(self) -> EncoderFacts | None:
        """What the image encoder is, where it is opened elsewhere than in this process."""

    def rows(self, items: Iterable[Input], *, even_batches: bool = False) -> Iterator[Row]:
        """Yield a row for each input, in their order."""

    def pieces(self, chunks: Iterable[Chunk]) -> Iterator[Piece[Row]]:
        """Process chunks, in whatever order they get done."""


class InTurn(Generic[Row]):
    """The engine that works in this process, as one stream.

    Parameters
    ----------
    process
        Yields one row for each input, in their order; it may take in some inputs ahead. Its second argument
        says whether the last batch is filled up, see :class:`~clipcli.pipeline.stream.Plan`.
    """

    facts = None

    def __init__(self, process: Callable[[Iterable[Input], bool], Iterator[Row]]) -> None:
        self._process = process

    def rows(self, items: Iterable[Input], *, even_batches: bool = False) -> Iterator[Row]:
        """Yield a row for each input, in their order."""
        return self._process(items, even_batches)

    def pieces(self, chunks: Iterable[Chunk]) -> Iterator[Piece[Row]]:
        """Process chunks one after the other."""
        owners: deque[tuple[Chunk, int]] = deque()  # of the inputs that are on their way
        finished: deque[tuple[Chunk, int]] = deque()  # and the shards that all inputs were taken from

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
    """The pieces of one chunk that came so far."""

    def __init__(self) -> None:
        self._rows: dict[int, list[Row]] = {}
        self._count, self._total = 0, -1

    def add(self, piece: Piece[Row]) -> None:
        """Take in a piece; one that came before adds nothing."""
        if piece.rows and piece.first not in self._rows:
            self._rows[piece.first] = piece.rows
            self._count += len(piece.rows)
        total = piece.total if piece.total is not None else piece.chunk.total
        self._total = self._total if total is None else total

    def is_whole(self) -> bool:
        """Tell whether all rows are there."""
        return self._count == self._total

    def rows(self) -> list[Row]:
        """Return the rows in the order of the inputs."""
        return list(chain.from_iterable(self._rows[first] for first in sorted(self._rows)))


def in_order(pieces: Iterable[Piece[Row]]) -> Iterator[Row]:
    """Yield the rows of all chunks in the order of the inputs, whatever order the chunks are done in."""
    waiting: dict[int, Gathered[Row]] = {}
    number = 0
    for piece in pieces:
        waiting.setdefault(piece.chunk.number, Gathered()).add(piece)
        while number in waiting and waiting[number].is_whole():
            yield from waiting.pop(number).rows()
            number += 1
