"""Ground truth: images whose classes are known, from class folders or from tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipcli.errors import InputError, LabelError
from clipcli.evaluation.vocabulary import shown_names
from clipcli.inputs.discover import FileInput, Input, Source, discover
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.path_base import PathBase
from clipcli.labels.files import Label
from clipcli.log import LOG
from clipcli.outputs.corrections import read_label_table
from clipcli.outputs.recognition import own_kind_of
from clipcli.sorting.log import LOG_NAME
from clipcli.text import name_key, near_matches

__all__ = [
    "LabelledImage",
    "classes_of",
    "distinct_names",
    "indices_of",
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
) -> list[LabelledImage]:
    """Read the ground truth of images.

    Parameters
    ----------
    source
        A folder with one folder a class, as torchvision's ``ImageFolder`` has it, or a CSV or TSV table
        with columns ``path`` and ``label``. For its paths see :class:`~clipcli.delimited.PathBase`.
    exclusion
        The files and folders to exclude.

    Raises
    ------
    InputError
        If the source does not exist, has no labelled images, or holds answers of clipcli.
    """
    if own_kind_of(source) == "results":
        raise _own_answers(source)
    if source.is_dir():
        labelled = _from_folder(source, exclusion)
    elif re.match(r"\w{2,}:/", source.as_posix()):
        raise InputError(
            f"cannot read {source}: the ground truth must be a table or folder on this machine (copy it here)"
        )
    elif not source.exists():
        raise InputError(f"cannot read {source}: no such file or folder")
    elif source.suffix.lower() in (".csv", ".tsv"):
        labelled = [each for each in _from_table(source) if not exclusion.leaves_out_named(each.image.name)]
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


def _from_table(table: Path) -> list[LabelledImage]:
    read = read_label_table(table)
    base = PathBase(str(table), own=read.own is not None)
    return [LabelledImage(FileInput(name, base.locate(name)), label) for name, label in read.labels.items()]


def warn_of_own_answers(source: Path, *, is_own: bool) -> None:
    """Warn that the labels of a folder or table may be the answers of clipcli, if they are."""
    if is_own:
        LOG.warning(
            f"{source}: its labels are answers of clipcli; unless they were corrected, accuracy on them only says how "
            "often a model gives the same answer"
        )


def _own_answers(source: Path) -> InputError:
    return InputError(
        f"cannot use {source} as the ground truth: its labels are answers of clipcli classify (give the true labels: "
        f"clipcli evaluate {source} --truth FILE; the page of clipcli report saves corrected labels)"
    )


def classes_of(labelled: Iterable[LabelledImage]) -> list[str]:
    """Return the classes that occur, sorted by name."""
    return distinct_names(each.label for each in labelled)


def distinct_names(names: Iterable[str]) -> list[str]:
    """Return distinct names in order; names that differ only in Unicode composition are equal."""
    return sorted({name_key(name): name for name in sorted(set(names), reverse=True)}.values())


def indices_of(names: Sequence[str], labels: Sequence[Label]) -> list[int]:
    """Return the index of the label of each class name; a label's ``folder`` takes precedence over its name.

    Raises
    ------
    LabelError
        If a class has no label, or two labels have the same folder.
    """
    folders: dict[str, int] = {}
    for place, label in enumerate(labels):
        other = folders.setdefault(name_key(label.folder), place) if label.folder else place
        if other != place:
            raise LabelError(
                f"cannot match {label.folder!r}: labels {labels[other].name!r} and {label.name!r} have the same folder "
                "(give each label a different folder)"
            )
    places = {name_key(label.name): place for place, label in enumerate(labels)} | folders
    missing = sorted(name for name in set(names) if name_key(name) not in places)
    if missing:
        raise LabelError(
            f"cannot match classes of the ground truth to labels: {shown_names(missing)} "
            f"({near_matches(missing[0], places)}); add them to the label file, or to its 'folder' column"
        )
    return [places[name_key(name)] for name in names]
