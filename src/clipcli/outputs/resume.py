"""Write results to a file so that an interrupted run can be resumed.

During a run, the records are in ``FILE.partial`` and the settings in ``FILE.partial.json``. ``FILE`` appears when
the run is complete, with ``FILE.run.json``. So a partial file is never mistaken for a complete one, an interrupted
run continues where it stopped, and a complete file is only accepted if it was written with the same settings.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TypeVar

from clipcli.errors import OutputError
from clipcli.inputs.items import FileInput, Input
from clipcli.outputs.journal import Partial, PartialLines
from clipcli.outputs.kept_names import changed_since
from clipcli.outputs.run_files import Places, check_file, remove_partial
from clipcli.outputs.run_settings import RunRecord, RunSettings, check_version, header
from clipcli.outputs.some_found import NoneFoundError, some_found
from clipcli.outputs.text_formats import Layout
from clipcli.pipeline.chunks import Engine
from clipcli.pipeline.predictions import Failure, Result, missing_input
from clipcli.storage.atomic import check_not_created, replacing
from clipcli.text import printable

__all__ = ["DAMAGED", "RESUMABLE", "UPDATING", "Item", "ResultFile"]

RESUMABLE = ("jsonl", "csv", "tsv", "parquet")
"""The formats in which an interrupted run can be resumed."""

UPDATING = "updating"
DAMAGED = "cannot resume {}: damaged (start again with --overwrite)"
_REPLACES = "overwrite"  # whether the run may replace an existing file
Item = TypeVar("Item", bound=Input)


class ResultFile:
    """One output file: start or resume, write records, complete; the caller holds the lock of the file.

    Parameters
    ----------
    target
        The output file, which appears when the run is complete.
    layout
        The format, with the columns of a flat one.
    settings
        Everything that determines the records. A run is only resumed with the same settings.
    resume
        Continue an interrupted run, if there is one; if the run is complete, only compare its settings.
    overwrite
        Discard an earlier run.

    Attributes
    ----------
    name
        Name of the target.
    earlier, earlier_failures
        The number of records of an earlier run, and the number of failures among them.
    is_complete
        Whether that run is complete, so that nothing is written.

    Raises
    ------
    OutputError
        If the target exists or there is an interrupted run, and neither is set; if the settings of the run to resume
        differ or are missing; if the target exists and is not a regular file; or if the folder cannot be written to.
    """

    option = "--resume"
    """The option that continues the run."""

    def __init__(
        self, target: Path, layout: Layout, settings: RunSettings, *, resume: bool = False, overwrite: bool = False
    ) -> None:
        self._places, self.name = Places(target), str(target)
        self._settings = settings
        self.earlier = self.earlier_failures = 0
        self._added = self._added_failures = 0
        self.is_complete = False
        self._started, self._stopped = time.time(), 0.0
        if target.is_dir():
            raise OutputError(f"cannot write {target}: it is a folder (name a file in it)")
        if target.exists() and not target.is_file():
            raise OutputError(f"cannot resume {target}: it is a pipe or device (name a regular file)")
        if layout.form not in RESUMABLE:
            raise OutputError(f"cannot resume {target}: {layout.form} cannot be resumed (use {', '.join(RESUMABLE)})")
        self._partial = _partial_for(self._places.partial, layout)
        self._is_new, self._may_replace = False, overwrite
        try:
            self._begin(resume=resume, overwrite=overwrite)
        except OSError as problem:
            raise OutputError(f"cannot write {target}: {problem.strerror or problem}") from None

    def _begin(self, *, resume: bool, overwrite: bool) -> None:
        places = self._places
        record = check_file(places.target, resume=resume, overwrite=overwrite)
        if places.settings.exists() and not overwrite:
            if self._continued() == UPDATING:
                raise OutputError(f"cannot resume {places.target}: an update was interrupted (continue with --update)")
            self._stopped = places.partial.stat().st_mtime if places.partial.exists() else 0.0
            return
        if record is not None:
            self._settings.check_same(record.settings, places.target, "the complete run")
            self.is_complete, self._stopped = True, places.target.stat().st_mtime
            return
        remove_partial(places.partial)
        self._start("running")

    def _start(self, state: str) -> None:
        """Write the settings of a new run."""
        self._is_new = True
        values = {
            **header(), "state": state, "started": self._started, _REPLACES: self._may_replace,
            "settings": self._settings.as_json,
        }  # fmt: skip
        with replacing(self._places.settings) as temporary:
            temporary.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8")

    def _continued(self) -> str:
        """Compare the settings with those of an interrupted run, and return its state."""
        kept_in = self._places.settings
        try:
            values = dict(json.loads(kept_in.read_text("utf-8")))
            check_version(values, self._places.target, kept_in.name, "start again with --overwrite")
            before, self._may_replace = RunSettings.from_json(values["settings"]), values.get(_REPLACES) is True
            self._started = float(values.get("started", 0.0))
        except (LookupError, TypeError, ValueError):
            raise OutputError(DAMAGED.format(kept_in)) from None
        self._settings.check_same(before, self._places.target, doing=self.option.removeprefix("--"))
        self._check_not_created()
        return str(values.get("state"))

    def _check_not_created(self) -> None:
        """Check that the target is absent, may be replaced, or was put there by this run before it was cut off."""
        places = self._places
        self._may_replace = self._may_replace or (places.target.exists() and self._was_written())
        kept = f"the records are in {places.partial.name}; move {places.target.name} away"
        check_not_created(places.target, kept, overwrite=self._may_replace)

    def _was_written(self) -> bool:
        try:
            return RunRecord.read(self._places.target).settings.as_json == self._settings.as_json
        except OutputError:
            return False

    def done(self) -> Iterator[str]:
        """Yield the names of the inputs that already have a record.

        Raises
        ------
        OutputError
            If the partial file is damaged before its end.
        """
        places, partial = self._places, self._partial
        try:
            for name, failed in partial.records_in(places.target) if self.is_complete else partial.kept():
                self.earlier += 1
                self.earlier_failures += failed
                yield name
        except (LookupError, OSError, TypeError, ValueError):
            raise OutputError(DAMAGED.format(places.target if self.is_complete else places.partial)) from None

    def rest(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the inputs that have no record yet; all inputs must come in the same order as before.

        Raises
        ------
        OutputError
            If the order differs, because inputs were added, removed or named in another order; for a complete run
            also if inputs were added at the end.
        """
        stream = iter(items)
        for number, name in enumerate(self.done(), start=1):
            item = next(stream, None)
            found = printable(item.name) if item is not None else "nothing"
            if found != name:
                raise self._changed(f"input {number} was {name} and is now {found}")
            if self._stopped and isinstance(item, FileInput) and changed_since(item.path, self._stopped):
                raise self._changed(f"{name} was modified after its record was written")
        for item in stream:
            if self.is_complete:
                raise self._changed(f"{printable(item.name)} is new")
            yield item

    def _changed(self, difference: str) -> OutputError:
        run = "complete" if self.is_complete else "interrupted"
        return OutputError(
            f"cannot resume {self._places.target}: the inputs have changed since the {run} run, {difference} "
            "(continue with --update, or start again with --overwrite; cached embeddings are reused)"
        )

    def rows(self, engine: Engine[Result], items: Iterable[Input]) -> Iterator[Result]:
        """Let an engine process the remaining inputs; write its results and yield them, in the order of the inputs."""
        return self.write(engine.rows(self.rest(items), even_batches=True))

    def write(self, results: Iterable[Result]) -> Iterator[Result]:
        """Write records and pass them on; at the end, move the complete file to the target.

        If the run ends early, for whatever reason, the records so far are saved.
        """
        return iter(results) if self.is_complete else self._write(iter(results))

    def _write(self, results: Iterator[Result]) -> Iterator[Result]:
        try:
            first = next(results, None)  # before opening: this reads the records of the earlier run
        except BaseException:
            if self._is_new:  # there is nothing to continue
                self._forget()
            raise
        if not self._has_news(is_any=first is not None):
            self._forget()
            return
        whole = chain(() if first is None else (first,), results)
        try:
            yield from self._saved(some_found(whole, missing_input) if self._is_new else whole)
        except NoneFoundError:
            self._forget()
            raise
        with self._faults_told():
            self._check_not_created()
            self._partial.complete(self._places.target, self._sign, overwrite=self._may_replace)
            self._forget()

    def _saved(self, results: Iterable[Result]) -> Iterator[Result]:
        with self._faults_told():
            self._prepare()
            self._partial.open()
        try:
            for result in results:
                with self._faults_told():
                    self._partial.write(result)
                self._added += 1
                self._added_failures += isinstance(result, Failure)
                yield result
        finally:
            with self._faults_told():
                self._partial.close()

    def idle(self) -> str | None:
        """Return why nothing was written."""
        return "already complete, nothing to do" if self.is_complete else None

    def _has_news(self, *, is_any: bool) -> bool:  # noqa: ARG002
        """Return whether there is anything to write, given whether there is any result."""
        return True

    def _prepare(self) -> None:
        """Prepare the partial file for the first record."""

    def _forget(self) -> None:
        """Remove the files of the incomplete run."""
        self._places.settings.unlink(missing_ok=True)
        self._forget_partial()

    def _forget_partial(self) -> None:
        remove_partial(self._places.partial)

    def _sign(self, content: Path) -> None:
        """Write the record of the run, before its results appear, so that these never lack it."""
        records, failures = self.earlier + self._added, self.earlier_failures + self._added_failures
        RunRecord.sign(content, self._settings, records, failures, self._started).write(self._places.target)

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        try:
            yield
        except OutputError as problem:
            raise OutputError(f"{problem}; {self.resume_hint()}") from None
        except OSError as problem:
            reason = problem.strerror or " ".join(str(problem).split())
            raise OutputError(f"cannot write {self._places.target}: {reason}; {self.resume_hint()}") from None

    @property
    def kept(self) -> int:
        """The number of records on disk of an incomplete run."""
        return self._partial.count()  # not what was counted on the way: Ctrl-C may come between writing and counting

    def resume_hint(self) -> str:
        """Return what was saved of a run that ended early, and how to continue it."""
        count = self.kept
        if not count:
            return "no records were written"
        records = f"{count:,} record{'' if count == 1 else 's'}"
        return f"{records} saved in {self._places.partial}; continue with {self.option}"


def _partial_for(path: Path, layout: Layout) -> Partial:
    if layout.form == "parquet":
        from clipcli.outputs.parquet import PartialParquet

        return PartialParquet(path, layout)
    return PartialLines(path, layout)
