"""What a run yields for each input, and how that is written down."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from clipcli.zeroshot import Score

__all__ = ["Failure", "Prediction", "Result", "as_record", "flat_columns", "flatten", "printable"]


@dataclass(frozen=True)
class Prediction:
    """One classified image.

    Parameters
    ----------
    path
        The input as it was named; empty for an image that was passed in memory.
    label
        The best label, or ``unknown`` where it fell below a threshold.
    top
        The best labels with their scores, best first.
    groups
        Probability by group, best first, where the labels have groups.
    model, pretrained
        What made it.
    """

    path: str
    label: str
    top: tuple[Score, ...]
    model: str
    pretrained: str | None = None
    groups: dict[str, float] = field(default_factory=dict)

    @property
    def probability(self) -> float:
        """Probability of the best label, also where it was not good enough to be named."""
        return self.top[0].probability

    @property
    def similarity(self) -> float:
        """Cosine similarity of the best label."""
        return self.top[0].similarity


@dataclass(frozen=True)
class Failure:
    """One input that could not be classified: ``type`` for machines, ``message`` for people."""

    path: str
    type: str
    message: str


Result = Prediction | Failure


def printable(path: str) -> str:
    r"""Return a path as valid Unicode; bytes that are no UTF-8 are shown as ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def as_record(result: Result) -> dict[str, Any]:
    """Return the nested record that JSON output writes."""
    if isinstance(result, Failure):
        return {"path": printable(result.path), "error": {"type": result.type, "message": result.message}}
    record: dict[str, Any] = {
        "path": printable(result.path),
        "label": result.label,
        "probability": result.probability,
        "similarity": result.similarity,
        "top": [vars(score) for score in result.top],
    }
    if result.groups:
        record["group"] = next(iter(result.groups))
        record["groups"] = [{"group": name, "probability": value} for name, value in result.groups.items()]
    return {**record, "model": result.model, "pretrained": result.pretrained}


def flat_columns(top_k: int, *, grouped: bool) -> list[str]:
    """Return the columns of CSV and TSV output."""
    ranks = [f"{name}_{rank}" for rank in range(2, top_k + 1) for name in ("label", "probability", "similarity")]
    groups = ["group", "group_probability"] if grouped else []
    return [
        "path",
        "label",
        "probability",
        "similarity",
        *ranks,
        *groups,
        "model",
        "pretrained",
        "error_type",
        "error_message",
    ]


def flatten(result: Result) -> dict[str, str]:
    """Return the cells of one CSV or TSV row; those that do not apply are left out."""
    if isinstance(result, Failure):
        return {"path": printable(result.path), "error_type": result.type, "error_message": result.message}
    cells = {
        "path": printable(result.path),
        "label": result.label,
        "probability": repr(result.probability),
        "similarity": repr(result.similarity),
        "model": result.model,
        "pretrained": result.pretrained or "",
    }
    for rank, score in enumerate(result.top[1:], start=2):
        cells[f"label_{rank}"] = score.label
        cells[f"probability_{rank}"] = repr(score.probability)
        cells[f"similarity_{rank}"] = repr(score.similarity)
    if result.groups:
        group, probability = next(iter(result.groups.items()))
        cells.update(group=group, group_probability=repr(probability))
    return cells
