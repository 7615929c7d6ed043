"""SIGTERM and SIGHUP stop a run like Ctrl-C: the work so far is saved, and the exit code is 128 + signal.

A signal that is ignored when the program starts, as SIGHUP is under ``nohup``, stays ignored.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["POLITE", "exit_code", "handled", "note", "preserved", "stopped"]

POLITE = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
# Signals belong to the process, and so does this state.
_last = signal.SIGINT  # the one of the exit code; Python itself turns SIGINT into KeyboardInterrupt
_stopping = False

Handler = Callable[[int, FrameType | None], Any]


def exit_code() -> int:
    """Return the exit code of an interrupted run: 128 + the signal that stopped it, 130 for Ctrl-C."""
    return 128 + _last


def note(number: int) -> None:
    """Note which signal stopped the run."""
    global _last
    _last = signal.Signals(number)


@contextmanager
def handled(handler: Handler, numbers: Sequence[int]) -> Iterator[None]:
    """Install a signal handler during the block, except for ignored signals; on the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    taken = {number: former for number, former in before.items() if former not in (signal.SIG_IGN, None)}
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in taken.items():
            signal.signal(number, former)


@contextmanager
def stopped() -> Iterator[None]:
    """Raise :class:`KeyboardInterrupt` in the block at the first SIGTERM or SIGHUP.

    Further ones are ignored, because the end of a session often sends several, and the first needs time to save the
    work. Ctrl-C still stops at once.
    """
    global _last, _stopping
    if signal.getsignal(POLITE[0]) is _stop:  # a block within another
        yield
        return
    _last, _stopping = signal.SIGINT, False
    with handled(_stop, POLITE):
        yield


def _stop(number: int, _frame: FrameType | None) -> None:
    global _stopping
    if not _stopping:
        _stopping = True
        note(number)
        raise KeyboardInterrupt


@contextmanager
def preserved() -> Iterator[None]:
    """Restore the handlers that a library replaces during the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *POLITE)}
    try:
        yield
    finally:
        for number, former in before.items():
            if former is not None and signal.getsignal(number) is not former:
                signal.signal(number, former)
