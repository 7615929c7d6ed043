"""Match records or embeddings to images whose classes are known, by their paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from clipcli.errors import InputError
from clipcli.evaluation.ground_truth import LabelledImage
from clipcli.inputs.discover import BadInput, FileInput
from clipcli.inputs.items import EmbeddedInput
from clipcli.inputs.path_base import PathBase
from clipcli.labels.several import label_key
from clipcli.log import LOG
from clipcli.outputs.embedding_files import ImageEmbeddings
from clipcli.outputs.readers import ReadRecord
from clipcli.schemes import is_remote
from clipcli.text import name_key

__all__ = ["in_all", "match_records", "with_embeddings"]

Matched = tuple[ReadRecord, str]


class _Named(Protocol):
    @property
    def path(self) -> str:
        """The path of an image."""


Record = TypeVar("Record", bound=_Named)


def match_records(
    records: Iterable[ReadRecord],
    labelled: Sequence[LabelledImage],
    locate: Callable[[str], str] = str,
) -> list[tuple[ReadRecord, str]]:
    """Match the results of a run to the ground truth, by the paths of the images.

    Parameters
    ----------
    locate
        Resolves the path of a record, see :meth:`clipcli.delimited.PathBase.locate`.

    Raises
    ------
    InputError
        If no path is in both.
    """
    matched, without, repeated = [], 0, 0
    known, seen = list(records), set()
    for record, place in _places(known, labelled, locate):
        if place is None:
            without += 1
        elif (where := _normal(locate(record.path))) in seen:
            repeated += 1
        else:
            seen.add(where)
            matched.append((record, labelled[place].label))
    if not matched:
        raise InputError(_no_match(known, labelled))
    count = without + repeated + len(matched)
    if without:
        LOG.warning(f"{without} of {count} results have no ground truth, and are left out")
    if repeated:
        LOG.warning(f"{repeated} of {count} results are of an image that occurs before, and are left out")
    if (missing := len({_normal(_path(each)) for each in labelled}) - len(matched)) > 0:
        LOG.warning(f"{missing} images of the ground truth have no result, and are left out")
    return matched


def in_all(runs: Sequence[Sequence[Matched]]) -> list[list[Matched]]:
    """Return the records of several runs whose images have an answer in all of them, in the order of the first run.

    Raises
    ------
    InputError
        If no image has.
    """
    if len(runs) == 1:
        return [list(runs[0])]
    by_path = [{name_key(each[0].path): each for each in run if each[0].label is not None} for run in runs]
    common = [path for path in by_path[0] if all(path in others for others in by_path)]
    if not common:
        raise InputError("cannot compare results: no image has an answer in all of them (use runs on the same images)")
    if left_out := len({path for run in by_path for path in run}) - len(common):
        LOG.warning(f"{left_out} images do not have an answer in all results, and are left out")
    return [[run[path] for path in common] for run in by_path]


def _no_match(records: Sequence[ReadRecord], labelled: Sequence[LabelledImage]) -> str:
    """Return the message for results and a ground truth of different images, with an example of each."""
    examples = f"the first result is {records[0].path!r}, " if records else "there are no results, "
    return (
        f"cannot match results to the ground truth: they have no paths in common ({examples}the first image of the "
        f"ground truth is {labelled[0].image.name!r}; use the same paths, or name the folder of the run with --root)"
    )


def _path(each: LabelledImage) -> str:
    return each.image.path if isinstance(each.image, FileInput) else each.image.name


def _normal(path: str) -> str:
    """Return an absolute path in which links are not followed: two links are two images."""
    return path if is_remote(path) else os.path.abspath(path)  # noqa: PTH100 - also for names that are not valid text


def with_embeddings(
    labelled: Sequence[LabelledImage], embeddings: ImageEmbeddings, root: Path | None = None
) -> list[LabelledImage]:
    """Return the labelled images that a file has embeddings of, in the same order, with these in place of the images.

    Raises
    ------
    EmbeddingFileError
        If the file cannot be read.
    InputError
        If no path is in both.
    """
    found: dict[int, LabelledImage] = {}
    for row, place in _places(embeddings.rows(), labelled, PathBase(embeddings.name, own=True, root=root).locate):
        if place is not None and place not in found:
            each = labelled[place]
            found[place] = LabelledImage(EmbeddedInput(each.image.name, row.vector, embeddings.made_by), each.label)
    if not found:
        raise InputError(
            f"cannot match {embeddings.name} to the ground truth: they have no paths in common "
            "(run this in the folder of the export, or name that folder with --root)"
        )
    if len(found) < len(labelled):
        without = len(labelled) - len(found)
        LOG.warning(f"{without} of {len(labelled)} images have no embedding in {embeddings.name}, and are left out")
    return [found[place] for place in sorted(found)]


def _places(
    records: Iterable[Record], labelled: Sequence[LabelledImage], locate: Callable[[str], str]
) -> Iterator[tuple[Record, int | None]]:
    """Yield each record with the index of its image; ``None`` if there is no such image."""
    known: dict[str, int] = {}
    for place, each in enumerate(labelled):
        if not isinstance(each.image, BadInput):
            known[each.image.name] = place
            known[_absolute(_path(each))] = place
    composed = _by_key(known, labelled)
    for record in records:
        found = known.get(record.path)
        found = known.get(_absolute(locate(record.path))) if found is None else found
        yield record, composed.get(name_key(record.path)) if found is None else found


def _by_key(known: dict[str, int], labelled: Sequence[LabelledImage]) -> dict[str, int | None]:
    """Return places by normalised path; ``None`` if their labels differ."""
    found: dict[str, int | None] = {}
    for path, place in known.items():
        key = name_key(path)
        other = found.get(key, place)
        same = other is not None and label_key(labelled[other].label) == label_key(labelled[place].label)
        found[key] = place if same else None
    return found


def _absolute(path: str) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a file name cannot contain NUL
        return path
