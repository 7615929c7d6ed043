"""How a run is shown on stderr: a bar while it lasts, and a line for each failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from clipcli.cli.messages import Messages
from clipcli.cli.progress import progress_bar, with_progress
from clipcli.errors import ImageError
from clipcli.runner import Outcome, SilentReporter
from clipcli.text import printable

if TYPE_CHECKING:
    from clipcli.inputs.discover import Source

__all__ = ["PlainReporter", "Readable", "TerminalReporter", "end"]

Value = TypeVar("Value")


class PlainReporter(SilentReporter):
    """Says only what is known at the beginning: for a table on a terminal, which shows failures by itself."""

    def __init__(self, messages: Messages, begin: Callable[[], None] = lambda: None) -> None:
        self._messages, self._begin = messages, begin

    def begin(self) -> None:
        """Say what is known before the model is opened."""
        self._begin()


class TerminalReporter(PlainReporter):
    """Shows a progress bar, and says which inputs failed."""

    def failed(self, path: str, reason: str) -> None:
        """Say that an input failed."""
        self._messages.error(f"{printable(path)}: {reason}")

    def following(self, count: Callable[[], int | None]) -> AbstractContextManager[Callable[[int, int], None]]:
        """Show the progress bar."""
        return progress_bar(count, self._messages)


class Readable:
    """The readable images among all; the others are counted, and named with the reason."""

    def __init__(self, source: Source, messages: Messages) -> None:
        self._source, self._messages = source, messages
        self._done = self._failed = 0

    def among(self, items: Iterable[tuple[Any, Value | ImageError]]) -> Iterator[tuple[Any, Value]]:
        """Pass on inputs, or their names, with what was made of them, and show a progress bar."""
        from clipcli.inputs.discover import count_files
        from clipcli.inputs.items import name_of

        for item, value in with_progress(items, lambda: count_files(self._source), self._messages):
            self._done += 1
            if isinstance(value, ImageError):
                self._failed += 1
                self._messages.error(f"{printable(item if isinstance(item, str) else name_of(item))}: {value}")
            else:
                yield item, value

    @property
    def outcome(self) -> Outcome:
        """How many inputs there were so far, and how many of them failed."""
        return Outcome(self._done, self._failed)


def end(outcome: Outcome, messages: Messages) -> None:
    """Say how many inputs failed, and exit with 1 if any did."""
    if outcome.failures:
        messages.warn(f"{outcome.failures} of {outcome.records} images failed")
        raise typer.Exit(1)
