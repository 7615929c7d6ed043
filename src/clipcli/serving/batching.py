"""Batches across requests: what is waiting when the encoder becomes free is encoded together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from time import monotonic
from typing import Generic, TypeVar

__all__ = ["Batcher", "gather"]

Job = TypeVar("Job")
Done = TypeVar("Done")


def gather(first: Job, waiting: queue.SimpleQueue[Job], size: int, seconds: float) -> list[Job]:
    """Return a batch: the first job and those that come until it is full, or until the time is over.

    Parameters
    ----------
    waiting
        Further jobs; what is already there is always taken.
    size
        The most jobs in a batch.
    seconds
        How long to wait for more.
    """
    batch, end = [first], monotonic() + seconds
    while len(batch) < size:
        try:
            batch.append(waiting.get(timeout=max(0.0, end - monotonic())))
        except queue.Empty:
            break
    return batch


class Batcher(Generic[Job, Done]):
    """One thread that does the jobs of all requests in batches.

    Parameters
    ----------
    work
        Does a batch of jobs, and returns one result for each.
    size, seconds
        See :func:`gather`.
    name
        Of the thread.
    """

    def __init__(
        self, work: Callable[[list[Job]], Sequence[Done]], size: int, seconds: float, name: str = "encode"
    ) -> None:
        self._work, self._size, self._seconds = work, size, seconds
        self._waiting: queue.SimpleQueue[tuple[Job, Future[Done]] | None] = queue.SimpleQueue()
        self.batches = self.jobs = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job, done: Future[Done]) -> None:
        """Queue a job; its result, or the exception of its batch, goes into ``done``."""
        self._waiting.put((job, done))

    def close(self) -> None:
        """Finish what is queued, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = gather(first, self._waiting, self._size, self._seconds)
            is_last = None in batch
            self._do([each for each in batch if each is not None and each[1].set_running_or_notify_cancel()])
            if is_last:
                return

    def _do(self, batch: list[tuple[Job, Future[Done]]]) -> None:
        if not batch:
            return
        self.batches, self.jobs = self.batches + 1, self.jobs + len(batch)
        try:
            results = self._work([job for job, _ in batch])
        except BaseException as problem:  # noqa: BLE001 - whoever waits for a job must hear of it
            for _, done in batch:
                done.set_exception(problem)
            return
        for (_, done), result in zip(batch, results, strict=True):
            done.set_result(result)
