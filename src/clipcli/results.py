"""Results on their way to a file, safe against whatever ends the run.

While a run lasts, its records stand in ``FILE.partial`` and what they were made with in
``FILE.partial.json``; ``FILE`` itself appears when all is there. So a partial file is never mistaken for a
whole one, and a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

from filelock import FileLock, Timeout

from clipcli.errors import OutputError
from clipcli.files import replacing
from clipcli.inputs import Input
from clipcli.lines import PartialLines
from clipcli.records import Result, printable
from clipcli.writers import Layout

__all__ = ["RESUMABLE", "ResultFile", "compare_settings", "is_complete", "skip_done"]

RESUMABLE = ("jsonl", "csv", "tsv", "parquet")
"""The formats that an interrupted run can be taken up in."""

Item = TypeVar("Item", bound=Input)


class _Partial(Protocol):
    """What is kept while a run lasts, in one format."""

    def kept(self) -> Iterator[tuple[str, bool]]:
        """Yield the inputs that have their records already, and whether they failed; drop a torn last record."""

    def open(self) -> None:
        """Make ready to add records."""

    def write(self, result: Result) -> None:
        """Add one record."""

    def count(self) -> int:
        """Count the records on disk."""

    def close(self) -> None:
        """Keep what was added."""

    def complete(self, target: Path) -> None:
        """Put the whole file in its place; what is left of the partial one is removed afterwards."""


@dataclass(frozen=True)
class _Places:
    """Where things are kept for one output file."""

    target: Path

    @property
    def partial(self) -> Path:
        return self.target.with_name(self.target.name + ".partial")

    @property
    def lock(self) -> Path:
        return self.target.with_name(self.target.name + ".partial.lock")

    @property
    def settings(self) -> Path:
        return self.target.with_name(self.target.name + ".partial.json")


def is_complete(target: Path) -> bool:
    """Tell whether a file is there and no interrupted run of it."""
    return target.exists() and not _Places(target).settings.exists()


def _lock(places: _Places) -> FileLock:
    """Take the output for this process; the system lets go of it when the process ends, however that comes."""
    lock = FileLock(places.lock)
    if not places.target.absolute().parent.is_dir():
        raise OutputError(f"{places.target}: cannot be written (no such folder)")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise OutputError(f"{places.target}: another run is writing it at this moment; name another file") from None
    except (OSError, NotImplementedError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise OutputError(f"{places.target}: cannot be written ({reason})") from None
    return lock


class ResultFile:
    """One output file: begin or resume, write records, complete.

    Parameters
    ----------
    target
        The file that appears when all is done.
    layout
        The format, and the columns of a flat one.
    settings
        All that decides what the records say, by names that people know. A run is only resumed with the
        same.
    resume
        Go on where an interrupted run stopped, if there is one.
    overwrite
        Forget an interrupted run.

    Attributes
    ----------
    earlier, earlier_failures
        How many records an interrupted run left behind, and how many of these are failures.

    Raises
    ------
    OutputError
        If there is an interrupted run and neither is set, if its settings differ, if the target is there
        and no regular file, or the folder cannot be written.
    """

    def __init__(
        self, target: Path, layout: Layout, settings: dict[str, Any], *, resume: bool = False, overwrite: bool = False
    ) -> None:
        self._places = _Places(target)
        self._settings = settings
        self.earlier = self.earlier_failures = 0
        if target.is_dir():
            raise OutputError(f"{target}: is a folder; name a file in it")
        if target.exists() and not target.is_file():
            raise OutputError(f"{target}: is a pipe or device, which keeps no records to go on from")
        if layout.form not in RESUMABLE:
            raise OutputError(f"{target}: --resume works with {', '.join(RESUMABLE)}, not with {layout.form}")
        self._partial = _partial_for(self._places.partial, layout)
        self._is_new = False
        self._lock = _lock(self._places)
        try:
            self._begin(resume=resume, overwrite=overwrite)
        except OutputError:
            self._release()
            raise
        except OSError as problem:
            self._release()
            raise OutputError(f"{target}: cannot be written ({problem.strerror or problem})") from None

    def _begin(self, *, resume: bool, overwrite: bool) -> None:
        places = self._places
        if places.settings.exists() and not overwrite:
            if not resume:
                raise OutputError(
                    f"{places.target}: an interrupted run is kept in {places.partial.name}; "
                    "go on with --resume, or start anew with --overwrite"
                )
            self._compare(places.settings)
            return
        self._is_new = True
        _remove(places.partial)
        with replacing(places.settings) as temporary:
            temporary.write_text(json.dumps(self._settings, ensure_ascii=False, indent=1) + "\n", "utf-8")

    def _compare(self, kept_in: Path) -> None:
        try:
            before: dict[str, Any] = dict(json.loads(kept_in.read_text("utf-8")))
        except (TypeError, ValueError):
            raise _damaged(kept_in) from None
        compare_settings(self._places.target, before, self._settings)

    def done(self) -> Iterator[str]:
        """Yield the names of the inputs whose records are there already.

        Raises
        ------
        OutputError
            If the partial file is damaged elsewhere than at its end.
        """
        try:
            for name, failed in self._partial.kept():
                self.earlier += 1
                self.earlier_failures += failed
                yield name
        except (LookupError, OSError, TypeError, ValueError, csv.Error):
            raise _damaged(self._places.partial) from None

    def write(self, results: Iterable[Result]) -> Iterator[Result]:
        """Add records as they come and pass them on; at the end the file takes its place.

        Whatever ends it early, the records so far are kept.
        """
        try:
            yield from self._write(iter(results))
        finally:
            self._release()

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
                yield result
        finally:
            with self._faults_told():
                self._partial.close()
        with self._faults_told():
            self._partial.complete(self._places.target)
            self._places.settings.unlink(missing_ok=True)
            _remove(self._places.partial)

    def _release(self) -> None:
        """Let others write the file; the lock's own file goes too, as a run that is over needs none."""
        with suppress(OSError):  # some systems remove no open file; there filelock does it
            self._places.lock.unlink(missing_ok=True)
        self._lock.release()

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        try:
            yield
        except OutputError as problem:
            raise OutputError(f"{problem}; {self.how_to_go_on()}") from None
        except OSError as problem:
            reason = problem.strerror or " ".join(str(problem).split())
            raise OutputError(f"{self._places.target}: cannot be written ({reason}); {self.how_to_go_on()}") from None

    def how_to_go_on(self) -> str:
        """Say what is kept of a run that ended early."""
        count = self._partial.count()  # not what was counted on the way: Ctrl-C may come between writing and counting
        if not count:
            return "no record was written yet"
        records = f"{count:,} record{'' if count == 1 else 's'}"
        return f"{records} kept in {self._places.partial}; go on with --resume"


def skip_done(items: Iterable[Item], done: Iterator[str], target: Path) -> Iterator[Item]:
    """Leave out the inputs that have their records already; they must come in the same order as before.

    Raises
    ------
    OutputError
        If they don't, because files were added, removed or named in another order.
    """
    stream = iter(items)
    for number, name in enumerate(done, start=1):
        item = next(stream, None)
        found = printable(item.name) if item is not None else "nothing"
        if found != name:
            raise OutputError(
                f"{target}: the inputs changed since the interrupted run: number {number} was {name}, and is {found} "
                "now; start anew with --overwrite (the cache makes that quick)"
            )
    yield from stream


def compare_settings(target: Path | str, before: dict[str, Any], settings: dict[str, Any]) -> None:
    """Raise :class:`OutputError` if an interrupted run had other settings; it names the first."""
    now: dict[str, Any] = json.loads(json.dumps(settings))
    for name in now | before:
        if before.get(name) != now.get(name):
            raise OutputError(
                f"{target}: the interrupted run had {_difference(name, before.get(name), now.get(name))}; "
                "resume with the same, or start anew with --overwrite"
            )


def _difference(name: str, before: Any, now: Any) -> str:
    """Say in what a setting differs; for a long list, where it first does."""
    if isinstance(before, list) and isinstance(now, list):
        pairs = zip([*before, *["nothing"] * len(now)], [*now, *["nothing"] * len(before)], strict=False)
        for index, (old, new) in enumerate(pairs, start=1):
            if old != new:
                return f"other {name}: number {index} was {old!r}, now {new!r}"
    return f"another {name}: {_short(before)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _damaged(file: Path) -> OutputError:
    return OutputError(f"{file}: damaged; start anew with --overwrite")


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)


def _partial_for(path: Path, layout: Layout) -> _Partial:
    if layout.form == "parquet":
        from clipcli.parquet import PartialParquet

        return PartialParquet(path, layout)
    return PartialLines(path, layout)
