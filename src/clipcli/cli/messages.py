"""Messages to the user while a command runs, on stderr, one line each."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from clipcli.log import LOG, quiet_loggers

__all__ = ["SHOWN", "Messages", "library_heard"]

SHOWN = 10
"""The number of inputs with the same problem that are printed one by one."""

# Red and magenta are legible on black and on white; yellow and green are not.
_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;35m", "": "\x1b[2m"}
_RETOLD = ("adlfs", "azure", "fsspec", "gcsfs", "huggingface_hub", "s3fs")  # what these log, our errors say in a line
_LONGEST = 2000  # characters per line: messages quote names, cells and lines of files, which may have any length
_LONGEST_NAME = 300  # characters without a space


class Messages:
    """Errors always, warnings unless ``--quiet``, details only with ``-v``.

    What the library logs is printed by the instance that was made last: that of the running command.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose
        self._coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        _LIBRARY.messages = self

    def error(self, text: str) -> None:
        """Print why a command, or one input, failed."""
        self._say("error", text)

    def warn(self, text: str) -> None:
        """Print a warning, which does not stop the run."""
        if not self.quiet:
            self._say("warning", text)

    def urge(self, text: str) -> None:
        """Print a warning even with ``--quiet``: why nothing happens."""
        self._say("warning", text)

    def problems(self, lines: Iterable[tuple[str, str]], more: str) -> int:
        """Print the first inputs with each reason, and how many more there are; return the number of all.

        Parameters
        ----------
        lines
            The input and the reason; consumed as it is.
        more
            What the others are, with ``{}`` for their number, such as ``{} more files``.
        """
        counts: dict[str, int] = {}
        for subject, reason in lines:
            counts[reason] = counts.get(reason, 0) + 1
            if counts[reason] <= SHOWN:
                self.error(f"{subject}: {reason}")
        for reason, count in counts.items():
            if count > SHOWN:
                self.error(f"{more.format(count - SHOWN)}: {reason}")
        return sum(counts.values())

    def note(self, text: str) -> None:
        """Print a result that does not belong to the data on stdout."""
        if not self.quiet:
            self._write(f"{text}\n")

    def detail(self, text: str) -> None:
        """Print a detail, if ``-v`` is given."""
        if self.verbose and not self.quiet:
            self._say("", text)

    def _say(self, kind: str, text: str) -> None:
        from clipcli.redaction import redacted
        from clipcli.terminal import styled
        from clipcli.text import one_line

        line = _shortened(one_line(redacted(text)))
        head = f"{kind}: " if kind else ""
        if self._coloured:
            text = f"{_COLOURS[kind]}{head}\x1b[0m{line}\n" if kind else f"{_COLOURS[kind]}{line}\x1b[0m\n"
            self._write(text, styled(sys.stderr))
        else:
            self._write(f"{head}{line}\n")

    def _write(self, text: str, stream: TextIO | None = None) -> None:
        """Write to stderr; the run continues if the reader of stderr has closed it."""
        try:
            stream = stream or sys.stderr
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


class _LibraryHandler(logging.Handler):
    """Prints what the library logs, each text once."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: Messages | None = None
        self.printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if self.messages is not None and text not in self.printed:
            self.printed.add(text)
            if record.levelno >= logging.ERROR:
                self.messages.urge(text)
            else:
                (self.messages.warn if record.levelno >= logging.WARNING else self.messages.detail)(text)


_LIBRARY = _LibraryHandler()


@contextmanager
def library_heard() -> Iterator[None]:
    """Print what the library logs while a command runs, and nothing of what other libraries do."""
    level, propagates = LOG.level, LOG.propagate
    _LIBRARY.printed.clear()
    LOG.addHandler(_LIBRARY)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    try:
        with quiet_loggers(*_RETOLD):
            yield
    finally:
        LOG.removeHandler(_LIBRARY)
        LOG.setLevel(level)
        LOG.propagate = propagates


def _shortened(line: str) -> str:
    """Leave out the middle of names and of a line that are too long: the remedy is at the end of a line."""
    line = re.sub(rf"\S{{{_LONGEST_NAME + 1},}}", lambda name: _without_middle(name[0], _LONGEST_NAME, ""), line)
    return _without_middle(line, _LONGEST, " ")


def _without_middle(text: str, longest: int, space: str) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2 - 20
    return f"{text[:half]}{space}[... {len(text) - 2 * half} characters ...]{space}{text[-half:]}"
