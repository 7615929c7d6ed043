"""Time limits of what a request waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clipcli.serving.problems import RequestError

__all__ = ["deadline"]


@asynccontextmanager
async def deadline(seconds: float, kind: str, what: str) -> AsyncIterator[None]:
    """Cancel the block after some time; ``asyncio.timeout`` exists from Python 3.11 on only.

    Raises
    ------
    RequestError
        Of this kind, if the time is over; the message says what did not happen.
    """
    task, is_late = asyncio.current_task(), False

    def cancel() -> None:
        nonlocal is_late
        is_late = True
        if task is not None:
            task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, cancel)
    try:
        yield
    except asyncio.CancelledError:
        if is_late:
            raise RequestError(kind, f"{what} within {seconds:g} seconds") from None
        raise
    finally:
        timer.cancel()
