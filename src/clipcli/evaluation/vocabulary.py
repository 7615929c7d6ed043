"""Compare the words of a ground truth with the labels that were asked for: other words give false figures."""

from __future__ import annotations

from collections.abc import Iterable

from clipcli.errors import InputError
from clipcli.log import LOG
from clipcli.text import name_key

__all__ = ["check_vocabulary", "missing_words", "shown_names"]

_SHOWN = 3


def missing_words(classes: Iterable[str], labels: Iterable[str]) -> tuple[list[str], int]:
    """Return the classes that are not among some labels, and the number of distinct classes."""
    known, named = {name_key(name) for name in labels}, {name_key(name): name for name in classes}
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
    missing, count = missing_words(truth, labels)
    if not labels or not missing:
        return
    if len(missing) == count:
        raise InputError(
            f"cannot evaluate {subject}: its labels ({shown_names(labels)}) and the classes of the ground truth "
            f"({shown_names(missing)}) have no word in common (use the same words, or map one to the other with the "
            "'folder' column of a label file, --labels FILE)"
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
