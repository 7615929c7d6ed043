"""Partial files of JSON Lines, CSV or TSV, written while a run lasts."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from clipcli.delimited import rows_of, tsv_cell, unguarded
from clipcli.outputs.text_formats import Layout, writer_for
from clipcli.pipeline.predictions import Result
from clipcli.storage.atomic import moved, replacing

__all__ = ["Partial", "PartialLines"]


class Partial(Protocol):
    """The partial file of a run, in one format."""

    def kept(self) -> Iterator[tuple[str, bool]]:
        """Yield each input that has a record, and whether it failed; drop an incomplete last record."""

    def records_in(self, complete: Path) -> Iterator[tuple[str, bool]]:
        """Yield each input of a complete file, and whether it failed."""

    def open(self) -> None:
        """Open the file to add records."""

    def write(self, result: Result) -> None:
        """Add one record."""

    def count(self) -> int:
        """Count the records on disk."""

    def close(self) -> None:
        """Close the file; its records are saved."""

    def complete(self, target: Path, sign: Callable[[Path], None], *, overwrite: bool) -> None:
        """Move the complete file to ``target`` after passing it to ``sign``; the caller removes the partial one."""


class PartialLines:
    """A growing file of records, one per line; a quoted CSV cell may span lines."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        self._whole = 0  # bytes up to the end of the last complete record
        self._records = 0  # includes the header of a flat format

    def kept(self) -> Iterator[tuple[str, bool]]:
        """Yield each input that has a record, and whether it failed; drop an incomplete last record."""
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
        """Yield each input of a complete file, and whether it failed."""
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
        """Return the input's name and whether it failed: the last two cells of a flat record hold the error."""
        text = record.decode("utf-8")
        if self._layout.form == "jsonl":
            values = json.loads(text)
            return str(values["path"]), "error" in values
        if self._layout.form == "csv":
            cells = next(rows_of([text]))[1]
            return unguarded(cells[0]), cells[-2] != ""
        cells = text.rstrip("\n").split("\t")
        return tsv_cell(cells[0]), cells[-2] != ""

    def open(self) -> None:
        """Open the file to add records."""
        self._file = self._path.open("a", encoding="utf-8", newline="")
        self._writer = writer_for(self._layout, self._file)
        if not self._records:
            self._writer.start()

    def write(self, result: Result) -> None:
        """Add one record and flush it."""
        self._writer.write(result)
        self._file.flush()

    def count(self) -> int:
        """Count the records on disk."""
        header = self._layout.form != "jsonl"
        return max(0, sum(1 for _ in self._whole_records(self._path)) - header) if self._path.exists() else 0

    def close(self) -> None:
        """Close the file; its records survive a power failure."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def complete(self, target: Path, sign: Callable[[Path], None], *, overwrite: bool) -> None:
        """Move the file to its target."""
        sign(self._path)
        if target.is_symlink():  # a symbolic link is preserved and points to the results
            with replacing(target, overwrite=overwrite) as temporary:
                shutil.copyfile(self._path, temporary)
            return
        if target.exists():
            shutil.copymode(target, self._path)
        if not moved(self._path, target, overwrite=overwrite):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
