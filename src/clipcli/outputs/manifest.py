"""The names of the parts in a folder, and its manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from clipcli.errors import OutputError
from clipcli.outputs.run_settings import RunSettings, check_version, header
from clipcli.run_log import circumstances
from clipcli.storage.atomic import already_exists
from clipcli.storage.folders import Folder

__all__ = [
    "MANIFEST",
    "UPDATING",
    "check_folder",
    "is_complete_folder",
    "match_part",
    "part_names",
    "records_in",
    "settings_in",
    "started_in",
    "write_manifest",
]

MANIFEST, UPDATING = "manifest.json", "updating"
_PART = re.compile(r"part-(\d{8,})-([0-9a-f]{8})-n(\d+)-f(\d+)\.(\w+)")


def part_names(names: Iterable[str]) -> list[str]:
    """Return the file names that are parts, in the order of their inputs."""
    found = [(int(match[1]), name) for name in names if (match := _PART.fullmatch(name))]
    return [name for _, name in sorted(found)]


def records_in(parts: Iterable[str]) -> int:
    """Return the number of records in some parts, by their names."""
    return sum(int(match[3]) for name in parts if (match := _PART.fullmatch(name)))


def is_complete_folder(folder: Folder) -> bool:
    """Return whether a run into a folder is complete, with all of its parts."""
    manifest, parts = read_manifest(folder), part_names(folder.names())
    return manifest is not None and manifest.get("state") == "complete" and manifest.get("parts") == len(parts)


def check_folder(folder: Folder, *, resume: bool, overwrite: bool) -> tuple[dict[str, Any] | None, list[str]]:
    """Check that a run may start or continue in a folder, and return its manifest and the names of its parts.

    Raises
    ------
    OutputError
        If there is an earlier run and neither is set, or the parts belong to another program.
    """
    manifest, names = read_manifest(folder), part_names(folder.names())
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


def match_part(name: str) -> re.Match[str]:
    """Return the groups of a part's name: number, digest, records, failures, extension."""
    match = _PART.fullmatch(name)
    assert match is not None  # noqa: S101
    return match


def started_in(manifest: Mapping[str, Any] | None) -> float:
    """Return when a run began, in seconds since the epoch; 0 if its manifest does not say."""
    value = (manifest or {}).get("started")
    return float(value) if isinstance(value, int | float) else 0.0


def write_manifest(folder: Folder, state: str, started: float, about: Mapping[str, Any], settings: RunSettings) -> None:
    """Write the manifest of a run.

    Parameters
    ----------
    state
        ``running`` or ``complete``.
    started
        When the run began, in seconds since the epoch.
    about
        Counts, and what else describes the run.
    """
    facts = circumstances()
    if state != "complete":
        del facts["ended"]
    manifest = {**header(), "state": state, "started": started, **facts, **about, "settings": settings.as_json}
    folder.put(MANIFEST, (json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode())


def read_manifest(folder: Folder) -> dict[str, Any] | None:
    data = folder.read(MANIFEST)
    if data is None:
        return None
    try:
        return dict(json.loads(data))
    except (TypeError, ValueError):
        raise _damaged(folder) from None


def settings_in(manifest: dict[str, Any], folder: Folder) -> RunSettings:
    """Return the settings in a manifest, or raise :class:`OutputError`."""
    try:
        check_version(manifest, folder.name, MANIFEST, "start again with --overwrite")
        return RunSettings.from_json(manifest["settings"])
    except (LookupError, TypeError, ValueError):
        raise _damaged(folder) from None


def _damaged(folder: Folder) -> OutputError:
    return OutputError(
        f"cannot use {folder.name.rstrip('/')}/{MANIFEST}: it is not what clipcli writes (try again; if it is "
        "damaged for good, start again with --overwrite)"
    )
