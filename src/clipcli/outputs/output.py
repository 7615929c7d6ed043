"""What a run writes to: the protocol of outputs, and a stream; :mod:`clipcli.outputs.on_disk` has files and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from clipcli.pipeline.chunks import EncoderFacts, Engine

__all__ = ["AtOnce", "Output", "Writing", "stream_output"]

Row = TypeVar("Row")


class Writing(Protocol[Row]):
    """An open output.

    Those of :mod:`clipcli.outputs.resume` and :mod:`clipcli.outputs.parts` can also be resumed.

    Attributes
    ----------
    name
        The name of the output, for messages.
    earlier, earlier_failures
        The number of records of an earlier run, and the number of failures among them, as far as its inputs have been
        skipped.
    """

    name: str
    earlier: int
    earlier_failures: int

    def rows(self, engine: Engine[Row], units: Iterable[Any]) -> Iterator[Row]:
        """Let an engine process the remaining inputs; write its rows and yield them."""

    def idle(self) -> str | None:
        """Return why nothing was written, ``None`` if something was."""

    @property
    def kept(self) -> int:
        """The number of records, or parts, on disk from which to resume."""

    def resume_hint(self) -> str | None:
        """Return what was saved of an interrupted run, and how to continue it; ``None`` if it cannot be."""


@dataclass(frozen=True)
class Output(Generic[Row]):
    """The output of a run before it is opened.

    Parameters
    ----------
    begin
        Starts or resumes; called with the facts of the image encoder if it is open in another process.
    claimed
        Prevents other runs from writing there during a block.
    in_parts
        Whether shards are processed as units, rather than input by input.
    may_be_empty
        Whether a list of paths on standard input may be empty.
    """

    begin: Callable[[EncoderFacts | None], Writing[Row]]
    claimed: Callable[[], AbstractContextManager[object]] = nullcontext
    in_parts: bool = False
    may_be_empty: bool = False


class AtOnce(Generic[Row]):
    """A stream, or a file that is written atomically."""

    earlier = earlier_failures = kept = 0

    def __init__(self, name: str, write: Callable[[Iterator[Row]], Iterator[Row]]) -> None:
        self.name, self._write = name, write

    def rows(self, engine: Engine[Row], units: Iterable[Any]) -> Iterator[Row]:
        """Write the rows of an engine, and yield them."""
        return self._write(engine.rows(units))

    def idle(self) -> None:
        """Return nothing: something is always written."""
        return

    def resume_hint(self) -> None:
        """Return nothing: what is written at once is complete or absent."""
        return


def stream_output(write: Callable[[Iterator[Row]], Iterator[Row]]) -> Output[Row]:
    """Return the output that a function writes while it passes the rows on."""
    return Output(lambda _: AtOnce("standard output", write))
