"""Results on their way to a file, safe against whatever ends the run.

While a run lasts, its records are in ``FILE.partial`` and what they were made with in ``FILE.partial.json``;
``FILE`` itself appears when all is there, and beside it ``FILE.run.json``. So a partial file is never mistaken
for a whole one, a run that was cut off continues where it stopped, and a whole file is only taken for the
answer to what was asked for.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol, TypeVar

from clipcli.errors import OutputError
from clipcli.inputs.discover import Input
from clipcli.outputs.journal import PartialLines
from clipcli.outputs.settings import RunRecord, RunSettings, check_version, header
from clipcli.outputs.writers import Layout
from clipcli.pipeline.chunks import Engine
from clipcli.pipeline.predictions import Failure, Result
from clipcli.storage.atomic import replacing
from clipcli.text import printable

__all__ = ["RESUMABLE", "ResultFile", "check_file"]

RESUMABLE = ("jsonl", "csv", "tsv", "parquet")
"""The formats that an interrupted run can be taken up in."""

_DAMAGED = "{}: damaged; start anew with --overwrite"
Item = TypeVar("Item", bound=Input)


class _Partial(Protocol):
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


@dataclass(frozen=True)
class _Places:
    """Where things are kept for one output file."""

    target: Path

    @property
    def partial(self) -> Path:
        return self.target.with_name(self.target.name + ".partial")

    @property
    def settings(self) -> Path:
        return self.target.with_name(self.target.name + ".partial.json")


def check_file(target: Path, *, resume: bool, overwrite: bool) -> RunRecord | None:
    """Check that a run may begin, or continue, in a file; and return the record of a complete run to resume.

    Raises
    ------
    OutputError
        If there is an interrupted run and neither is set, or it is not known what a complete one was made with.
    """
    places = _Places(target)
    if overwrite:
        return None
    if not places.settings.exists():
        return RunRecord.read(target) if resume and target.exists() else None
    if not resume:
        raise OutputError(
            f"{target}: an interrupted run is kept in {places.partial.name}; "
            "go on with --resume, or start anew with --overwrite"
        )
    return None


class ResultFile:
    """One output file: begin or resume, write records, complete; the caller keeps the file locked meanwhile.

    Parameters
    ----------
    target
        The file that appears when all is done.
    layout
        The format, and the columns of a flat one.
    settings
        All that decides what the records say. A run is only resumed with the same.
    resume
        Continue where an earlier run stopped, if there is one; where that run is complete, only check that it
        is what is asked for.
    overwrite
        Forget an earlier run.

    Attributes
    ----------
    name
        The target's name.
    earlier, earlier_failures
        How many records an earlier run left behind, and how many of these are failures.
    is_complete
        Whether that run is complete, so that nothing is written.

    Raises
    ------
    OutputError
        If there is an interrupted run and neither is set; if the settings of the run to resume differ or are not
        known; if the target exists and is not a regular file, or the folder cannot be written.
    """

    def __init__(
        self, target: Path, layout: Layout, settings: RunSettings, *, resume: bool = False, overwrite: bool = False
    ) -> None:
        self._places, self.name = _Places(target), str(target)
        self._settings = settings
        self.earlier = self.earlier_failures = 0
        self._added = self._added_failures = 0
        self.is_complete = False
        if target.is_dir():
            raise OutputError(f"{target}: is a folder; name a file in it")
        if target.exists() and not target.is_file():
            raise OutputError(f"{target}: is a pipe or device, which keeps no records to go on from")
        if layout.form not in RESUMABLE:
            raise OutputError(f"{target}: --resume works with {', '.join(RESUMABLE)}, not with {layout.form}")
        self._partial = _partial_for(self._places.partial, layout)
        self._is_new = False
        try:
            self._begin(resume=resume, overwrite=overwrite)
        except OSError as problem:
            raise OutputError(f"{target}: cannot be written ({problem.strerror or problem})") from None

    def _begin(self, *, resume: bool, overwrite: bool) -> None:
        places = self._places
        record = check_file(places.target, resume=resume, overwrite=overwrite)
        if places.settings.exists() and not overwrite:
            self._compare(places.settings)
            return
        if record is not None:
            self._settings.check_same(record.settings, places.target, "the complete run")
            self.is_complete = True
            return
        self._is_new = True
        _remove(places.partial)
        with replacing(places.settings) as temporary:
            values = {**header(), "state": "running", "settings": self._settings.as_json}
            temporary.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8")

    def _compare(self, kept_in: Path) -> None:
        try:
            values = dict(json.loads(kept_in.read_text("utf-8")))
            check_version(values, self._places.target, kept_in.name, "start anew with --overwrite")
            before = RunSettings.from_json(values["settings"])
        except (LookupError, TypeError, ValueError):
            raise OutputError(_DAMAGED.format(kept_in)) from None
        self._settings.check_same(before, self._places.target)

    def done(self) -> Iterator[str]:
        """Yield the names of the inputs whose records are there already.

        Raises
        ------
        OutputError
            If the partial file is damaged elsewhere than at its end.
        """
        places, partial = self._places, self._partial
        try:
            for name, failed in partial.records_in(places.target) if self.is_complete else partial.kept():
                self.earlier += 1
                self.earlier_failures += failed
                yield name
        except (LookupError, OSError, TypeError, ValueError, csv.Error):
            raise OutputError(_DAMAGED.format(places.target if self.is_complete else places.partial)) from None

    def rest(self, items: Iterable[Item]) -> Iterator[Item]:
        """Leave out the inputs that have their records already; they must come in the same order as before.

        Raises
        ------
        OutputError
            If they don't, because files were added, removed or named in another order; a complete run also
            refuses inputs that were added at the end.
        """
        stream = iter(items)
        for number, name in enumerate(self.done(), start=1):
            item = next(stream, None)
            found = printable(item.name) if item is not None else "nothing"
            if found != name:
                raise self._changed(f"number {number} was {name}, and is {found} now")
        for item in stream:
            if self.is_complete:
                raise self._changed(f"{printable(item.name)} is new")
            yield item

    def _changed(self, difference: str) -> OutputError:
        run = "complete" if self.is_complete else "interrupted"
        return OutputError(
            f"{self._places.target}: the inputs changed since the {run} run: {difference}; "
            "start anew with --overwrite (the cache makes that quick)"
        )

    def rows(self, engine: Engine[Result], items: Iterable[Input]) -> Iterator[Result]:
        """Let an engine do what is left to do; yield its results in the order of the inputs, and write them."""
        return self.write(engine.rows(self.rest(items), even_batches=True))

    def write(self, results: Iterable[Result]) -> Iterator[Result]:
        """Add records as they come and pass them on; at the end the file takes its place.

        Whatever ends it early, the records so far are kept.
        """
        return iter(results) if self.is_complete else self._write(iter(results))

    def _write(self, results: Iterator[Result]) -> Iterator[Result]:
        try:
            first = next(results, None)  # before opening: on the way to it, what is done already is read
        except BaseException:
            if self._is_new:  # there is nothing to go on from
                self._places.settings.unlink(missing_ok=True)
                _remove(self._places.partial)
            raise
        with self._faults_told():
            self._partial.open()
        try:
            for result in chain(() if first is None else (first,), results):
                with self._faults_told():
                    self._partial.write(result)
                self._added += 1
                self._added_failures += isinstance(result, Failure)
                yield result
        finally:
            with self._faults_told():
                self._partial.close()
        with self._faults_told():
            self._partial.complete(self._places.target, self._sign)
            self._places.settings.unlink(missing_ok=True)
            _remove(self._places.partial)

    def _sign(self, content: Path) -> None:
        """Write the record of the run; before its results take their place, so that these never lack it."""
        records, failures = self.earlier + self._added, self.earlier_failures + self._added_failures
        RunRecord.sign(content, self._settings, records, failures).write(self._places.target)

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        try:
            yield
        except OutputError as problem:
            raise OutputError(f"{problem}; {self.resume_hint()}") from None
        except OSError as problem:
            reason = problem.strerror or " ".join(str(problem).split())
            raise OutputError(f"{self._places.target}: cannot be written ({reason}); {self.resume_hint()}") from None

    @property
    def kept(self) -> int:
        """How many records of a run that is not complete are on disk."""
        return self._partial.count()  # not what was counted on the way: Ctrl-C may come between writing and counting

    def resume_hint(self) -> str:
        """Say what is kept of a run that ended early."""
        count = self.kept
        if not count:
            return "no record was written yet"
        records = f"{count:,} record{'' if count == 1 else 's'}"
        return f"{records} kept in {self._places.partial}; go on with --resume"


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)


def _partial_for(path: Path, layout: Layout) -> _Partial:
    if layout.form == "parquet":
        from clipcli.outputs.parquet import PartialParquet

        return PartialParquet(path, layout)
    return PartialLines(path, layout)
