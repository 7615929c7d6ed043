"""Terminal output: text from names, labels and files reaches a terminal without control characters.

:func:`guarded_streams` replaces ``sys.stdout`` and ``sys.stderr`` while a command runs, if they are terminals; all
output passes through :class:`TerminalText`. Only :func:`console` and :func:`styled` write colours, directly to the
terminal: the first escapes control characters in text, the second is for escape sequences of clipcli around text
that is already escaped. Output to a pipe or a file is not changed.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from clipcli.text import escape_controls

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TerminalText", "console", "guarded_streams", "styled"]

_KEPT = "\n\t"  # tables need them, and they are harmless


class TerminalText(io.TextIOBase):
    """A terminal stream without control characters: no escape sequences, C1 controls or bidirectional controls.

    Parameters
    ----------
    terminal
        The stream to write to.
    returns
        Whether one carriage return may begin a write, as progress bars of libraries do.
    """

    def __init__(self, terminal: TextIO, *, returns: bool = False) -> None:
        self.terminal = terminal
        self._returns = returns

    def write(self, text: str) -> int:
        """Write text with its control characters escaped."""
        head = "\r" if self._returns and text.startswith("\r") else ""
        self.terminal.write(head + escape_controls(text[len(head) :], _KEPT))
        return len(text)

    def flush(self) -> None:
        """Flush the terminal."""
        self.terminal.flush()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self.terminal.isatty()

    def fileno(self) -> int:
        """Return the terminal's file descriptor."""
        return self.terminal.fileno()

    def writable(self) -> bool:
        """Return true: the stream can be written to."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The terminal's encoding."""
        return self.terminal.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """The terminal's handling of characters that it cannot encode."""
        return self.terminal.errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Pass standard output and standard error through :class:`TerminalText` if they are terminals."""
    replaced: dict[str, TextIO] = {}
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, TerminalText) and stream.isatty():
            replaced[name] = cast("TextIO", TerminalText(stream, returns=name == "stderr"))
            setattr(sys, name, replaced[name])
    try:
        yield
    finally:
        for name, guard in replaced.items():
            if getattr(sys, name) is guard:  # else it was replaced during the block
                setattr(sys, name, guard.terminal)


def styled(stream: TextIO) -> TextIO:
    """Return the stream for escape sequences of clipcli; the caller escapes all other text."""
    return stream.terminal if isinstance(stream, TerminalText) else stream


def console(file: TextIO | None = None) -> Console:
    """Return a Rich console on a stream, by default standard output, that escapes markup and control characters."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    def harmless(text: Text) -> Text:
        """Replace each control character by one other character, so that styles keep their positions."""
        plain = "".join(each if escape_controls(each, _KEPT) == each else "\ufffd" for each in text.plain)
        if plain != text.plain:
            text = text.copy()
            text.plain = plain
        return text

    class SafeConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
            if isinstance(renderable, str):
                renderable = escape_controls(renderable, _KEPT)
            elif isinstance(renderable, Text):
                renderable = harmless(renderable)
            yield from super().render(renderable, options)

    return SafeConsole(file=styled(file or sys.stdout), highlight=False, markup=False, emoji=False)
