"""Ground truth: images whose classes are known, from class folders or from tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clipcli.errors import InputError
from clipcli.evaluation.vocabulary import distinct_names
from clipcli.inputs.discover import FileInput, Input, Source, discover
from clipcli.inputs.exclusion import Exclusion
from clipcli.log import LOG
from clipcli.outputs.corrections import TruthColumns, read_label_table
from clipcli.outputs.recognition import own_kind_of
from clipcli.sorting.log import LOG_NAME

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


def read_truth(
    source: Path,
    exclusion: Exclusion = Exclusion(),  # noqa: B008 - a value
    columns: TruthColumns = TruthColumns(),  # noqa: B008 - a value
    results: object = None,
    doing: str = "evaluate",
    root: Path | None = None,
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
    doing
        What cannot be done without it, for messages.
    root
        The folder that the relative paths of a table are relative to, if it is not that of the table.

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
        labelled = _from_folder(source, exclusion, doing)
    elif re.match(r"\w{2,}:/", source.as_posix()):
        raise InputError(
            f"cannot read {source}: the ground truth must be a table or folder on this machine (copy it here)"
        )
    elif not source.exists():
        raise InputError(f"cannot read {source}: no such file or folder")
    elif source.suffix.lower() in (".csv", ".tsv", ".json"):
        rows = _from_table(source, columns, root)
        labelled = [each for each in rows if not exclusion.leaves_out_named(each.image.name)]
    else:
        raise InputError(
            f"cannot read {source}: the ground truth must be a folder with one folder per class, or a .csv or .tsv "
            "table with the columns path and label, or a .json export of Label Studio"
        )
    if not labelled:
        raise InputError(f"cannot {doing} {source}: it has no labelled images")
    return labelled


def _from_folder(root: Path, exclusion: Exclusion, doing: str) -> list[LabelledImage]:
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
        raise InputError(f"cannot {doing} {root}: it has no folders with images (make one folder per class)")
    if classless:
        LOG.warning(f"{root}: {classless} images are not in a class folder, and are left out")
    return labelled


def _from_table(table: Path, columns: TruthColumns, root: Path | None) -> list[LabelledImage]:
    read = read_label_table(table, columns, root)
    return [LabelledImage(FileInput(name, read.locations[name]), label) for name, label in read.labels.items()]


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
