"""The stream: look up -> read and decode in parallel -> batch -> encode, in order and with bounded memory.

Inputs are taken one by one and returned in the same order, in blocks, each with its embedding or its error. An error
is a value and does not stop the stream.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipcli.cache.embeddings import content_key
from clipcli.cache.images import Cached, ImageStatistics, round_as_cached, stamp_of_input
from clipcli.cache.stamps import FileStamp
from clipcli.errors import ImageError
from clipcli.inputs.items import BadInput, FileInput, is_input
from clipcli.models.backend import ImageEncoder
from clipcli.pipeline.decoding import pixels_of, read_input
from clipcli.pipeline.on_demand import OnDemand
from clipcli.storage.network_policy import is_forbidden, network_forbidden_in

__all__ = ["Block", "Cached", "ImageStatistics", "Plan", "embed_images", "round_as_cached"]

_FIRST_LOOK_UP, _LARGEST_LOOK_UP = 16, 512
_LONGEST_QUEUE = 2048

FloatArray = NDArray[np.float32]
Item = TypeVar("Item")
Block = list[tuple[Item, "FloatArray | ImageError"]]


@dataclass(frozen=True)
class Plan:
    """The batching of a stream.

    Parameters
    ----------
    batch_size
        Images per batch.
    workers
        Threads that read and decode.
    even_batches
        Pad every batch to ``batch_size``. The last digits of an embedding depend on the size of its batch; with
        padding, a resumed run gives the same file.
    """

    batch_size: int
    workers: int
    even_batches: bool = False


@dataclass(frozen=True)
class _Ready:
    """An input that was read: its pixels, or its embedding if that is cached."""

    content: bytes
    stamp: FileStamp | None
    pixels: Any = None
    vector: FloatArray | None = None


def embed_images(
    items: Iterable[Item], cached: Cached, open_encoder: Callable[[], ImageEncoder], plan: Plan
) -> Iterator[Block[Item]]:
    """Embed images; known images are read from the cache.

    Parameters
    ----------
    items
        :data:`~clipcli.inputs.discover.Input` values, or Pillow images.
    cached
        The model's embeddings on disk.
    open_encoder
        Loads the model; called only when an image is not in the cache.

    Yields
    ------
    Blocks of ``(item, vector)`` in the order of the items; the vector is (D,) float32 of length one, or an
    :class:`ImageError`.
    """
    encoder = OnDemand(open_encoder)
    may_decode = threading.Event()
    may_decode.set()

    forbidden = is_forbidden()

    def prepare(item: Item) -> _Ready | ImageError:
        with network_forbidden_in(forbidden=forbidden):
            return _prepared(item, cached, encoder, may_decode)

    executor = ThreadPoolExecutor(plan.workers, thread_name_prefix="decode")
    queue: deque[tuple[Item, FloatArray | Future[_Ready | ImageError]]] = deque()
    batch = _Batch(cached, plan, may_decode)
    waiting = 0
    try:
        for item, vector in _looked_up(items, cached):
            if vector is not None:
                queue.append((item, vector))
            else:
                queue.append((item, executor.submit(prepare, item)))
                encoder.open_if_wanted()
                waiting += 1
            while waiting > plan.batch_size + plan.workers or len(queue) > _LONGEST_QUEUE:
                waiting -= isinstance(queue[0][1], Future)
                yield from batch.add(*_settled(queue.popleft(), encoder), encoder.thing)
        while queue:
            yield from batch.add(*_settled(queue.popleft(), encoder), encoder.thing)
        yield from batch.flush(encoder.thing)
    finally:
        encoder.give_up()
        may_decode.set()
        executor.shutdown(wait=False, cancel_futures=True)


def _looked_up(items: Iterable[Item], cached: Cached) -> Iterator[tuple[Item, FloatArray | None]]:
    """Look items up in growing portions: the first results come early, later ones are cheap."""
    size, stream = _FIRST_LOOK_UP, iter(items)
    while portion := list(_portion(stream, size)):
        yield from zip(portion, cached.look_up(portion), strict=True)
        size = min(2 * size, _LARGEST_LOOK_UP)


def _portion(stream: Iterator[Item], size: int) -> Iterator[Item]:
    """Take items that can be looked up together; an item that holds its image in memory ends the portion."""
    for item in islice(stream, size):
        yield item
        if _is_in_memory(item):
            return


def _is_in_memory(item: Any) -> bool:
    """Return whether an item holds its image in memory, rather than only a name."""
    return not isinstance(item, FileInput | BadInput)


def _settled(
    entry: tuple[Item, FloatArray | Future[_Ready | ImageError]], encoder: OnDemand[ImageEncoder]
) -> tuple[Item, FloatArray | _Ready | ImageError]:
    item, found = entry
    return item, encoder.result_of(found) if isinstance(found, Future) else found


def _prepared(
    item: Any, cached: Cached, encoder: OnDemand[ImageEncoder], may_decode: threading.Event
) -> _Ready | ImageError:
    """Read, hash and decode one input on a worker thread; only decoding waits for the encoder."""
    try:
        if not is_input(item):
            preprocessing = encoder.wait().preprocessing
            may_decode.wait()
            from clipcli.images.rgb import to_rgb  # Pillow, which answers from the cache do not need

            return _Ready(b"", None, preprocessing.pixels(to_rgb(item)))
        before = stamp_of_input(item)
        data = read_input(item)
        stamp = before if before == stamp_of_input(item) else None  # else it changed while it was read
        content = content_key(data)
        known = cached.find(content)
        if known is not None:
            return _Ready(content, stamp, vector=known)
        preprocessing = encoder.wait().preprocessing
        may_decode.wait()
        return _Ready(content, stamp, pixels_of(data, preprocessing))
    except ImageError as error:
        return error
    except MemoryError:
        return ImageError("too_large", "not enough memory to prepare it")


class _Batch:
    """Gathers items until a batch is full, encodes it, and returns all of them in order."""

    def __init__(self, cached: Cached, plan: Plan, may_decode: threading.Event) -> None:
        self._cached, self._plan, self._may_decode = cached, plan, may_decode
        self._items: list[tuple[Any, FloatArray | _Ready | ImageError]] = []
        self._filled = self._in_memory = 0

    def add(
        self, item: Item, found: FloatArray | _Ready | ImageError, encoder: ImageEncoder | None
    ) -> Iterator[Block[Item]]:
        self._items.append((item, found))
        self._filled += isinstance(found, _Ready) and found.vector is None
        self._in_memory += _is_in_memory(item)
        if (
            self._filled >= self._plan.batch_size
            or self._in_memory >= 2 * self._plan.batch_size
            or len(self._items) >= _LARGEST_LOOK_UP
        ):
            yield from self.flush(encoder)

    def flush(self, encoder: ImageEncoder | None) -> Iterator[Block[Any]]:
        if not self._items:
            return
        fresh = [ready for _, ready in self._items if isinstance(ready, _Ready) and ready.vector is None]
        vectors: FloatArray = np.empty((0, 0), np.float32)
        if fresh and encoder is not None:
            vectors = self._cached.round_as_cached(self._encode(encoder, [ready.pixels for ready in fresh]))
        self._remember(fresh, vectors)
        self._cached.statistics.encoded += len(fresh)
        self._cached.statistics.cached += sum(not isinstance(found, ImageError) for _, found in self._items) - len(
            fresh
        )
        rows = iter(vectors)
        block = [
            (item, found if not isinstance(found, _Ready) else _vector_of(found, rows)) for item, found in self._items
        ]
        self._items, self._filled, self._in_memory = [], 0, 0
        yield block

    def _encode(self, encoder: ImageEncoder, pixels: Sequence[NDArray[np.uint8]]) -> FloatArray:
        """Encode a batch. On a CPU, no image is decoded meanwhile: threads that share a core slow each other down."""
        if encoder.shares_processor:
            self._may_decode.clear()
        try:
            return encoder.encode(pixels, self._plan.batch_size if self._plan.even_batches else 0)
        finally:
            self._may_decode.set()

    def _remember(self, fresh: list[_Ready], vectors: FloatArray) -> None:
        new = {ready.content: row for ready, row in zip(fresh, vectors, strict=True) if ready.content}
        read = [ready for _, ready in self._items if isinstance(ready, _Ready)]
        self._cached.keep(new, {ready.stamp: ready.content for ready in read if ready.stamp})


def _vector_of(ready: _Ready, rows: Iterator[FloatArray]) -> FloatArray:
    return ready.vector if ready.vector is not None else next(rows)
