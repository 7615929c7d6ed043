"""Results as Parquet.

A Parquet file cannot be read before its end is written. So a run writes small complete files and joins them at the
end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from clipcli.extras import pyarrow_or_error
from clipcli.outputs.records import Layout, flat_columns, flat_values
from clipcli.pipeline.predictions import Result
from clipcli.storage.atomic import replacing

__all__ = ["PartialParquet", "result_table"]

_PART_ROWS, _PART_SECONDS = 4096, 20.0
_GROUP_ROWS = 65_536


def result_table(results: Iterable[Result], layout: Layout) -> Any:
    """Return results as an Arrow table with the columns of flat output."""
    columns = flat_columns(layout)
    rows = [flat_values(result) for result in results]
    values = {name: [row.get(name) for row in rows] for name in columns}
    return pyarrow_or_error().table(values, schema=_schema(layout))


def _schema(layout: Layout) -> Any:
    arrow = pyarrow_or_error()
    columns = flat_columns(layout)
    are_numbers = ["probability" in name or "similarity" in name for name in columns]
    kinds = [arrow.float64() if is_number else arrow.string() for is_number in are_numbers]
    return arrow.schema(list(zip(columns, kinds, strict=True)))


class PartialParquet:
    """A folder of numbered Parquet files, each a part of the rows."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._arrow = pyarrow_or_error()
        self._folder = folder
        self._layout, self._schema = layout, _schema(layout)
        self._rows: list[Result] = []
        self._since = 0.0

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob("part-*.parquet"))

    def kept(self) -> Iterator[tuple[str, bool]]:
        """Yield each input that has a row, and whether it failed."""
        for part in self._parts():
            rows = self._arrow.parquet.read_table(part, columns=["path", "error_type"]).to_pylist()
            yield from ((row["path"], row["error_type"] is not None) for row in rows)

    def records_in(self, complete: Path) -> Iterator[tuple[str, bool]]:
        """Yield each input of a complete file, and whether it failed."""
        with self._arrow.parquet.ParquetFile(complete) as file:
            for batch in file.iter_batches(columns=["path", "error_type"]):
                yield from ((row["path"], row["error_type"] is not None) for row in batch.to_pylist())

    def open(self) -> None:
        """Open the folder to add rows."""
        self._folder.mkdir(exist_ok=True)
        self._since = time.monotonic()

    def write(self, result: Result) -> None:
        """Add a row; it is written when its part is full, or after some seconds."""
        self._rows.append(result)
        if len(self._rows) >= _PART_ROWS or time.monotonic() - self._since > _PART_SECONDS:
            self.close()

    def count(self) -> int:
        """Count the rows on disk."""
        return sum(int(self._arrow.parquet.read_metadata(part).num_rows) for part in self._parts())

    def close(self) -> None:
        """Write the buffered rows."""
        self._since = time.monotonic()
        rows, self._rows = self._rows, []  # now, so that an interruption cannot make rows be written twice
        if rows:
            number = len(self._parts())
            with replacing(self._folder / f"part-{number:08}.parquet") as temporary:
                self._arrow.parquet.write_table(result_table(rows, self._layout), temporary)

    def complete(self, target: Path, sign: Callable[[Path], None], *, overwrite: bool) -> None:
        """Join the parts into one file, row group by row group."""
        parts = self._parts()
        with replacing(target, overwrite=overwrite) as temporary:
            with self._arrow.parquet.ParquetWriter(temporary, self._schema) as writer:
                for group in self._groups(parts):
                    writer.write_table(group, row_group_size=_GROUP_ROWS)
            sign(temporary)

    def _groups(self, parts: Sequence[Path]) -> Iterator[Any]:
        """Yield tables of about the size of a row group."""
        gathered: list[Any] = []
        for part in parts:
            gathered.append(self._arrow.parquet.read_table(part, schema=self._schema))
            if sum(table.num_rows for table in gathered) >= _GROUP_ROWS:
                yield self._arrow.concat_tables(gathered)
                gathered = []
        if gathered:
            yield self._arrow.concat_tables(gathered)
