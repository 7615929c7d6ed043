"""The text formats of results: TSV, CSV, JSON, JSON Lines, and the table for people. Parquet has its own module."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple, TextIO

from clipcli.delimited import csv_line, guarded, tsv_line
from clipcli.outputs.records import Layout, as_record, flat_columns, flat_values
from clipcli.outputs.terminal_table import table_printer
from clipcli.pipeline.predictions import Result

__all__ = ["FORMATS", "Layout", "Writer", "write_results", "writer_for"]


class Writer(NamedTuple):
    """A writer of one format: ``start`` comes before the first result, ``finish`` after the last."""

    start: Callable[[], object]
    write: Callable[[Result], object]
    finish: Callable[[], object]


def writer_for(layout: Layout, file: TextIO) -> Writer:
    """Return the writer of a layout; ``file`` is open for UTF-8 text without newline translation."""
    return FORMATS[layout.form](file, layout)


def write_results(results: Iterable[Result], file: TextIO, layout: Layout) -> Iterator[Result]:
    """Write each result and pass it on; nothing is written before the first one."""
    writer, stream = writer_for(layout, file), iter(results)
    first = next(stream, None)
    writer.start()
    for result in chain(() if first is None else (first,), stream):
        writer.write(result)
        file.flush()
        yield result
    writer.finish()


def _nothing() -> None:
    pass


def _jsonl(file: TextIO, _: Layout) -> Writer:
    def write(result: Result) -> None:
        file.write(json.dumps(as_record(result), ensure_ascii=False) + "\n")

    return Writer(_nothing, write, _nothing)


def _json(file: TextIO, _: Layout) -> Writer:
    separator = "[\n"

    def write(result: Result) -> None:
        nonlocal separator
        file.write(separator + json.dumps(as_record(result), ensure_ascii=False, indent=2))
        separator = ",\n"

    def finish() -> None:
        file.write("[]\n" if separator == "[\n" else "\n]\n")

    return Writer(_nothing, write, finish)


def _csv(file: TextIO, layout: Layout) -> Writer:
    """Write CSV that is safe to open in a spreadsheet: no text in it is read as a formula."""
    columns = flat_columns(layout)

    def write(result: Result) -> None:
        values = flat_values(result)
        cells = {name: guarded(value) if isinstance(value, str) else value for name, value in values.items()}
        file.write(csv_line(cells.get(column) for column in columns))

    return Writer(lambda: file.write(csv_line(columns)), write, _nothing)


def _tsv(file: TextIO, layout: Layout) -> Writer:
    columns = flat_columns(layout)

    def write(result: Result) -> None:
        values = flat_values(result)
        file.write(tsv_line("" if values.get(column) is None else str(values[column]) for column in columns))

    return Writer(lambda: file.write(tsv_line(columns)), write, _nothing)


def _table(file: TextIO, _: Layout) -> Writer:
    return Writer(_nothing, table_printer(file), _nothing)


FORMATS: dict[str, Callable[[TextIO, Layout], Writer]] = {
    "table": _table,
    "tsv": _tsv,
    "json": _json,
    "jsonl": _jsonl,
    "csv": _csv,
}
"""The writers, by the names of ``--format``."""
