"""How a run is shown on stderr: a bar while it lasts, and a line for each failure."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import typer

from clipcli.cli.messages import Messages
from clipcli.cli.progress import progress_bar
from clipcli.runner import SilentReporter
from clipcli.text import printable

if TYPE_CHECKING:
    from clipcli.runner import Outcome

__all__ = ["PlainReporter", "TerminalReporter", "end"]


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


def end(outcome: Outcome, messages: Messages) -> None:
    """Say how many inputs failed, and exit with 1 if any did."""
    if outcome.failures:
        messages.warn(f"{outcome.failures} of {outcome.records} images failed")
        raise typer.Exit(1)
