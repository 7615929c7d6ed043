"""The files that belong to one results file, and the check whether a run may start or continue there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from clipcli.errors import OutputError
from clipcli.outputs.run_settings import RunRecord
from clipcli.storage.atomic import already_exists

__all__ = ["Places", "check_file", "remove_partial"]


@dataclass(frozen=True)
class Places:
    """The paths of the files that belong to one output file."""

    target: Path

    @property
    def partial(self) -> Path:
        """The records of an incomplete run."""
        return self.target.with_name(self.target.name + ".partial")

    @property
    def settings(self) -> Path:
        """The settings of an incomplete run."""
        return self.target.with_name(self.target.name + ".partial.json")


def check_file(target: Path, *, resume: bool, overwrite: bool) -> RunRecord | None:
    """Check that a run may start or continue in a file, and return the record of a complete run to resume.

    Raises
    ------
    OutputError
        If the file exists or there is an interrupted run and neither is set, or a complete run has no valid record.
    """
    places = Places(target)
    if overwrite:
        return None
    if not places.settings.exists():
        if not target.exists():
            return None
        if not resume:
            raise already_exists(target)
        return RunRecord.read(target)
    if not resume:
        raise OutputError(
            f"cannot write {target}: {places.partial.name} holds an interrupted run "
            "(continue with --resume, or start again with --overwrite)"
        )
    return None


def remove_partial(partial: Path) -> None:
    """Remove the records of an incomplete run, a file or a folder."""
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)
