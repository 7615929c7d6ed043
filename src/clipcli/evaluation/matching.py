"""Match the results of a run to the ground truth, by the paths of the images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from clipcli.errors import InputError
from clipcli.evaluation.ground_truth import LabelledImage
from clipcli.inputs.discover import BadInput, FileInput
from clipcli.log import LOG
from clipcli.outputs.readers import ReadRecord
from clipcli.schemes import is_remote
from clipcli.text import name_key

__all__ = ["in_all", "match_records"]

Matched = tuple[ReadRecord, str]


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
    records = list(records)
    known: dict[str, str] = {}
    for each in labelled:
        if not isinstance(each.image, BadInput):
            known[each.image.name] = each.label
            known[_absolute(_path(each))] = each.label
    composed = _by_key(known)
    matched, without, repeated = [], 0, 0
    seen: set[str] = set()
    for record in records:
        where = _normal(locate(record.path))
        label = known.get(record.path) or known.get(_absolute(where)) or composed.get(name_key(record.path))
        if label is None:
            without += 1
        elif where in seen:
            repeated += 1
        else:
            seen.add(where)
            matched.append((record, label))
    if not matched:
        raise InputError(_no_match(records, labelled))
    count = without + repeated + len(matched)
    if without:
        LOG.warning(f"{without} of {count} results have no ground truth, and are left out")
    if repeated:
        LOG.warning(f"{repeated} of {count} results are of an image that occurs before, and are left out")
    if (missing := len({_normal(_path(each)) for each in labelled}) - len(matched)) > 0:
        LOG.warning(f"{missing} images of the ground truth have no result, and are left out")
    return matched


def _no_match(records: Sequence[ReadRecord], labelled: Sequence[LabelledImage]) -> str:
    """Return the message for results and a ground truth of different images, with an example of each."""
    examples = f"the first result is {records[0].path!r}, " if records else "there are no results, "
    return (
        f"cannot match results to the ground truth: they have no paths in common ({examples}the first image of the "
        f"ground truth is {labelled[0].image.name!r}; use the same paths, or the folder of the classify run)"
    )


def _path(each: LabelledImage) -> str:
    return each.image.path if isinstance(each.image, FileInput) else each.image.name


def _normal(path: str) -> str:
    """Return an absolute path in which links are not followed: two links are two images."""
    return path if is_remote(path) else os.path.abspath(path)  # noqa: PTH100 - also for names that are not valid text


def _by_key(known: dict[str, str]) -> dict[str, str | None]:
    """Return labels by normalised path; ``None`` if that is ambiguous."""
    found: dict[str, str | None] = {}
    for path, label in known.items():
        key = name_key(path)
        found[key] = label if key not in found or name_key(found[key] or "") == name_key(label) else None
    return found


def _absolute(path: str) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a file name cannot contain NUL
        return path
