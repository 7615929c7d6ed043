"""The record of a run, a file next to the results.

::

    results.csv             the results
    results.csv.run.json    the version of clipcli, all settings, the number of records and failures

``--resume`` compares it with the settings of the new run. It can be deleted: nothing else reads it.
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
    """Return the path of the record of a results file."""
    return results.with_name(results.name + ".run.json")


@dataclass(frozen=True)
class RunRecord:
    """The record of a complete run.

    Parameters
    ----------
    settings
        Everything that determines the results.
    records, failures
        The number of records, and the number of failures among them.
    sha256
        Digest of the results file; it differs if the file was changed or replaced afterwards.
    """

    settings: dict[str, Any]
    records: int
    failures: int
    sha256: str

    @classmethod
    def sign(cls, content: Path, settings: dict[str, Any], records: int, failures: int) -> RunRecord:
        """Return the record of the results in the file ``content``."""
        return cls(settings, records, failures, _digest(content))

    def write(self, results: Path) -> None:
        """Write the record next to a results file, atomically."""
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
            If there is no record, it is damaged, or the results were changed since it was written.
        """
        path = record_of(results)
        remedy = "leave --resume out to write the results again"
        try:
            values = json.loads(path.read_text("utf-8"))
            record = cls(
                dict(values["settings"]), int(values["records"]), int(values["failures"]), str(values["sha256"])
            )
        except FileNotFoundError:
            reason = f"its record {path.name} is missing"
            raise OutputError(f"cannot resume {results}: {reason} ({remedy})") from None
        except (LookupError, OSError, TypeError, ValueError):
            raise OutputError(f"cannot resume {results}: {path.name} is damaged ({remedy})") from None
        if record.sha256 != _digest(results):
            raise OutputError(f"cannot resume {results}: it has changed since its run ended ({remedy})")
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
    """Raise :class:`OutputError` if an earlier run had other settings; the message names the first difference."""
    now: dict[str, Any] = json.loads(json.dumps(settings))
    for name in now | before:
        if before.get(name) != now.get(name):
            raise OutputError(
                f"cannot resume {target}: {run} had {_difference(name, before.get(name), now.get(name))} "
                "(use the same settings, or start again with --overwrite)"
            )


def _difference(name: str, before: Any, now: Any) -> str:
    """Return the difference of a setting; for a list, the first item that differs."""
    if isinstance(before, list) and isinstance(now, list):
        pairs = zip([*before, *["nothing"] * len(now)], [*now, *["nothing"] * len(before)], strict=False)
        for index, (old, new) in enumerate(pairs, start=1):
            if old != new:
                return f"different {name}: item {index} was {old!r}, now {new!r}"
    return f"a different {name}: {_short(before)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
