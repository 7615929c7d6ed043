"""Labels, and the rules for every set of labels.

The rules are the same for labels from a file, ``--label``, or Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clipcli.errors import LabelError, TemplateError
from clipcli.labels.several import label_key
from clipcli.labels.templates import Template, has_placeholder, parse_template
from clipcli.text import is_unicode, name_key

__all__ = ["ONLY_SPELLING", "Label", "both_places", "check_label", "check_labels", "prompts_for"]

ONLY_SPELLING = "differ only in case, spaces, underscores or Unicode form"
"""Why two labels would share one probability."""


@dataclass(frozen=True)
class Label:
    """A label, the name of a class.

    Parameters
    ----------
    name
        The name of the class in results.
    names
        Texts to fill into the templates: the name itself unless synonyms are given.
    prompts
        Complete prompts. One that contains ``{label}`` is filled like a template, all others are used unchanged.
    group
        The coarser class it belongs to, if any; a path such as ``animal/bird`` in a tree of classes.
    folder
        Its name in the ground truth of an evaluation, if that is different.
    threshold
        The probability, 0 to 1, below which the label is not given; ``None`` for that of the run.
    negatives
        Phrases that compete with the label: an image that fits one of them better does not get it. They are filled
        into the templates, as names are.
    """

    name: str
    names: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    group: str | None = None
    folder: str | None = None
    threshold: float | None = None
    negatives: tuple[str, ...] = ()


def prompts_for(label: Label, templates: Sequence[Template]) -> list[str]:
    """Return the distinct prompts of a label in a fixed order: the members of its ensemble."""
    names = label.names or (() if label.prompts else (label.name,))
    filled = [template.fill(name) for name in names for template in templates]
    own = [text for prompt in label.prompts for text in _own_prompts(prompt, label.names or (label.name,))]
    return list(dict.fromkeys([*filled, *own]))


def _own_prompts(prompt: str, names: Iterable[str]) -> list[str]:
    if not has_placeholder(prompt):
        return [prompt]
    return [parse_template(prompt, "prompt").fill(name) for name in names]


def both_places(first: str, second: str) -> str:
    """Return ``"lines 1 and 3"`` for ``"line 1"`` and ``"line 3"``; places of different kinds are named in full."""
    kind, _, number = first.partition(" ")
    other, _, last = second.partition(" ")
    plural = "entries" if kind == "entry" else f"{kind}s"
    return f"{plural} {number} and {last}" if kind == other else f"{first} and {second}"


def check_labels(labels: Iterable[Any], where: str = "labels", places: Sequence[str] | None = None) -> list[Label]:
    """Check a set of labels.

    Parameters
    ----------
    labels
        Texts or :class:`Label` values.
    where
        The name of the set in errors.
    places
        The name of each label in errors; by default ``label 1`` and so on.

    Returns
    -------
    The labels, without white space around their texts.

    Raises
    ------
    LabelError
        If there are no labels, there are duplicates, or one breaks a rule of :func:`check_label`.
    """
    given = list(labels)
    if not given:
        raise LabelError(f"{where}: no labels")
    places = places or [f"label {number}" for number in range(1, len(given) + 1)]
    first: dict[str, tuple[str, str]] = {}
    groups: dict[str, str] = {}
    checked = []
    for label, place in zip(given, places, strict=True):
        checked.append(check_label(label, f"{where}: {place}"))
        name, group = checked[-1].name, checked[-1].group
        if (key := label_key(name)) in first:
            other, both = first[key][0], both_places(first[key][1], place)
            if name_key(name) == name_key(other):
                raise LabelError(f"{where}: duplicate label {name!r} ({both})")
            raise LabelError(f"{where}: labels {other!r} and {name!r} {ONLY_SPELLING} ({both})")
        first[key] = (name, place)
        if group is not None and (spelt := groups.setdefault(label_key(group), group)) != group:
            raise LabelError(f"{where}: groups {spelt!r} and {group!r} {ONLY_SPELLING} ({place})")
    return checked


def check_label(label: Any, where: str) -> Label:
    """Check one label.

    Parameters
    ----------
    label
        A text or a :class:`Label`.
    where
        The name of the label in errors.

    Returns
    -------
    The label, without white space around its texts; an empty group or folder becomes ``None``.

    Raises
    ------
    LabelError
        If a text is missing, empty or not valid Unicode, or one of its prompts is not a valid template.
    """
    if isinstance(label, str):
        label = Label(label)
    if not isinstance(label, Label):
        raise LabelError(f"{where}: expected a text or a Label, not {type(label).__name__}")
    name = _text(label.name, where, "the label")
    names, prompts, negatives = (
        tuple(_text(each, where, f"one of its {field}") for each in _list(getattr(label, field), where, field))
        for field in ("names", "prompts", "negatives")
    )
    if phrase := next(filter(has_placeholder, negatives), None):
        raise LabelError(f"{where}: {phrase!r} competes with the label, and cannot have a placeholder (write a phrase)")
    for prompt in filter(has_placeholder, prompts):
        try:
            parse_template(prompt, where)
        except TemplateError as problem:
            raise LabelError(str(problem)) from None
    group, folder = (
        _text(value, where, f"its {field}") if (value := getattr(label, field)) not in (None, "") else None
        for field in ("group", "folder")
    )
    if group is not None and not all(part.strip() for part in group.split("/")):
        raise LabelError(f"{where}: its group {group!r} has an empty level (write it like animal/bird)")
    return Label(name, names, prompts, group, folder, _threshold(label.threshold, where), negatives)


def _threshold(value: Any, where: str) -> float | None:
    """Return a threshold as a number.

    Raises
    ------
    LabelError
        If it is not a number from 0 to 1.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise LabelError(f"{where}: its threshold {str(value)[:20]!r} is not a number from 0 to 1")
    return float(value)


def _list(value: Any, where: str, field: str) -> Sequence[Any]:
    if not isinstance(value, tuple | list):
        raise LabelError(f"{where}: its {field} must be a list of texts, not {type(value).__name__}")
    return value


def _text(value: Any, where: str, what: str) -> str:
    if not isinstance(value, str):
        raise LabelError(f"{where}: {what} must be text, not {type(value).__name__}")
    if not value.strip():
        raise LabelError(f"{where}: {what} is empty")
    if not is_unicode(value):
        raise LabelError(f"{where}: {value!r} is not valid Unicode text")
    return value.strip()
