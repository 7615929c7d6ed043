"""Compare models and prompts on images whose classes are known, or the results of a run with the ground truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from clipcli.classifier import Classifier
from clipcli.errors import InputError, LabelError
from clipcli.evaluation.by_embeddings import evaluate_embeddings
from clipcli.evaluation.calibrating import Goal, fit_calibration
from clipcli.evaluation.contenders import Contender, calibrated, check_one, contenders_of, variants_of
from clipcli.evaluation.embedding import embed_all
from clipcli.evaluation.evaluate import Embedded, Evaluation
from clipcli.evaluation.ground_truth import TruthColumns, read_truth
from clipcli.evaluation.label_choice import choose_labels
from clipcli.evaluation.linear_probe import STRENGTH, ProbeResult, probe, probes_as_json
from clipcli.evaluation.matching import in_all, match_records, with_embeddings
from clipcli.evaluation.plain_values import as_json, tags_as_json
from clipcli.evaluation.records import evaluate_records
from clipcli.evaluation.seen_images import warn_of_seen_images
from clipcli.evaluation.tags import TagEvaluation, evaluate_tag_records, evaluate_tags
from clipcli.evaluation.taught_classes import labels_of, unseen
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.path_base import PathBase
from clipcli.labels.files import labels_from
from clipcli.labels.label import Label
from clipcli.outputs.class_embeddings import load_class_embeddings
from clipcli.outputs.embedding_files import ImageEmbeddings
from clipcli.outputs.readers import read_results
from clipcli.outputs.recognition import groups_of_run, labels_of_run, model_of_run
from clipcli.pipeline.calibration import FittedCalibration
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.scorer import Tagging
from clipcli.runner import SILENT, Outcome, Reporter
from clipcli.text import printable

__all__ = ["Comparison", "evaluate", "evaluate_results"]

_Named = TypeVar("_Named", Evaluation, TagEvaluation)


@dataclass(frozen=True)
class Comparison:
    """The outcome of an evaluation.

    Parameters
    ----------
    evaluations
        One per model and set of templates, or per results file; the others are compared with the first.
    probes
        The linear probes of each model.
    failed
        The names of images that cannot be read, which are left out of all metrics.
    tags
        In place of ``evaluations`` if images have several labels.
    calibration
        What was fitted on the images, if that was asked for.
    classes
        The classes with this calibration, for a classes file.
    """

    evaluations: tuple[Evaluation, ...]
    probes: tuple[ProbeResult, ...] = ()
    failed: tuple[str, ...] = ()
    tags: tuple[TagEvaluation, ...] = ()
    calibration: FittedCalibration | None = None
    classes: ClassEmbeddings | None = None

    @property
    def outcome(self) -> Outcome:
        """The numbers of images and of unreadable images."""
        first = (self.evaluations or self.tags)[0]
        return Outcome(len(self.failed) + len(first.paths), len(self.failed))

    @property
    def as_json(self) -> dict[str, Any]:
        """All metrics as plain values."""
        kind = {"tags": list(map(tags_as_json, self.tags))} if self.tags else {
            "evaluations": as_json(self.evaluations), "linear_probes": probes_as_json(self.probes),
        }  # fmt: skip
        figures = {} if self.calibration is None else {"calibration": self.calibration.figures}
        return {**kind, **figures, "failed": [printable(path) for path in self.failed]}


def evaluate(
    truth: str | Path, models: str | Sequence[str | tuple[str, str | None]] = ("auto",),
    labels: Iterable[str | Label] | Path | None = None, *, by_group: bool = False, tags: bool = False,
    templates: Sequence[str] = (), prompts: Sequence[str] = (), classes: ClassEmbeddings | Path | None = None,
    few_shot: Sequence[int] = (), probe_strength: float = STRENGTH, seed: int = 0, goal: Goal | None = None,
    calibration: Path | None = None,
    image_embeddings: ImageEmbeddings | str | Path | None = None,
    root: Path | None = None, columns: TruthColumns = TruthColumns(), exclusion: Exclusion = Exclusion(),  # noqa: B008
    reporter: Reporter = SILENT, **options: Any,
) -> Comparison:  # fmt: skip
    """Evaluate models and sets of templates on images whose classes are known.

    Parameters
    ----------
    truth
        A folder with one folder per class, or a CSV or TSV table with columns ``path`` and ``label``.
    models
        The name of a model, or a list of names, or of pairs of a name and a pretrained tag or checkpoint.
    labels
        As for :class:`clipcli.Classifier`; by default the classes that occur.
    by_group
        Whether to evaluate the groups of the labels instead of the labels; the classes can be groups or labels.
    tags
        Whether images can have several labels, such as ``cat|outdoor``, or none, which is ``unknown``.
    templates
        Prompt templates, evaluated as one ensemble.
    prompts
        Names or files of template sets, each evaluated separately. Without templates and sets, the default template.
    classes
        Classes instead of labels and prompts, as for :class:`clipcli.Classifier`. Classes that were taught by examples
        are compared with the same classes by words alone, on images that are not among the examples.
    few_shot
        Numbers of images per class; for each, a linear probe is fitted on them and tested on the others.
    probe_strength
        scikit-learn's ``C`` of the probes.
    seed
        The random seed for choosing the images of the probes.
    goal
        Fit a calibration for it, of one model with one set of templates or the given classes.
    calibration
        A file written by ``clipcli evaluate --save-calibration``, with which the classes are evaluated too. By default,
        the calibration in the file of ``classes``, if there is one.
    image_embeddings
        Embeddings of the images, written by ``clipcli export images``. The images are then not read.
    columns
        The columns of a table, if they are not ``path`` and ``label``.
    exclusion
        The files and folders to exclude.
    root
        The folder that the relative paths of a table are relative to, if it is not that of the table.
    reporter
        Receives the progress, and the images that cannot be read.
    options
        Further parameters of :class:`clipcli.Classifier`: ``device``, ``batch_size``, ``cache``; with tags, ``score``
        and ``threshold``.

    Raises
    ------
    InputError, LabelError
        If there is no ground truth, a class has no label, or no image can be read.
    EmbeddingFileError
        If the embeddings cannot be read, or another model made them.
    ClipcliError
        As for :class:`clipcli.Classifier`.
    """
    every = labelled = read_truth(Path(truth), exclusion, columns, root=root)
    if image_embeddings is not None:
        if not isinstance(image_embeddings, ImageEmbeddings):
            image_embeddings = ImageEmbeddings(image_embeddings)
        labelled = with_embeddings(labelled, image_embeddings, root)
    if classes is not None and (labels is not None or templates or prompts):
        raise LabelError("give either labels and prompts, or classes")
    given = load_class_embeddings(classes) if isinstance(classes, Path) else classes
    texts = labels if given is None else labels_of(given)
    chosen = choose_labels(truth, texts, labelled, by_group=by_group, tags=tags)
    what: dict[str, Any] = {"labels": chosen} if given is None else {"classes": given, "calibration": False}
    variants = variants_of(templates, prompts)
    models = [models] if isinstance(models, str) else models
    if goal is not None or calibration is not None:
        check_one("calibrate", models, variants)
    named = [(each, None) if isinstance(each, str) else each for each in models]
    classifiers = [Classifier(name, pretrained=each, tags=tags, **what, **options) for name, each in named]
    found = _Evaluations(chosen, by_group)
    probes: list[ProbeResult] = []
    failed: list[str] = []
    for classifier in classifiers:
        classifier.warn_of_single_label()
        warn_of_seen_images(classifier.source.title, classifier.source.checkpoint.parent, every)
        images, unreadable = embed_all(classifier, labelled, reporter, is_first=classifier is classifiers[0])
        failed = failed or unreadable
        images = images if given is None else unseen(images, given.taught)
        title, first = classifier.source.title, len(found.evaluations)
        contenders = contenders_of(classifier, variants, given, classes)
        if goal is not None:
            found.fit(images, contenders[-1], classifier.tagging, goal)
        else:
            contenders += calibrated(contenders[-1], classifier, calibration)
        for contender in contenders:
            found.add(title, images, contender, classifier.tagging)
        probes += [
            probe(title, images.vectors, found.evaluations[first], shots, probe_strength, seed) for shots in few_shot
        ]
    return Comparison(
        _distinct(found.evaluations), tuple(probes), tuple(failed), _distinct(found.tagged), found.calibration,
        found.classes,
    )  # fmt: skip


@dataclass
class _Evaluations:
    """The evaluations of an ongoing comparison."""

    labels: Sequence[Label]
    by_group: bool
    evaluations: list[Evaluation] = field(default_factory=list)
    tagged: list[TagEvaluation] = field(default_factory=list)
    calibration: FittedCalibration | None = None
    classes: ClassEmbeddings | None = None

    def fit(self, images: Embedded, contender: Contender, tagging: Tagging | None, goal: Goal) -> None:
        """Fit a calibration of some classes."""
        self.calibration = fit_calibration(images, self.labels, contender.classes, tagging, goal)
        self.classes = replace(contender.saved, calibration=self.calibration)

    def add(self, title: str, images: Embedded, contender: Contender, tagging: Tagging | None) -> None:
        """Evaluate some classes on images."""
        name, fitted = f"{title}, {contender.name}", contender.calibration
        if tagging is None:
            self.evaluations.append(
                evaluate_embeddings(
                    name, images, self.labels, contender.classes, by_group=self.by_group, calibration=fitted
                )
            )
            return
        correction = None if fitted is None else fitted.correction
        self.tagged.append(evaluate_tags(name, images, self.labels, contender.classes, tagging, correction))


def evaluate_results(
    results: str | Path | Sequence[str | Path], truth: str | Path,
    labels: Iterable[str | Label] | Path | None = None, *, by_group: bool = False,
    root: Path | None = None, columns: TruthColumns = TruthColumns(), exclusion: Exclusion = Exclusion(),  # noqa: B008
    reporter: Reporter = SILENT,
) -> Comparison:  # fmt: skip
    """Compare results of ``classify`` with the ground truth.

    Parameters
    ----------
    results
        A results file, or a folder of parts; or several, which are compared on the images that all of them have.
    truth
        As for :func:`evaluate`.
    labels
        The labels of the runs, if the ground truth uses their folders.
    by_group
        Whether to evaluate the groups of the labels instead of the labels; the classes can be groups or labels.
    root
        The folder that the relative paths of the ground truth and of the results are relative to.

    Raises
    ------
    InputError
        If there is no ground truth, the results cannot be read, or both have no image or no label in common.
    """
    files = [results] if isinstance(results, str | Path) else list(results)
    labelled = read_truth(Path(truth), exclusion, columns, results=files[0] if files else None, root=root)
    bases = [PathBase(str(file), own=True, root=root) for file in files]
    matched = [
        match_records(read_results(Path(file)), labelled, base.locate) for file, base in zip(files, bases, strict=True)
    ]
    failures = {record.path: record.error for some in matched for record, _ in some if record.error is not None}
    for path, reason in failures.items():
        reporter.failed(path, reason)
    for model in dict.fromkeys(model for file in files if (model := model_of_run(Path(file)))):
        warn_of_seen_images(model, Path(model.removeprefix("local-dir:")), labelled)
    chosen = labels_from(labels) if labels is not None else None
    pairs = list(zip(files, in_all(matched), strict=True))
    are_tagged = {any(record.labels is not None for record, _ in some) for _, some in pairs}
    if len(are_tagged) > 1:
        raise InputError("cannot compare results of --tags with results that have one label per image")
    if are_tagged == {True}:
        found = [evaluate_tag_records(str(file), some, chosen, labels_of_run(Path(file))) for file, some in pairs]
        return Comparison((), failed=tuple(failures), tags=_distinct(found))
    evaluations = [
        evaluate_records(
            str(file),
            some,
            chosen,
            labels_of_run(Path(file)),
            _groups(Path(file), chosen, by_group),
            groups_of_run(Path(file)),
        )
        for file, some in pairs
    ]
    return Comparison(_distinct(evaluations), failed=tuple(failures))


def _distinct(evaluations: Iterable[_Named]) -> tuple[_Named, ...]:
    """Return evaluations with distinct names: the second of a name gets a number."""
    counts: Counter[str] = Counter()
    named = []
    for each in evaluations:
        counts[each.name] += 1
        named.append(replace(each, name=f"{each.name} ({counts[each.name]})") if counts[each.name] > 1 else each)
    return tuple(named)


def _groups(results: Path, labels: Sequence[Label] | None, by_group: bool) -> dict[str, str] | None:
    """Return the group of each label, if the groups are evaluated."""
    if not by_group:
        return None
    return groups_of_run(results) if labels is None else {each.name: each.group for each in labels if each.group}
