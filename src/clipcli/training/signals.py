"""Stopping where nothing is lost: Ctrl-C, SIGTERM and SIGHUP are noted, and obeyed between two steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from clipcli.signals import POLITE, handled, note

__all__ = ["Interruption"]


class Interruption:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self.asked = False
        self._stepping = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note the signals while the block runs; outside of steps, and at a second Ctrl-C, they act at once."""
        with handled(self._note, [signal.SIGINT, *POLITE]):
            yield

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Hold signals back while the block runs; whoever runs the steps asks for them in between."""
        self._stepping = True
        try:
            yield
        finally:
            self._stepping = False

    def _note(self, number: int, _frame: FrameType | None) -> Any:
        again = self.asked
        if again and number in POLITE:  # the end of a session often sends several
            return
        self.asked = True
        note(number)
        if again or not self._stepping:
            raise KeyboardInterrupt
