"""Check the files of a run, which may come from other people."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from clipcli.errors import InputError
from clipcli.outputs.run_settings import check_version

__all__ = ["check_left_out", "check_metrics", "check_progress", "check_settings", "check_summary"]

Check = Callable[[Any], bool]

_MOST = 1 << 53  # larger numbers are not exact in JSON


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _positive(value: Any) -> bool:
    return _count(value) and value > 0


def _number(value: Any) -> bool:
    return type(value) in (int, float)  # NaN too, for a run that diverged


def _rate(value: Any) -> bool:
    return _number(value) and math.isfinite(value) and value >= 0


def _flag(value: Any) -> bool:
    return type(value) is bool


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _maybe_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _maybe_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_text, value)))


def _measures(value: Any) -> bool:
    known = {"loss", "image_recall_1", "image_recall_5", "text_recall_1", "text_recall_5"}
    return isinstance(value, dict) and set(value) - {"accuracy"} == known and all(map(_number, value.values()))


def _named_measures(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(row, list) and len(row) == 2 and _text(row[0]) and _measures(row[1]) for row in value
    )


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_number, value))


_REQUEST: dict[str, Check] = {
    **dict.fromkeys(("pairs", "templates", "prompts", "exclude"), _maybe_texts),
    "include_hidden": lambda value: value is None or _flag(value),
    **dict.fromkeys(("model", "pretrained", "from_scratch", "validation", "labels"), _maybe_text),
}  # fmt: skip
_CHOSEN: dict[str, Check] = {
    "epochs": _positive, "batch_size": _positive, "accumulate": _positive, "learning_rate": _rate,
    "weight_decay": _rate, "warmup": _count, "precision": lambda value: value in ("fp32", "bf16", "fp16"),
    "seed": _count, "patience": _count, "interpolate": lambda value: _rate(value) and value <= 1,
    "lock_image": _flag, "lock_text": _flag, "unlocked_layers": _count,
}  # fmt: skip
_SETTINGS: dict[str, Check] = {
    "version": _count,
    "request": lambda value: isinstance(value, dict) and not _fault(value, _REQUEST),
    "settings": lambda value: isinstance(value, dict) and not _fault(value, _CHOSEN),
    "pairs_digest": _text, "start": _text, "train": _count, "validation": _count,
}  # fmt: skip
_SUMMARY: dict[str, Check] = {"measures": _named_measures, "best_epoch": _count}
_PROGRESS: dict[str, Check] = {
    "epoch": _count, "step": _count, "best_epoch": _count, "best": _numbers, "lowest_loss": _number, "stale": _count,
}  # fmt: skip
_LEFT_OUT: dict[str, Check] = {"where": _text, "name": _text, "reason": _text, "used": _flag}
_STEP: dict[str, Check] = {"step": _count, "epoch": _count}


def _fault(value: Mapping[str, Any], checks: Mapping[str, Check], *, known_only: bool = True) -> str | None:
    """Return the first entry that is missing, unknown, or of the wrong type."""
    for name, check in checks.items():
        if name not in value or not check(value[name]):
            return name
    return next((name for name in value if name not in checks), None) if known_only else None


def _checked(value: Any, checks: Mapping[str, Check], where: object, *, known_only: bool = False) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"cannot resume from {where}: it is not an object")
    fault = _fault(value, checks, known_only=known_only)
    if fault is not None:
        raise InputError(f"cannot resume from {where}: damaged, or not written by clipcli ({fault[:80]!r})")
    return value


def check_settings(value: Any, where: object) -> dict[str, Any]:
    """Check the settings of a run.

    Raises
    ------
    InputError
        Unless clipcli could have written it.
    OutputError
        If another version of clipcli wrote it.
    """
    checked = _checked(value, _SETTINGS, where)
    check_version(checked, where, "it", "start again with --overwrite")
    return checked


def check_summary(value: Any, where: object) -> dict[str, Any]:
    """Check the outcome of a run; raise :class:`InputError` unless clipcli could have written it."""
    return _checked(value, _SUMMARY, where)


def check_progress(value: Any, where: object) -> dict[str, Any]:
    """Check the progress of a run; raise :class:`InputError` unless clipcli could have written it."""
    return _checked(value, _PROGRESS, where, known_only=True)


def check_left_out(value: Any, where: object) -> dict[str, Any]:
    """Check a pair that was left out; raise :class:`InputError` unless clipcli could have written it."""
    return _checked(value, _LEFT_OUT, where, known_only=True)


def check_metrics(value: Any, where: object) -> dict[str, Any]:
    """Check the measures of a step or epoch; raise :class:`InputError` unless clipcli could have written them."""
    row = _checked(value, _STEP, where)
    rest = {name: each for name, each in row.items() if name != "validation"}
    if not all(map(_number, rest.values())) or ("validation" in row and not _measures(row["validation"])):
        raise InputError(f"cannot resume from {where}: damaged, or not written by clipcli (step {row['step']})")
    return row
