"""Add the records of new inputs to a folder of parts, and compute failed ones again (``--update``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from clipcli.errors import OutputError
from clipcli.inputs.items import Unit
from clipcli.log import LOG
from clipcli.outputs.kept_names import KeptNames, changed_since, is_gone, remaining, tell_gone
from clipcli.outputs.manifest import UPDATING, check_folder, is_complete_folder, match_part, started_in
from clipcli.outputs.parts import PartedOutput, PartForm
from clipcli.outputs.run_settings import RunSettings
from clipcli.pipeline.chunks import Chunk, Engine, in_chunks
from clipcli.storage.folders import Folder

__all__ = ["UpdatedParts"]

Row = TypeVar("Row")


class UpdatedParts(PartedOutput[Row]):
    """A folder to which parts are added; the caller holds its lock.

    The rules are those of :class:`~clipcli.outputs.update.UpdatedFile`. A part from which records are removed is
    written again without them, after the new parts.
    """

    option = "--update"

    def __init__(
        self, folder: Folder, form: PartForm[Row], settings: RunSettings, about: dict[str, Any] | None = None,
        *, size: int, drop_missing: bool = False,
    ) -> None:  # fmt: skip
        self._drop_missing = drop_missing
        super().__init__(folder, form, settings, about, size=size)

    def _begin(self, *, resume: bool, overwrite: bool) -> dict[int, re.Match[str]]:  # noqa: ARG002
        folder = self._folder
        manifest, names = check_folder(folder, resume=True, overwrite=False)
        if manifest is not None:
            self._check_same(manifest, "update")
        self._since = started_in(manifest)
        self._before, self._reduced = names, dict[str, Sequence[bool]]()
        self._is_new, self._is_told = not names, is_complete_folder(folder)
        if not self._is_told:
            self._announce()
        return {}

    def _announce(self) -> None:
        """Write the manifest of an incomplete update, with the time from which on changes of inputs matter."""
        now, self._started = self._started, self._since or self._started
        self._write_manifest(UPDATING)
        self._started = now

    def rows(self, engine: Engine[Row], units: Iterable[Unit]) -> Iterator[Row]:
        """Let an engine process the inputs without a valid record; write its rows and yield them."""
        return self.write(engine.pieces(self._new_chunks(units)))

    def _new_chunks(self, units: Iterable[Unit]) -> Iterator[Chunk]:
        kept = KeptNames(self._names_kept())
        if not kept.are_different:
            self._drop_repetitions(kept)
        first = max((int(match_part(name)[1]) + 1 for name in self._before), default=0)
        for chunk in in_chunks(remaining(units, kept), self._size):
            yield replace(chunk, number=chunk.number + first)

    def _names_kept(self) -> Iterator[str]:
        """Yield the inputs with a valid record, and note what each other part is reduced to."""
        self._remove_duplicates()
        gone = 0
        for name in self._before:
            facts = self._facts(name)
            missing = [self._drop_missing and is_gone(path) for path, _ in facts]
            gone += sum(missing)
            chosen = [
                not (is_missing or failed or changed_since(path, self._since, status_too=True))
                for is_missing, (path, failed) in zip(missing, facts, strict=True)
            ]
            yield from (path for (path, _), is_chosen in zip(facts, chosen, strict=True) if is_chosen)
            self.earlier += sum(chosen)
            if all(chosen) and len(chosen) == int(match_part(name)[3]):
                self.parts += 1
            else:
                self._reduced[name] = chosen
        tell_gone(self.name, gone)

    def _facts(self, name: str) -> list[tuple[str, bool]]:
        """Return the input of each row of a part, and whether it failed."""
        data = self._folder.read(name)
        if data is None:
            raise OutputError(f"cannot update {self.name}: cannot read {name} (try again)")
        try:
            return self._form.facts(data)
        except (LookupError, OSError, TypeError, ValueError):
            raise OutputError(f"cannot update {self.name}: {name} is damaged (remove it, then --update)") from None

    def _drop_repetitions(self, kept: KeptNames) -> None:
        """Keep the first record of each input: two runs may have written to a store at the same time."""
        is_repetition, dropped = kept.repetitions(), 0
        for name in self._before:
            paths = [path for path, _ in self._facts(name)]
            before = self._reduced.get(name, [True] * len(paths))
            chosen = [is_chosen and not is_repetition(path) for path, is_chosen in zip(paths, before, strict=True)]
            if sum(chosen) < sum(before):
                dropped += sum(before) - sum(chosen)
                self.parts -= name not in self._reduced
                self._reduced[name] = chosen
        self.earlier -= dropped
        LOG.warning(f"{self.name}: {dropped:,} of its records were of an image that had one before, and are removed")

    def _remove_duplicates(self) -> None:
        """Remove a part of which a reduced one was written before an update was interrupted."""
        by_number: dict[str, str] = {}
        for name in self._before:
            number = match_part(name)[1]
            other = by_number.setdefault(number, name)
            smaller, larger = sorted((name, other), key=lambda each: int(match_part(each)[3]))
            by_number[number] = smaller
            if smaller != larger:
                self._folder.remove(larger)
        self._before = list(by_number.values())

    def _before_first_part(self) -> None:
        if self._is_told:
            self._is_told = False
            self._announce()

    def _after_last_part(self) -> None:
        for name, chosen in self._reduced.items():
            self._before_first_part()
            if count := sum(chosen):
                match = match_part(name)
                data = self._form.choose(self._folder.read(name) or b"", chosen)
                self._folder.put(f"part-{match[1]}-{match[2]}-n{count}-f0.{match[5]}", data)
                self.parts += 1
            self._folder.remove(name)

    def idle(self) -> str | None:
        """Return why nothing was written."""
        return "no new inputs, nothing to do" if self._is_told else None
