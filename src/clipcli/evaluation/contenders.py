"""The classes that an evaluation compares: by words, taught by examples, and calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipcli.classifier import Classifier
from clipcli.errors import CalibrationError, InputError
from clipcli.evaluation.taught_classes import with_words
from clipcli.labels.templates import Template, resolve_templates
from clipcli.log import LOG
from clipcli.outputs.calibration_files import calibration_for
from clipcli.pipeline.calibration import FittedCalibration
from clipcli.pipeline.class_embeddings import ClassEmbeddings

__all__ = ["Contender", "Variants", "calibrated", "check_one", "contenders_of", "variants_of"]

Variants = Sequence[tuple[str, Sequence[Template]]]
"""Sets of templates with their names."""


@dataclass(frozen=True)
class Contender:
    """Classes that are compared with others.

    Parameters
    ----------
    name
        What distinguishes them, for people.
    classes
        Ready for scoring.
    saved
        As a classes file holds them, without what labels are compared with as tags.
    calibration
        What calibrates their probabilities.
    """

    name: str
    classes: ClassEmbeddings
    saved: ClassEmbeddings
    calibration: FittedCalibration | None = None


def variants_of(templates: Sequence[str], prompts: Sequence[str]) -> Variants:
    """Return each set of templates with its name."""
    found = []
    if templates or not prompts:
        name = " + ".join(templates) if templates else "default prompt"
        found.append((name, resolve_templates(list(templates), [])))
    return found + [(Path(name).stem, resolve_templates([], [name])) for name in prompts]


def check_one(doing: str, models: Sequence[object], variants: Variants) -> None:
    """Raise :class:`InputError` if there are several models or sets of prompts, of which a calibration fits one."""
    if len(models) * len(variants) > 1:
        raise InputError(f"cannot {doing} several models or sets of prompts at once (choose one)")


def contenders_of(
    classifier: Classifier, variants: Variants, given: ClassEmbeddings | None, source: object
) -> list[Contender]:
    """Return the classes to compare, without a calibration.

    Parameters
    ----------
    variants
        The sets of templates, if labels are given.
    given
        The classes, if these are given.
    source
        The file of the given classes, or the classes.
    """
    if given is not None:
        ready = with_words(classifier.classes, source)
        return [Contender(name, classes, given if classes.taught is given.taught else given.words)
                for name, classes in ready]  # fmt: skip
    found = []
    for name, templates in variants:
        words = classifier.embed_words(templates)
        found.append(Contender(name, classifier.for_tags(words), words))
    return found


def calibrated(contender: Contender, classifier: Classifier, file: Path | None) -> list[Contender]:
    """Return classes with the calibration of a file, or with the one that they were saved with; none if there is none.

    Raises
    ------
    CalibrationError
        If the file cannot be used with these classes.
    """
    classes = contender.classes
    try:
        fitted = calibration_for(classes, classifier.score_of(classes), file, Path(contender.name))
    except CalibrationError as problem:
        if file is not None:
            raise
        LOG.warning(str(problem))
        return []
    if fitted is None:
        return []
    return [Contender(f"{contender.name}, calibrated", fitted.with_thresholds(classes), contender.saved, fitted)]
