"""The accuracy of a run for the page of ``clipcli report``."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from clipcli.evaluation.charts import draw_evaluations, draw_tag_evaluations
from clipcli.evaluation.evaluate import Evaluation
from clipcli.evaluation.ground_truth import LabelledImage
from clipcli.evaluation.matching import match_records
from clipcli.evaluation.metrics import Interval
from clipcli.evaluation.records import evaluate_records
from clipcli.evaluation.tags import TagEvaluation, evaluate_tag_records
from clipcli.evaluation.vocabulary import shown_names
from clipcli.inputs.path_base import PathBase
from clipcli.labels.files import labels_from
from clipcli.labels.label import Label
from clipcli.labels.several import joined
from clipcli.outputs.readers import ReadRecord
from clipcli.outputs.recognition import groups_of_run, labels_of_run
from clipcli.reports.page import PageEvaluation
from clipcli.scoring.thresholds import UNKNOWN

__all__ = ["evaluation_for_page"]

_CONFUSIONS = 10


def evaluation_for_page(
    records: Sequence[ReadRecord],
    results: Path,
    labelled: Sequence[LabelledImage],
    labels: Iterable[str | Label] | Path | None = None,
    root: Path | None = None,
) -> tuple[list[str | None], PageEvaluation]:
    """Return the true class of each record, ``None`` if it has none, and the accuracy of the records that have one.

    Parameters
    ----------
    records
        The records of the file ``results``.
    labelled
        The ground truth, from :func:`clipcli.evaluation.ground_truth.read_truth`.
    labels
        The labels of the run, if the ground truth uses their folders.
    root
        The folder that the paths of the records are relative to, if it is known.

    Raises
    ------
    InputError
        If results and ground truth have no image in common, or all results are failures.
    LabelError
        If labels are given and a class has none.
    """
    matched = match_records(records, labelled, PathBase(str(results), own=True, root=root).locate)
    known = labels_from(labels) if labels is not None else None
    if any(record.labels is not None for record in records):
        return _with_tags(records, results, matched, known)
    evaluation = evaluate_records(str(results), matched, known, labels_of_run(results), tree=groups_of_run(results))
    names = [evaluation.labels[place] for place in evaluation.truth]
    good = [record for record, _ in matched if record.label is not None]
    truths = {id(record): name for record, name in zip(good, names, strict=True)}
    return [truths.get(id(record)) for record in records], _page_evaluation(evaluation)


def _with_tags(
    records: Sequence[ReadRecord], results: Path, matched: Sequence[tuple[ReadRecord, str]],
    labels: Sequence[Label] | None,
) -> tuple[list[str | None], PageEvaluation]:  # fmt: skip
    """Return the true labels of each record of a run with tags, such as ``cat|outdoor``, and the figures."""
    evaluation = evaluate_tag_records(str(results), matched, labels, labels_of_run(results))
    good = [record for record, _ in matched if record.labels is not None]
    truths = {}
    for record, row in zip(good, evaluation.truth, strict=True):
        right = [label for label, is_right in zip(evaluation.labels, row, strict=True) if is_right]
        truths[id(record)] = joined(right) if right else UNKNOWN
    return [truths.get(id(record)) for record in records], _page_of_tags(evaluation)


def _page_of_tags(evaluation: TagEvaluation) -> PageEvaluation:
    figures = [("images", f"{len(evaluation.paths):,}")]
    found = evaluation.intervals
    if found is not None:
        if found.mean_average_precision is not None:
            figures.append(("mean average precision", _interval(found.mean_average_precision)))
        figures += [
            ("precision of the labels given", _interval(found.precision)),
            ("recall of the right labels", _interval(found.recall)), ("F1", _interval(found.f1)),
        ]  # fmt: skip
    if evaluation.calibration_error is not None:
        figures.append(("calibration error", f"{evaluation.calibration_error:.3f}"))
    summary = (
        f"{evaluation.micro.precision:.1%} of the labels given are right; {evaluation.micro.recall:.1%} of the right "
        f"labels of {len(evaluation.paths):,} images are given"
    )
    return PageEvaluation(summary, tuple(figures), (), tuple(_charts(partial(draw_tag_evaluations, [evaluation]))))


def _page_evaluation(evaluation: Evaluation) -> PageEvaluation:
    figures = [("images", f"{len(evaluation.paths):,}"), ("top-1 accuracy", _interval(evaluation.top1))]
    if evaluation.top5 is not None:
        figures.append(("top-5 accuracy", _interval(evaluation.top5)))
    figures += [
        ("mean accuracy per class", _interval(evaluation.mean_per_class)),
        ("mean F1 of the classes", f"{evaluation.macro_f1:.1%}"),
        ("calibration error", f"{evaluation.calibration.error:.3f}"),
    ]
    if evaluation.top1_of_answers is not None:
        figures.append(("answered, not unknown", f"{evaluation.answered.mean():.1%}"))
        figures.append(("top-1 accuracy of the answers", _interval(evaluation.top1_of_answers)))
    if evaluation.not_labels:
        share = f"{1 - evaluation.has_label.mean():.1%}: {shown_names(evaluation.not_labels)}"
        figures.append(("images whose class is not a label, counted as wrong", share))
    if evaluation.top1_of_labels is not None:
        figures.append(("top-1 accuracy of the other images", _interval(evaluation.top1_of_labels)))
    if evaluation.tree is not None:
        tree = evaluation.tree
        figures += [(f"accuracy at level {each.level}", _interval(each.accuracy)) for each in tree.levels]
        parts = (tree.precision, tree.recall, tree.f1)
        names = ("precision", "recall", "F1")
        figures += [(f"hierarchical {name}", f"{value:.1%}") for name, value in zip(names, parts, strict=True)]
    confusions = [(each.truth, each.predicted, f"{each.count:,}") for each in evaluation.confusions[:_CONFUSIONS]]
    return PageEvaluation(
        _summary(evaluation), tuple(figures), tuple(confusions), tuple(_charts(partial(draw_evaluations, [evaluation])))
    )


def _summary(evaluation: Evaluation) -> str:
    """Return the accuracy in words, with the share of images that have no chance of being right."""
    parts = [f"{evaluation.top1.value:.1%} of {len(evaluation.paths):,} images have the right label"]
    if evaluation.top1_of_answers is not None:
        parts.append(f"{1 - evaluation.answered.mean():.1%} are unknown")
    if evaluation.not_labels:
        parts.append(f"{1 - evaluation.has_label.mean():.1%} have a class that is not a label")
    return "; ".join(parts)


def _interval(value: Interval) -> str:
    return f"{value.value:.1%} ({value.low:.1%} to {value.high:.1%})"


def _charts(draw: Callable[[Path], Iterator[Path]]) -> Iterator[tuple[str, str]]:
    """Yield the charts as ``data:`` URLs: SVG, or PNG where that is smaller, as for thousands of dots."""
    with TemporaryDirectory() as folder:
        sizes = [(file.stem, file.stat().st_size, file) for file in draw(Path(folder))]
        for name in dict.fromkeys(stem for stem, _, _ in sizes):
            _, smallest = min((size, file) for stem, size, file in sizes if stem == name)
            kind = "svg+xml" if smallest.suffix == ".svg" else "png"
            yield name, f"data:image/{kind};base64,{base64.b64encode(smallest.read_bytes()).decode('ascii')}"
