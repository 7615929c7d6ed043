"""Results as lines of text, JSON, CSV or TSV, kept while a run lasts."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from clipcli.outputs.writers import Layout, writer_for
from clipcli.pipeline.predictions import Result
from clipcli.storage.atomic import replacing
from clipcli.text import tsv_cell, unguarded

__all__ = ["Partial", "PartialLines"]


class Partial(Protocol):
    """What is kept while a run lasts, in one format."""

    def kept(self) -> Iterator[tuple[str, bool]]:
        """Yield the inputs that have their records already, and whether they failed; drop a torn last record."""

    def records_in(self, complete: Path) -> Iterator[tuple[str, bool]]:
        """Yield the inputs of a complete file, and whether they failed."""

    def open(self) -> None:
        """Make ready to add records."""

    def write(self, result: Result) -> None:
        """Add one record."""

    def count(self) -> int:
        """Count the records on disk."""

    def close(self) -> None:
        """Keep what was added."""

    def complete(self, target: Path, sign: Callable[[Path], None]) -> None:
        """Put the whole file in its place, once ``sign`` has seen it; the partial one is removed afterwards."""


class PartialLines:
    """A file of records that grows; a record ends where a line does, but for line ends within quotes in CSV."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        self._whole = 0  # bytes up to the end of the last whole record
        self._records = 0  # among them the header of a flat format

    def kept(self) -> Iterator[tuple[str, bool]]:
        """Yield the inputs that have their records already, and whether they failed; drop a torn last record."""
        if not self._path.exists():
            return
        flat = self._layout.form != "jsonl"
        for record in self._whole_records(self._path):
            self._whole += len(record)
            self._records += 1
            if self._records > flat:
                yield self._facts_in(record)
        with self._path.open("r+b") as file:
            file.truncate(self._whole)

    def records_in(self, complete: Path) -> Iterator[tuple[str, bool]]:
        """Yield the inputs of a complete file, and whether they failed."""
        flat = self._layout.form != "jsonl"
        for number, record in enumerate(self._whole_records(complete)):
            if number >= flat:
                yield self._facts_in(record)

    def _whole_records(self, path: Path) -> Iterator[bytes]:
        record, in_quotes = b"", False
        with path.open("rb") as file:
            for line in file:
                record += line
                in_quotes ^= self._layout.form == "csv" and line.count(b'"') % 2 == 1
                if in_quotes or not line.endswith(b"\n"):
                    continue
                yield record
                record = b""

    def _facts_in(self, record: bytes) -> tuple[str, bool]:
        """Return the input's name, and whether it failed: a flat record has its error in the last two cells."""
        text = record.decode("utf-8")
        if self._layout.form == "jsonl":
            values = json.loads(text)
            return str(values["path"]), "error" in values
        if self._layout.form == "csv":
            cells = next(csv.reader([text]))
            return unguarded(cells[0]), cells[-2] != ""
        cells = text.rstrip("\n").split("\t")
        return tsv_cell(cells[0]), cells[-2] != ""

    def open(self) -> None:
        """Make ready to add records."""
        self._file = self._path.open("a", encoding="utf-8", newline="")
        self._writer = writer_for(self._layout, self._file)
        if not self._records:
            self._writer.start()

    def write(self, result: Result) -> None:
        """Add one record, and let go of it at once."""
        self._writer.write(result)
        self._file.flush()

    def count(self) -> int:
        """Count the records on disk."""
        header = self._layout.form != "jsonl"
        return max(0, sum(1 for _ in self._whole_records(self._path)) - header) if self._path.exists() else 0

    def close(self) -> None:
        """Keep what was added, also if the power fails."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def complete(self, target: Path, sign: Callable[[Path], None]) -> None:
        """Put the file in its place."""
        sign(self._path)
        if target.is_symlink():  # the link stays, and leads to the results
            with replacing(target) as temporary:
                shutil.copyfile(self._path, temporary)
            return
        if target.exists():
            shutil.copymode(target, self._path)
        self._path.replace(target)
