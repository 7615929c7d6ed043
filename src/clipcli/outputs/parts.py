"""Results as a folder of parts, each written when it is complete, in any order.

A part holds the records of one chunk, in the order of its inputs, and its name describes it::

    part-00000012-1a2b3c4d-n4096-f3.parquet     chunk 12, a digest of its inputs' names, records, failures
    manifest.json                               settings of the run, number of records and failures

So a listing of the folder is enough to continue an interrupted run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from clipcli.errors import OutputError
from clipcli.inputs.items import Unit
from clipcli.outputs.run_settings import RunSettings, check_version, header
from clipcli.pipeline.chunks import Chunk, Engine, Gathered, Piece, in_chunks
from clipcli.storage.atomic import already_exists
from clipcli.storage.folders import Folder

__all__ = ["MANIFEST", "PartForm", "PartedOutput", "check_folder", "is_complete_folder", "part_names", "records_in"]

MANIFEST = "manifest.json"
_PART = re.compile(r"part-(\d{8,})-([0-9a-f]{8})-n(\d+)-f(\d+)\.(\w+)")

Row = TypeVar("Row")


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
    """

    suffix: str
    encode: Callable[[Sequence[Row]], bytes]
    failure: Callable[[Row], str | None]


def part_names(names: Iterable[str]) -> list[str]:
    """Return the file names that are parts, in the order of their inputs."""
    found = [(int(match[1]), name) for name in names if (match := _PART.fullmatch(name))]
    return [name for _, name in sorted(found)]


def records_in(parts: Iterable[str]) -> int:
    """Return the number of records in some parts, by their names."""
    return sum(int(match[3]) for name in parts if (match := _PART.fullmatch(name)))


def is_complete_folder(folder: Folder) -> bool:
    """Return whether a run into a folder is complete, with all of its parts."""
    manifest, parts = _read_manifest(folder), part_names(folder.names())
    return manifest is not None and manifest.get("state") == "complete" and manifest.get("parts") == len(parts)


def check_folder(folder: Folder, *, resume: bool, overwrite: bool) -> tuple[dict[str, Any] | None, list[str]]:
    """Check that a run may start or continue in a folder, and return its manifest and the names of its parts.

    Raises
    ------
    OutputError
        If there is an earlier run and neither is set, or the parts belong to another program.
    """
    manifest, names = _read_manifest(folder), part_names(folder.names())
    if (manifest is None and names) or (manifest is not None and "clipcli" not in manifest):
        what = "parts without a" if manifest is None else "another program's"
        raise OutputError(f"cannot write {folder.name}: it holds {what} {MANIFEST} (name another folder)")
    if manifest is not None and not resume and not overwrite:
        if manifest.get("state") == "complete":
            raise already_exists(folder.name, "folder", "it holds a complete run")
        raise OutputError(
            f"cannot write {folder.name}: it holds an interrupted run "
            "(continue with --resume, or start again with --overwrite)"
        )
    return manifest, names


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

    def __init__(
        self, folder: Folder, form: PartForm[Row], settings: RunSettings, about: dict[str, Any] | None = None,
        *, size: int, resume: bool = False, overwrite: bool = False,
    ) -> None:  # fmt: skip
        self._folder, self._form, self.name = folder, form, folder.name
        self._size, self._about = size, about or {}
        self._settings = settings.having(part_size=size, format=form.suffix)
        self.earlier = self.earlier_failures = 0
        self._records = self.parts = 0
        self._failures: dict[str, int] = {}
        self._there = self._begin(resume=resume, overwrite=overwrite)

    def _begin(self, *, resume: bool, overwrite: bool) -> dict[int, re.Match[str]]:
        """Return the existing parts, by chunk number."""
        folder = self._folder
        manifest, names = check_folder(folder, resume=resume, overwrite=overwrite)
        if overwrite:
            for name in names:
                folder.remove(name)
            names = []
        elif manifest is not None:
            self._settings.check_same(_settings_in(manifest, folder), folder.name)
        self._is_new, self._is_told = not names, bool(names) and (manifest or {}).get("state") == "complete"
        if not self._is_told:
            self._write_manifest("running")
        return {int(match[1]): match for name in names if (match := _PART.fullmatch(name))}

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
            f"cannot resume {self._folder.name}: the inputs have changed since the interrupted run, part {number} has "
            "other inputs (start again with --overwrite)"
        )

    def write(self, pieces: Iterable[Piece[Row]]) -> Iterator[Row]:
        """Pass rows on, write each part when it is complete, and at the end the manifest.

        If the run ends early, for whatever reason, the parts so far are saved.
        """
        gathered: dict[int, Gathered[Row]] = {}
        try:
            for piece in pieces:
                chunk = gathered.setdefault(piece.chunk.number, Gathered())
                chunk.add(piece)
                if chunk.is_whole():
                    self._write_part(piece.chunk, gathered.pop(piece.chunk.number).rows())
                yield from piece.rows
            if gathered:
                raise OutputError(
                    f"cannot complete {self._folder.name}: {len(gathered)} parts are incomplete; {self.resume_hint()}"
                )
            if not self._is_told:
                self._write_manifest("complete")
        except BaseException:
            if self._is_new and not self.parts:  # there is nothing to continue
                self._folder.remove(MANIFEST)
            raise

    def _write_part(self, chunk: Chunk, rows: Sequence[Row]) -> None:
        failures = [kind for row in rows if (kind := self._form.failure(row))]
        if rows:
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
        failed = sum(self._failures.values())
        manifest = {
            **header(),
            "state": state,
            "records": self.earlier + self._records,
            "failures": self.earlier_failures + failed,
            "failure_types_of_last_run": self._failures,
            "parts": self.parts,
            **self._about,
            "settings": self._settings.as_json,
        }
        self._folder.put(MANIFEST, (json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode())

    @property
    def kept(self) -> int:
        """The number of parts, from which an interrupted run is resumed."""
        return len(part_names(self._folder.names()))

    def resume_hint(self) -> str:
        """Return what was saved of a run that ended early, and how to continue it."""
        count = self.kept
        if not count:
            return "no parts were written"
        return f"{count:,} part{'' if count == 1 else 's'} saved in {self._folder.name}; continue with --resume"


def _read_manifest(folder: Folder) -> dict[str, Any] | None:
    data = folder.read(MANIFEST)
    if data is None:
        return None
    try:
        return dict(json.loads(data))
    except (TypeError, ValueError):
        raise _damaged(folder) from None


def _settings_in(manifest: dict[str, Any], folder: Folder) -> RunSettings:
    try:
        check_version(manifest, folder.name, MANIFEST, "start again with --overwrite")
        return RunSettings.from_json(manifest["settings"])
    except (LookupError, TypeError, ValueError):
        raise _damaged(folder) from None


def _damaged(folder: Folder) -> OutputError:
    return OutputError(f"cannot resume {folder.name.rstrip('/')}/{MANIFEST}: damaged (start again with --overwrite)")
