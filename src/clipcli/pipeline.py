"""The stream: inputs -> decode in parallel -> batch -> encode, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from clipcli.errors import ImageError

__all__ = ["encode_in_batches", "map_ahead"]

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Encoded = TypeVar("Encoded")


def map_ahead(
    work: Callable[[Item], Prepared], items: Iterable[Item], workers: int, ahead: int
) -> Iterator[tuple[Item, Prepared | ImageError]]:
    """Apply ``work`` in threads, at most ``ahead`` items in advance, and yield in the order of the items.

    An :class:`ImageError` is a value that flows on beside the results; anything else is raised.
    """
    pending: deque[tuple[Item, Future[Prepared | ImageError]]] = deque()
    executor = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for item in items:
            pending.append((item, executor.submit(_guarded, work, item)))
            if len(pending) > ahead:
                item_done, future = pending.popleft()
                yield item_done, future.result()
        while pending:
            item_done, future = pending.popleft()
            yield item_done, future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _guarded(work: Callable[[Item], Prepared], item: Item) -> Prepared | ImageError:
    try:
        return work(item)
    except ImageError as error:
        return error


def encode_in_batches(
    stream: Iterable[tuple[Item, Prepared | ImageError]],
    encode: Callable[[Sequence[Prepared]], Iterable[Encoded]],
    batch_size: int,
) -> Iterator[tuple[Item, Encoded | ImageError]]:
    """Gather prepared items into full batches, encode them, and yield all items in their order.

    Failures don't take up a place in a batch: they wait among their neighbours until these are encoded.
    """
    waiting: list[tuple[Item, Prepared | ImageError]] = []
    filled = 0
    for item, prepared in stream:
        waiting.append((item, prepared))
        filled += not isinstance(prepared, ImageError)
        if filled == batch_size or len(waiting) >= 4 * batch_size:
            yield from _encoded(waiting, encode)
            waiting, filled = [], 0
    yield from _encoded(waiting, encode)


def _encoded(
    waiting: list[tuple[Item, Prepared | ImageError]],
    encode: Callable[[Sequence[Prepared]], Iterable[Encoded]],
) -> Iterator[tuple[Item, Encoded | ImageError]]:
    batch = [prepared for _, prepared in waiting if not isinstance(prepared, ImageError)]
    vectors = iter(encode(batch) if batch else ())
    for item, prepared in waiting:
        yield item, prepared if isinstance(prepared, ImageError) else next(vectors)
