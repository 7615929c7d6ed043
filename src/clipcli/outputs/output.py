"""The outputs of a run: a stream, one file, or a folder of parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from clipcli.outputs.destination import Destination
from clipcli.outputs.image_embeddings import write_image_embeddings
from clipcli.outputs.image_rows import EmbeddingKind, ImageRow, missing_image
from clipcli.outputs.part_forms import embedding_parts, result_parts
from clipcli.outputs.part_update import UpdatedParts
from clipcli.outputs.parts import PartedOutput, PartForm
from clipcli.outputs.resume import ResultFile
from clipcli.outputs.run_settings import RunRecord, RunSettings, export_settings
from clipcli.outputs.some_found import some_found
from clipcli.outputs.text_formats import Layout, write_results
from clipcli.outputs.update import UpdatedFile
from clipcli.pipeline.chunks import EncoderFacts, Engine
from clipcli.pipeline.predictions import Failure, Result, missing_input
from clipcli.storage.atomic import is_special, replacing
from clipcli.storage.folders import folder_at
from clipcli.storage.locks import locked

__all__ = ["Output", "Writing", "embedding_output", "result_output", "stream_output", "with_layout"]

Row = TypeVar("Row")


class Writing(Protocol[Row]):
    """An open output; :class:`ResultFile` and :class:`PartedOutput` can also be resumed.

    Attributes
    ----------
    name
        The name of the output, for messages.
    earlier, earlier_failures
        The number of records of an earlier run, and the number of failures among them, as far as its inputs have been
        skipped.
    """

    name: str
    earlier: int
    earlier_failures: int

    def rows(self, engine: Engine[Row], units: Iterable[Any]) -> Iterator[Row]:
        """Let an engine process the remaining inputs; write its rows and yield them."""

    def idle(self) -> str | None:
        """Return why nothing was written, ``None`` if something was."""

    @property
    def kept(self) -> int:
        """The number of records, or parts, on disk from which to resume."""

    def resume_hint(self) -> str | None:
        """Return what was saved of an interrupted run, and how to continue it; ``None`` if it cannot be."""


@dataclass(frozen=True)
class Output(Generic[Row]):
    """The output of a run before it is opened.

    Parameters
    ----------
    begin
        Starts or resumes; called with the facts of the image encoder if it is open in another process.
    claimed
        Prevents other runs from writing there during a block.
    in_parts
        Whether shards are processed as units, rather than input by input.
    may_be_empty
        Whether a list of paths on standard input may be empty.
    """

    begin: Callable[[EncoderFacts | None], Writing[Row]]
    claimed: Callable[[], AbstractContextManager[object]] = nullcontext
    in_parts: bool = False
    may_be_empty: bool = False


class _AtOnce(Generic[Row]):
    """A stream, or a file that is written atomically."""

    earlier = earlier_failures = kept = 0

    def __init__(self, name: str, write: Callable[[Iterator[Row]], Iterator[Row]]) -> None:
        self.name, self._write = name, write

    def rows(self, engine: Engine[Row], units: Iterable[Any]) -> Iterator[Row]:
        return self._write(engine.rows(units))

    def idle(self) -> None:
        return None

    def resume_hint(self) -> None:
        return None


def stream_output(write: Callable[[Iterator[Row]], Iterator[Row]]) -> Output[Row]:
    """Return the output that a function writes while it passes the rows on."""
    return Output(lambda _: _AtOnce("standard output", write))


def result_output(
    destination: Destination,
    layout: Callable[[str], Layout],
    settings: Callable[[EncoderFacts | None], RunSettings],
    about: Callable[[], dict[str, Any]],
) -> Output[Result]:
    """Return the output for results.

    Parameters
    ----------
    layout
        Returns the layout of a format.
    settings
        Returns the settings of the run, given the facts of the image encoder.
    about
        Returns further entries of a folder's manifest.
    """

    def all_settings(facts: EncoderFacts | None, form: Layout) -> RunSettings:
        return with_layout(settings(facts), form)

    def begin_file(facts: EncoderFacts | None) -> Writing[Result]:
        form = replace(layout(destination.form), compact=destination.compact)
        given, file = all_settings(facts, form), destination.file
        if destination.update:
            return UpdatedFile(file, form, given)
        if destination.is_resumable:
            return ResultFile(file, form, given, resume=destination.resume, overwrite=destination.overwrite)
        may_replace = destination.overwrite

        def whole(results: Iterator[Result]) -> Iterator[Result]:
            return _whole_file(some_found(results, missing_input), file, form, given, overwrite=may_replace)

        return _AtOnce(str(file), whole)

    def parts(facts: EncoderFacts | None) -> tuple[PartForm[Result], RunSettings, dict[str, Any]]:
        form = replace(layout(destination.form), compact=destination.compact)
        return result_parts(form), all_settings(facts, form), about()

    return _in_parts(destination, parts) if destination.in_parts else _in_file(destination, begin_file)


def with_layout(settings: RunSettings, form: Layout) -> RunSettings:
    """Return the settings of a run with those of the form of its results."""
    compact = {"compact": True} if form.compact else {}
    return settings.having(format=form.form, top_k=form.top_k, grouped=form.grouped, **compact)


def embedding_output(
    destination: Destination,
    dtype: str,
    kind: Callable[[EncoderFacts | None, str], EmbeddingKind],
    encoder_settings: Callable[[], dict[str, Any]],
) -> Output[ImageRow]:
    """Return the output for the embeddings of images.

    Parameters
    ----------
    dtype
        One of :data:`~clipcli.outputs.image_rows.DTYPES`.
    kind
        Returns the properties that all rows share, given the facts of the image encoder and the data type in the file.
    encoder_settings
        Returns what decides the embeddings that are computed in this process.
    """

    def begin_file(facts: EncoderFacts | None) -> Writing[ImageRow]:
        shared, file = kind(facts, dtype), destination.file
        may_replace = destination.overwrite

        def whole(rows: Iterator[ImageRow]) -> Iterator[ImageRow]:
            return write_image_embeddings(some_found(rows, missing_image), file, shared, overwrite=may_replace)

        return _AtOnce(str(file), whole)

    def parts(facts: EncoderFacts | None) -> tuple[PartForm[ImageRow], RunSettings, dict[str, Any]]:
        shared = kind(facts, dtype)
        encoder = facts.settings if facts else encoder_settings()
        return embedding_parts(destination.form, shared), export_settings(shared, encoder), {}

    return _in_parts(destination, parts) if destination.in_parts else _in_file(destination, begin_file)


def _in_file(destination: Destination, begin: Callable[[EncoderFacts | None], Writing[Row]]) -> Output[Row]:
    return Output(begin, lambda: locked(destination.file), may_be_empty=destination.update)


def _in_parts(
    destination: Destination,
    parts: Callable[[EncoderFacts | None], tuple[PartForm[Row], RunSettings, dict[str, Any]]],
) -> Output[Row]:
    folder = folder_at(destination.output)

    def begin(facts: EncoderFacts | None) -> Writing[Row]:
        kind = UpdatedParts if destination.update else PartedOutput
        return kind(
            folder, *parts(facts), size=destination.part_size, resume=destination.resume,
            overwrite=destination.overwrite,
        )  # fmt: skip

    return Output(begin, lambda: folder, in_parts=True, may_be_empty=destination.update)


def _whole_file(
    results: Iterator[Result], target: Path, layout: Layout, settings: RunSettings, *, overwrite: bool
) -> Iterator[Result]:
    """Write a file atomically, with the record of the run."""
    records, failures, started = 0, 0, time.time()
    with replacing(target, overwrite=overwrite) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as opened:
            for result in write_results(results, opened, layout):
                records, failures = records + 1, failures + isinstance(result, Failure)
                yield result
        if not is_special(target) and (overwrite or not target.exists()):
            RunRecord.sign(temporary, settings, records, failures, started).write(target)
