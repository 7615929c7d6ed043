"""Label files: plain text, CSV/TSV and JSON, parsed into :class:`Label` values.

A label is the name of a class. Its name, or each of its synonyms, is filled into the prompt templates; a label may
also have its own prompts. All prompts of a label make one ensemble. A label may belong to a group, a coarser class.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipcli.delimited import TableError, own_kind, rows_of
from clipcli.errors import LabelError
from clipcli.headers import delimiter_of, separator_of
from clipcli.labels import several
from clipcli.labels.kinds import check_kind
from clipcli.labels.label import ONLY_SPELLING, Label, both_places, check_label, check_labels, prompts_for
from clipcli.labels.templates import has_placeholder
from clipcli.text import name_key, near_matches, numbered_lines, read_text

__all__ = ["Label", "labels_from", "load_labels", "parse_csv", "parse_json", "parse_text", "prompts_for", "read_labels"]

_CSV_COLUMNS = ("label", "prompt", "group", "folder")
_PROMPT_WORDS = 5


@dataclass
class _Entry:
    """A label that is gathered from several lines."""

    name: str
    where: str
    names: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    group: str | None = None
    folder: str | None = None

    def freeze(self) -> Label:
        return Label(self.name, tuple(self.names), tuple(self.prompts), self.group, self.folder)


def parse_text(text: str, where: str = "labels") -> list[Label]:
    r"""Parse one label per line, skipping ``#`` comments and blank lines; ``\#`` starts a label with ``#``.

    Raises
    ------
    LabelError
        If there are no labels, if two labels differ only in spelling (the message names both lines), or if the lines
        form a table or a list in another notation.
    """
    entries: list[_Entry] = []
    for number, line in numbered_lines(text):
        if not line.startswith("#"):
            entries.append(_Entry(line[1:] if line.startswith("\\#") else line, f"line {number}"))
    several.check_list([entry.name for entry in entries], where)
    labels = _checked(entries, where)
    named = [(f"{where}: {entry.where}: {entry.name!r}", entry.name) for entry in entries]
    if len(named) == 1:
        several.check_one_label(entries[0].name, named[0][0], several.with_lines)
    several.warn_of_several(named, several.with_lines)
    return labels


def parse_csv(text: str, where: str = "labels", usual: str = ",") -> list[Label]:
    """Parse a table with a header: ``label``, optionally ``prompt``, ``group`` and ``folder``.

    Cells are separated by the character ``usual``, or another; see :func:`clipcli.headers.delimiter_of`.

    Several rows of one label with different prompts make an ensemble; an empty prompt means that the
    templates are used.

    Raises
    ------
    LabelError
        If the header lacks ``label``, or has duplicate or unknown columns (a column whose name starts with ``#`` is a
        comment); if a row lacks its label, has more cells than the header, or is a duplicate; if a quote is not
        closed; or if a label is in two groups.
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
        entries: dict[str, _Entry] = {}
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
    return _checked(list(entries.values()), where)


def _check_header(header: list[str], where: str) -> None:
    if own_kind(header) is not None:
        raise LabelError(f"cannot read {where}: a table of images that clipcli wrote, not a label file")
    if "label" not in header:
        raise LabelError(f"{where}: the first row has no column 'label' (it has: {', '.join(header)})")
    for column in header:
        if column not in ("", *_CSV_COLUMNS) and not column.startswith("#"):
            raise LabelError(
                f"{where}: unknown column {column!r} ({near_matches(column, _CSV_COLUMNS)}; remove it, or start "
                "its name with # to make it a comment)"
            )
        if column in _CSV_COLUMNS and header.count(column) > 1:
            raise LabelError(f"{where}: duplicate column {column!r} in the first row")


def _add_row(entries: dict[str, _Entry], cells: dict[str, str], where: str, line: int) -> None:
    name, prompt, group, folder = (cells.get(column, "") for column in _CSV_COLUMNS)
    if not name:
        raise LabelError(f"{where}: line {line}: the label is empty")
    known = entries.get(name_key(name))
    if known is None:
        entries[name_key(name)] = _Entry(
            name, f"line {line}", [], [prompt] if prompt else [], group or None, folder or None
        )
        return
    if not prompt or not known.prompts or prompt in known.prompts:
        raise LabelError(f"{where}: duplicate label {name!r} ({both_places(known.where, f'line {line}')})")
    if group and known.group and name_key(group) != name_key(known.group):
        raise LabelError(
            f"{where}: label {name!r} is in two groups: {known.group!r} ({known.where}) and {group!r} (line {line})"
        )
    known.group = known.group or group or None
    known.folder = known.folder or folder or None
    known.prompts.append(prompt)


def parse_json(text: str, where: str = "labels") -> list[Label]:
    """Parse a JSON label file.

    Either a list of labels (strings, or objects with ``label`` and optionally ``names``, ``prompts``,
    ``group``, ``folder``), or an object from each label to a list of names or prompts, or to such an object. In a
    plain list, an entry of five or more words, one that ends like a sentence, or one with ``{label}`` in it
    is taken as a whole prompt; any other as a name to fill into the templates.

    Raises
    ------
    LabelError
        If the text is not JSON of that shape, or has duplicate labels.
    """
    try:
        data = json.loads(text, object_pairs_hook=_refuse_double_keys)
    except json.JSONDecodeError as problem:
        raise LabelError(f"{where}: line {problem.lineno} is not JSON ({problem.msg})") from None
    except LabelError as problem:
        raise LabelError(f"{where}: {problem}") from None
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        raise LabelError(f"{where}: not a label file: nested too deeply, or a number that is too long") from None
    if isinstance(data, list):
        return _checked([_list_item(item, where, index) for index, item in enumerate(data, 1)], where)
    if isinstance(data, dict):
        pairs = enumerate(data.items(), 1)
        return _checked([_object_item(name, value, where, f"entry {index}") for index, (name, value) in pairs], where)
    raise LabelError(f"{where}: not a label file: expected a list of labels, or an object from labels to prompts")


def _refuse_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for index, (key, value) in enumerate(pairs, 1):
        if name_key(key) in map(name_key, result):
            first = list(map(name_key, result)).index(name_key(key)) + 1
            raise LabelError(f"duplicate label {key!r} (entries {first} and {index})")
        result[key] = value
    return result


def _list_item(item: object, where: str, index: int) -> _Entry:
    if isinstance(item, str):
        return _Entry(item.strip(), f"entry {index}")
    if isinstance(item, dict) and {"path", "top"} <= item.keys():
        raise LabelError(f"cannot read {where}: results of clipcli classify, not a label file")
    if isinstance(item, dict) and isinstance(item.get("label"), str):
        rest = {key: value for key, value in item.items() if key != "label"}
        return _object_item(item["label"], rest, where, f"entry {index}")
    raise LabelError(f"{where}: entry {index}: expected a label, or an object with 'label'")


def _object_item(name: str, value: object, where: str, position: str) -> _Entry:
    entry = _Entry(name.strip(), position)
    if isinstance(value, str):
        value = [value]
    if value is None:
        return entry
    if isinstance(value, list):
        for text in _strings(value, where, f"{name!r}"):
            (entry.prompts if _reads_as_prompt(text) else entry.names).append(text)
        return entry
    if isinstance(value, dict):
        unknown = sorted(set(value) - {"names", "prompts", "prompt", "group", "folder"})
        if unknown:
            raise LabelError(f"{where}: {name!r}: unknown key {unknown[0]!r} (use names, prompts, group or folder)")
        if "prompt" in value and "prompts" in value:
            raise LabelError(f"{where}: {name!r} has both 'prompt' and 'prompts' (remove one)")
        entry.names = _strings(value.get("names", []), where, f"names of {name!r}")
        entry.prompts = _strings(value.get("prompts", value.get("prompt", [])), where, f"prompts of {name!r}")
        entry.group, entry.folder = (_optional_text(value, key, where, name) for key in ("group", "folder"))
        return entry
    raise LabelError(f"{where}: {name!r}: expected a list of names or prompts")


def _optional_text(value: dict[str, Any], key: str, where: str, name: str) -> str | None:
    text = value.get(key)
    if text is not None and not isinstance(text, str):
        raise LabelError(f"{where}: {name!r}: its {key} must be text")
    return (text or "").strip() or None


def _strings(value: object, where: str, what: str) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
        raise LabelError(f"{where}: {what}: expected a list of non-empty texts")
    return [item.strip() for item in items]


def _reads_as_prompt(text: str) -> bool:
    return len(text.split()) >= _PROMPT_WORDS or bool(re.search(r"[.!?]$", text)) or has_placeholder(text)


def _checked(entries: list[_Entry], where: str) -> list[Label]:
    if not entries:
        raise LabelError(f"{where}: it has no labels (write one per line)")
    return check_labels([entry.freeze() for entry in entries], where, [entry.where for entry in entries])


def read_labels(path: Path) -> list[Label]:
    """Read a label file; the extension gives the format (``.csv``, ``.tsv``, ``.json``, else text)."""
    suffix = path.suffix.lower()
    check_kind(path)
    text = read_text(path, LabelError)
    if suffix == ".json":
        return parse_json(text, str(path))
    if suffix in (".csv", ".tsv"):
        return parse_csv(text, str(path), "\t" if suffix == ".tsv" else ",")
    return parse_text(text, str(path))


def load_labels(path: Path | None, extra: Iterable[str] = ()) -> list[Label]:
    """Gather labels from a file and from ``--label``, in that order.

    Raises
    ------
    LabelError
        If there are no labels, or a ``--label`` is empty or a duplicate.
    """
    labels = read_labels(path) if path is not None else []
    options = [check_label(Label(text), "--label") for text in extra]
    known = {several.label_key(label.name): label.name for label in labels}
    for name in (label.name for label in options):
        if (key := several.label_key(name)) in known:
            also = f", also in {path}" if path else ""
            if name_key(name) == name_key(known[key]):
                raise LabelError(f"duplicate --label {name!r}{also}")
            raise LabelError(f"cannot use --label {name!r}: {known[key]!r} is a label{also}, and they {ONLY_SPELLING}")
        known[key] = name
    if not labels and not options:
        raise LabelError("no labels (name a file with --labels, or labels with -l cat -l dog)")
    if not labels and len(options) == 1:
        several.check_one_label(options[0].name, f"--label {options[0].name!r}", several.with_options)
    several.warn_of_several([(f"--label {label.name!r}", label.name) for label in options], several.with_options)
    return [*labels, *options]


def labels_from(labels: Iterable[str | Label] | Path) -> list[Label]:
    """Return the labels that a caller of the library gave, checked: the path of a file, or texts and labels.

    Raises
    ------
    LabelError
        If they cannot be used.
    """
    if isinstance(labels, Path):
        return load_labels(labels)
    if isinstance(labels, str):
        raise LabelError("labels must be a list of texts or a Path, not one text")
    given = list(labels)
    checked = check_labels(given)
    if len(given) == 1 and isinstance(given[0], str):
        several.check_one_label(given[0], f"label {given[0]!r}", several.with_list)
    return checked
