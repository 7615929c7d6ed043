"""Values in memory for later requests: the most recently used of a kind, each for some time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Generic, TypeVar

__all__ = ["Recent"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A mapping that forgets; safe to use from several threads.

    Parameters
    ----------
    most
        How many values it holds, or how much they may weigh together; the least recently used is dropped first.
    seconds
        How long a value stays after its last use.
    weigh
        Returns the weight of a value.
    now
        The clock, in seconds.
    """

    def __init__(
        self, most: int, seconds: float, weigh: Callable[[Value], int] = lambda _: 1,
        now: Callable[[], float] = monotonic,
    ) -> None:  # fmt: skip
        self._most, self._seconds, self._weigh, self._now = most, seconds, weigh, now
        self._weight = 0
        self._values: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """Return a value and keep it for longer; ``None`` if it was dropped."""
        with self._lock:
            self._drop_old()
            if key not in self._values:
                return None
            value = self._values.pop(key)[1]
            self._values[key] = (self._now(), value)
            return value

    def put(self, key: Key, value: Value) -> None:
        """Keep a value."""
        with self._lock:
            if key in self._values:
                self._weight -= self._weigh(self._values.pop(key)[1])
            self._values[key] = (self._now(), value)
            self._weight += self._weigh(value)
            while self._weight > self._most and len(self._values) > 1:
                self._drop_first()
            self._drop_old()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._weight = 0

    def _drop_first(self) -> None:
        _, (_, value) = self._values.popitem(last=False)
        self._weight -= self._weigh(value)

    def _drop_old(self) -> None:
        oldest = self._now() - self._seconds
        while self._values and next(iter(self._values.values()))[0] < oldest:
            self._drop_first()
