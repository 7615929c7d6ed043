"""The progress of a run: on stderr, on a terminal only."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from clipcli.cli.messages import Messages

__all__ = [
    "NARROW", "Bar", "RecentRate", "progress_bar", "run_columns", "shown_bar", "shrinking_description",
    "with_progress",
]  # fmt: skip

Item = TypeVar("Item")

_WINDOW = 30.0  # seconds over which the rate is measured
NARROW = 60
"""Width of a terminal in columns, below which progress is shown without a bar."""

_SAMPLE = 0.5  # seconds between samples


class RecentRate:
    """The rate of a growing count over the last half minute; what was done before the first sample does not count.

    Parameters
    ----------
    clock
        Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, count: int) -> None:
        """Take note of the count."""
        now = self._clock()
        if len(self._samples) > 1 and now - self._samples[-2][0] < _SAMPLE:
            self._samples.pop()
        self._samples.append((now, count))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()

    @property
    def per_second(self) -> float | None:
        """Items per second, ``None`` if there are none, or less than a second was measured."""
        if not self._samples:
            return None
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - start) if end - start >= 1.0 and after > before else None


class Bar(Protocol):
    """A progress bar, or nothing where none is shown."""

    def phase(self, text: str) -> None:
        """Show what is done now."""

    def count(self, total: Callable[[], int | None]) -> None:
        """Count all items on a separate thread."""

    def show(self, done: int, failed: int) -> None:
        """Show how many items are done, and how many of them failed."""


class _NoBar:
    def phase(self, text: str) -> None:
        pass

    def count(self, total: Callable[[], int | None]) -> None:
        pass

    def show(self, done: int, failed: int) -> None:
        pass


class _TerminalBar:
    def __init__(self, progress: Any, encoded: Callable[[], int] | None) -> None:
        self._progress, self._encoded, self._rate = progress, encoded, RecentRate()
        self._task = progress.add_task("", total=None, failures="", rate="")

    def phase(self, text: str) -> None:
        self._progress.update(self._task, description=text)

    def count(self, total: Callable[[], int | None]) -> None:
        threading.Thread(target=lambda: self._progress.update(self._task, total=total()), daemon=True).start()

    def show(self, done: int, failed: int) -> None:
        encoded = self._encoded() if self._encoded is not None else done
        self._rate.add(encoded)
        rate = self._rate.per_second
        total = self._progress.tasks[0].total
        left = f", {_duration((total - done) / rate)} left" if rate and total and total > done else ""
        self._progress.update(
            self._task, completed=done, failures=f"{failed:,} failed" if failed else "",
            rate=f"{rate:.1f}/s{left}" if rate else "",
        )  # fmt: skip


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def run_columns(width: int) -> list[Any]:
    """Return the columns of the progress of a run; a narrow terminal gets the numbers without the bar and the rate."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.table import Column

    count = MofNCompleteColumn(table_column=Column(no_wrap=True))  # Rich only shrinks columns that may wrap
    failures = TextColumn("{task.fields[failures]}", style="red")
    if width < NARROW:
        return [shrinking_description(), count, failures]
    rate = TextColumn("{task.fields[rate]}", style="dim")
    return [shrinking_description(), BarColumn(), count, rate, failures]


def shrinking_description() -> Any:
    """Return a column for what is done now, which makes room for numbers: it is shortened where they need its place."""
    from rich.progress import TextColumn
    from rich.table import Column
    from rich.text import Text

    class Shrinking(TextColumn):
        def render(self, task: Any) -> Text:
            return Text(task.description, no_wrap=True, overflow="ellipsis")

    return Shrinking("", table_column=Column())


@contextmanager
def shown_bar(messages: Messages, encoded: Callable[[], int] | None = None) -> Iterator[Bar]:
    """Show a bar during a block.

    Parameters
    ----------
    encoded
        Returns how many images were encoded in this run, for the rate: images from the cache or of an earlier run would
        make it too high. By default, all items count.
    """
    if messages.quiet or not sys.stderr.isatty():
        yield _NoBar()
        return
    from rich.progress import Progress

    from clipcli.terminal import console

    terminal = console(sys.stderr)
    columns = run_columns(terminal.width)
    with Progress(*columns, console=terminal, transient=True, redirect_stdout=False) as progress:
        yield _TerminalBar(progress, encoded)


@contextmanager
def progress_bar(count: Callable[[], int | None], messages: Messages) -> Iterator[Callable[[int, int], None]]:
    """Show how many items came, how many failed, how fast, and how long the rest will take.

    Parameters
    ----------
    count
        Counts all items, or returns ``None`` if that takes too long; called on a separate thread.

    Yields
    ------
    What is called after each item, with how many are done and how many of them failed.
    """
    with shown_bar(messages) as bar:
        bar.count(count)
        yield bar.show


def with_progress(items: Iterable[Item], count: Callable[[], int | None], messages: Messages) -> Iterator[Item]:
    """Pass items on, and show how far that is."""
    with progress_bar(count, messages) as show:
        for done, item in enumerate(items, start=1):
            show(done, 0)
            yield item
