"""Labels that people gave to images: tables with the columns ``path`` and ``label``, and results corrected by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from clipcli.delimited import Table, read_delimited
from clipcli.errors import InputError
from clipcli.outputs.readers import ReadRecord
from clipcli.outputs.recognition import own_kind_of
from clipcli.text import name_key, open_text

__all__ = ["Corrections", "LabelTable", "corrected", "read_corrections", "read_label_table"]


@dataclass(frozen=True)
class LabelTable:
    """The labels of images by path.

    Parameters
    ----------
    labels
        In the order of the table; each path once.
    own
        The kind of table if clipcli wrote it, see :func:`clipcli.delimited.own_kind`.
    """

    labels: dict[str, str]
    own: str | None


def read_label_table(table: Path) -> LabelTable:
    """Read a CSV or TSV table with the columns ``path`` and ``label``.

    Raises
    ------
    InputError
        If it cannot be read, a row lacks one of the two, or a path has two labels.
    """
    labels: dict[str, str] = {}
    try:
        with table.open("rb") as raw, open_text(raw) as file:
            read = read_delimited(file, str(table))
            _check_columns(table, read)
            for number, row in read.rows:
                name, label = row.get("path") or "", (row.get("label") or "").strip()
                if not name or not label:
                    raise InputError(f"cannot read {table}: line {number} has no {'label' if name else 'path'}")
                if name_key(labels.setdefault(name, label)) != name_key(label):
                    raise InputError(
                        f"cannot read {table}: line {number}: {name} is {label!r} here but {labels[name]!r} before"
                    )
    except (OSError, UnicodeError) as problem:
        raise InputError(f"cannot read {table}: {getattr(problem, 'strerror', None) or problem}") from None
    return LabelTable(labels, read.own)


def _check_columns(table: Path, read: Table) -> None:
    for column in ("path", "label"):
        if column not in read.columns:
            raise InputError(f"cannot read {table}: no column {column!r} (it has: {', '.join(read.columns) or 'none'})")


class Corrections:
    """The labels that people gave to images of a run, and which of them belong to a record."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = {name_key(path): label for path, label in labels.items()}
        self._used: set[str] = set()
        self._groups: dict[str, Counter[str]] = {}

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
    """Read the table that the page of ``clipcli report`` saves, or any other of paths and labels.

    Raises
    ------
    InputError
        As for :func:`read_label_table`; or if it holds answers of clipcli, or no labels.
    """
    if table is None:
        return Corrections({})
    if table.suffix.lower() not in (".csv", ".tsv"):
        raise InputError(
            f"cannot read {table}: checked labels are a .csv or .tsv table with the columns path and label "
            "(save them in the page of clipcli report)"
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
        if label is None or (record.label is not None and name_key(label) == name_key(record.label)):
            yield record
        else:
            yield replace(record, label=label, error=None, group=corrections.group_of(label))
