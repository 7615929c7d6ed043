"""Carry out one run: inputs -> engine -> output, the same for all commands that write rows.

A :class:`Task` has the inputs and the engine, an :class:`~clipcli.outputs.output.Output` receives the rows, and a
:class:`Reporter` follows the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Generic, Protocol, TypeVar

from clipcli.errors import ClusterError, InputError, Interrupted, ServerError
from clipcli.inputs.counting import count_files
from clipcli.inputs.discover import NoImagesError, Source, discover, discover_units
from clipcli.inputs.missing import check_some_exist
from clipcli.log import LOG
from clipcli.outputs.output import Output, Writing
from clipcli.pipeline.chunks import Engine

__all__ = ["SILENT", "OpenEngine", "Outcome", "Reporter", "SilentReporter", "Task", "prefetch_first", "run"]

Item = TypeVar("Item")
Row = TypeVar("Row")

OpenEngine = Callable[[], AbstractContextManager[Engine[Row]]]
Show = Callable[[int, int], None]


class Reporter(Protocol):
    """Receives the events of a run."""

    def begin(self) -> None:
        """Take note that there are inputs, before the model is opened."""

    def failed(self, path: str, reason: str) -> None:
        """Receive a failed input and the reason."""

    def done(self, row: object) -> None:
        """Receive each row of this run, a failed one too."""

    def following(self, count: Callable[[], int | None]) -> AbstractContextManager[Show]:
        """Follow the run during a block.

        Parameters
        ----------
        count
            Counts all inputs, or returns ``None`` if that takes too long. May be called on another thread.

        Returns
        -------
        A context manager; its value is called after each record with the numbers of records and failures so far,
        including those of an earlier run.
        """


class SilentReporter:
    """A reporter that ignores all events; base class for others."""

    def begin(self) -> None:
        """Do nothing."""

    def failed(self, path: str, reason: str) -> None:
        """Do nothing."""

    def done(self, row: object) -> None:
        """Do nothing."""

    def following(self, count: Callable[[], int | None]) -> AbstractContextManager[Show]:  # noqa: ARG002
        """Do nothing."""
        return nullcontext(lambda _done, _failed: None)


SILENT = SilentReporter()


@dataclass(frozen=True)
class Task(Generic[Row]):
    """The inputs and the engine of a run.

    Parameters
    ----------
    source
        The inputs.
    open_engine
        Opens the engine; called when there are inputs.
    failure
        Returns the input and the reason of a failed row, ``None`` for any other row.
    """

    source: Source
    open_engine: OpenEngine[Row]
    failure: Callable[[Row], tuple[str, str] | None]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run: the numbers of records and failures, including those of an earlier run."""

    records: int
    failures: int


def prefetch_first(items: Iterator[Item]) -> Iterator[Item]:
    """Find the first item now, so that errors in the inputs are raised before a model is loaded."""
    first = next(items, None)
    return chain(() if first is None else (first,), items)


def _maybe_none(items: Iterator[Item]) -> Iterator[Item]:
    """Pass items on, of which there may be none."""
    with suppress(NoImagesError):
        yield from items


def run(task: Task[Row], output: Output[Row], reporter: Reporter = SILENT) -> Outcome:
    """Process all inputs and write the rows.

    Raises
    ------
    ClipcliError
        Any subclass: for invalid inputs, model and output. ``Interrupted`` if the user stopped the run; the message
        names what was saved.
    """
    check_some_exist(task.source)
    found: Iterator[object] = (discover_units if output.in_parts else discover)(task.source)
    units = prefetch_first(_maybe_none(found) if output.may_be_empty and task.source.names == ("-",) else found)
    reporter.begin()
    with output.claimed(), task.open_engine() as engine:
        writing = output.begin(engine.facts)
        try:
            with closing(writing.rows(engine, units)) as rows:  # type: ignore[type-var]
                return _follow(rows, task, writing, reporter)
        except KeyboardInterrupt:
            if (hint := writing.resume_hint()) is None:
                raise
            raise Interrupted(f"interrupted: {hint}") from None
        except (ClusterError, InputError, ServerError) as problem:
            if not writing.kept:
                raise
            raise type(problem)(f"{problem}; {writing.resume_hint()}") from None


def _follow(rows: Iterator[Row], task: Task[Row], writing: Writing[Row], reporter: Reporter) -> Outcome:
    """Consume all rows, and report failures."""
    done = failed = 0
    with reporter.following(lambda: count_files(task.source)) as show:
        for row in rows:
            done += 1
            failure = task.failure(row)
            reporter.done(row)
            failed += failure is not None
            show(done + writing.earlier, failed + writing.earlier_failures)
            if failure is not None:
                reporter.failed(*failure)
    if (reason := writing.idle()) is not None:
        LOG.warning(f"{writing.name}: {reason}")
    return Outcome(done + writing.earlier, failed + writing.earlier_failures)
