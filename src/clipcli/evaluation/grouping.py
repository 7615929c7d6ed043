"""Groups of labels as the classes of an evaluation: pure functions on names and records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import InputError, LabelError
from clipcli.evaluation.vocabulary import distinct_names, find_labels, indices_of
from clipcli.labels.label import Label
from clipcli.labels.several import label_key
from clipcli.outputs.readers import ReadRecord
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.zeroshot import Score

__all__ = ["classes_as_groups", "group_members", "group_names", "group_record"]


def group_names(labels: Sequence[Label]) -> list[str]:
    """Return the groups of some labels, sorted by name.

    Raises
    ------
    LabelError
        If no label has a group.
    """
    names = distinct_names(label.group for label in labels if label.group)
    if not names:
        raise LabelError(
            "cannot evaluate by group: the labels have no groups (name a label file with a 'group' column)"
        )
    return names


def group_members(labels: Sequence[Label], groups: Sequence[str]) -> NDArray[np.float64]:
    """Return (C, G) whether a label is in a group, as 0 and 1."""
    keys = [label_key(group) for group in groups]
    return np.array([[float(label_key(label.group or "") == key) for key in keys] for label in labels])


def classes_as_groups(names: Sequence[str], labels: Sequence[Label], *, is_strict: bool = True) -> list[str]:
    """Return the group of each class, which is a group, or a label or its folder.

    Parameters
    ----------
    is_strict
        Whether every class must be one of these; otherwise any other stays as it is.

    Raises
    ------
    LabelError
        If a class has no group.
    """
    groups = {label_key(label.group): label.group for label in labels if label.group}
    others = [name for name in names if label_key(name) not in groups]
    if is_strict:
        indices_of(others, labels)
    found = find_labels(others, labels)
    alone = sorted(name for name, place in found.items() if labels[place].group is None)
    if alone:
        raise LabelError(f"cannot evaluate by group: label {labels[found[alone[0]]].name!r} has no group (give it one)")
    own = {name: str(labels[place].group) for name, place in found.items()}
    return [groups.get(label_key(name)) or own.get(name, name) for name in names]


def group_record(record: ReadRecord) -> ReadRecord:
    """Return a record whose answer is its best group, with the group's probability.

    Raises
    ------
    InputError
        If it has no group.
    """
    if not record.group:
        raise InputError(
            f"cannot evaluate by group: the result of {record.path} has no group (classify with a label file that has "
            "a 'group' column)"
        )
    label = UNKNOWN if record.label == UNKNOWN else record.group
    best = record.best_group or record.group
    # In a tree, a group that contains others is not an answer, unless it is that of the record.
    lowest = [(name, value) for name, value in record.groups if name == best or not _contains_another(name, record)]
    ordered = sorted(lowest, key=lambda each: each[0] != best)
    ranking = tuple(Score(group, value, math.nan) for group, value in ordered)
    return replace(record, label=label, top=ranking, probability=ranking[0].probability if ranking else None)


def _contains_another(name: str, record: ReadRecord) -> bool:
    return any(other.startswith(f"{name}/") for other, _ in record.groups)
