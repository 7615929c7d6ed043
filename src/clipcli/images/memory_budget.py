"""The memory limit of images that are decoded at once, over all threads of a process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clipcli.images.limits import DECODING_BYTES

__all__ = ["MemoryBudget", "decoding"]


class MemoryBudget:
    """A memory budget that threads share; a thread that claims more than is free waits.

    Claims are granted in order, so that a large image is not delayed forever by small ones that come
    later.

    Parameters
    ----------
    total
        Bytes to share.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._used = 0
        self._turn = threading.Lock()
        self._free = threading.Condition()

    @contextmanager
    def claim(self, size: int) -> Iterator[None]:
        """Hold ``size`` bytes, at most :attr:`total`, during the block; wait until they are free."""
        size = min(size, self.total)
        with self._turn, self._free:
            self._free.wait_for(lambda: self._used + size <= self.total)
            self._used += size
        try:
            yield
        finally:
            with self._free:
                self._used -= size
                self._free.notify_all()


decoding = MemoryBudget(DECODING_BYTES)
"""The budget of this process."""
