"""The driver: turns chunks into pieces on a cluster."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from clipcli.distributed.cluster import ActorPlan, RayOptions, as_clipcli_error, connected
from clipcli.errors import ClipcliError
from clipcli.inputs.items import Input
from clipcli.log import quiet_loggers
from clipcli.pipeline.chunks import Chunk, Piece, in_chunks, in_order
from clipcli.storage.network_policy import is_forbidden

if TYPE_CHECKING:
    from clipcli.distributed.encode_actor import EncoderFacts, EncoderOptions
    from clipcli.embedder import Embedder

__all__ = ["RayEngine"]

_CHUNK = 256  # inputs, where it is the order of the records that counts
_PORTION = 128  # inputs that one worker decodes
_BLOCKS_AHEAD = 16  # blocks that a task may be ahead of what follows it

Row = TypeVar("Row")


class InFlight:
    """The portions that are on their way: which chunks they are of, and how much of each arrived."""

    def __init__(self, room: int) -> None:
        self.room = threading.Semaphore(room)
        self.count = 0  # portions that set out so far
        self.problem: BaseException | None = None
        self._owners: dict[int, tuple[Chunk, int]] = {}
        self._arrived: dict[int, int] = {}
        self._totals: dict[int, int] = {}
        self._lowest = 0  # all portions below are done

    def set_out(self, chunk: Chunk, first: int) -> None:
        """Note where the next portion begins."""
        self._owners[self.count] = (chunk, first)
        self.count += 1

    def piece(self, rows: Any) -> Piece[Any]:
        """Return the place of some rows of a portion in their chunk."""
        chunk, first = self._owners[rows.index]
        end = first + rows.offset + len(rows.rows)
        return Piece(chunk, first + rows.offset, rows.rows, end if chunk.total is None and rows.is_last else None)

    def arrived(self, rows: Any) -> int | None:
        """Note that they are here; where portions were done, return below which number all are."""
        index = rows.index
        self._arrived[index] = self._arrived.get(index, 0) + len(rows.rows)
        if rows.is_last:
            self._totals[index] = rows.offset + len(rows.rows)
        if self._arrived[index] != self._totals.get(index):
            return None
        del self._owners[index], self._arrived[index], self._totals[index]
        self.room.release()
        while self._lowest < self.count and self._lowest not in self._owners:
            self._lowest += 1
        return self._lowest


class RayEngine(Generic[Row]):
    """The Ray engine: workers read and decode, actors encode.

    Parameters
    ----------
    embedder
        Has the options of the model. Its cache is not used, because the machines of a cluster do not share one.
    cluster
        The cluster and its options.
    finish
        Given what the model turned out to compute in, returns what turns a block of embeddings into rows.
    """

    def __init__(
        self, embedder: Embedder, cluster: RayOptions, finish: Callable[[str], Callable[[Any], list[Row]]]
    ) -> None:
        self._embedder, self._cluster, self._finish = embedder, cluster, finish
        self._facts: EncoderFacts | None = None

    def __enter__(self) -> RayEngine[Row]:
        with ExitStack() as stack:
            self._ray = stack.enter_context(connected(self._cluster))
            stack.enter_context(quiet_loggers("ray", "ray.data"))
            self._plan = ActorPlan.of(self._cluster, self._ray.cluster_resources(), self._embedder.options["device"])
            self._connection = stack.pop_all()
        return self

    def __exit__(self, *problem: object) -> None:
        self._connection.close()

    @property
    def facts(self) -> EncoderFacts:
        """What the model turned out to be on a machine like the actors': :class:`~.encode.EncoderFacts`."""
        from clipcli.distributed.encode_actor import facts_of

        if self._facts is None:
            if self._plan.gpus:
                opening = self._opening()
                task = self._ray.remote(num_gpus=self._plan.gpus, num_cpus=self._plan.processors)
                try:
                    self._facts = self._ray.get(task(lambda: facts_of(opening.open())).remote())
                except self._ray.exceptions.RayError as problem:
                    raise as_clipcli_error(problem) from None
            else:
                self._facts = facts_of(self._embedder)
        return self._facts

    def _opening(self) -> EncoderOptions:
        from clipcli.distributed.encode_actor import EncoderOptions

        return EncoderOptions(self._embedder.options, os.getcwd())  # noqa: PTH109

    def rows(self, items: Iterable[Input], *, even_batches: bool = True) -> Iterator[Row]:  # noqa: ARG002
        """Yield one row per input, in order."""
        yield from in_order(self.pieces(in_chunks(items, _CHUNK)))

    def pieces(self, chunks: Iterable[Chunk]) -> Iterator[Piece[Row]]:
        """Process chunks, in whatever order they get done.

        Raises
        ------
        ClusterError
            If Ray fails.
        """
        stream = iter(chunks)
        first = next(stream, None)  # errors in the inputs are raised before a model is loaded
        if first is None:
            return
        facts = self.facts
        portion = max(1, _PORTION // facts.batch_size) * facts.batch_size
        way = InFlight(8 + 4 * max(self._plan.most, int(self._ray.cluster_resources().get("CPU", 1))))
        feed = self._feed()
        feeder = threading.Thread(
            target=self._send, args=(chain([first], stream), portion, way, feed), name="feed", daemon=True
        )
        feeder.start()
        yield from self._arriving(self._dataset(feed, facts), way, feed)
        if way.problem is not None:
            raise way.problem

    def _feed(self) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from clipcli.distributed.feed import Feed

        here = NodeAffinitySchedulingStrategy(self._ray.get_runtime_context().get_node_id(), soft=False)
        self._here = {"num_cpus": 0, "scheduling_strategy": here}
        return self._ray.remote(Feed).options(**self._here, max_concurrency=1000).remote()

    def _send(self, chunks: Iterable[Chunk], size: int, way: InFlight, feed: Any) -> None:
        """Discover, split and send portions, limited by the queue; on a separate thread."""
        from clipcli.distributed.messages import portions_of

        try:
            for chunk in chunks:
                for portion in portions_of(chunk, size, way.count):
                    way.room.acquire()
                    way.set_out(chunk, portion.first)
                    self._ray.get(feed.put.remote(portion.index, portion.packed()))
        except BaseException as problem:  # noqa: BLE001 - raised again where the rows are read
            way.problem = problem
        try:
            feed.end.remote(way.count)
        except Exception:  # noqa: BLE001 - the run is over already
            return

    def _dataset(self, feed: Any, facts: Any) -> Any:
        """Lay out the three steps; nothing runs before rows are asked for."""
        from clipcli.distributed.decode_actor import Decode
        from clipcli.distributed.encode_actor import Encode
        from clipcli.distributed.feed import FeedSource

        data, plan = self._ray.data, self._plan
        context = data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.target_max_block_size = 1  # each portion and each batch travels by itself
        context._max_num_blocks_in_streaming_gen_buffer = _BLOCKS_AHEAD  # noqa: SLF001 - has no public name
        finish = self._ray.put(self._finish(facts.precision))
        with warnings.catch_warnings():  # newer versions want other names for options, which older ones lack
            warnings.simplefilter("ignore", DeprecationWarning)
            portions = data.read_datasource(FeedSource(feed), override_num_blocks=1, ray_remote_args=self._here)
        # Actors too: they keep what they imported, and their connections to stores.
        batches = portions.map_batches(
            Decode, fn_constructor_args=(feed, facts.preprocessing, facts.batch_size), batch_size=1,
            fn_constructor_kwargs={"offline": self._embedder.options["offline"] or is_forbidden()},
            batch_format="pyarrow", compute=data.ActorPoolStrategy(min_size=1, max_size=plan.decoders),
            num_cpus=plan.decoder_processors,
        )  # fmt: skip
        return batches.map_batches(
            Encode, fn_constructor_args=(self._opening(), facts, finish), batch_size=1, batch_format="pyarrow",
            compute=data.ActorPoolStrategy(min_size=plan.least, max_size=plan.most),
            num_cpus=plan.processors, num_gpus=plan.gpus or None,
        )  # fmt: skip

    def _arriving(self, dataset: Any, way: InFlight, feed: Any) -> Iterator[Piece[Row]]:
        from clipcli.distributed.messages import Rows

        try:
            for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
                for rows in Rows.unpacked(table):
                    yield way.piece(rows)
                    if (below := way.arrived(rows)) is not None:
                        feed.forget.remote(below)
        except (ClipcliError, GeneratorExit, KeyboardInterrupt):
            raise
        except Exception as problem:  # noqa: BLE001 - Ray Data raises errors of many kinds
            raise as_clipcli_error(problem) from None
