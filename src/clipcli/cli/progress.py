"""The progress bar: on stderr, on a terminal only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from clipcli.cli.messages import Messages

__all__ = ["progress_bar", "with_progress"]

Item = TypeVar("Item")


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
    if messages.quiet or not sys.stderr.isatty():
        yield lambda _done, _failed: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    from clipcli.terminal import console

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            too_early = (task.elapsed or 0.0) < 1.0  # the rate of cached items does not predict the others
            return Text(f"{speed:.1f}/s" if speed and not too_early else "", style="dim")

    class FailuresColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            failures = task.fields["failures"]
            return Text(f"{failures:,} failed" if failures else "", style="red")

    columns = (BarColumn(), MofNCompleteColumn(), RateColumn(), FailuresColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("images", total=None, failures=0)
        threading.Thread(target=lambda: progress.update(task, total=count()), daemon=True).start()
        yield lambda done, failed: progress.update(task, completed=done, failures=failed)


def with_progress(items: Iterable[Item], count: Callable[[], int | None], messages: Messages) -> Iterator[Item]:
    """Pass items on, and show how far that is."""
    with progress_bar(count, messages) as show:
        for done, item in enumerate(items, start=1):
            show(done, 0)
            yield item
