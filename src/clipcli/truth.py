"""Ground truth: images whose class somebody has said, from folders of folders or from tables."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipcli.errors import InputError, LabelError
from clipcli.inputs import BadInput, FileInput, Input, Source, discover
from clipcli.labels import Label
from clipcli.reading import ReadRecord
from clipcli.textfiles import name_key, near_matches, tsv_cell, unguarded

__all__ = ["LabelledImage", "beside", "classes_of", "distinct_names", "indices_of", "match_records", "read_truth"]

Warn = Callable[[str], None]


@dataclass(frozen=True)
class LabelledImage:
    """One image and what somebody said it shows."""

    image: Input
    label: str


def read_truth(source: Path, warn: Warn = lambda _: None) -> list[LabelledImage]:
    """Read what is known of some images.

    Parameters
    ----------
    source
        A folder with one folder a class, as torchvision's ``ImageFolder`` has it, or a CSV or TSV table
        with columns ``path`` and ``label``. A path of a table is relative to the table's folder, or to
        the current one where there is no such file.
    warn
        Called with a line about what was left out.

    Raises
    ------
    InputError
        If there is no such thing, or nothing labelled in it.
    """
    if source.is_dir():
        labelled = _from_folder(source, warn)
    elif not source.exists():
        raise InputError(f"{source}: no such file or folder")
    elif source.suffix.lower() in (".csv", ".tsv"):
        labelled = _from_table(source)
    elif source.suffix.lower() in (".jsonl", ".json", ".parquet"):
        raise InputError(f"{source}: results don't say what is true; name that with --truth")
    else:
        raise InputError(f"{source}: neither a folder nor a .csv or .tsv table")
    if not labelled:
        raise InputError(f"{source}: no labelled images in it")
    return labelled


def _from_folder(root: Path, warn: Warn) -> list[LabelledImage]:
    labelled: list[LabelledImage] = []
    classless = 0
    prefix = len(os.fspath(root).rstrip(os.sep)) + 1 if os.fspath(root) != "." else 2
    for item in discover(Source((os.fspath(root),))):
        head, separator, _ = item.name[prefix:].partition(os.sep)
        if separator:
            labelled.append(LabelledImage(item, head))
        else:
            classless += 1
    if not labelled:
        raise InputError(f"{root}: no folders with images in it; each class needs a folder of its own")
    if classless:
        warn(f"{root}: {classless} images stand in no class's folder, and are left out")
    return labelled


def _from_table(table: Path) -> list[LabelledImage]:
    said: dict[str, str] = {}
    try:
        with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            for number, row in _table_rows(table, file):
                name, label = row.get("path") or "", (row.get("label") or "").strip()
                if not name or not label:
                    raise InputError(f"{table}: line {number}: no {'label' if name else 'path'} in it")
                if name_key(said.setdefault(name, label)) != name_key(label):
                    raise InputError(f"{table}: line {number}: {name} is {label!r} here and {said[name]!r} before")
    except OSError as problem:
        raise InputError(f"{table}: {problem.strerror or problem}") from None
    except (csv.Error, ValueError) as problem:
        raise InputError(f"{table}: not a table of paths and labels ({problem})") from None
    return [LabelledImage(FileInput(name, beside(table, name)), label) for name, label in said.items()]


def beside(table: Path, name: str) -> str:
    """Return where a table's path leads: from the table's folder, or from here where there is no such file."""
    path = os.path.join(table.parent, name)  # noqa: PTH118 - keeps names as they are
    return path if os.path.exists(path) else name  # noqa: PTH110


def _table_rows(table: Path, file: Iterable[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """Yield each row with its line number; cells as they were before they were made safe for their format."""
    tabs = table.suffix.lower() == ".tsv"
    reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.DictReader(file, strict=True)
    known = reader.fieldnames or ()
    for column in ("path", "label"):
        if column not in known:
            raise InputError(f"{table}: no column {column!r}; it has: {', '.join(known) or 'none'}")
    read = tsv_cell if tabs else unguarded
    for row in reader:
        yield reader.line_num, {name: read(cell) for name, cell in row.items() if name and cell}


def classes_of(labelled: Iterable[LabelledImage]) -> list[str]:
    """Return the classes that occur, in the order of names."""
    return distinct_names(each.label for each in labelled)


def distinct_names(names: Iterable[str]) -> list[str]:
    """Return names in order, each once: names that differ only in how letters are composed are one."""
    return sorted({name_key(name): name for name in sorted(set(names), reverse=True)}.values())


def indices_of(names: Sequence[str], labels: Sequence[Label]) -> list[int]:
    """Return each name's place among the labels, which may call it by their ``folder`` or their name.

    Raises
    ------
    LabelError
        If a name belongs to no label, or two labels have one folder.
    """
    folders: dict[str, int] = {}
    for place, label in enumerate(labels):
        other = folders.setdefault(name_key(label.folder), place) if label.folder else place
        if other != place:
            raise LabelError(
                f"cannot match {label.folder!r}: {labels[other].name!r} and {label.name!r} have the same folder "
                "(give each label a folder of its own)"
            )
    places = {name_key(label.name): place for place, label in enumerate(labels)} | folders
    missing = sorted(name for name in set(names) if name_key(name) not in places)
    if missing:
        shown = ", ".join(map(repr, missing[:3])) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise LabelError(
            f"the ground truth has classes that are no labels: {shown} ({near_matches(missing[0], places)}); "
            "add them to the label file, or name them in its 'folder' column"
        )
    return [places[name_key(name)] for name in names]


def match_records(
    records: Iterable[ReadRecord], labelled: Sequence[LabelledImage], warn: Warn = lambda _: None
) -> list[tuple[ReadRecord, str]]:
    """Put the results of a run beside the ground truth of the same images, by their paths.

    Raises
    ------
    InputError
        If no path occurs in both.
    """
    known: dict[str, str] = {}
    for each in labelled:
        if not isinstance(each.image, BadInput):
            known[each.image.name] = each.label
            known[_absolute(each.image.path if isinstance(each.image, FileInput) else each.image.name)] = each.label
    composed = _by_key(known)
    matched, without = [], 0
    for record in records:
        label = known.get(record.path) or known.get(_absolute(record.path)) or composed.get(name_key(record.path))
        if label is None:
            without += 1
        else:
            matched.append((record, label))
    if not matched:
        raise InputError("no path of the results occurs in the ground truth; run this where the images were classified")
    if without:
        warn(f"{without} of {without + len(matched)} results are of images without ground truth, and are left out")
    return matched


def _by_key(known: dict[str, str]) -> dict[str, str | None]:
    """Return labels by paths whose letters are composed in one way; ``None`` where that leaves two to choose from."""
    found: dict[str, str | None] = {}
    for path, label in known.items():
        key = name_key(path)
        found[key] = label if key not in found or name_key(found[key] or "") == name_key(label) else None
    return found


def _absolute(path: str) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # no file can have NUL in its name
        return path
