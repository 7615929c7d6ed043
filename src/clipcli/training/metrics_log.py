"""The log of a run's measures: ``metrics.jsonl``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipcli.storage.atomic import replacing
from clipcli.training.records import check_metrics

__all__ = ["MetricsFile"]


class MetricsFile:
    """Measures as JSON Lines, one line per step and per epoch; after a kill, none is lost or repeated."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def cut(self, epoch: int, step: int) -> None:
        """Truncate to ``step`` steps and ``epoch`` epochs: remove lines after the last checkpoint."""
        kept = [
            row for row in self.rows() if row["step"] <= step and ("validation" not in row or row["epoch"] <= epoch)
        ]
        with replacing(self._path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")

    def clear(self) -> None:
        """Remove all lines."""
        self._path.unlink(missing_ok=True)

    def write(self, row: dict[str, Any]) -> None:
        """Add one line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def sync(self) -> None:
        """Flush all lines to disk."""
        with self._path.open("a") as file:
            os.fsync(file.fileno())

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the lines; an incomplete last line is skipped."""
        if not self._path.is_file():
            return
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    return
                yield check_metrics(row, self._path)
