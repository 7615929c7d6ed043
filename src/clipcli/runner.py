"""One run: inputs -> engine -> output; begun, followed and finished in the same way, whatever it makes.

What is worked on and by what is a :class:`Task`; where the rows go is an :class:`~clipcli.outputs.output.Output`;
who is told how it goes is a :class:`Reporter`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Generic, Protocol, TypeVar

from clipcli.errors import ClusterError, InputError, Interrupted
from clipcli.inputs.discover import Source, count_files, discover, discover_units
from clipcli.log import LOG
from clipcli.outputs.output import Output, Writing
from clipcli.pipeline.chunks import Engine

__all__ = ["SILENT", "OpenEngine", "Outcome", "Reporter", "SilentReporter", "Task", "begun", "run"]

Item = TypeVar("Item")
Row = TypeVar("Row")

OpenEngine = Callable[[], AbstractContextManager[Engine[Row]]]
Show = Callable[[int, int], None]


class Reporter(Protocol):
    """Is told how a run goes."""

    def begin(self) -> None:
        """Take note that there are inputs; what is opened next is the model."""

    def failed(self, path: str, reason: str) -> None:
        """Take an input that failed, and why."""

    def following(self, count: Callable[[], int | None]) -> AbstractContextManager[Show]:
        """Follow the run while a block lasts.

        Parameters
        ----------
        count
            Counts all inputs, or returns ``None`` where that takes too long. May be called on another thread.

        Returns
        -------
        A context manager; its value is called after each record, with the numbers of records and of failures so far,
        those of an earlier run included.
        """


class SilentReporter:
    """A reporter that keeps everything to itself; base for those that tell a part."""

    def begin(self) -> None:
        """Do nothing."""

    def failed(self, path: str, reason: str) -> None:
        """Do nothing."""

    def following(self, count: Callable[[], int | None]) -> AbstractContextManager[Show]:  # noqa: ARG002
        """Do nothing."""
        return nullcontext(lambda _done, _failed: None)


SILENT = SilentReporter()


@dataclass(frozen=True)
class Task(Generic[Row]):
    """The work of a run, wherever its rows go.

    Parameters
    ----------
    source
        What is worked on.
    open_engine
        Opens what does the work; called when there is something to work on.
    failure
        Returns the input and the reason of a row that is a failure, ``None`` for any other.
    """

    source: Source
    open_engine: OpenEngine[Row]
    failure: Callable[[Row], tuple[str, str] | None]


@dataclass(frozen=True)
class Outcome:
    """What came of a run: how many records there are with those of an earlier run, and how many are failures."""

    records: int
    failures: int


def begun(items: Iterator[Item]) -> Iterator[Item]:
    """Find the first item now: what is wrong with the inputs comes out before a model is loaded for them."""
    first = next(items, None)
    return chain(() if first is None else (first,), items)


def run(task: Task[Row], output: Output[Row], reporter: Reporter = SILENT) -> Outcome:
    """Work on all inputs, and write what comes of them.

    Raises
    ------
    ClipcliError
        Of every kind: for inputs, model and output that cannot be used. ``Interrupted`` where the user stopped the
        run; the message says what is kept.
    """
    found: Iterator[object] = (discover_units if output.in_parts else discover)(task.source)
    units = begun(found)
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
        except (ClusterError, InputError) as problem:
            if not writing.kept:
                raise
            raise type(problem)(f"{problem}; {writing.resume_hint()}") from None


def _follow(rows: Iterator[Row], task: Task[Row], writing: Writing[Row], reporter: Reporter) -> Outcome:
    """Take all rows, and report failures as they come."""
    done = failed = 0
    with reporter.following(lambda: count_files(task.source)) as show:
        for row in rows:
            done += 1
            failure = task.failure(row)
            failed += failure is not None
            show(done + writing.earlier, failed + writing.earlier_failures)
            if failure is not None:
                reporter.failed(*failure)
    if writing.earlier and not done:
        LOG.warning(f"{writing.name}: complete already, nothing was left to do")
    return Outcome(done + writing.earlier, failed + writing.earlier_failures)
