"""Labels that people gave to images: tables with the columns ``path`` and ``label``, and results corrected by them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from clipcli.delimited import Table, read_delimited
from clipcli.errors import InputError
from clipcli.headers import needed_column
from clipcli.images.files import has_image_suffix
from clipcli.inputs.path_base import PathBase
from clipcli.labels.several import label_key, split
from clipcli.log import LOG
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


def read_label_table(table: Path, columns: TruthColumns | None = None, root: Path | None = None) -> LabelTable:
    """Read a CSV or TSV table with a column of paths and one of labels, or a JSON export of Label Studio.

    Parameters
    ----------
    columns
        Their names, which are compared without case and outer spaces; ``None`` if they cannot be chosen.
    root
        The folder that relative paths are relative to, see :class:`clipcli.inputs.path_base.PathBase`.

    Raises
    ------
    InputError
        If it cannot be read, all rows lack one of the two, or an image has two labels. Empty rows are left out, and
        rows that lack one of the two, such as a row of totals, with a warning.
    """
    if table.suffix.lower() == ".json":
        if columns is not None and columns != TruthColumns():
            raise InputError(f"cannot use --path-column or --label-column with {table}: it is not a table")
        return _gathered(table, labels_in(table), PathBase(str(table), own=True, root=root), "task")
    try:
        with table.open("rb") as raw, open_text(raw) as file:
            read = read_delimited(file, str(table))
            base = PathBase(str(table), own=read.own is not None, root=root)
            path_column, label_column = _columns_of(table, read, columns)
            incomplete = _Incomplete(table)
            rows = (
                (number, name, label)
                for number, row in read.rows
                for name, label in [(row.get(path_column) or "", (row.get(label_column) or "").strip())]
                if not incomplete.holds(number, row, name, label)
            )
            found = _gathered(table, rows, base, "line")
            incomplete.drop_totals(found.labels, found.locations)
            incomplete.tell(is_all=not found.labels)
            return found
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


class _Incomplete:
    """Counts the rows of a table that have no path or no label."""

    def __init__(self, table: Path) -> None:
        self._table, self._count, self._first = table, 0, ""

    def holds(self, number: int, row: Mapping[str, object], name: str, label: str) -> bool:
        """Return whether a row is left out."""
        if name.strip() and label:
            return False
        if any(str(cell or "").strip() for cell in row.values()):
            self._count += 1
            self._first = self._first or f"line {number} has no {'label' if name.strip() else 'path'}"
        return True

    def drop_totals(self, labels: dict[str, str], locations: Mapping[str, str]) -> None:
        """Leave out a last row whose path is not an image, such as ``Total``, after rows of images."""
        first, *_, last = [*labels][:1] + [*labels][-1:] or ["", ""]
        is_file = is_remote(last) or has_image_suffix(last) or os.path.lexists(locations.get(last, last))
        if has_image_suffix(first) and not is_file:
            del labels[last]
            self._count += 1
            self._first = self._first or f"{last!r}, in the last line, is not an image"

    def tell(self, *, is_all: bool) -> None:
        """Warn of the rows that were left out, or raise :class:`InputError` if no other is there."""
        if is_all and self._count:
            raise InputError(f"cannot read {self._table}: {self._first}")
        if self._count:
            rows = f"{self._count:,} rows are left out" if self._count > 1 else "a row is left out"
            LOG.warning(f"{self._table}: {rows}: {self._first}")


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
    node: str | None = f"{group}/{label}" if group is not None and label != UNKNOWN else label
    node = node if corrections.in_tree else None
    return replace(record, label=label, error=None, group=group, best_group=None, node=node)
