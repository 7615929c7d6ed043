"""How predictions and failures are recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clipcli.labels.several import joined
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.zeroshot import Score
from clipcli.text import is_unicode, printable

__all__ = ["Layout", "as_record", "flat_columns", "flat_values", "from_record", "round_score"]


@dataclass(frozen=True)
class Layout:
    """The layout of results.

    Parameters
    ----------
    form
        A format of :data:`clipcli.outputs.text_formats.FORMATS`, or ``parquet``.
    top_k
        Number of ranks that a flat format has columns for.
    grouped
        Whether the labels have groups.
    compact
        Whether a flat format leaves out similarities and the model, for reading in a spreadsheet.
    with_unknown
        Whether an answer can be ``unknown``; a flat format then has columns for the best label and group too.
    tagged
        Whether an image can have several labels; a flat format then has a column for them.
    in_tree
        Whether groups are paths in a tree; a flat format then has a column for the answer in it.
    """

    form: str
    top_k: int
    grouped: bool
    compact: bool = False
    with_unknown: bool = False
    tagged: bool = False
    in_tree: bool = False


def round_score(number: float) -> float:
    """Round a score to the six digits that are written; further digits depend on the processor."""
    return float(f"{number:.6g}")


def as_record(result: Result) -> dict[str, Any]:
    """Return the nested record for JSON output."""
    if isinstance(result, Failure):
        return {"path": printable(result.path), "error": {"type": result.type, "message": result.message}}
    record: dict[str, Any] = {
        "path": printable(result.path),
        "label": result.label,
        "probability": round_score(result.probability),
        "similarity": round_score(result.similarity),
        **({} if result.labels is None else {"labels": _scores(result.labels)}),
        "top": _scores(result.top),
    }
    if result.groups:
        record["group"] = result.group
        if result.label == UNKNOWN:
            record["group_1"] = result.best_group
        record["groups"] = [{"group": name, "probability": round_score(value)} for name, value in result.groups.items()]
    if result.node is not None:
        record["node"] = result.node
    return {**record, "model": result.model, "pretrained": result.pretrained, "precision": result.precision}


def _scores(scores: Iterable[Score]) -> list[dict[str, Any]]:
    return [
        {
            "label": score.label,
            "probability": round_score(score.probability),
            "similarity": round_score(score.similarity),
        }
        for score in scores
    ]


def from_record(record: Any, path: str) -> Result:
    """Return the result that a nested record was made of, as far as it has it.

    Parameters
    ----------
    record
        What :func:`as_record` returned, perhaps in another program.
    path
        The name of the input.

    Raises
    ------
    LookupError, TypeError, ValueError, AttributeError
        If it is not a record.
    """
    if "error" in record:
        return Failure(path, _text(record["error"]["type"]), _text(record["error"]["message"]))
    groups = {_text(each["group"]): float(each["probability"]) for each in record.get("groups", ())}
    top, group = tuple(map(_score, record["top"])), record.get("group_1", record.get("group"))
    if not top or (groups and group not in groups):
        raise ValueError("it has no labels, or not its group")
    return Prediction(
        path, _text(record["label"]), top, _text(record["model"]),
        None if record["pretrained"] is None else _text(record["pretrained"]), groups, _text(record["precision"]),
        tuple(map(_score, record["labels"])) if "labels" in record else None,
        *((_text(record["node"]), group) if "node" in record else ()),
    )  # fmt: skip


def _score(value: Any) -> Score:
    return Score(_text(value["label"]), float(value["probability"]), float(value["similarity"]))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not is_unicode(value):
        raise TypeError("a name is not text")
    return value


def flat_columns(layout: Layout) -> list[str]:
    """Return the columns of CSV, TSV and Parquet output."""
    scores = ["probability"] if layout.compact else ["probability", "similarity"]
    best = ["label_1"] if layout.with_unknown else []
    tags = ["labels"] if layout.tagged else []
    ranks = [f"{name}_{rank}" for rank in range(2, layout.top_k + 1) for name in ("label", *scores)]
    groups = ["group", "group_probability", *(["group_1"] if layout.with_unknown else [])] if layout.grouped else []
    groups += ["node"] if layout.in_tree else []
    model = [] if layout.compact else ["model", "pretrained", "precision"]
    return ["path", "label", *tags, *scores, *best, *ranks, *groups, *model, "error_type", "error_message"]


def flat_values(result: Result) -> dict[str, str | float | None]:
    """Return the values of one row by column, without those that do not apply."""
    if isinstance(result, Failure):
        return {"path": printable(result.path), "error_type": result.type, "error_message": result.message}
    values: dict[str, str | float | None] = {
        "path": printable(result.path),
        "label": result.label,
        "probability": round_score(result.probability),
        "similarity": round_score(result.similarity),
        "label_1": result.top[0].label,
        "model": result.model,
        "pretrained": result.pretrained,
        "precision": result.precision,
    }
    if result.labels is not None:
        values["labels"] = joined(score.label for score in result.labels)
    for rank, score in enumerate(result.top[1:], start=2):
        values[f"label_{rank}"] = score.label
        values[f"probability_{rank}"] = round_score(score.probability)
        values[f"similarity_{rank}"] = round_score(score.similarity)
    if result.groups:
        values["group"] = result.group
        values["group_probability"] = round_score(result.groups[result.best_group or ""])
        values["group_1"] = result.best_group
    if result.node is not None:
        values["node"] = result.node
    return values
