"""Results out: a table for people, and TSV, CSV, JSON and JSON Lines for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

from clipcli.records import Failure, Prediction, Result, as_record, flat_columns, flatten, printable
from clipcli.zeroshot import UNKNOWN

__all__ = ["FORMATS", "write_results"]

_BAR_WIDTH = 24
_TSV_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def write_results(results: Iterable[Result], file: TextIO, form: str, *, top_k: int, grouped: bool) -> Iterator[Result]:
    """Write each result as it comes, and pass it on.

    Parameters
    ----------
    results
        Predictions and failures.
    file
        Open for text, UTF-8, without newline translation.
    form
        One of :data:`FORMATS`.
    top_k
        How many ranks CSV and TSV have columns for.
    grouped
        Whether the labels have groups.
    """
    start, write, finish = FORMATS[form](file, top_k, grouped)
    start()
    for result in results:
        write(result)
        file.flush()
        yield result
    finish()


_Steps = tuple[Callable[[], object], Callable[[Result], object], Callable[[], object]]


def _nothing() -> None:
    pass


def _jsonl(file: TextIO, top_k: int, grouped: bool) -> _Steps:  # noqa: ARG001
    def write(result: Result) -> None:
        file.write(json.dumps(as_record(result), ensure_ascii=False) + "\n")

    return _nothing, write, _nothing


def _json(file: TextIO, top_k: int, grouped: bool) -> _Steps:  # noqa: ARG001
    separator = "[\n"

    def write(result: Result) -> None:
        nonlocal separator
        file.write(separator + json.dumps(as_record(result), ensure_ascii=False, indent=2))
        separator = ",\n"

    def finish() -> None:
        file.write("[]\n" if separator == "[\n" else "\n]\n")

    return _nothing, write, finish


def _csv(file: TextIO, top_k: int, grouped: bool) -> _Steps:
    writer = csv.DictWriter(file, flat_columns(top_k, grouped=grouped), restval="", lineterminator="\n")
    return writer.writeheader, lambda result: writer.writerow(flatten(result)), _nothing


def _tsv(file: TextIO, top_k: int, grouped: bool) -> _Steps:
    r"""Write TSV in the common dialect: no quotes; tab, newline and backslash as ``\t``, ``\n``, ``\\``."""
    columns = flat_columns(top_k, grouped=grouped)

    def write(result: Result) -> None:
        cells = flatten(result)
        file.write("\t".join(cells.get(column, "").translate(_TSV_ESCAPES) for column in columns) + "\n")

    return lambda: file.write("\t".join(columns) + "\n"), write, _nothing


def _table(file: TextIO, top_k: int, grouped: bool) -> _Steps:  # noqa: ARG001
    from rich.console import Console

    console = Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=False)

    def write(result: Result) -> None:
        from rich.text import Text

        title = Text(_one_line(printable(result.path)) or "image", style="bold", overflow="fold")
        if isinstance(result, Failure):
            console.print(title)
            console.print(Text(f"  failed: {result.message}", style="red"))
            return
        if result.label == UNKNOWN and result.top[0].label != UNKNOWN:
            title.append("  unknown", style="yellow")
        console.print(title)
        console.print(_bars(result))

    return _nothing, write, _nothing


def _bars(result: Prediction) -> object:
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(no_wrap=True, max_width=48, overflow="ellipsis")
    table.add_column(width=_BAR_WIDTH)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", style="dim", no_wrap=True)
    rows = [(score.label, score.probability, f"{score.similarity:.3f}") for score in result.top]
    groups = [(f"[{name}]", value, "") for name, value in list(result.groups.items())[:3]]
    for index, (label, probability, similarity) in enumerate([*rows, *groups]):
        style = "bold green" if index == 0 and result.label != UNKNOWN else ""
        bar = Bar(1.0, 0.0, probability, width=_BAR_WIDTH, color="green" if style else "cyan")
        table.add_row(
            Text("  " + _one_line(label), style=style),
            bar,
            Text(f"{probability:6.1%}", style=style),
            similarity,
        )
    return table


def _one_line(text: str) -> str:
    """Show control characters rather than send them to the terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


FORMATS: dict[str, Callable[[TextIO, int, bool], _Steps]] = {
    "table": _table,
    "tsv": _tsv,
    "json": _json,
    "jsonl": _jsonl,
    "csv": _csv,
}
"""How results can be written, by the name that ``--format`` takes."""
