"""Stopping where nothing is lost: Ctrl-C and SIGTERM are noted, and obeyed between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Interruption"]


class Interruption:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self.asked = False
        self._stepping = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note both signals while the block runs; outside of steps, and for the second time, they act at once."""
        if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
            yield
            return
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Hold signals back while the block runs; whoever runs the steps asks for them in between."""
        self._stepping = True
        try:
            yield
        finally:
            self._stepping = False

    def _note(self, _number: int, _frame: FrameType | None) -> Any:
        if self.asked or not self._stepping:
            raise KeyboardInterrupt
        self.asked = True
