"""Compare models and prompts on images whose classes are known, or the results of a run with the ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipcli.classifier import Classifier
from clipcli.errors import InputError
from clipcli.evaluation.evaluate import (
    Embedded,
    Evaluation,
    as_json,
    embed_labelled,
    evaluate_embeddings,
    evaluate_records,
)
from clipcli.evaluation.ground_truth import LabelledImage, classes_of, indices_of, read_truth
from clipcli.evaluation.linear_probe import STRENGTH, ProbeResult, probe, probes_as_json
from clipcli.evaluation.matching import match_records, with_embeddings
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.path_base import PathBase
from clipcli.labels.files import labels_from
from clipcli.labels.label import Label
from clipcli.labels.templates import Template, resolve_templates
from clipcli.log import LOG
from clipcli.outputs.embedding_files import ImageEmbeddings
from clipcli.outputs.readers import read_results
from clipcli.outputs.recognition import labels_of_run
from clipcli.runner import SILENT, Outcome, Reporter
from clipcli.text import printable

__all__ = ["Comparison", "evaluate", "evaluate_results"]


@dataclass(frozen=True)
class Comparison:
    """The outcome of an evaluation.

    Parameters
    ----------
    evaluations
        One per model and set of templates; the others are compared with the first.
    probes
        The linear probes of each model.
    failed
        The names of images that cannot be read, which are left out of all metrics.
    """

    evaluations: tuple[Evaluation, ...]
    probes: tuple[ProbeResult, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The numbers of images and of unreadable images."""
        return Outcome(len(self.failed) + len(self.evaluations[0].paths), len(self.failed))

    @property
    def as_json(self) -> dict[str, Any]:
        """All metrics as plain values."""
        return {
            "evaluations": as_json(self.evaluations),
            "linear_probes": probes_as_json(self.probes),
            "failed": [printable(path) for path in self.failed],
        }


def evaluate(
    truth: str | Path, models: Sequence[str | tuple[str, str | None]] = ("auto",),
    labels: Iterable[str | Label] | Path | None = None, *, templates: Sequence[str] = (), prompts: Sequence[str] = (),
    few_shot: Sequence[int] = (), probe_strength: float = STRENGTH, seed: int = 0,
    image_embeddings: ImageEmbeddings | str | Path | None = None,
    exclusion: Exclusion = Exclusion(),  # noqa: B008 - a value
    reporter: Reporter = SILENT, **options: Any,
) -> Comparison:  # fmt: skip
    """Evaluate models and sets of templates on images whose classes are known.

    Parameters
    ----------
    truth
        A folder with one folder per class, or a CSV or TSV table with columns ``path`` and ``label``.
    models
        Names of models, or pairs of a name and a pretrained tag or checkpoint.
    labels
        As for :class:`clipcli.Classifier`; by default the classes that occur.
    templates
        Prompt templates, evaluated as one ensemble.
    prompts
        Names or files of template sets, each evaluated separately. Without templates and sets, the default template.
    few_shot
        Numbers of images per class; for each, a linear probe is fitted on them and tested on the others.
    probe_strength
        scikit-learn's ``C`` of the probes.
    seed
        The random seed for choosing the images of the probes.
    image_embeddings
        Embeddings of the images, written by ``clipcli export images``. The images are then not read.
    exclusion
        The files and folders to exclude.
    reporter
        Receives the progress, and the images that cannot be read.
    options
        Further parameters of :class:`clipcli.Classifier`: ``device``, ``batch_size``, ``cache``.

    Raises
    ------
    InputError, LabelError
        If there is no ground truth, a class has no label, or no image can be read.
    EmbeddingFileError
        If the embeddings cannot be read, or another model made them.
    ClipcliError
        As for :class:`clipcli.Classifier`.
    """
    labelled = read_truth(Path(truth), exclusion)
    if image_embeddings is not None:
        if not isinstance(image_embeddings, ImageEmbeddings):
            image_embeddings = ImageEmbeddings(image_embeddings)
        labelled = with_embeddings(labelled, image_embeddings)
    chosen = labels_from(labels) if labels is not None else [Label(name) for name in classes_of(labelled)]
    indices_of(classes_of(labelled), chosen)  # checked before embedding
    variants = _variants(templates, prompts)
    named = [(each, None) if isinstance(each, str) else each for each in models]
    classifiers = [Classifier(name, chosen, pretrained=pretrained, **options) for name, pretrained in named]
    evaluations: list[Evaluation] = []
    probes: list[ProbeResult] = []
    failed: list[str] = []
    for classifier in classifiers:
        classifier.warn_of_single_label()
        images, unreadable = _embedded(classifier, labelled, reporter, is_first=not evaluations)
        failed = failed or unreadable
        title, first = classifier.source.title, len(evaluations)
        for variant, resolved in variants:
            classes = classifier.embed_labels(resolved)
            evaluations.append(evaluate_embeddings(f"{title}, {variant}", images, chosen, classes))
        probes += [probe(title, images.vectors, evaluations[first], shots, probe_strength, seed) for shots in few_shot]
    return Comparison(tuple(evaluations), tuple(probes), tuple(failed))


def evaluate_results(
    results: str | Path, truth: str | Path, labels: Iterable[str | Label] | Path | None = None, *,
    exclusion: Exclusion = Exclusion(), reporter: Reporter = SILENT,  # noqa: B008 - a value
) -> Comparison:  # fmt: skip
    """Compare results of ``classify`` with the ground truth.

    Parameters
    ----------
    results
        A results file, or a folder of parts.
    truth
        As for :func:`evaluate`.
    labels
        The labels of the run, if the ground truth uses their folders.

    Raises
    ------
    InputError
        If there is no ground truth, the results cannot be read, or both have no image or no label in common.
    """
    labelled = read_truth(Path(truth), exclusion)
    locate = PathBase(str(results), own=True).locate
    matched = match_records(read_results(Path(results)), labelled, locate)
    failures = [(record.path, record.error) for record, _ in matched if record.error is not None]
    for path, reason in failures:
        reporter.failed(path, reason)
    chosen = labels_from(labels) if labels is not None else None
    evaluation = evaluate_records(str(results), matched, chosen, labels_of_run(Path(results)))
    return Comparison((evaluation,), failed=tuple(path for path, _ in failures))


def _variants(templates: Sequence[str], prompts: Sequence[str]) -> list[tuple[str, list[Template]]]:
    """Return each set of templates with its name."""
    found = []
    if templates or not prompts:
        name = " + ".join(templates) if templates else "default prompt"
        found.append((name, resolve_templates(list(templates), [])))
    return found + [(Path(name).stem, resolve_templates([], [name])) for name in prompts]


def _embedded(
    classifier: Classifier, labelled: Sequence[LabelledImage], reporter: Reporter, *, is_first: bool
) -> tuple[Embedded, list[str]]:
    """Embed all images; return the readable ones and the names of the others, which the first model reports."""
    failed: list[str] = []

    def note(path: str, reason: str) -> None:
        failed.append(path)
        if is_first:
            reporter.failed(path, reason)

    rows = []
    with reporter.following(lambda: len(labelled)) as show:
        for row in embed_labelled(classifier, labelled, note):
            rows.append(row)
            show(len(rows) + len(failed), len(failed))
    statistics = classifier.image_statistics
    if statistics.cached or statistics.encoded:  # neither if the embeddings are those of a file
        LOG.info(f"images: {statistics.cached} from the cache, {statistics.encoded} encoded")
    if not rows:
        raise InputError("cannot evaluate: none of the images can be read")
    paths, labels, vectors = zip(*rows, strict=True)
    return Embedded(paths, labels, np.stack(vectors)), failed
