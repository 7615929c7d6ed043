"""A worker: reads and decodes the inputs of a portion, ahead of the actors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from clipcli.distributed.messages import Batch, Portion
from clipcli.errors import ImageError
from clipcli.images.preprocess import Preprocessing
from clipcli.inputs.items import FileInput, Input
from clipcli.models.allocator import allow_keeping_memory, keep_freed_memory
from clipcli.pipeline.decoding import pixels_of, read_input
from clipcli.schemes import is_remote
from clipcli.storage.network_policy import forbid_in_process, is_forbidden

__all__ = ["Decode"]

_TRIES = 2  # of a portion, before it is taken with care
_AHEAD = 16  # objects of a store that are requested at once

Pixels = NDArray[np.uint8]
Answers = Iterator[tuple[Input, "Pixels | ImageError"]]


class Decode:
    """An actor of Ray Data, a function of a portion's table that yields the tables of its batches.

    Parameters
    ----------
    feed
        The actor that counts how often a portion was started.
    preprocessing
        How images are resized and cropped.
    batch_size
        Images per batch.
    offline
        Whether object stores and web servers must not be used.
    """

    def __init__(self, feed: Any, preprocessing: Preprocessing, batch_size: int, *, offline: bool = False) -> None:
        forbid_in_process(offline)
        self._feed, self._preprocessing, self._batch_size = feed, preprocessing, batch_size
        allow_keeping_memory()
        keep_freed_memory()

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """Decode what is in one portion."""
        portion = Portion.unpacked(table)
        careful = ray.get(self._feed.begin.remote(portion.index)) >= _TRIES
        answers = with_care(portion.inputs(), self._preprocessing) if careful else at_once(
            portion.inputs(), self._preprocessing
        )  # fmt: skip
        for batch in batches(portion.index, answers, self._batch_size, self._preprocessing):
            yield batch.packed()


def batches(index: int, answers: Answers, size: int, preprocessing: Preprocessing) -> Iterator[Batch]:
    """Gather ``size`` decoded images per batch, with the failures between them; the last batch is marked."""
    entries: list[tuple[str, ImageError | None]] = []
    pixels: list[Pixels] = []
    offset = 0

    def gathered(*, is_last: bool) -> Batch:
        shape = (0, preprocessing.height, preprocessing.width, 3)
        return Batch(index, offset, is_last, entries, np.stack(pixels) if pixels else np.empty(shape, np.uint8))

    for item, answer in answers:
        if len(pixels) == size or len(entries) >= 8 * size:
            yield gathered(is_last=False)
            offset, entries, pixels = offset + len(entries), [], []
        if isinstance(answer, ImageError):
            entries.append((item.name, answer))
        else:
            entries.append((item.name, None))
            pixels.append(answer)
    yield gathered(is_last=True)


def at_once(items: Iterator[Input], preprocessing: Preprocessing) -> Answers:
    """Read ahead where reading means waiting for a store, and decode one after the other."""
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="read") as readers:
        waiting: deque[tuple[Input, Callable[[], bytes]]] = deque()
        for item in items:
            is_far = isinstance(item, FileInput) and is_remote(item.path)
            read = readers.submit(read_input, item).result if is_far else partial(read_input, item)
            waiting.append((item, read))
            while waiting and (not is_far or len(waiting) > _AHEAD):
                yield _decoded(*waiting.popleft(), preprocessing)
        while waiting:
            yield _decoded(*waiting.popleft(), preprocessing)


def _decoded(item: Input, data: Callable[[], bytes], preprocessing: Preprocessing) -> tuple[Input, Pixels | ImageError]:
    try:
        return item, pixels_of(data(), preprocessing)
    except ImageError as problem:
        return item, problem


def with_care(items: Iterator[Input], preprocessing: Preprocessing) -> Answers:
    """Decode one by one in a separate process: an image that kills it becomes a failure, and the run continues."""
    pool: ProcessPoolExecutor | None = None
    try:
        for item in items:
            pool = pool or ProcessPoolExecutor(1, get_context("spawn"), forbid_in_process, (is_forbidden(),))
            try:
                yield item, pool.submit(_pixels_or_error, item, preprocessing).result()
            except BrokenProcessPool:
                pool = None
                yield item, ImageError("unreadable", "the decoder crashed")
    finally:
        if pool is not None:
            pool.shutdown()


def _pixels_or_error(item: Input, preprocessing: Preprocessing) -> Pixels | ImageError:
    return _decoded(item, partial(read_input, item), preprocessing)[1]
