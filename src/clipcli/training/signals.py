"""Stop a run between two steps, so that no work is lost, at Ctrl-C, SIGTERM or SIGHUP."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from clipcli.signals import POLITE, handled, note

__all__ = ["Interruption"]


class Interruption:
    """Whether a signal to stop has arrived."""

    def __init__(self) -> None:
        self.asked = False
        self._stepping = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Record signals during the block; outside of steps, and at a second Ctrl-C, they act at once."""
        with handled(self._note, [signal.SIGINT, *POLITE]):
            yield

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Delay signals during the block; the trainer checks for them between steps."""
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
