"""Label files in CSV and TSV: one row per label, or several rows that make an ensemble."""

from __future__ import annotations

import io

from clipcli.delimited import TableError, own_kind, rows_of
from clipcli.errors import LabelError
from clipcli.headers import delimiter_of, separator_of
from clipcli.labels.entries import Entry, checked
from clipcli.labels.label import Label, both_places
from clipcli.labels.several import SEPARATOR
from clipcli.text import name_key, near_matches

__all__ = ["parse_csv"]

_COLUMNS = ("label", "prompt", "group", "folder", "threshold", "not")


def parse_csv(text: str, where: str = "labels", usual: str = ",") -> list[Label]:
    """Parse a table with a header: ``label``, optionally ``prompt``, ``group``, ``folder``, ``threshold``, ``not``.

    Cells are separated by the character ``usual``, or another; see :func:`clipcli.headers.delimiter_of`.

    Several rows of one label with different prompts make an ensemble; an empty prompt means that the
    templates are used. Phrases in ``not`` are separated by ``|``, or are in several rows.

    Raises
    ------
    LabelError
        If the header lacks ``label``, or has duplicate or unknown columns (a column whose name starts with ``#`` is a
        comment); if a row lacks its label, has more cells than the header, or is a duplicate; if a quote is not
        closed; or if a label is in two groups or has two thresholds.
    """
    text = text.lstrip("\ufeff")
    first, _, rest = text.partition("\n")
    named = separator_of(first)
    text = rest if named else text
    delimiter = named or delimiter_of(first, usual)
    numbered = rows_of(io.StringIO(text, newline=""), delimiter, skip_spaces=True)
    rows = ((number + (named is not None), row) for number, row in numbered)
    try:
        header = [cell.strip().lower() for cell in next(rows, (1, []))[1]]
        _check_header(header, where)
        entries: dict[str, Entry] = {}
        for number, row in rows:
            if any(cell.strip() for cell in row[len(header) :]):
                raise LabelError(
                    f"{where}: line {number} has {len(row)} cells, the header has {len(header)} ("
                    f"put quotes around text that contains {delimiter!r})"
                )
            if any(cell.strip() for cell in row):
                cells = {name: cell.strip() for name, cell in zip(header, row, strict=False)}
                if cells.get(""):
                    raise LabelError(f"{where}: line {number}: {cells['']!r} is in a column without a name")
                _add_row(entries, cells, where, number)
    except TableError as problem:
        raise LabelError(f"{where}: line {problem.line}: {problem} (is a quote not closed?)") from None
    return checked(list(entries.values()), where)


def _check_header(header: list[str], where: str) -> None:
    if own_kind(header) is not None:
        raise LabelError(f"cannot read {where}: a table of images that clipcli wrote, not a label file")
    if "label" not in header:
        raise LabelError(f"{where}: the first row has no column 'label' (it has: {', '.join(header)})")
    for column in header:
        if column not in ("", *_COLUMNS) and not column.startswith("#"):
            raise LabelError(
                f"{where}: unknown column {column!r} ({near_matches(column, _COLUMNS)}; remove it, or start "
                "its name with # to make it a comment)"
            )
        if column in _COLUMNS and header.count(column) > 1:
            raise LabelError(f"{where}: duplicate column {column!r} in the first row")


def _add_row(entries: dict[str, Entry], cells: dict[str, str], where: str, line: int) -> None:
    name, prompt, group, folder, limit, phrases = (cells.get(column, "") for column in _COLUMNS)
    if not name:
        raise LabelError(f"{where}: line {line}: the label is empty")
    threshold = _threshold(limit, f"{where}: line {line}")
    negatives = [phrase.strip() for phrase in phrases.split(SEPARATOR) if phrase.strip()]
    known = entries.get(name_key(name))
    if known is None:
        prompts = [prompt] if prompt else []
        entries[name_key(name)] = Entry(
            name, f"line {line}", [], prompts, group or None, folder or None, threshold, negatives
        )
        return
    new = [phrase for phrase in negatives if phrase not in known.negatives]
    if not new and (not prompt or not known.prompts or prompt in known.prompts):
        raise LabelError(f"{where}: duplicate label {name!r} ({both_places(known.where, f'line {line}')})")
    if group and known.group and name_key(group) != name_key(known.group):
        raise LabelError(
            f"{where}: label {name!r} is in two groups: {known.group!r} ({known.where}) and {group!r} (line {line})"
        )
    if threshold is not None and known.threshold not in (None, threshold):
        raise LabelError(
            f"{where}: label {name!r} has two thresholds: {known.threshold:g} ({known.where}) and {threshold:g} "
            f"(line {line})"
        )
    known.group = known.group or group or None
    known.folder = known.folder or folder or None
    known.threshold = threshold if known.threshold is None else known.threshold
    known.negatives += new
    if prompt and prompt not in known.prompts:
        known.prompts.append(prompt)


def _threshold(text: str, place: str) -> float | None:
    """Read a threshold; in tables with semicolons, numbers have a decimal comma."""
    if not text:
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise LabelError(f"{place}: its threshold {text[:20]!r} is not a number from 0 to 1") from None
