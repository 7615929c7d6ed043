"""The settings of a run on disk, next to its output, and their comparison.

::

    results.csv                 the results
    results.csv.run.json        the versions, the command line, start and end, all settings, the number of records and
                                failures
    results.csv.partial.json    the settings of an incomplete run

``--resume`` compares them with the settings of the new run. The manifest of a folder of parts and the
``settings.json`` of a training run have the same header and are compared in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clipcli._version import __version__
from clipcli.errors import OutputError
from clipcli.outputs.image_rows import EmbeddingKind
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.scorer import Tagging
from clipcli.run_log import circumstances
from clipcli.scoring.thresholds import Thresholds
from clipcli.storage.atomic import replacing

__all__ = [
    "VERSION",
    "ChangedResultsError",
    "RunRecord",
    "RunSettings",
    "check_version",
    "classify_settings",
    "export_settings",
    "header",
    "record_of",
]

VERSION = 1
"""The version of all files that describe a run; a file of another version is rejected."""

_COMMAND = "command"
_TITLES = {
    "fingerprint": "set of weights or preprocessing",
    "start": "set of weights to start from",
    "taught": "set of taught classes",
    "pairs_digest": "set of pairs",
    "train": "number of pairs to train on",
    "validation_pairs": "number of pairs held out",
}
_OF_A_RUN = ("batch_size", "part_size")  # what need not be the same in all runs that add to results
_REMEDY = "use the same settings, or start again with --overwrite"


@dataclass(frozen=True)
class RunSettings:
    """Everything that determines the output of a run; a run is only resumed with the same settings.

    Parameters
    ----------
    command
        The command: ``classify``, ``export images`` or ``train``.
    values
        Plain values for JSON, by snake_case name.
    """

    command: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def having(self, **values: Any) -> RunSettings:
        """Return the same settings with more values."""
        return RunSettings(self.command, {**self.values, **values})

    @property
    def as_json(self) -> dict[str, Any]:
        """Plain values, as in a file."""
        values: dict[str, Any] = json.loads(json.dumps(dict(self.values)))
        return {_COMMAND: self.command, **values}

    @classmethod
    def from_json(cls, value: Any) -> RunSettings:
        """Return the settings in a file.

        Raises
        ------
        LookupError, TypeError, ValueError
            If the file has no settings.
        """
        values = dict(value)
        return cls(str(values.pop(_COMMAND)), values)

    def check_same(
        self, earlier: RunSettings, target: object, run: str = "the interrupted run", remedy: str = _REMEDY,
        *, given_only: bool = False, doing: str = "resume",
    ) -> None:  # fmt: skip
        """Raise :class:`OutputError` if an earlier run had other settings; it names the first that differs.

        Parameters
        ----------
        given_only
            Compare only the values that are given here: ``None`` stands for whatever the earlier run had.
        doing
            What cannot be done with other settings: ``resume``, or ``update`` (sizes of batches and parts can differ).
        """
        before, now = earlier.as_json, self.as_json
        for name in [name for name, value in now.items() if value is not None] if given_only else now | before:
            if before.get(name) != now.get(name) and not (doing == "update" and name in _OF_A_RUN):
                difference = _difference(name, before.get(name), now.get(name))
                raise OutputError(f"cannot {doing} {target}: {run} had {difference} ({remedy})")


def classify_settings(
    model: str, classes: ClassEmbeddings, thresholds: Thresholds, encoder: Mapping[str, Any],
    tagging: Tagging | None = None,
) -> RunSettings:  # fmt: skip
    """Return what decides the results of ``classify``, apart from the form of the file.

    Parameters
    ----------
    model
        Its title.
    encoder
        What decides the embeddings: precision, fingerprint and batch size, or the file that they are read from.
    tagging
        How the tags of an image are chosen, if it can have several.
    """
    values = {
        "model": model,
        "image_embeddings": None,
        **encoder,
        "labels": list(classes.labels),
        "groups": [group or "none" for group in classes.groups],
        "prompts": [prompt for prompts in classes.prompts for prompt in prompts],
        **{f"min_{name}": value for name, value in vars(thresholds).items()},
    }
    if classes.taught is not None:  # otherwise the prompts and the model decide everything
        from clipcli.pipeline.calibration import digest_of

        values["taught"] = digest_of(classes)
    if classes.thresholds:
        values["thresholds"] = ["none" if each is None else each for each in classes.thresholds]
    if classes.competitors is not None:
        values["competing_prompts"] = [prompt for prompts in classes.competitors.prompts for prompt in prompts]
        values["rivals"] = [list(places) for places in classes.competitors.rivals]
    if tagging is not None:
        values |= {"tags": True, **asdict(tagging)}
    return RunSettings("classify", values)


def export_settings(kind: EmbeddingKind, encoder: Mapping[str, Any]) -> RunSettings:
    """Return what decides the output of ``export images``; the last digits depend on the size of a batch."""
    facts = asdict(kind.facts)
    values = {"model": facts.pop("name"), **facts, "fingerprint": kind.fingerprint, "dtype": kind.dtype}
    return RunSettings("export images", {**values, "image_embeddings": None, **encoder})


def _difference(name: str, before: Any, now: Any) -> str:
    """Return the difference of a setting; for a list, the first item that differs."""
    title = _TITLES.get(name, name.replace("_", " "))
    if isinstance(before, list) and isinstance(now, list):
        for index, (old, new) in enumerate(zip(before, now, strict=False), start=1):
            if old != new:
                return f"different {title}: item {index} was {old!r}, now {new!r}"
        longer, what = (now, "is new") if len(now) > len(before) else (before, "is missing now")
        index = min(len(before), len(now))
        return f"different {title}: item {index + 1}, {longer[index]!r}, {what}"
    which = "different" if title.endswith("s") else "a different"
    return f"{which} {title}: {_short(before)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def header() -> dict[str, Any]:
    """Return the header of every file that describes a run."""
    return {"version": VERSION, "clipcli": __version__}


def check_version(values: Mapping[str, Any], target: object, file: str, remedy: str) -> None:
    """Check that this version of clipcli can read a file that describes a run.

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
            f"cannot resume {target}: {file} has version {found}, but this clipcli reads version {VERSION} ({remedy})"
        )


class ChangedResultsError(OutputError):
    """A results file is not as its run left it; ``records`` is the number of records that the run wrote."""

    def __init__(self, message: str, records: int) -> None:
        super().__init__(message)
        self.records = records


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
    started
        When the run began, in seconds since the epoch: inputs that were modified later may have other content.
    state
        ``complete``; or ``watching`` while ``watch`` adds records, when there is no digest.
    """

    settings: RunSettings
    records: int
    failures: int
    sha256: str
    started: float = 0.0
    state: str = "complete"

    @classmethod
    def sign(cls, content: Path, settings: RunSettings, records: int, failures: int, started: float) -> RunRecord:
        """Return the record of the results in the file ``content``."""
        return cls(settings, records, failures, _digest(content), started)

    def write(self, results: Path) -> None:
        """Write the record next to a results file, atomically."""
        values = {
            **header(),
            "state": self.state,
            "started": self.started,
            **circumstances(),
            "records": self.records,
            "failures": self.failures,
            "sha256": self.sha256,
            "settings": self.settings.as_json,
        }
        with replacing(record_of(results)) as temporary:
            temporary.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, results: Path, doing: str = "resume") -> RunRecord:
        """Read the record of a results file.

        Raises
        ------
        OutputError
            If there is no record, it is damaged or of another version, or the results were changed since.
        """
        path = record_of(results)
        remedy = "replace it with --overwrite, or name another file"
        try:
            values = dict(json.loads(path.read_text("utf-8")))
            check_version(values, results, path.name, remedy)
            settings = RunSettings.from_json(values["settings"])
            counts = int(values["records"]), int(values["failures"])
            record = cls(
                settings, *counts, str(values["sha256"]), float(values.get("started", 0.0)), str(values["state"])
            )
        except FileNotFoundError:
            reason = f"its record {path.name} is missing"
            raise OutputError(f"cannot {doing} {results}: {reason} ({remedy})") from None
        except (LookupError, OSError, TypeError, ValueError):
            raise OutputError(f"cannot {doing} {results}: {path.name} is damaged ({remedy})") from None
        if record.state == "watching" and doing != "watch":
            raise OutputError(f"cannot {doing} {results}: clipcli watch has not ended (start and stop it, or wait)")
        if record.state != "watching" and record.sha256 != _digest(results):
            reason = f"cannot {doing} {results}: it has changed since its run ended ({remedy})"
            raise ChangedResultsError(reason, record.records)
        return record


def _digest(path: Path) -> str:
    digest = hashlib.sha256()  # not hashlib.file_digest: that came with Python 3.11
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
