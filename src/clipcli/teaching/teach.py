"""Teach classes by examples: read labelled images, embed them, choose a method, make classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.classifier import Classifier
from clipcli.errors import InputError, LabelError
from clipcli.evaluation.embedding import embed_all
from clipcli.evaluation.evaluate import Embedded
from clipcli.evaluation.ground_truth import LabelledImage, TruthColumns, read_truth
from clipcli.evaluation.label_choice import choose_labels
from clipcli.evaluation.matching import with_embeddings
from clipcli.evaluation.metrics import Indices
from clipcli.evaluation.vocabulary import indices_of
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.given import check_count
from clipcli.labels.label import Label
from clipcli.labels.several import SEPARATOR
from clipcli.log import LOG
from clipcli.outputs.class_embeddings import save_class_embeddings
from clipcli.outputs.embedding_files import ImageEmbeddings
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.taught import Taught
from clipcli.runner import SILENT, Outcome, Reporter
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.teaching.methods import METHODS, Candidate, Material
from clipcli.teaching.selection import Trial, choose

__all__ = ["FOLDS", "Lesson", "teach"]

FOLDS = 5

_ENOUGH_BESIDE_WORDS = 4  # with two, the accuracy on waste fell from 73 to 66 %; see docs/measurements/accuracy.md


@dataclass(frozen=True)
class Lesson:
    """The outcome of teaching.

    Parameters
    ----------
    classes
        The classes, for :class:`clipcli.Classifier`.
    chosen
        The method, and the weight of the examples.
    trials
        The methods that were tried, on examples that were left out; empty if there are too few examples for that.
    outcome
        The numbers of images, and of images that cannot be read and were left out.
    """

    classes: ClassEmbeddings
    chosen: Candidate
    trials: tuple[Trial, ...]
    outcome: Outcome

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write a classes file, ``.safetensors`` or ``.json``; see :func:`~clipcli.Classifier`."""
        save_class_embeddings(self.classes, Path(path), overwrite=overwrite)


def teach(
    examples: str | Path, labels: Iterable[str | Label] | Path | None = None, *, model: str = "auto",
    method: str = "auto", folds: int = FOLDS, seed: int = 0,
    image_embeddings: ImageEmbeddings | str | Path | None = None,
    columns: TruthColumns = TruthColumns(), exclusion: Exclusion = Exclusion(),  # noqa: B008 - values
    reporter: Reporter = SILENT, **options: Any,
) -> Lesson:  # fmt: skip
    """Teach classes by images whose classes are known.

    Parameters
    ----------
    examples
        A folder with one folder per class, or a CSV or TSV table with columns ``path`` and ``label``, such as the page
        of ``clipcli report`` saves.
    labels
        As for :class:`clipcli.Classifier`; by default the classes of the examples. A label without examples stays a
        class by its words.
    model
        As for :class:`clipcli.Classifier`.
    method
        ``text``, ``prototypes``, ``mixed``, ``logistic``; or ``auto`` to choose by cross-validation.
    folds
        Maximum number of folds of the cross-validation, at least 2.
    seed
        The random seed for dividing the examples into folds.
    image_embeddings
        Embeddings of the examples, written by ``clipcli export images``. The images are then not read.
    columns
        The columns of a table, if they are not ``path`` and ``label``.
    exclusion
        The files and folders to exclude.
    reporter
        Receives the progress, and the images that cannot be read.
    options
        Further parameters of :class:`clipcli.Classifier`: ``templates``, ``prompts``, ``device``, ``cache``.

    Raises
    ------
    InputError, LabelError
        If there are no examples, a class has no label, no image can be read, or one image has two classes.
    ClipcliError
        As for :class:`clipcli.Classifier`.
    """
    if method not in ("auto", *METHODS):
        raise InputError(f"cannot use method {method!r}: unknown (use auto, {', '.join(METHODS)})")
    check_count("folds", folds)
    labelled = _labelled(Path(examples), exclusion, columns)
    if labels is None:
        _check_single(examples, labelled)
    if image_embeddings is not None:
        given = image_embeddings if isinstance(image_embeddings, ImageEmbeddings) else ImageEmbeddings(image_embeddings)
        labelled = with_embeddings(labelled, given)
    chosen = choose_labels(examples, labels, labelled, by_group=False, tags=False)
    if len(chosen) == 1:
        raise LabelError(
            f"cannot teach: {chosen[0].name!r} is the only class (add other classes as labels or as examples)"
        )
    with Classifier(model, chosen, **options) as classifier:
        images, failed = embed_all(classifier, labelled, reporter, doing="teach")
        outcome = Outcome(len(images.paths) + len(failed), len(failed))
        return _lesson(classifier.classes, images, chosen, outcome, method=method, folds=max(folds, 2), seed=seed)


def _labelled(examples: Path, exclusion: Exclusion, columns: TruthColumns) -> list[LabelledImage]:
    labelled = read_truth(examples, exclusion, columns, doing="teach")
    known = [each for each in labelled if each.label != UNKNOWN]
    if len(known) < len(labelled):
        LOG.warning(f"{len(labelled) - len(known)} images with the label {UNKNOWN!r} are left out: it is not a class")
    if not known:
        raise InputError(f"cannot teach {examples}: it has no labelled images")
    return known


def _check_single(examples: str | Path, labelled: Sequence[LabelledImage]) -> None:
    """Raise :class:`InputError` if an image has several labels, as in results of tags: a class is taught by its own."""
    several = next((each for each in labelled if SEPARATOR in each.label), None)
    if several is not None:
        raise InputError(
            f"cannot teach {examples}: {several.image.name} has several labels, {several.label!r} (give "
            "each image one; a label that contains | can be named with --label)"
        )


def _lesson(
    words: ClassEmbeddings, images: Embedded, labels: Sequence[Label], outcome: Outcome, *,
    method: str, folds: int, seed: int,
) -> Lesson:  # fmt: skip
    truth = np.asarray(indices_of(images.labels, labels), dtype=np.intp)
    rows = _distinct(images, truth, words.labels)
    vectors, truth = images.vectors[rows], truth[rows]
    material = Material(words.vectors, vectors, truth, words.facts.logit_scale, words.facts.logit_bias)
    _check_enough(material, words.labels, method)
    choice = choose(material, method, folds, seed)
    taught = Taught(
        choice.candidate.method, choice.candidate.weight, words.vectors, vectors.astype(np.float16),
        truth.astype(np.int64), choice.accuracy,
    )  # fmt: skip
    if words.competitors is not None:
        LOG.warning("the phrases that compete with labels ('not') are not part of taught classes, and are left out")
    fitted = choice.fitted
    scale = None if fitted.scale == words.facts.logit_scale else fitted.scale
    classes = replace(words, vectors=fitted.vectors, head=fitted.head, scale=scale, taught=taught, competitors=None)
    return Lesson(classes, choice.candidate, choice.trials, outcome)


def _distinct(images: Embedded, truth: Indices, labels: Sequence[str]) -> NDArray[np.intp]:
    """Return the indices of distinct images.

    Raises
    ------
    InputError
        If one image has two classes.
    """
    first: dict[bytes, int] = {}
    for row, vector in enumerate(images.vectors):
        other = first.setdefault(vector.tobytes(), row)
        if truth[other] != truth[row]:
            raise InputError(
                f"cannot teach: {images.paths[other]} and {images.paths[row]} are the same image, as "
                f"{labels[truth[other]]!r} and as {labels[truth[row]]!r} (remove one)"
            )
    if (repeated := len(truth) - len(first)) > 0:
        LOG.warning(f"{repeated} images occur before under another name, and are left out")
    return np.fromiter(first.values(), np.intp)


def _check_enough(material: Material, labels: Sequence[str], method: str) -> None:
    """Check that the examples are enough for a method.

    Raises
    ------
    InputError
        If they are not.
    """
    without = [label for label, count in zip(labels, material.counts, strict=True) if not count]
    few = [label for label, count in zip(labels, material.counts, strict=True) if 0 < count < _ENOUGH_BESIDE_WORDS]
    if without and few and method != "text":
        LOG.warning(
            f"{few[0]!r} has fewer than {_ENOUGH_BESIDE_WORDS} examples, and other classes have none: they may lose "
            "images to it (add examples, and compare with 'clipcli evaluate')"
        )
    if len(material.truth) == 1 and method != "text":
        raise InputError(
            f"cannot teach {labels[material.truth[0]]!r} by one image when no other class has examples "
            "(add a second image, or images of another class)"
        )
    if without and method == "logistic":
        raise InputError(
            f"cannot use method logistic: {without[0]!r} has no examples (add some, or use another method)"
        )
