"""The record of a run that stays beside its results: what they were made with, and what came of it.

::

    results.csv             the results
    results.csv.run.json    the version of clipcli, all settings, how many records and failures there are

``--resume`` compares it with what is asked for. It can be deleted: nothing else reads it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcli._version import __version__
from clipcli.errors import OutputError
from clipcli.storage.atomic import replacing

__all__ = ["RunRecord", "compare_settings", "record_of"]


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

    settings: dict[str, Any]
    records: int
    failures: int
    sha256: str

    @classmethod
    def sign(cls, content: Path, settings: dict[str, Any], records: int, failures: int) -> RunRecord:
        """Make the record of results that ``content`` holds."""
        return cls(settings, records, failures, _digest(content))

    def write(self, results: Path) -> None:
        """Write it beside a results file, whole or not at all."""
        values = {
            "clipcli": __version__,
            "state": "complete",
            "records": self.records,
            "failures": self.failures,
            "sha256": self.sha256,
            "settings": self.settings,
        }
        with replacing(record_of(results)) as temporary:
            temporary.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, results: Path) -> RunRecord:
        """Read the record of a results file.

        Raises
        ------
        OutputError
            If there is none, it is damaged, or the results were changed since it was written.
        """
        path = record_of(results)
        remedy = "leave --resume out to write the results again"
        try:
            values = json.loads(path.read_text("utf-8"))
            record = cls(
                dict(values["settings"]), int(values["records"]), int(values["failures"]), str(values["sha256"])
            )
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


def compare_settings(
    target: Path | str, before: dict[str, Any], settings: dict[str, Any], run: str = "the interrupted run"
) -> None:
    """Raise :class:`OutputError` if an earlier run had other settings; it names the first that differs."""
    now: dict[str, Any] = json.loads(json.dumps(settings))
    for name in now | before:
        if before.get(name) != now.get(name):
            raise OutputError(
                f"{target}: {run} had {_difference(name, before.get(name), now.get(name))}; "
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
