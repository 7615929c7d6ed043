"""How much memory decoded images may take at once, over all workers of a process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["DECODING_BYTES", "MemoryBudget", "decoding"]

DECODING_BYTES = 1_200 << 20
"""Most bytes that images being decoded take at once in one process; an image that needs more is refused."""


class MemoryBudget:
    """A number of bytes that threads share; who asks for more than is free waits.

    Claims are granted in the order in which they come, so that a large image gets its turn: small ones that come
    later do not pass it.

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
        """Hold ``size`` bytes for as long as the block runs, at most :attr:`total`; wait until they are free."""
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
"""What all decoders of this process share."""
