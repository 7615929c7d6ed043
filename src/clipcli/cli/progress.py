"""The progress bar: on stderr, on a terminal only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from clipcli.cli.messages import Messages

__all__ = ["Kept", "with_progress"]

Item = TypeVar("Item")


class Kept(Protocol):
    """The counts of an earlier run; :class:`clipcli.outputs.resume.ResultFile` has them."""

    earlier: int
    earlier_failures: int


def with_progress(
    items: Iterable[Item], count: Callable[[], int | None], messages: Messages, kept: Kept | None = None,
    is_failure: Callable[[Item], bool] = lambda _: False,
) -> Iterator[Item]:  # fmt: skip
    """Pass items on and show their number, the failures, the rate and the remaining time.

    Parameters
    ----------
    count
        Counts all items, or returns ``None`` if that takes too long; called on a separate thread.
    kept
        The counts of an interrupted run that this one continues.
    """
    if messages.quiet or not sys.stderr.isatty():
        yield from items
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
        failures = 0
        for done, item in enumerate(items, start=1):
            failures += is_failure(item)
            before, failed_before = (kept.earlier, kept.earlier_failures) if kept else (0, 0)
            progress.update(task, completed=done + before, failures=failures + failed_before)
            yield item
