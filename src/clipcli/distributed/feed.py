"""Portions on their way from the driver to the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import ray
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

__all__ = ["Feed", "FeedSource"]


class Feed:
    """Holds the portions that are being processed; an actor on the driver's machine.

    Portions can be read again until they are removed, in the same order: so Ray may restart its reader.
    """

    def __init__(self) -> None:
        self._portions: dict[int, pa.Table] = {}
        self._attempts: dict[int, int] = {}
        self._forgotten = 0  # all portions below are done
        self._end: int | None = None
        self._news = asyncio.Condition()

    async def put(self, index: int, portion: pa.Table) -> None:
        """Add a portion."""
        async with self._news:
            self._portions[index] = portion
            self._news.notify_all()

    async def end(self, count: int) -> None:
        """Set the total number of portions."""
        async with self._news:
            self._end = count
            self._news.notify_all()

    async def get(self, index: int) -> pa.Table | None:
        """Wait for a portion; ``None`` after the last one.

        For a removed portion, which only a restarted reader requests, any portion is returned, and ignored.
        """
        async with self._news:
            await self._news.wait_for(
                lambda: (
                    index in self._portions or index < self._forgotten or (self._end is not None and index >= self._end)
                )
            )
            if index in self._portions:
                return self._portions[index]
            return pa.table({"portion": pa.array([b""], pa.binary())}) if index < self._forgotten else None

    async def begin(self, index: int) -> int:
        """Count that a worker starts a portion, and return the count before."""
        before = self._attempts.get(index, 0)
        self._attempts[index] = before + 1
        return before

    async def forget(self, below: int) -> None:
        """Remove portions that are done."""
        self._forgotten = max(self._forgotten, below)
        for held in (self._portions, self._attempts):
            for index in [index for index in held if index < below]:
                del held[index]


class FeedSource(Datasource):
    """A source of Ray Data that yields the portions of a :class:`Feed` as they come."""

    def __init__(self, feed: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._feed = feed

    def get_name(self) -> str:
        """Name it for Ray's logs."""
        return "clipcli"

    def estimate_inmemory_data_size(self) -> int | None:
        """Return ``None``: the size is unknown."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:  # noqa: ARG002
        """Return the one task that reads the feed."""
        feed = self._feed

        def read() -> Iterable[pa.Table]:
            index = 0
            while (portion := ray.get(feed.get.remote(index))) is not None:
                yield portion
                index += 1

        return [ReadTask(read, BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None))]
