"""Label files: plain text, CSV/TSV and JSON, parsed into :class:`Label` values.

A label is the name of a class. Its name, or each of its synonyms, is filled into the prompt templates; a label may
also have its own prompts. All prompts of a label make one ensemble. A label may belong to a group, a coarser class; a
group with slashes is a path in a tree. It may have a separate threshold, and phrases that compete with it (``not``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from clipcli.errors import LabelError
from clipcli.labels import several
from clipcli.labels.entries import Entry, checked
from clipcli.labels.json_files import parse_json
from clipcli.labels.kinds import check_kind
from clipcli.labels.label import ONLY_SPELLING, Label, check_label, check_labels, prompts_for
from clipcli.labels.table_files import parse_csv
from clipcli.text import name_key, numbered_lines, read_text

__all__ = ["Label", "labels_from", "load_labels", "parse_csv", "parse_json", "parse_text", "prompts_for", "read_labels"]


def parse_text(text: str, where: str = "labels") -> list[Label]:
    r"""Parse one label per line, skipping ``#`` comments and blank lines; ``\#`` starts a label with ``#``.

    Raises
    ------
    LabelError
        If there are no labels, if two labels differ only in spelling (the message names both lines), or if the lines
        form a table or a list in another notation.
    """
    entries: list[Entry] = []
    for number, line in numbered_lines(text):
        if not line.startswith("#"):
            entries.append(Entry(line[1:] if line.startswith("\\#") else line, f"line {number}"))
    several.check_list([entry.name for entry in entries], where)
    labels = checked(entries, where)
    named = [(f"{where}: {entry.where}: {entry.name!r}", entry.name) for entry in entries]
    if len(named) == 1:
        several.check_one_label(entries[0].name, named[0][0], several.with_lines)
    several.warn_of_several(named, several.with_lines)
    return labels


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
    found = check_labels(given)
    if len(given) == 1 and isinstance(given[0], str):
        several.check_one_label(given[0], f"label {given[0]!r}", several.with_list)
    return found
