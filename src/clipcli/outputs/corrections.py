"""Labels that people gave to images: tables with the columns ``path`` and ``label``, and results corrected by them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from clipcli.delimited import Table, read_delimited
from clipcli.errors import InputError
from clipcli.headers import needed_column
from clipcli.inputs.path_base import PathBase
from clipcli.labels.several import label_key, split
from clipcli.outputs.label_studio import labels_in
from clipcli.outputs.readers import ReadRecord
from clipcli.outputs.recognition import own_kind_of
from clipcli.schemes import is_remote
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.text import is_unicode, name_key, open_text

__all__ = ["Corrections", "LabelTable", "TruthColumns", "corrected", "read_corrections", "read_label_table"]


@dataclass(frozen=True)
class LabelTable:
    """The labels of images by path.

    Parameters
    ----------
    labels
        In the order of the table; each image once.
    locations
        Where these images are, see :class:`clipcli.inputs.path_base.PathBase`.
    """

    labels: dict[str, str]
    locations: dict[str, str]


@dataclass(frozen=True)
class TruthColumns:
    """The columns of paths and of classes in a table, if they have other names than ``path`` and ``label``."""

    path: str | None = None
    label: str | None = None


def read_label_table(table: Path, columns: TruthColumns | None = None) -> LabelTable:
    """Read a CSV or TSV table with a column of paths and one of labels, or a JSON export of Label Studio.

    Parameters
    ----------
    columns
        Their names, which are compared without case and outer spaces; ``None`` if they cannot be chosen.

    Raises
    ------
    InputError
        If it cannot be read, a row lacks one of the two, or an image has two labels.
    """
    if table.suffix.lower() == ".json":
        if columns is not None and columns != TruthColumns():
            raise InputError(f"cannot use --path-column or --label-column with {table}: it is not a table")
        return _gathered(table, labels_in(table), PathBase(str(table), own=True), "task")
    try:
        with table.open("rb") as raw, open_text(raw) as file:
            read = read_delimited(file, str(table))
            base = PathBase(str(table), own=read.own is not None)
            path_column, label_column = _columns_of(table, read, columns)
            rows = (
                (number, row.get(path_column) or "", (row.get(label_column) or "").strip()) for number, row in read.rows
            )
            return _gathered(table, rows, base, "line")
    except (OSError, UnicodeError) as problem:
        raise InputError(f"cannot read {table}: {getattr(problem, 'strerror', None) or problem}") from None


def _gathered(table: Path, rows: Iterable[tuple[int, str, str]], base: PathBase, unit: str) -> LabelTable:
    """Check the path and the label of each row, which is a line or a task, and gather them."""
    names: dict[str, str] = {}  # by location: a path can be written in several ways
    labels: dict[str, str] = {}
    locations: dict[str, str] = {}
    for number, name, label in rows:
        if not name or not label:
            raise InputError(f"cannot read {table}: {unit} {number} has no {'label' if name else 'path'}")
        location = base.locate(name)
        if not is_unicode(label) or not (is_unicode(name) or os.path.lexists(location)):
            raise InputError(f"cannot read {table}: {unit} {number} is not UTF-8 text (save the table as UTF-8)")
        first = names.setdefault(location if is_remote(location) else os.path.normpath(location), name)
        if label_key(labels.setdefault(first, label)) != label_key(label):
            raise InputError(
                f"cannot read {table}: {unit} {number}: {name} is {label!r} here but {labels[first]!r} before"
            )
        locations.setdefault(first, location)
    return LabelTable(labels, locations)


def _columns_of(table: Path, read: Table, columns: TruthColumns | None) -> tuple[str, str]:
    """Return the columns of paths and of classes."""
    chosen = columns or TruthColumns()
    path, label = (
        needed_column(
            table, read.columns, given or usual, f"; name one with --{usual}-column" if columns is not None else ""
        )
        for given, usual in ((chosen.path, "path"), (chosen.label, "label"))
    )
    return path, label


class Corrections:
    """The labels that people gave to images of a run, and which of them belong to a record."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = {name_key(path): label for path, label in labels.items()}
        self._used: set[str] = set()
        self._groups: dict[str, Counter[str]] = {}
        self.is_tagged = False
        """Whether the run could give an image several labels, as far as records of it are known; see :meth:`learn`."""

        self.in_tree = False
        """Whether the run had a tree of groups, as far as records of it are known; see :meth:`learn`."""

    def of(self, path: str) -> str | None:
        """Return the label of an image, ``None`` without a correction."""
        if not self._labels:
            return None
        key = name_key(path)
        if (label := self._labels.get(key)) is not None:
            self._used.add(key)
        return label

    def learn(self, record: ReadRecord) -> None:
        """Note a record of the run, for :meth:`group_of` and :attr:`unused`."""
        self.of(record.path)
        self.is_tagged = self.is_tagged or record.labels is not None
        self.in_tree = self.in_tree or record.node is not None
        if record.label is not None and record.group is not None:
            self._groups.setdefault(name_key(record.label), Counter())[record.group] += 1

    def group_of(self, label: str) -> str | None:
        """Return the group that most records with a label have."""
        counts = self._groups.get(name_key(label))
        return counts.most_common(1)[0][0] if counts else None

    @property
    def unused(self) -> int:
        """The number of corrections that belonged to no record so far."""
        return len(self._labels) - len(self._used)

    def __len__(self) -> int:
        return len(self._labels)


def read_corrections(table: Path | None) -> Corrections:
    """Read the table that the page of ``clipcli report`` saves, an export of Label Studio, or any other table.

    Raises
    ------
    InputError
        As for :func:`read_label_table`; or if it holds answers of clipcli, or no labels.
    """
    if table is None:
        return Corrections({})
    if table.suffix.lower() not in (".csv", ".tsv", ".json"):
        raise InputError(
            f"cannot read {table}: checked labels are a .csv or .tsv table with the columns path and label, or a "
            ".json export of Label Studio (save them in the page of clipcli report)"
        )
    if own_kind_of(table) == "results":
        raise InputError(
            f"cannot use {table}: its labels are answers of clipcli classify, and were not checked "
            "(save checked labels in the page of clipcli report)"
        )
    read = read_label_table(table)
    if not read.labels:
        raise InputError(f"cannot use {table}: it has no checked labels")
    return Corrections(read.labels)


def corrected(records: Iterable[ReadRecord], corrections: Corrections) -> Iterator[ReadRecord]:
    """Yield records with the labels that people gave them; a failed input with such a label is no longer failed."""
    for record in records:
        label = corrections.of(record.path)
        if label is None:
            yield record
        elif corrections.is_tagged:
            labels = () if label == UNKNOWN else split(label)
            first = labels[0] if labels else UNKNOWN
            yield replace(_relabelled(record, first, corrections), labels=labels)
        elif record.label is not None and name_key(label) == name_key(record.label):
            yield record
        else:
            yield _relabelled(record, label, corrections)


def _relabelled(record: ReadRecord, label: str, corrections: Corrections) -> ReadRecord:
    """Return a record with another label, its group, and the node of both if the run had a tree."""
    group = corrections.group_of(label)
    node = f"{group}/{label}" if group is not None and label != UNKNOWN else label
    return replace(record, label=label, error=None, group=group, node=node if corrections.in_tree else None)
