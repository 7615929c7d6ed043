"""What decided a run, kept on disk beside what it wrote; and the one comparer of it.

::

    results.csv                 the results
    results.csv.run.json        the version of clipcli, all settings, how many records and failures there are
    results.csv.partial.json    the settings of a run that is not complete

``--resume`` compares them with what is asked for. The manifest of a folder of parts and the ``settings.json`` of a
training run have the same header and are compared in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipcli._version import __version__
from clipcli.errors import OutputError
from clipcli.storage.atomic import replacing

__all__ = ["VERSION", "RunRecord", "RunSettings", "check_version", "header", "record_of"]

VERSION = 1
"""The version of all files that describe a run; one of another version is refused."""

_COMMAND = "command"
_TITLES = {
    "fingerprint": "set of weights or preprocessing",
    "start": "set of weights to start from",
    "pairs_digest": "set of pairs",
    "train": "number of pairs to train on",
    "validation_pairs": "number of pairs held out",
}
_REMEDY = "resume with the same, or start anew with --overwrite"


@dataclass(frozen=True)
class RunSettings:
    """All that decides what a run writes; a run is only resumed with the same.

    Parameters
    ----------
    command
        What was run: ``classify``, ``export images`` or ``train``.
    values
        Plain values that JSON can hold, by snake_case names.
    """

    command: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def having(self, **values: Any) -> RunSettings:
        """Return the same settings with more values."""
        return RunSettings(self.command, {**self.values, **values})

    @property
    def as_json(self) -> dict[str, Any]:
        """Plain values, as a file has them."""
        values: dict[str, Any] = json.loads(json.dumps(dict(self.values)))
        return {_COMMAND: self.command, **values}

    @classmethod
    def from_json(cls, value: Any) -> RunSettings:
        """Return the settings that a file holds.

        Raises
        ------
        LookupError, TypeError, ValueError
            If there are none in it.
        """
        values = dict(value)
        return cls(str(values.pop(_COMMAND)), values)

    def check_same(
        self, earlier: RunSettings, target: object, run: str = "the interrupted run", remedy: str = _REMEDY,
        *, given_only: bool = False,
    ) -> None:  # fmt: skip
        """Raise :class:`OutputError` if an earlier run had other settings; it names the first that differs.

        Parameters
        ----------
        given_only
            Compare only the values that are given here: ``None`` stands for whatever the earlier run had.
        """
        before, now = earlier.as_json, self.as_json
        for name in [name for name, value in now.items() if value is not None] if given_only else now | before:
            if before.get(name) != now.get(name):
                difference = _difference(name, before.get(name), now.get(name))
                raise OutputError(f"{target}: {run} had {difference}; {remedy}")


def _difference(name: str, before: Any, now: Any) -> str:
    """Say in what a setting differs; for a long list, where it first does."""
    title = _TITLES.get(name, name.replace("_", " "))
    if isinstance(before, list) and isinstance(now, list):
        pairs = zip([*before, *["nothing"] * len(now)], [*now, *["nothing"] * len(before)], strict=False)
        for index, (old, new) in enumerate(pairs, start=1):
            if old != new:
                return f"other {title}: number {index} was {old!r}, now {new!r}"
    which = "other" if title.endswith("s") else "another"
    return f"{which} {title}: {_short(before)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def header() -> dict[str, Any]:
    """Return what every file that describes a run begins with."""
    return {"version": VERSION, "clipcli": __version__}


def check_version(values: Mapping[str, Any], target: object, file: str, remedy: str) -> None:
    """Check that this version of clipcli reads a file that describes a run.

    Raises
    ------
    OutputError
        If another version wrote it.
    ValueError
        If it has no version.
    """
    found = values.get("version")
    if type(found) is not int:
        raise ValueError("no version")
    if found != VERSION:
        raise OutputError(
            f"cannot resume {target}: {file} has version {found}, and this clipcli reads version {VERSION} ({remedy})"
        )


def record_of(results: Path) -> Path:
    """Return where the record of a results file is."""
    return results.with_name(results.name + ".run.json")


@dataclass(frozen=True)
class RunRecord:
    """What a finished run did.

    Parameters
    ----------
    settings
        All that decides what the records say.
    records, failures
        How many records there are, and how many of them are failures.
    sha256
        Digest of the results file: tells whether it was changed or replaced afterwards.
    """

    settings: RunSettings
    records: int
    failures: int
    sha256: str

    @classmethod
    def sign(cls, content: Path, settings: RunSettings, records: int, failures: int) -> RunRecord:
        """Make the record of results that ``content`` holds."""
        return cls(settings, records, failures, _digest(content))

    def write(self, results: Path) -> None:
        """Write it beside a results file, whole or not at all."""
        values = {
            **header(),
            "state": "complete",
            "records": self.records,
            "failures": self.failures,
            "sha256": self.sha256,
            "settings": self.settings.as_json,
        }
        with replacing(record_of(results)) as temporary:
            temporary.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, results: Path) -> RunRecord:
        """Read the record of a results file.

        Raises
        ------
        OutputError
            If there is none, it is damaged or of another version, or the results were changed since it was written.
        """
        path = record_of(results)
        remedy = "leave --resume out to write the results again"
        try:
            values = dict(json.loads(path.read_text("utf-8")))
            check_version(values, results, path.name, remedy)
            settings = RunSettings.from_json(values["settings"])
            record = cls(settings, int(values["records"]), int(values["failures"]), str(values["sha256"]))
        except FileNotFoundError:
            reason = f"no {path.name} says what its results were made with"
            raise OutputError(f"cannot resume {results}: {reason} ({remedy})") from None
        except (LookupError, OSError, TypeError, ValueError):
            raise OutputError(f"cannot resume {results}: {path.name} is damaged ({remedy})") from None
        if record.sha256 != _digest(results):
            raise OutputError(f"cannot resume {results}: it was changed since its run ended ({remedy})")
        return record


def _digest(path: Path) -> str:
    digest = hashlib.sha256()  # not hashlib.file_digest: that came with Python 3.11
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
