"""The images that a search found, written as a table for people and as TSV, CSV, JSON or JSON Lines for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from clipcli.delimited import csv_line, guarded, tsv_line
from clipcli.outputs.records import round_score
from clipcli.text import one_line, printable

__all__ = ["HIT_FORMATS", "Found", "write_hits"]

HIT_FORMATS = ("table", "tsv", "csv", "json", "jsonl")
_COLUMNS = ("rank", "similarity", "path")


class Found(Protocol):
    """An image that was found, and its cosine similarity to the query."""

    @property
    def path(self) -> str:
        """The image's path, or its name in an archive or table."""

    @property
    def similarity(self) -> float:
        """Between -1 and 1."""


def write_hits(hits: Sequence[Found], file: TextIO, form: str) -> None:
    """Write hits, best first, in one of :data:`HIT_FORMATS`.

    CSV is safe to open in a spreadsheet: no path in it is read as a formula.
    """
    records: list[dict[str, Any]] = [
        {"rank": rank, "similarity": round_score(hit.similarity), "path": printable(hit.path)}
        for rank, hit in enumerate(hits, start=1)
    ]
    if form == "json":
        file.write(json.dumps(records, ensure_ascii=False, indent=2) + "\n")
    elif form == "jsonl":
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    elif form == "csv":
        rows = ([guarded(cell) if isinstance(cell, str) else cell for cell in record.values()] for record in records)
        file.writelines(map(csv_line, (_COLUMNS, *rows)))
    elif form == "tsv":
        file.writelines(map(tsv_line, (_COLUMNS, *(map(str, record.values()) for record in records))))
    else:
        width = len(str(len(records)))
        file.writelines(
            f"{record['rank']:>{width}}  {record['similarity']:6.3f}  {one_line(record['path'])}\n"
            for record in records
        )
