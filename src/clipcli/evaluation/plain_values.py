"""Evaluations as plain values, for ``--json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from clipcli.evaluation.evaluate import Evaluation, compare, confusion_table
from clipcli.evaluation.metrics import Interval
from clipcli.evaluation.tags import TagEvaluation

__all__ = ["as_json", "tags_as_json"]


def as_json(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Return all metrics as plain values, for ``--json``."""
    return [
        _as_json(each, compare(evaluations[0], each) if each is not evaluations[0] else None) for each in evaluations
    ]


def _as_json(each: Evaluation, gain: Interval | None) -> dict[str, Any]:
    examples = [[each.paths[image] for image in pair.images] for pair in each.confusions]
    return {
        "name": each.name,
        "images": len(each.paths),
        "top1": asdict(each.top1),
        "top5": asdict(each.top5) if each.top5 else None,
        "mean_per_class": asdict(each.mean_per_class),
        "macro_f1": each.macro_f1,
        "answered": float(each.answered.mean()),
        "top1_of_answers": asdict(each.top1_of_answers) if each.top1_of_answers else None,
        "label_count": each.label_count,
        "classes_without_label": list(each.not_labels),
        "with_label": float(each.has_label.mean()),
        "top1_of_labels": asdict(each.top1_of_labels) if each.top1_of_labels else None,
        "top1_more_than_first": {**asdict(gain), "beyond_noise": gain.is_beyond_noise} if gain else None,
        "tree": asdict(each.tree) if each.tree else None,
        "calibration": asdict(each.calibration),
        "classes": [asdict(report) for report in each.classes],
        "labels": list(each.labels),
        "confusion_matrix": confusion_table(each).tolist(),
        "confusions": [
            {**asdict(pair), "images": paths} for pair, paths in zip(each.confusions, examples, strict=True)
        ],
    }


def tags_as_json(each: TagEvaluation) -> dict[str, Any]:
    """Return all figures as plain values, for ``--json``."""
    return {
        "name": each.name,
        "images": len(each.paths),
        "labels_per_image": float(each.truth.sum(axis=1).mean()),
        "tags_per_image": float(each.predicted.sum(axis=1).mean()),
        "mean_average_precision": each.mean_average_precision,
        "micro_average_precision": each.micro_average_precision,
        "micro": asdict(each.micro),
        "macro": asdict(each.macro),
        "intervals": asdict(each.intervals) if each.intervals else None,
        "calibration_error": each.calibration_error,
        "labels": [asdict(report) for report in each.reports],
    }
