"""Evaluate the results of a run: records with their true classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import InputError
from clipcli.evaluation.evaluate import Answers, Evaluation, make_evaluation
from clipcli.evaluation.grouping import classes_as_groups, group_record
from clipcli.evaluation.metrics import Calibration, expected_calibration_error
from clipcli.evaluation.tree import Groups, TreeFigures, groups_by_name, groups_in_records, path_of, tree_figures
from clipcli.evaluation.vocabulary import check_vocabulary, indices_of, match_names
from clipcli.labels.label import Label
from clipcli.log import LOG
from clipcli.outputs.readers import ReadRecord
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.tree import levels_of
from clipcli.text import name_key

__all__ = ["evaluate_records"]

_WITHIN = 5


def evaluate_records(
    name: str, matched: Sequence[tuple[ReadRecord, str]], labels: Sequence[Label] | None = None,
    vocabulary: Sequence[str] = (), groups: Mapping[str, str] | None = None, tree: Mapping[str, str] | None = None,
) -> Evaluation:  # fmt: skip
    """Compare the results of a run with the ground truth.

    Parameters
    ----------
    matched
        Records with their true classes, from :func:`clipcli.evaluation.matching.match_records`; failures are left out.
        ``unknown`` counts as wrong.
    labels
        The labels of the run, if the ground truth uses their folders.
    vocabulary
        All labels of the run, if they are known; otherwise those that occur in the records are used.
    groups
        The group of each label, as far as it is known, to evaluate the groups; ``None`` to evaluate the labels.
    tree
        The group of each label, as far as it is known, for the figures at each level.

    Raises
    ------
    InputError
        If all records are failures, or no class of the ground truth is a label; or, with ``groups``, if a record has
        none.
    """
    records = answered = [record for record, _ in matched if record.label is not None]
    said = [text for record, text in matched if record.label is not None]
    if not records:
        raise InputError("cannot evaluate: all results are failures")
    if groups is not None:
        known = labels if labels is not None else [Label(text, group=group) for text, group in groups.items()]
        said = classes_as_groups(said, known, is_strict=labels is not None)
        records, vocabulary = [group_record(record) for record in records], list(dict.fromkeys(groups.values()))
    elif labels is not None:
        said = [labels[place].name for place in indices_of(said, labels)]
    found = _evaluated(name, records, said, vocabulary, is_grouped=groups is not None)
    if groups is not None:
        return replace(found, tree=_tree_figures(found, answered, {}))
    known_groups = {**groups_in_records(answered), **(tree or {})}
    known_groups |= {label.name: label.group for label in labels or () if label.group}
    if not known_groups:
        return found
    every = groups_by_name([*((text, None) for text in found.labels), *known_groups.items()])
    return replace(found, tree=_tree_figures(found, answered, every))


def _tree_figures(found: Evaluation, records: Sequence[ReadRecord], groups: Groups) -> TreeFigures | None:
    """Return the figures at each level of the answers of some records."""
    classes = [found.labels[place] for place in found.truth]
    answers = [found.labels[place] for place in found.predicted]
    given = [
        path_of(answer, groups) if not groups or record.node in (None, UNKNOWN)
        else levels_of(str(record.node), record.label)
        for record, answer in zip(records, answers, strict=True)
    ]  # fmt: skip
    return tree_figures(classes, given, [record.best_group or record.group or "" for record in records], groups)


def _evaluated(
    name: str, records: Sequence[ReadRecord], said: Sequence[str], vocabulary: Sequence[str], *, is_grouped: bool
) -> Evaluation:
    predictions = [str(record.label) for record in records]
    best = [record.top[0].label if record.top else str(record.label) for record in records]
    ranked = [*predictions, *best, *(score.label for record in records for score in record.top)]
    asked = _distinct([text for text in vocabulary or ranked if text != UNKNOWN])
    possible = [*asked, *([UNKNOWN] if UNKNOWN in predictions else [])]
    named = [text for text in said if text not in possible[len(asked) :]]
    check_vocabulary(name, named, asked, is_complete=bool(vocabulary))
    said = match_names(said, possible)
    names = sorted({*_distinct([*ranked, *said])} - {UNKNOWN}) + [UNKNOWN] * (UNKNOWN in (*ranked, *said))
    places = {name_key(text): place for place, text in enumerate(names)}
    truth = _indices(said, places)
    hits5 = None
    if all(len(record.top) >= _WITHIN for record in records) and len(asked) > _WITHIN:
        firsts = [_indices([score.label for score in record.top[:_WITHIN]], places) for record in records]
        hits5 = np.asarray([place in first for place, first in zip(truth, firsts, strict=True)])
    elif len(asked) > _WITHIN and not is_grouped:
        LOG.warning(f"{name}: no top-5 accuracy, because it lists fewer than five labels per image (use --top-k 5)")
    probability = np.asarray([record.probability for record in records], dtype=np.float64)
    paths = tuple(record.path for record in records)
    answers = Answers(paths, _indices(predictions, places), _indices(best, places), probability, hits5)
    keys = set(map(name_key, possible))
    other = sorted({text for text in said if name_key(text) not in keys})
    calibration = _calibration(answers, truth, places.get(UNKNOWN))
    return make_evaluation(name, names, truth, answers, calibration, label_count=len(asked), not_labels=other)


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names that differ in more than Unicode composition, in the first spelling."""
    return list({name_key(text): text for text in reversed(names)}.values())


def _indices(names: Sequence[str], places: Mapping[str, int]) -> NDArray[np.intp]:
    return np.asarray([places[name_key(text)] for text in names], dtype=np.intp)


def _calibration(answers: Answers, truth: NDArray[np.intp], unknown: int | None) -> Calibration:
    """Compare the probability of the best label with its accuracy, where that label is known."""
    known = answers.best != (-1 if unknown is None else unknown)
    some = known if known.any() else np.ones(len(truth), dtype=bool)
    return Calibration(expected_calibration_error(answers.probability[some], (answers.best == truth)[some]))
