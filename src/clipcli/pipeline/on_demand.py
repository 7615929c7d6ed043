"""Open a costly resource on the main thread when a worker thread first needs it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, wait
from contextlib import suppress
from typing import Any, Generic, TypeVar

__all__ = ["OnDemand"]

Thing = TypeVar("Thing")
Result = TypeVar("Result")


class OnDemand(Generic[Thing]):
    """A resource that is opened once, on demand.

    Parameters
    ----------
    open_thing
        Called on the main thread.
    """

    def __init__(self, open_thing: Callable[[], Thing]) -> None:
        self._open_thing = open_thing
        self._wanted: Future[None] = Future()
        self._opened: Future[Thing] = Future()

    def wait(self) -> Thing:
        """On a worker: request the resource and wait until it is open.

        Raises
        ------
        CancelledError
            If the main thread has given up.
        """
        with suppress(InvalidStateError):
            self._wanted.set_result(None)
        return self._opened.result()

    def open_if_wanted(self) -> None:
        """On the main thread: open the resource if a worker has requested it."""
        if self._wanted.done() and not self._opened.done():
            self._opened.set_result(self._open_thing())

    def result_of(self, task: Future[Result]) -> Result:
        """On the main thread: wait for a task of a worker, which may need the resource."""
        either: list[Future[Any]] = [task, self._wanted]
        wait(either, return_when=FIRST_COMPLETED)
        self.open_if_wanted()
        return task.result()

    @property
    def thing(self) -> Thing | None:
        """The resource, if it is open."""
        return self._opened.result() if self._opened.done() and not self._opened.cancelled() else None

    def give_up(self) -> None:
        """On the main thread: cancel the wait of all workers."""
        self._opened.cancel()
