"""What is known of the run that wrote some results: its settings, versions, times and counts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any

from clipcli.errors import ClipcliError, InputError
from clipcli.outputs.manifest import MANIFEST, match_part, part_names
from clipcli.outputs.readers import ReadRecord, read_results
from clipcli.outputs.run_files import Places
from clipcli.outputs.run_settings import RunRecord, record_of
from clipcli.text import is_unicode

__all__ = ["RunInfo", "run_info"]

_LONGEST = 1 << 26  # bytes of a file that describes a run: hundreds of thousands of labels
_STATES = {"running": "incomplete", "updating": "incomplete update", "watching": "watched"}


@dataclass(frozen=True)
class RunInfo:
    """The log of one run.

    Parameters
    ----------
    results
        The results file, or the folder of parts.
    state
        ``complete``; ``incomplete`` or ``incomplete update`` if the run lasts or was interrupted; ``watched`` if
        ``watch`` adds records, or was killed; ``changed`` if the results were changed after their run ended;
        ``unrecorded`` if only the results are there.
    done, failed
        The number of records that are predictions, and of those that are failures; ``None`` if that is not known.
    command
        ``classify`` or ``export images``.
    model
        The model's title.
    clipcli
        The version of clipcli.
    versions
        The versions of Python and of the libraries, by name.
    arguments
        The command line without secrets; ``None`` for a run of the Python API.
    started, ended
        In seconds since the epoch.
    settings
        Everything that determines the results, by name.
    """

    results: str
    state: str
    done: int | None = None
    failed: int | None = None
    command: str | None = None
    model: str | None = None
    clipcli: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] | None = None
    started: float | None = None
    ended: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def as_json(self) -> dict[str, Any]:
        """Plain values; times in ISO 8601, in UTC."""
        times = {"started": _iso(self.started), "ended": _iso(self.ended)}
        return {name: times.get(name, value) for name, value in asdict(self).items()}


def run_info(results: str | Path) -> RunInfo:
    """Return what is known of the run that wrote some results.

    Parameters
    ----------
    results
        A results file or a folder of parts, complete or not.

    Raises
    ------
    InputError
        If there are no results, or the file that describes the run is damaged.
    """
    place = Path(results)
    if place.is_dir():
        return _of_folder(place)
    partial, record = Places(place), record_of(place)
    if partial.settings.is_file():
        info = _parsed(place, partial.settings)
        done, failed = _counts_in(partial.partial, str(info.settings.get("format")))
        return _with_counts(info, info.state, done, failed)
    if not place.is_file():
        raise InputError(f"cannot read {place}: no such file or folder")
    if not record.is_file():
        return _counted(place, RunInfo(str(place), "unrecorded"))
    info = _parsed(place, record)
    if info.state == "watched":
        done, failed = _counts_in(place, str(info.settings.get("format")))
        return _with_counts(info, info.state, done, failed)
    if _is_changed(place):
        return _counted(place, _with_counts(info, "changed", None, None))
    return info


def _of_folder(folder: Path) -> RunInfo:
    parts = part_names(each.name for each in folder.iterdir())
    manifest = folder / MANIFEST
    if not manifest.is_file():
        if not parts:
            raise InputError(f"cannot read {folder}: a folder without parts of results (name a results file)")
        return _counted(folder, RunInfo(str(folder), "unrecorded"))
    info = _parsed(folder, manifest)
    matches = [match_part(name) for name in parts]
    records, failures = (sum(int(match[place]) for match in matches) for place in (3, 4))
    return _with_counts(info, info.state, records - failures, failures)


def _parsed(results: Path, file: Path) -> RunInfo:
    """Read a file that describes a run. Anyone may have written it, so all values are checked."""
    try:
        if file.stat().st_size > _LONGEST:
            raise ValueError("too large")
        values = dict(json.loads(file.read_text("utf-8")))
        settings = dict(values["settings"])
        arguments, versions = values.get("arguments"), dict(values.get("versions") or {})
        info = RunInfo(
            str(results),
            _STATES.get(str(values["state"]), "complete"),
            *_counts(values),
            command=_text(settings.pop("command", None)),
            model=_text(settings.pop("model", None)),
            clipcli=_text(values["clipcli"]),
            versions={str(_text(name)): str(_text(each)) for name, each in versions.items()},
            arguments=None if arguments is None else tuple(str(_text(each)) for each in arguments),
            started=_time(values.get("started")),
            ended=_time(values.get("ended")),
            settings=settings,
        )
        json.dumps(settings, ensure_ascii=False).encode()  # no half of a surrogate pair
    except OSError as problem:
        raise InputError(f"cannot read {file}: {problem.strerror or problem}") from None
    except (LookupError, TypeError, ValueError, RecursionError):
        raise InputError(f"cannot read {file}: it is not what clipcli writes (classify again)") from None
    return info


def _counts(values: Mapping[str, Any]) -> tuple[int | None, int | None]:
    if "records" not in values:
        return None, None
    records, failures = int(values["records"]), int(values["failures"])
    return records - failures, failures


def _text(value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and is_unicode(value)):
        raise TypeError("not text")
    return value


def _time(value: Any) -> float | None:
    """Return a time in seconds, ``None`` for none; files of before have a start of 0."""
    if not value:
        return None
    seconds = float(value)
    if not math.isfinite(seconds) or not 0 < seconds < 1e11:
        raise ValueError("not a time")
    return seconds


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def _is_changed(results: Path) -> bool:
    try:
        RunRecord.read(results)
    except ClipcliError:
        return True
    return False


def _counted(results: Path, info: RunInfo) -> RunInfo:
    """Return the information with the numbers of records in the results, and their model."""
    records = iter(read_results(results))
    first = next(records, None)
    done = failed = 0
    for record in chain(() if first is None else (first,), records):
        done += record.error is None
        failed += record.error is not None
    return _with_counts(info, info.state, done, failed, first)


def _counts_in(growing: Path, form: str) -> tuple[int | None, int | None]:
    """Return the numbers of records in a file that grows; ``None`` if its format cannot be counted meanwhile."""
    from clipcli.outputs.journal import PartialLines
    from clipcli.outputs.text_formats import Layout

    if form not in ("jsonl", "csv", "tsv") or not growing.is_file():
        return None, None
    done = failed = 0
    try:
        for _, is_failed in PartialLines(growing, Layout(form, 1, grouped=False)).records_in(growing):
            done, failed = done + (not is_failed), failed + is_failed
    except (LookupError, OSError, TypeError, ValueError):
        return None, None
    return done, failed


def _with_counts(
    info: RunInfo, state: str, done: int | None, failed: int | None, first: ReadRecord | None = None
) -> RunInfo:
    model = info.model or (first.model if first is not None else None) or None
    return replace(info, state=state, done=done, failed=failed, model=model)
