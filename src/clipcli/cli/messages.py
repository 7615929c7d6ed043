"""What is said to people while a command runs: always on stderr, one line each."""

from __future__ import annotations

import os
import sys

__all__ = ["Messages"]

_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[33m", "": "\x1b[2m"}


class Messages:
    """Errors always, warnings unless ``--quiet``, details only with ``-v``."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose
        self._coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def error(self, text: str) -> None:
        """Say why a command, or one input, failed."""
        self._say("error", text)

    def warn(self, text: str) -> None:
        """Say something worth knowing that does not stop the work."""
        if not self.quiet:
            self._say("warning", text)

    def detail(self, text: str) -> None:
        """Say what is being done, for those who asked with ``-v``."""
        if self.verbose and not self.quiet:
            self._say("", text)

    def _say(self, kind: str, text: str) -> None:
        from clipcli.redaction import redacted
        from clipcli.textfiles import one_line

        line = one_line(redacted(text))
        head = f"{kind}: " if kind else ""
        if self._coloured:
            sys.stderr.write(f"{_COLOURS[kind]}{head}\x1b[0m{line}\n" if kind else f"{_COLOURS[kind]}{line}\x1b[0m\n")
        else:
            sys.stderr.write(f"{head}{line}\n")
        sys.stderr.flush()
