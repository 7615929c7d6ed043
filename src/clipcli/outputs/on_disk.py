"""The outputs of a run on disk: one file, or a folder of parts.

They are not imported by a run that writes to a stream: that is what an answer in the terminal waits for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from clipcli.outputs.destination import Destination
from clipcli.outputs.image_embeddings import write_image_embeddings
from clipcli.outputs.image_rows import EmbeddingKind, ImageRow, missing_image
from clipcli.outputs.output import AtOnce, Output, Writing
from clipcli.outputs.part_forms import embedding_parts, result_parts
from clipcli.outputs.part_update import UpdatedParts
from clipcli.outputs.parts import PartedOutput, PartForm
from clipcli.outputs.resume import ResultFile
from clipcli.outputs.run_settings import RunRecord, RunSettings, export_settings
from clipcli.outputs.some_found import some_found
from clipcli.outputs.text_formats import Layout, write_results
from clipcli.outputs.update import UpdatedFile
from clipcli.pipeline.chunks import EncoderFacts
from clipcli.pipeline.predictions import Failure, Result, missing_input
from clipcli.storage.atomic import is_special, replacing
from clipcli.storage.folders import folder_at
from clipcli.storage.locks import locked

__all__ = ["embedding_output", "result_output", "with_layout"]

Row = TypeVar("Row")


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
            return UpdatedFile(file, form, given, drop_missing=destination.drop_missing)
        if destination.is_resumable:
            return ResultFile(file, form, given, resume=destination.resume, overwrite=destination.overwrite)
        may_replace = destination.overwrite

        def whole(results: Iterator[Result]) -> Iterator[Result]:
            return _whole_file(some_found(results, missing_input), file, form, given, overwrite=may_replace)

        return AtOnce(str(file), whole)

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

        return AtOnce(str(file), whole)

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
        if destination.update:
            form, given, entries = parts(facts)
            return UpdatedParts(
                folder, form, given, entries, size=destination.part_size, drop_missing=destination.drop_missing
            )
        return PartedOutput(
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
