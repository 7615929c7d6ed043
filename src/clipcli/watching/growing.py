"""A results file that grows as long as a folder is watched: each record is in it as soon as it is computed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipcli.errors import OutputError
from clipcli.outputs.journal import PartialLines
from clipcli.outputs.run_files import Places
from clipcli.outputs.run_settings import RunRecord, RunSettings
from clipcli.outputs.text_formats import Layout
from clipcli.pipeline.predictions import Failure, Result

__all__ = ["GROWING", "GrowingFile"]

GROWING = ("jsonl", "csv", "tsv")
"""The formats of such a file."""

_REMEDY = "use the same settings, or name another file"


class GrowingFile:
    """The results file of a watched folder; the caller holds its lock.

    It can also be one that ``classify`` wrote with the same settings. After a kill, the next watch removes an
    incomplete last record, and adds to the others.

    Attributes
    ----------
    names
        The inputs that have a record.

    Raises
    ------
    OutputError
        If the file belongs to another run, or to another program.
    """

    def __init__(self, target: Path, layout: Layout, settings: RunSettings) -> None:
        self._target, self._settings = target, settings
        self._lines = PartialLines(target, layout)
        self._started = time.time()
        self.names: set[str] = set()
        self.failures = 0
        self._check()
        try:
            for name, failed in self._lines.kept():
                self.names.add(name)
                self.failures += failed
        except (LookupError, OSError, TypeError, ValueError):
            raise OutputError(
                f"cannot watch into {target}: it is damaged (move it away, or name another file)"
            ) from None

    def _check(self) -> None:
        places = Places(self._target)
        if places.settings.exists():
            raise OutputError(
                f"cannot watch into {self._target}: {places.partial.name} holds an interrupted run of classify "
                "(continue that with --resume first, or name another file)"
            )
        if not self._target.exists():
            return
        record = RunRecord.read(self._target, "watch")
        self._settings.check_same(record.settings, self._target, "the earlier run", _REMEDY, doing="watch into")
        self._started = record.started or self._started

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Accept records during the block; at its end, sign the file as complete.

        Raises
        ------
        OutputError
            If the file cannot be written to.
        """
        try:
            RunRecord(self._settings, len(self.names), self.failures, "", self._started, "watching").write(self._target)
            self._lines.open()
            try:
                yield
            finally:
                self._lines.close()
                self._sign()
        except OSError as problem:
            raise OutputError(f"cannot write {self._target}: {problem.strerror or problem}") from None

    def _sign(self) -> None:
        """Write the record of the run; records are counted in the file, as Ctrl-C may come before they are noted."""
        failed = [is_failed for _, is_failed in self._lines.records_in(self._target)]
        RunRecord.sign(self._target, self._settings, len(failed), sum(failed), self._started).write(self._target)

    def add(self, name: str, result: Result) -> None:
        """Add a record."""
        self._lines.write(result)
        self.names.add(name)
        self.failures += isinstance(result, Failure)
