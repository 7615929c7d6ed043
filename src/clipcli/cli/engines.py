"""What does the work, this process or a cluster; and runs whose rows go into a folder of parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from clipcli.cli.messages import Messages
from clipcli.cli.progress import Kept, with_progress
from clipcli.errors import ClusterError, InputError, Interrupted

if TYPE_CHECKING:
    from clipcli.distributed.cluster import RayOptions
    from clipcli.embedder import Embedder
    from clipcli.inputs.discover import Input, Source
    from clipcli.inputs.items import Unit
    from clipcli.outputs.parts import PartedOutput, PartForm
    from clipcli.pipeline.chunks import Engine

__all__ = ["begin_parts", "begun", "into_parts", "open_engine", "take_all"]

Item = TypeVar("Item")
Row = TypeVar("Row")


def begun(items: Iterator[Item]) -> Iterator[Item]:
    """Find the first item now: what is wrong with the inputs comes out before a model is loaded for them."""
    first = next(items, None)
    return chain(() if first is None else (first,), items)


@contextmanager
def open_engine(
    embedder: Embedder, cluster: RayOptions | None, finish: Callable[[str], Callable[[Any], list[Row]]],
    process: Callable[[Iterable[Input], bool], Iterator[Row]],
) -> Iterator[Engine[Row]]:  # fmt: skip
    """Open what does the work.

    Parameters
    ----------
    cluster
        Where given, the work is done there, and ``finish`` says how embeddings become rows; see
        :class:`clipcli.distributed.engine.OnRay`.
    process
        How inputs become rows in this process; see :class:`clipcli.pipeline.chunks.InTurn`.
    """
    if cluster is None:
        from clipcli.pipeline.chunks import InTurn

        yield InTurn(process)
        return
    from clipcli.distributed.engine import OnRay

    with OnRay(embedder, cluster, finish) as engine:
        yield engine


def begin_parts(
    folder: str, form: PartForm[Row], settings: dict[str, Any], about: dict[str, Any], *, resume: bool, overwrite: bool
) -> PartedOutput[Row]:
    """Begin a folder of parts, or go on with one."""
    from clipcli.outputs.parts import PartedOutput
    from clipcli.storage.folders import folder_at

    return PartedOutput(folder_at(folder), form, settings, about, resume=resume, overwrite=overwrite)


def into_parts(
    engine: Engine[Row], units: Iterable[Unit], output: PartedOutput[Row], size: int, warn: Any
) -> Iterator[Row]:
    """Work and write; yield the rows as they come."""
    from clipcli.pipeline.chunks import in_chunks

    chunks = output.rest(in_chunks(units, size))
    worked = False
    try:
        for row in output.write(engine.pieces(chunks)):
            worked = True
            yield row
        if output.earlier and not worked:
            warn(f"{output.name}: complete already, nothing was left to do")
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {output.how_to_go_on()}") from None
    except (ClusterError, InputError) as problem:
        if not output.parts:
            raise
        raise type(problem)(f"{problem}; {output.how_to_go_on()}") from None


def take_all(
    rows: Iterator[Row], failure: Callable[[Row], tuple[str, str] | None], source: Source, messages: Messages,
    kept: Kept | None,
) -> tuple[int, int]:  # fmt: skip
    """Take all rows, under a progress bar, and tell of failures as they come.

    Parameters
    ----------
    failure
        Returns the input and the message of a row that is one.
    kept
        What knows of an earlier run.

    Returns
    -------
    How many there are with those of the earlier run, and how many of them are failures.
    """
    from clipcli.inputs.discover import count_files
    from clipcli.text import printable

    done = failed = 0
    for row in with_progress(
        rows, lambda: count_files(source), messages, kept, lambda row: failure(row) is not None
    ):  # fmt: skip
        done += 1
        if (told := failure(row)) is not None:
            failed += 1
            messages.error(f"{printable(told[0])}: {told[1]}")
    return (done + kept.earlier, failed + kept.earlier_failures) if kept else (done, failed)
