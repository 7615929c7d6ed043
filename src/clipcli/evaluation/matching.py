"""Match records or embeddings to images whose classes are known, by their paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from clipcli.errors import InputError
from clipcli.evaluation.ground_truth import LabelledImage
from clipcli.inputs.discover import BadInput, FileInput
from clipcli.inputs.items import EmbeddedInput
from clipcli.inputs.path_base import PathBase
from clipcli.log import LOG
from clipcli.outputs.embedding_files import ImageEmbeddings
from clipcli.outputs.readers import ReadRecord
from clipcli.text import name_key

__all__ = ["match_records", "with_embeddings"]


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
    matched, without = [], 0
    for record, place in _places(records, labelled, locate):
        if place is None:
            without += 1
        else:
            matched.append((record, labelled[place].label))
    if not matched:
        raise InputError(
            "cannot match results to the ground truth: they have no paths in common "
            "(run this in the folder of the classify run)"
        )
    if without:
        count = without + len(matched)
        LOG.warning(f"{without} of {count} results have no ground truth, and are left out")
    return matched


def with_embeddings(labelled: Sequence[LabelledImage], embeddings: ImageEmbeddings) -> list[LabelledImage]:
    """Return the labelled images that a file has embeddings of, in the same order, with these in place of the images.

    Raises
    ------
    EmbeddingFileError
        If the file cannot be read.
    InputError
        If no path is in both.
    """
    found: dict[int, LabelledImage] = {}
    for row, place in _places(embeddings.rows(), labelled, PathBase(embeddings.name, own=True).locate):
        if place is not None and place not in found:
            each = labelled[place]
            found[place] = LabelledImage(EmbeddedInput(each.image.name, row.vector, embeddings.made_by), each.label)
    if not found:
        raise InputError(
            f"cannot match {embeddings.name} to the ground truth: they have no paths in common "
            "(run this in the folder of the export)"
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
            known[_absolute(each.image.path if isinstance(each.image, FileInput) else each.image.name)] = place
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
        same = other is not None and name_key(labelled[other].label) == name_key(labelled[place].label)
        found[key] = place if same else None
    return found


def _absolute(path: str) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a file name cannot contain NUL
        return path
