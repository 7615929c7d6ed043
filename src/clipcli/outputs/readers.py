"""Read results files of any format."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipcli.errors import InputError, OutputError
from clipcli.inputs.items import shown_name
from clipcli.labels.several import split
from clipcli.log import LOG
from clipcli.outputs.manifest import is_complete_folder, part_names, records_in
from clipcli.outputs.record_values import READERS
from clipcli.outputs.run_settings import ChangedResultsError, RunRecord
from clipcli.redaction import redacted
from clipcli.scoring.zeroshot import Score
from clipcli.storage.folders import folder_at
from clipcli.text import is_unicode

__all__ = ["ReadRecord", "read_record", "read_results"]

_LONGEST_NUMBER = 40  # characters
_DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+(?:[eE][-+]?\d+)?\s*")
_ROUNDING = 1e-3  # tolerance for scores beyond their bounds


@dataclass(frozen=True)
class ReadRecord:
    """One record of a results file.

    Parameters
    ----------
    path
        The input's name.
    label, probability
        The answer, which may be ``unknown``, and the probability of the best label; ``None`` if the input failed.
    error
        The message of a failed input, else ``None``.
    top
        The best labels with their scores, best first: as many as the file holds. A similarity that the file does not
        have is NaN.
    group
        The best group, if the labels have groups; ``unknown`` if the label is.
    groups
        The groups that the file has with their probabilities, best first.
    model
        The model's name, pretrained tag and precision, as far as the file has them.
    labels
        All labels of the image, best first, if the run could give several; else ``None``.
    node
        The answer in a tree of groups, if the labels are in one.
    best_group
        The best group if ``group`` is ``unknown``, as far as the file has it.
    """

    path: str
    label: str | None
    probability: float | None
    error: str | None
    top: tuple[Score, ...] = field(default=(), compare=False)
    group: str | None = field(default=None, compare=False)
    model: str = field(default="", compare=False)
    groups: tuple[tuple[str, float], ...] = field(default=(), compare=False)
    labels: tuple[str, ...] | None = None
    node: str | None = field(default=None, compare=False)
    best_group: str | None = field(default=None, compare=False)


def read_results(file: Path) -> Iterator[ReadRecord]:
    """Read a results file record by record, or the parts of a folder; the extension gives the format.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged (the message names the record) or is not a results file; or if the
        folder has no parts.
    """
    if file.is_dir():
        yield from _read_folder(file)
        return
    if re.match(r"\w+:/", file.as_posix()):
        raise InputError(
            f"cannot read {file}: results are read from files and folders on disk, not from URLs (copy them first)"
        )
    reader = READERS.get(file.suffix.lower())
    if reader is None and not file.suffix and not file.exists():
        raise InputError(f"cannot read {file}: no such file or folder")
    if reader is None:
        raise InputError(f"cannot read {file}: unknown extension {file.suffix!r} (use {', '.join(READERS)})")
    number = 0
    try:
        for values in reader(file):
            yield read_record(values)
            number += 1
    except FileNotFoundError:
        raise InputError(f"cannot read {file}: no such file") from None
    except OSError as problem:
        raise InputError(f"cannot read {file}: {problem.strerror or ' '.join(str(problem).split())}") from None
    except (KeyError, TypeError, ValueError, RecursionError) as problem:
        reason = f"no {problem}" if isinstance(problem, KeyError) else " ".join(str(problem).split())[:160]
        raise InputError(
            f"cannot read {file}: record {number + 1} is not a result of clipcli classify: {reason}"
        ) from None
    _warn_if_changed(file, number)


def _read_folder(path: Path) -> Iterator[ReadRecord]:
    folder = folder_at(str(path))
    parts = part_names(folder.names())
    if not parts:
        raise InputError(f"cannot read {path}: a folder without parts of results (name a results file)")
    if not is_complete_folder(folder):
        LOG.warning(f"{path}: some parts are missing; continue the run with --resume")
    for part in parts:
        count, written = 0, records_in([part])
        for record in read_results(path / part):
            count += 1
            yield record
        if count != written:
            LOG.warning(_changed(path / part, count, written))


def _warn_if_changed(file: Path, count: int) -> None:
    """Warn of a results file that is not as its run left it, as far as the record of the run is next to it."""
    try:
        RunRecord.read(file)
    except ChangedResultsError as problem:
        LOG.warning(_changed(file, count, problem.records))
    except (OSError, OutputError):
        return


def _changed(file: Path, count: int, written: int) -> str:
    if count == written:
        return f"{file}: it was edited after its run ended"
    return f"{file}: it has {count:,} records, but its run wrote {written:,} (it was cut off or edited)"


def read_record(values: Any) -> ReadRecord:
    """Return the record in the values of a nested or flat one; raise an error of Python if they are none."""
    if not isinstance(values, dict):
        raise TypeError("it is not an object")
    path, label = values["path"], values.get("label")
    error = values["error"]["message"] if "error" in values else values.get("error_message") or None
    if not all(isinstance(text, str) and is_unicode(text) for text in (path, error or "")):
        raise TypeError("its path or message is not text")
    path, error = shown_name(path), error and redacted(error)  # files of other programs may contain secrets
    if error is not None:
        return ReadRecord(path, None, None, error)
    if not isinstance(label, str) or not label:
        raise TypeError("it has neither a label nor an error")
    group, best_group, node, *model = (
        _text(values, name) for name in ("group", "group_1", "node", "model", "pretrained", "precision")
    )
    probability = _number(values["probability"], "probability", 0.0)
    title = " ".join(filter(None, model))
    groups, labels = _groups(values, best_group or group), _labels(values)
    ranking = _ranking(values)
    return ReadRecord(path, label, probability, None, ranking, group, title, groups, labels, node, best_group)


def _labels(values: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the labels of a record of a run with tags: a list of scores, or one text."""
    if "labels" not in values:
        return None
    found = values["labels"] or ""
    if not isinstance(found, str | list):
        raise TypeError("its labels are neither a list nor text")
    labels = split(found) if isinstance(found, str) else tuple(each["label"] for each in found)
    if not all(isinstance(label, str) and label and is_unicode(label) for label in labels):
        raise TypeError("one of its labels is not text")
    return labels


def _groups(values: dict[str, Any], best: str | None) -> tuple[tuple[str, float], ...]:
    """Return the groups of a nested record, or the best one of a flat record."""
    if isinstance(values.get("groups"), list):
        found = [(each["group"], each["probability"]) for each in values["groups"]]
    else:
        found = [(best, values.get("group_probability"))]
    groups = [(group, value) for group, value in found if group and value not in (None, "")]
    if not all(isinstance(group, str) and is_unicode(group) for group, _ in groups):
        raise TypeError("a group is not text")
    return tuple((str(group), _number(value, "group_probability", 0.0)) for group, value in groups)


def _text(values: dict[str, Any], name: str) -> str | None:
    text = values.get(name) or None
    if text is not None and not (isinstance(text, str) and is_unicode(text)):
        raise TypeError(f"its {name} is not text")
    return text


def _number(value: Any, name: str, least: float) -> float:
    """Return a probability or similarity, with tolerance for rounding."""
    if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value):  # as spreadsheets save it in most of Europe
        value = value.replace(",", ".")
    number = float("nan") if isinstance(value, bool) or len(str(value)) > _LONGEST_NUMBER else _float(value)
    if not least - _ROUNDING <= number <= 1.0 + _ROUNDING:
        raise ValueError(
            f"its {name} {str(value)[:20]!r} is not a number from {least:g} to 1; if a spreadsheet saved the file, "
            "it may have changed the numbers"
        )
    return number


def _float(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _ranking(values: dict[str, Any]) -> tuple[Score, ...]:
    """Return the labels and scores of a nested or flat record.

    The best label is in ``label_1`` if answers can be ``unknown``; files of before have no such column, and then it is
    ``unknown`` too. A compact file has no similarities; they are NaN.
    """
    if "top" in values:
        if not isinstance(values["top"], list):
            raise TypeError("its 'top' is not a list")
        return tuple(_score(each["label"], each["probability"], each["similarity"]) for each in values["top"])
    ranks = ["", *(f"_{rank}" for rank in range(2, sum(name.startswith("label") for name in values) + 1))]
    columns = [[values.get(f"{name}{rank}") for name in ("label", "probability", "similarity")] for rank in ranks]
    columns[0][0] = values.get("label_1") or columns[0][0]
    return tuple(
        _score(label, probability, similarity, is_scored=similarity not in (None, ""))
        for label, probability, similarity in columns
        if label and probability not in (None, "")
    )


def _score(label: Any, probability: Any, similarity: Any, *, is_scored: bool = True) -> Score:
    if not (isinstance(label, str) and is_unicode(label)):
        raise TypeError("a label is not text")
    cosine = _number(similarity, "similarity", -1.0) if is_scored else math.nan
    return Score(label, _number(probability, "probability", 0.0), cosine)
