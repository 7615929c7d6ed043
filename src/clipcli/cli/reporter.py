"""How a run is shown on stderr: a bar while it lasts, and a line for each failure."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from clipcli.cli.exit_codes import SOME_FAILED
from clipcli.cli.messages import Messages
from clipcli.cli.progress import Bar, progress_bar, shown_bar, with_progress
from clipcli.errors import ImageError
from clipcli.runner import Outcome, SilentReporter
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.text import one_line, printable

if TYPE_CHECKING:
    from clipcli.inputs.discover import Source

__all__ = ["PlainReporter", "Readable", "TerminalReporter", "end"]

Value = TypeVar("Value")

_TOP = 5  # labels whose counts are printed at the end


class PlainReporter(SilentReporter):
    """Says only what is known at the beginning: for a table on a terminal, which shows failures by itself."""

    def __init__(self, messages: Messages, begin: Callable[[], None] = lambda: None) -> None:
        self._messages, self._begin = messages, begin

    def begin(self) -> None:
        """Say what is known before the model is opened."""
        self._begin()


class TerminalReporter(PlainReporter):
    """Shows what is done and a progress bar, says which inputs failed, and sums up at the end.

    Parameters
    ----------
    begin
        Says what is known before the model is opened; it may load the text encoder.
    model
        The title of the model.
    work
        What is done with the images.
    encoded
        Returns how many images were encoded in this run.
    """

    def __init__(
        self, messages: Messages, begin: Callable[[], None] = lambda: None, *, model: str = "the model",
        work: str = "encoding", encoded: Callable[[], int] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(messages, begin)
        self._model, self._work, self._encoded = model, work, encoded
        self._bar: Bar | None = None
        self._labels: Counter[str] = Counter()
        self._images = self._failures = self._all = 0
        self._since = time.monotonic()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the whole run on a terminal, from loading the model, during a block."""
        with shown_bar(self._messages, self._encoded) as self._bar:
            self._bar.phase(f"loading {self._model}, encoding labels" if self._work == "classifying" else "loading")
            yield

    def begin(self) -> None:
        """Say what is known before the model is opened."""
        super().begin()
        if self._bar is not None:
            self._bar.phase(f"loading {self._model}")

    def done(self, row: object) -> None:
        """Count the answers."""
        label, tags = getattr(row, "label", None), getattr(row, "labels", None)
        self._images += 1
        if isinstance(label, str):
            self._labels.update([score.label for score in tags] if tags else [label])
        else:
            self._failures += 1

    def sum_up(self, following: str | None = None) -> None:
        """Print the numbers of this run and the next command, on a terminal only."""
        count = self._images
        if not count or not sys.stderr.isatty():
            return
        encoded = f", {count - self._failures - self._encoded():,} from the cache" if self._encoded is not None else ""
        unknown = self._labels.pop(UNKNOWN, 0)
        shown = ", ".join(f"{one_line(label)} {number:,}" for label, number in self._labels.most_common(_TOP))
        more = f" and {len(self._labels) - _TOP} more labels" if len(self._labels) > _TOP else ""
        of_all = f" of {self._all:,}" if self._all > count else ""
        self._messages.note(
            f"{count:,}{of_all} images in {time.monotonic() - self._since:.1f} s{encoded}: {self._failures:,} failed, "
            f"{unknown:,} unknown" + (f"; {shown}{more}" if shown else "")
        )
        if following is not None:
            self._messages.note(f"next: {following}")

    def failed(self, path: str, reason: str) -> None:
        """Say that an input failed."""
        self._messages.error(f"{printable(path)}: {reason}")

    def following(self, count: Callable[[], int | None]) -> AbstractContextManager[Callable[[int, int], None]]:
        """Show the progress bar."""
        if self._bar is None:
            return progress_bar(count, self._messages)
        self._bar.phase(self._work)
        self._bar.count(count)
        return nullcontext(self._show)

    def _show(self, done: int, failed: int) -> None:
        """Show how many records there are, including those of an earlier run."""
        self._all = done
        if self._bar is not None:
            self._bar.show(done, failed)


class Readable:
    """The readable images among all; the others are counted, and named with the reason."""

    def __init__(self, source: Source, messages: Messages) -> None:
        self._source, self._messages = source, messages
        self._done = self._failed = 0

    def among(self, items: Iterable[tuple[Any, Value | ImageError]]) -> Iterator[tuple[Any, Value]]:
        """Pass on inputs, or their names, with what was made of them, and show a progress bar."""
        from clipcli.inputs.counting import count_files
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
        raise typer.Exit(SOME_FAILED)
