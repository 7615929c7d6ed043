"""Ground truth: images whose classes are known, from class folders or from tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clipcli.delimited import Table, read_delimited
from clipcli.errors import InputError
from clipcli.evaluation.vocabulary import distinct_names
from clipcli.headers import needed_column
from clipcli.inputs.discover import FileInput, Input, Source, discover
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.path_base import PathBase
from clipcli.labels.several import label_key
from clipcli.log import LOG
from clipcli.outputs.recognition import own_kind_of
from clipcli.schemes import is_remote
from clipcli.sorting.log import LOG_NAME
from clipcli.text import is_unicode, open_text

__all__ = [
    "LabelledImage",
    "TruthColumns",
    "classes_of",
    "read_truth",
    "warn_of_own_answers",
]


@dataclass(frozen=True)
class LabelledImage:
    """One image and its true class."""

    image: Input
    label: str


@dataclass(frozen=True)
class TruthColumns:
    """The columns of paths and of classes in a table, if they have other names than ``path`` and ``label``."""

    path: str | None = None
    label: str | None = None


def read_truth(
    source: Path,
    exclusion: Exclusion = Exclusion(),  # noqa: B008 - a value
    columns: TruthColumns = TruthColumns(),
    results: object = None,
) -> list[LabelledImage]:
    """Read the ground truth of images.

    Parameters
    ----------
    source
        A folder with one folder a class, as torchvision's ``ImageFolder`` has it, or a CSV or TSV table
        with columns ``path`` and ``label``. For its paths see :class:`~clipcli.delimited.PathBase`.
    exclusion
        The files and folders to exclude.
    columns
        The columns of a table. Names are compared without case and outer spaces.
    results
        The results that the ground truth is for, for messages.

    Raises
    ------
    InputError
        If the source does not exist, has no labelled images, or holds answers of clipcli.
    """
    if own_kind_of(source) == "results":
        raise _own_answers(source, results)
    if source.is_dir():
        if columns != TruthColumns():
            raise InputError(f"cannot use --path-column or --label-column with {source}: it is a folder, not a table")
        labelled = _from_folder(source, exclusion)
    elif re.match(r"\w{2,}:/", source.as_posix()):
        raise InputError(
            f"cannot read {source}: the ground truth must be a table or folder on this machine (copy it here)"
        )
    elif not source.exists():
        raise InputError(f"cannot read {source}: no such file or folder")
    elif source.suffix.lower() in (".csv", ".tsv"):
        labelled = [each for each in _from_table(source, columns) if not exclusion.leaves_out_named(each.image.name)]
    else:
        raise InputError(
            f"cannot read {source}: the ground truth must be a folder with one folder per class, or a .csv or .tsv "
            "table with the columns path and label"
        )
    if not labelled:
        raise InputError(f"cannot evaluate {source}: it has no labelled images")
    return labelled


def _from_folder(root: Path, exclusion: Exclusion) -> list[LabelledImage]:
    labelled: list[LabelledImage] = []
    classless = 0
    warn_of_own_answers(root, is_own=(root / LOG_NAME).is_file())
    prefix = len(os.fspath(root).rstrip(os.sep)) + 1 if os.fspath(root) != "." else 2
    for item in discover(Source((os.fspath(root),), exclusion=exclusion)):
        head, separator, _ = item.name[prefix:].partition(os.sep)
        if separator:
            labelled.append(LabelledImage(item, head))
        else:
            classless += 1
    if not labelled:
        raise InputError(f"cannot evaluate {root}: it has no folders with images (make one folder per class)")
    if classless:
        LOG.warning(f"{root}: {classless} images are not in a class folder, and are left out")
    return labelled


def _from_table(table: Path, columns: TruthColumns) -> list[LabelledImage]:
    found: dict[str, LabelledImage] = {}
    try:
        with table.open("rb") as raw, open_text(raw) as file:
            read = read_delimited(file, str(table))
            base = PathBase(str(table), own=read.own is not None)
            path_column, label_column = _columns_of(table, read, columns)
            for number, row in read.rows:
                name, label = row.get(path_column) or "", (row.get(label_column) or "").strip()
                if not name or not label:
                    raise InputError(f"cannot read {table}: line {number} has no {'label' if name else 'path'}")
                if not is_unicode(label) or not (is_unicode(name) or os.path.lexists(base.locate(name))):
                    raise InputError(f"cannot read {table}: line {number} is not UTF-8 text (save the table as UTF-8)")
                location = base.locate(name)
                key = location if is_remote(location) else os.path.normpath(location)
                known = found.setdefault(key, LabelledImage(FileInput(name, location), label))
                if label_key(known.label) != label_key(label):
                    raise InputError(
                        f"cannot read {table}: line {number}: {name} is {label!r} here but {known.label!r} before"
                    )
    except (OSError, UnicodeError) as problem:
        raise InputError(f"cannot read {table}: {getattr(problem, 'strerror', None) or problem}") from None
    return list(found.values())


def _columns_of(table: Path, read: Table, columns: TruthColumns) -> tuple[str, str]:
    """Return the columns of paths and of classes."""
    path, label = (
        needed_column(table, read.columns, given or usual, f"; name one with --{usual}-column")
        for given, usual in ((columns.path, "path"), (columns.label, "label"))
    )
    return path, label


def warn_of_own_answers(source: Path, *, is_own: bool) -> None:
    """Warn that the labels of a folder or table may be the answers of clipcli, if they are."""
    if is_own:
        LOG.warning(
            f"{source}: its labels are answers of clipcli; unless they were corrected, accuracy on them only says how "
            "often a model gives the same answer"
        )


def _own_answers(source: Path, results: object) -> InputError:
    return InputError(
        f"cannot use {source} as the ground truth: its labels are answers of clipcli classify (give the true labels: "
        f"clipcli evaluate {results or source} --truth FILE; the page of clipcli report saves corrected labels)"
    )


def classes_of(labelled: Iterable[LabelledImage]) -> list[str]:
    """Return the classes that occur, sorted by name; see :func:`clipcli.evaluation.vocabulary.distinct_names`."""
    return distinct_names(each.label for each in labelled)
