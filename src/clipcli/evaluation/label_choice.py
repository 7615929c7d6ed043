"""The labels of an evaluation: those that are given, or the classes that occur."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from clipcli.evaluation.ground_truth import LabelledImage, classes_of
from clipcli.evaluation.grouping import classes_as_groups, group_names
from clipcli.evaluation.tags import check_tag_classes, tag_names
from clipcli.evaluation.vocabulary import indices_of, warn_of_spellings
from clipcli.labels.files import labels_from
from clipcli.labels.label import Label
from clipcli.labels.several import SEPARATOR
from clipcli.log import LOG

__all__ = ["choose_labels"]


def choose_labels(
    truth: str | Path, given: Iterable[str | Label] | Path | None, labelled: Sequence[LabelledImage], *,
    by_group: bool, tags: bool,
) -> list[Label]:  # fmt: skip
    """Return the labels: the given ones, or the classes that occur.

    Raises
    ------
    InputError, LabelError
        If a class has no label; of tags, if none has one.
    """
    texts = [each.label for each in labelled]
    if not tags and given is None and any(SEPARATOR in text for text in texts):
        LOG.warning(f"{truth}: some classes contain {SEPARATOR}; if these are several labels, use --tags")
    if given is not None:
        chosen = labels_from(given)
    else:
        chosen = [Label(name) for name in (tag_names(texts) if tags else classes_of(labelled))]
    if tags:
        check_tag_classes(str(truth), texts, chosen)
    else:
        _check_classes(truth, labelled, chosen, by_group=by_group)
    return chosen


def _check_classes(
    truth: str | Path, labelled: Sequence[LabelledImage], labels: Sequence[Label], *, by_group: bool
) -> None:
    """Check before anything is embedded that each class has a label."""
    classes = sorted({each.label for each in labelled})
    if by_group:
        known = group_names(labels)
        classes_as_groups(classes, labels)
    else:
        known = []
        indices_of(classes, labels)
    names = [text for label in labels for text in (label.name, label.folder) if text]
    warn_of_spellings(truth, classes, [*known, *names])
