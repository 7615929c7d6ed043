"""Results as Parquet.

A Parquet file cannot be read before its end is written, so a run that lasts keeps its rows in small whole
files, and joins them when all is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clipcli.errors import OutputError
from clipcli.files import replacing
from clipcli.records import Result, flat_columns, flat_values
from clipcli.writers import Layout

__all__ = ["PartialParquet", "pyarrow_or_error"]

_PART_ROWS, _PART_SECONDS = 4096, 20.0
_GROUP_ROWS = 65_536


def pyarrow_or_error() -> Any:
    """Import pyarrow, or say which extra brings it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise OutputError("Parquet needs an extra: pip install 'clipcli[parquet]'") from None
    return pyarrow


class PartialParquet:
    """A folder of parts, each a whole Parquet file with the rows that follow those of the part before."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._arrow = pyarrow_or_error()
        self._folder = folder
        self._columns = flat_columns(layout.top_k, grouped=layout.grouped)
        numbers = self._arrow.float64()
        kinds = [
            numbers if "probability" in name or "similarity" in name else self._arrow.string() for name in self._columns
        ]
        self._schema = self._arrow.schema(list(zip(self._columns, kinds, strict=True)))
        self._rows: list[dict[str, Any]] = []
        self._since = 0.0

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob("part-*.parquet"))

    def kept(self) -> Iterator[tuple[str, bool]]:
        """Yield the inputs whose rows are there, and whether they failed."""
        for part in self._parts():
            rows = self._arrow.parquet.read_table(part, columns=["path", "error_type"]).to_pylist()
            yield from ((row["path"], row["error_type"] is not None) for row in rows)

    def open(self) -> None:
        """Make ready to add rows."""
        self._folder.mkdir(exist_ok=True)
        self._since = time.monotonic()

    def write(self, result: Result) -> None:
        """Add a row; it is on disk when its part is full, or after some seconds."""
        self._rows.append(flat_values(result))
        if len(self._rows) >= _PART_ROWS or time.monotonic() - self._since > _PART_SECONDS:
            self.close()

    def count(self) -> int:
        """Count the rows on disk."""
        return sum(int(self._arrow.parquet.read_metadata(part).num_rows) for part in self._parts())

    def close(self) -> None:
        """Write down the rows that wait."""
        self._since = time.monotonic()
        rows, self._rows = self._rows, []  # now, so that whatever interrupts this, none is written twice
        if rows:
            number = len(self._parts())
            with replacing(self._folder / f"part-{number:08}.parquet") as temporary:
                self._arrow.parquet.write_table(self._table(rows), temporary)

    def _table(self, rows: Sequence[dict[str, Any]]) -> Any:
        columns = {name: [row.get(name) for row in rows] for name in self._columns}
        return self._arrow.table(columns, schema=self._schema)

    def complete(self, target: Path) -> None:
        """Join the parts into one file, a group of rows after the other."""
        parts = self._parts()
        with replacing(target) as temporary, self._arrow.parquet.ParquetWriter(temporary, self._schema) as writer:
            for group in self._groups(parts):
                writer.write_table(group, row_group_size=_GROUP_ROWS)

    def _groups(self, parts: Sequence[Path]) -> Iterator[Any]:
        """Yield tables of about as many rows as a group should have."""
        gathered: list[Any] = []
        for part in parts:
            gathered.append(self._arrow.parquet.read_table(part, schema=self._schema))
            if sum(table.num_rows for table in gathered) >= _GROUP_ROWS:
                yield self._arrow.concat_tables(gathered)
                gathered = []
        if gathered:
            yield self._arrow.concat_tables(gathered)
