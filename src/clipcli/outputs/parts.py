"""Results as a folder of parts, each written when it is complete, in any order.

A part holds the records of one chunk, in the order of its inputs, and its name describes it::

    part-00000012-1a2b3c4d-n4096-f3.parquet     chunk 12, a digest of its inputs' names, records, failures
    manifest.json                               settings of the run, number of records and failures

So a listing of the folder is enough to continue an interrupted run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from clipcli.errors import OutputError
from clipcli.inputs.items import Unit
from clipcli.inputs.missing import none_exists
from clipcli.outputs.manifest import (
    MANIFEST,
    UPDATING,
    check_folder,
    match_part,
    part_names,
    settings_in,
    started_in,
    write_manifest,
)
from clipcli.outputs.run_settings import RunSettings
from clipcli.outputs.some_found import NOT_FOUND, NoneFoundError
from clipcli.pipeline.chunks import Chunk, Engine, Gathered, Piece, in_chunks
from clipcli.storage.folders import Folder

__all__ = ["PartForm", "PartedOutput"]

_MOST_HELD = 64  # parts

Row = TypeVar("Row")
_Held = list[tuple[Chunk, Sequence[Row]]]


@dataclass(frozen=True)
class PartForm(Generic[Row]):
    """The format of parts.

    Parameters
    ----------
    suffix
        ``parquet`` or ``jsonl``.
    encode
        Turns rows into the bytes of a file.
    failure
        Returns the kind of failure of a row, or ``None`` if it is not a failure.
    facts
        Returns the input of each row in the bytes of a file, and whether it failed.
    choose
        Returns the bytes of a file with only the rows for which a flag is set.
    """

    suffix: str
    encode: Callable[[Sequence[Row]], bytes]
    failure: Callable[[Row], str | None]
    facts: Callable[[bytes], list[tuple[str, bool]]]
    choose: Callable[[bytes, Sequence[bool]], bytes]


class PartedOutput(Generic[Row]):
    """A folder of parts: start or resume, write, complete; the caller holds the lock of the folder.

    Parameters
    ----------
    settings
        Everything that determines the records. A run is only resumed with the same settings.
    about
        Further entries of the manifest.
    size
        Inputs per part; each shard is a separate part.
    resume
        Continue an interrupted run, if there is one.
    overwrite
        Remove the parts of an earlier run.

    Attributes
    ----------
    name
        Name of the folder.
    parts
        The number of parts.
    earlier, earlier_failures
        The number of records of an interrupted run, and the number of failures among them, as far as its chunks
        have been skipped.

    Raises
    ------
    OutputError
        If there is an earlier run and neither is set, if its settings differ, or if the folder cannot be written to.
    """

    option = "--resume"
    """The option that continues the run."""

    def __init__(
        self, folder: Folder, form: PartForm[Row], settings: RunSettings, about: dict[str, Any] | None = None,
        *, size: int, resume: bool = False, overwrite: bool = False,
    ) -> None:  # fmt: skip
        self._folder, self._form, self.name = folder, form, folder.name
        self._size, self._about = size, about or {}
        self._settings = settings.having(part_size=size, format=form.suffix)
        self.earlier = self.earlier_failures = 0
        self._records, self.parts, self._started = 0, 0, time.time()
        self._failures: dict[str, int] = {}
        self._earlier_run = "the interrupted run"
        self._replaced: tuple[str, ...] = ()  # parts of an earlier run, which stay until there is a part of this one
        self._there = self._begin(resume=resume, overwrite=overwrite)

    def _begin(self, *, resume: bool, overwrite: bool) -> dict[int, re.Match[str]]:
        """Return the existing parts, by chunk number."""
        folder = self._folder
        manifest, names = check_folder(folder, resume=resume, overwrite=overwrite)
        if overwrite:
            self._replaced, names = tuple(names), []
        elif manifest is not None:
            self._check_same(manifest)
            self._started = started_in(manifest)
            if manifest.get("state") == UPDATING:
                raise OutputError(f"cannot resume {folder.name}: an update was interrupted (continue with --update)")
        self._is_new, self._is_told = not names, bool(names) and (manifest or {}).get("state") == "complete"
        if not self._is_told and not self._replaced:
            self._write_manifest("running")
        return {int(match[1]): match for match in map(match_part, names)}

    def _check_same(self, manifest: dict[str, Any], doing: str = "resume") -> None:
        self._earlier_run = f"the {'complete' if manifest.get('state') == 'complete' else 'interrupted'} run"
        self._settings.check_same(
            settings_in(manifest, self._folder), self._folder.name, self._earlier_run, doing=doing
        )

    def rows(self, engine: Engine[Row], units: Iterable[Unit]) -> Iterator[Row]:
        """Let an engine process the remaining inputs; write its rows and yield them, in any order."""
        return self.write(engine.pieces(self.rest(in_chunks(units, self._size))))

    def rest(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks that have no part yet.

        Raises
        ------
        OutputError
            If a part was made from inputs that are different now.
        """
        for chunk in chunks:
            part = self._there.pop(chunk.number, None)
            if part is None:
                yield chunk
                continue
            if part[2] != chunk.digest:
                raise self._changed(chunk.number)
            self.parts += 1
            self.earlier += int(part[3])
            self.earlier_failures += int(part[4])
        if self._there:
            raise self._changed(min(self._there))

    def _changed(self, number: int) -> OutputError:
        return OutputError(
            f"cannot resume {self._folder.name}: the inputs have changed since {self._earlier_run}, part {number} has "
            "other inputs (continue with --update, or start again with --overwrite)"
        )

    def write(self, pieces: Iterable[Piece[Row]]) -> Iterator[Row]:
        """Pass rows on, write each part when it is complete, and at the end the manifest.

        If the run ends early, for whatever reason, the parts so far are saved.
        """
        gathered: dict[int, Gathered[Row]] = {}
        held: _Held[Row] | None = [] if self._is_new else None
        try:
            for piece in pieces:
                chunk = gathered.setdefault(piece.chunk.number, Gathered())
                chunk.add(piece)
                if chunk.is_whole():
                    held = self._write_or_hold(piece.chunk, gathered.pop(piece.chunk.number).rows(), held)
                yield from piece.rows
            if gathered:
                raise OutputError(
                    f"cannot complete {self._folder.name}: {len(gathered)} parts are incomplete; {self.resume_hint()}"
                )
            if held:
                raise NoneFoundError(str(none_exists(held[0][0].units[0].name, sum(len(rows) for _, rows in held))))
            self._after_last_part()
            if not self._is_told:
                self._write_manifest("complete")
        except BaseException:
            if self._is_new and not self.parts and not self._replaced:  # there is nothing to continue
                self._folder.remove(MANIFEST)
            raise

    def _write_or_hold(self, chunk: Chunk, rows: Sequence[Row], held: _Held[Row] | None) -> _Held[Row] | None:
        """Write a part, or hold it back as long as no input exists; return what is held, ``None`` if an input does."""
        if held is None:
            self._write_part(chunk, rows)
            return None
        if rows:
            held.append((chunk, rows))
        if len(held) <= _MOST_HELD and all(self._form.failure(row) == NOT_FOUND for row in rows):
            return held
        for each in held:
            self._write_part(*each)
        return None

    def _before_first_part(self) -> None:
        """Remove the parts of the earlier run before its manifest is replaced: they must not pass for new ones."""
        if self._replaced:
            for name in self._replaced:
                self._folder.remove(name)
            self._replaced = ()
            self._write_manifest("running")

    def _after_last_part(self) -> None:
        self._before_first_part()

    def _write_part(self, chunk: Chunk, rows: Sequence[Row]) -> None:
        failures = [kind for row in rows if (kind := self._form.failure(row))]
        if rows:
            self._before_first_part()
            name = f"part-{chunk.number:08}-{chunk.digest}-n{len(rows)}-f{len(failures)}.{self._form.suffix}"
            try:
                self._folder.put(name, self._form.encode(rows))
            except OutputError as problem:
                raise OutputError(f"{problem}; {self.resume_hint()}") from None
            self.parts += 1
            self._is_told = False  # an earlier manifest counts fewer parts
        self._records += len(rows)
        for kind in failures:
            self._failures[kind] = self._failures.get(kind, 0) + 1

    def _write_manifest(self, state: str) -> None:
        counts = {
            "records": self.earlier + self._records,
            "failures": self.earlier_failures + sum(self._failures.values()),
            "failure_types_of_last_run": self._failures,
            "parts": self.parts,
        }
        write_manifest(self._folder, state, self._started, counts | self._about, self._settings)

    def idle(self) -> str | None:
        """Return why nothing was written."""
        return "already complete, nothing to do" if self._is_told else None

    @property
    def kept(self) -> int:
        """The number of parts, from which an interrupted run is resumed."""
        return 0 if self._replaced else len(part_names(self._folder.names()))

    def resume_hint(self) -> str:
        """Return what was saved of a run that ended early, and how to continue it."""
        count = self.kept
        if not count:
            return "no parts were written"
        return f"{count:,} part{'' if count == 1 else 's'} saved in {self._folder.name}; continue with {self.option}"
