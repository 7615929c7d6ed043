"""Match the classes of a ground truth to labels: a class in other words than the labels gives false figures.

One rule for all commands: a class is the label of the same name; else the only one whose name differs in nothing but
case, spaces, underscores or Unicode form (:func:`clipcli.labels.several.label_key`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from clipcli.errors import InputError, LabelError
from clipcli.labels.label import ONLY_SPELLING, Label
from clipcli.labels.several import SEPARATOR, label_key
from clipcli.log import LOG
from clipcli.text import name_key, near_matches

__all__ = [
    "check_vocabulary",
    "distinct_names",
    "find_labels",
    "indices_of",
    "match_names",
    "missing_words",
    "shown_names",
    "warn_of_spellings",
]

_SHOWN = 3


def distinct_names(names: Iterable[str]) -> list[str]:
    """Return distinct names in order; of names that differ only in spelling, the most frequent one."""
    counts = Counter(names)
    chosen: dict[str, str] = {}
    for name in sorted(counts):
        key = label_key(name)
        if key not in chosen or counts[name] > counts[chosen[key]]:
            chosen[key] = name
    return sorted(chosen.values())


def match_names(names: Sequence[str], labels: Iterable[str]) -> list[str]:
    """Return the label that each class name is, in the spelling of the labels; any other stays as it is.

    Other classes have one spelling too, see :func:`distinct_names`.
    """
    known = list(labels)
    exact = {name_key(label): label for label in reversed(known)}
    loose = {label_key(label): label for label in (*distinct_names(names), *reversed(known))}
    return [exact.get(name_key(name), loose[label_key(name)]) for name in names]


def find_labels(names: Iterable[str], labels: Sequence[Label]) -> dict[str, int]:
    """Return the index of the label of each class name that has one; a label's ``folder`` takes precedence.

    Raises
    ------
    LabelError
        If two labels have the same folder.
    """
    folders: dict[str, int] = {}
    for place, label in enumerate(labels):
        other = folders.setdefault(name_key(label.folder), place) if label.folder else place
        if other != place:
            raise LabelError(
                f"cannot match {label.folder!r}: labels {labels[other].name!r} and {label.name!r} have the same folder "
                "(give each label a different folder; to evaluate by group, give them the same 'group')"
            )
    exact = {name_key(label.name): place for place, label in enumerate(labels)} | folders
    loose = {label_key(label.name): place for place, label in enumerate(labels)}
    spelt = Counter(map(label_key, folders))
    loose |= {label_key(name): place for name, place in folders.items() if spelt[label_key(name)] == 1}
    found = {name: exact.get(name_key(name), loose.get(label_key(name))) for name in names}
    return {name: place for name, place in found.items() if place is not None}


def indices_of(names: Sequence[str], labels: Sequence[Label]) -> list[int]:
    """Return the index of the label of each class name, see :func:`find_labels`.

    Raises
    ------
    LabelError
        If a class has no label, or two labels have the same folder.
    """
    found = find_labels(names, labels)
    missing = sorted(set(names) - set(found))
    if missing:
        known = dict.fromkeys(text for label in labels for text in (label.name, label.folder) if text)
        remedy = f"({near_matches(missing[0], known)}); add them to the label file, or to its 'folder' column"
        if any(SEPARATOR in name for name in missing):
            remedy = f"(if {SEPARATOR} separates several labels of an image, use --tags)"
        raise LabelError(f"cannot match classes of the ground truth to labels: {shown_names(missing)} {remedy}")
    return [found[name] for name in names]


def warn_of_spellings(subject: object, names: Iterable[str], labels: Iterable[str]) -> None:
    """Warn of classes that are spelt differently from their label, beyond Unicode composition."""
    given = sorted(set(names))
    pairs = [
        f"{name!r} is {label!r}"
        for name, label in zip(given, match_names(given, labels), strict=True)
        if name_key(name) != name_key(label)
    ]
    if pairs:
        more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
        LOG.warning(
            f"{subject}: some classes and labels {ONLY_SPELLING}, and are taken as the same: "
            f"{', '.join(pairs[:_SHOWN])}{more}"
        )


def missing_words(classes: Iterable[str], labels: Iterable[str]) -> tuple[list[str], int]:
    """Return the classes that are not among some labels, and the number of distinct classes."""
    known, named = {label_key(name) for name in labels}, {label_key(name): name for name in classes}
    return [name for key, name in named.items() if key not in known], len(named)


def check_vocabulary(subject: str, truth: Iterable[str], labels: Iterable[str], *, is_complete: bool = False) -> None:
    """Check that the classes of a ground truth are among the labels that could have been the answer.

    Parameters
    ----------
    subject
        The results, for messages.
    truth
        The classes of the images.
    labels
        The labels of the results; nothing is checked if there are none.
    is_complete
        Whether these are all labels of the run, so that any other class is certain to count as wrong. Otherwise they
        are those that occur in the results, and a warning is given only if most classes are missing.

    Raises
    ------
    InputError
        If no class is a label; the message has examples of both.
    """
    labels, truth = list(labels), list(truth)
    warn_of_spellings(subject, truth, labels)
    missing, count = missing_words(truth, labels)
    if not labels or not missing:
        return
    if len(missing) == count:
        raise InputError(
            f"cannot evaluate {subject}: its labels ({shown_names(labels)}) and the classes of the ground truth "
            f"({shown_names(missing)}) have no word in common (use the same words, or map one to the other with the "
            "'folder' column of a label file, --labels FILE; if the classes are groups of labels, use --by group)"
        )
    if is_complete or 2 * len(missing) > count:
        other, _ = missing_words(labels, truth)
        LOG.warning(
            f"{subject}: {len(missing)} of {count} classes of the ground truth are not among its labels, and their "
            f"images count as wrong: {shown_names(missing)}"
            + (f"; labels without a class: {shown_names(other)}" if other else "")
        )


def shown_names(names: Iterable[str]) -> str:
    """Return the first of some names in alphabetical order, and how many more there are."""
    ordered = sorted(set(names))
    more = len(ordered) - _SHOWN
    return ", ".join(map(repr, ordered[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
