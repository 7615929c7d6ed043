"""Add the records of new inputs to a results file, and compute failed ones again (``--update``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from clipcli.errors import OutputError
from clipcli.outputs.kept_names import KeptNames, changed_since, is_gone, remaining, tell_gone
from clipcli.outputs.resume import DAMAGED, UPDATING, Item, ResultFile
from clipcli.outputs.run_settings import RunRecord, RunSettings
from clipcli.outputs.text_formats import Layout

__all__ = ["UpdatedFile"]


class UpdatedFile(ResultFile):
    """An output file whose records stay, and to which records are added; the caller holds the lock of the file.

    Records of failures, and of files on disk that were modified after the run that wrote them began, are removed:
    if their inputs are among those of this run, they are computed again. Other records stay, even if their inputs are
    not among those of this run; with ``drop_missing``, those of files that were deleted are removed too. New records
    come last. The file is replaced when all records are complete.

    Raises
    ------
    OutputError
        If the settings of the earlier run differ, or the file was not written by clipcli or has been changed since.
    """

    option = "--update"

    def __init__(self, target: Path, layout: Layout, settings: RunSettings, *, drop_missing: bool = False) -> None:
        self._base: Path | None = None
        self._since = 0.0
        self._kept, self._dropped, self._is_idle = KeptNames(), 0, False
        self._drop_missing, self._gone = drop_missing, 0
        super().__init__(target, layout, settings)

    def _begin(self, *, resume: bool, overwrite: bool) -> None:  # noqa: ARG002
        places = self._places
        if places.settings.exists():
            state = self._continued()
            self._since = self._started
            if self._partial.count():
                self._base = places.partial
            if state != UPDATING:
                self._start(UPDATING)
                self._is_new = False
                return
            if self._base is not None:
                return
        if places.target.exists():
            record = RunRecord.read(places.target, "update")
            self._settings.check_same(record.settings, places.target, "the complete run", doing="update")
            self._base, self._since, self._may_replace = places.target, record.started, True
        self._start(UPDATING)

    def rest(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the inputs without a valid record."""
        base = self._base
        if base is not None:
            try:
                self._kept = KeptNames(self._names_kept(base))
            except (LookupError, OSError, TypeError, ValueError):
                raise OutputError(DAMAGED.format(base)) from None
        tell_gone(self.name, self._gone)
        yield from remaining(items, self._kept)  # type: ignore[misc]

    def _names_kept(self, base: Path) -> Iterator[str]:
        partial, is_partial = self._partial, base == self._places.partial
        for name, failed in partial.kept() if is_partial else partial.records_in(base):
            is_missing = self._drop_missing and is_gone(name)
            if is_missing or failed or changed_since(name, self._since, status_too=True):
                self._dropped += 1
                self._gone += is_missing
            else:
                self.earlier += 1
                yield name

    def _has_news(self, *, is_any: bool) -> bool:
        self._is_idle = not is_any and not self._dropped and self._base == self._places.target
        return not self._is_idle

    def idle(self) -> str | None:
        """Return why nothing was written."""
        return "no new inputs, nothing to do" if self._is_idle else None

    def _prepare(self) -> None:
        if self._base != self._places.partial:
            self._forget_partial()
        if self._base is not None:
            self._partial.carry(self._base, lambda name, failed: not failed and name in self._kept)
