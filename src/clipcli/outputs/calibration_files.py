"""Calibrations as JSON, written by ``clipcli evaluate``: in separate files and in classes files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from clipcli.errors import CalibrationError
from clipcli.pipeline.calibration import FittedCalibration
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.scoring.calibration import Correction
from clipcli.scoring.odds import SCORES
from clipcli.storage.atomic import replacing
from clipcli.text import is_unicode, read_text

__all__ = [
    "REMEDY",
    "calibration_for",
    "calibration_from",
    "calibration_values",
    "load_calibration",
    "save_calibration",
]

_VERSION = 1
_KIND = "calibration"
_KEYS = {
    "clipcli", "kind", "model", "digest", "score", "labels", "scale", "bias", "thresholds", "unknown", "set_threshold",
    "images", "figures",
}  # fmt: skip
REMEDY = "make it again with clipcli evaluate --save-calibration"


def save_calibration(fitted: FittedCalibration, file: Path, *, overwrite: bool = False) -> None:
    """Write a calibration atomically."""
    with replacing(file, overwrite=overwrite) as temporary:
        temporary.write_text(json.dumps(calibration_values(fitted), ensure_ascii=False, indent=1) + "\n", "utf-8")


def calibration_values(fitted: FittedCalibration) -> dict[str, Any]:
    """Return a calibration as plain values."""
    return {
        "clipcli": _VERSION,
        "kind": _KIND,
        "model": fitted.model,
        "digest": fitted.digest,
        "score": fitted.score,
        "labels": list(fitted.labels),
        "scale": fitted.correction.scale,
        "bias": fitted.correction.bias,
        "thresholds": list(fitted.thresholds),
        "unknown": fitted.unknown,
        "set_threshold": fitted.set_threshold,
        "images": fitted.images,
        "figures": fitted.figures,
    }


def load_calibration(file: Path, classes: ClassEmbeddings, score: str | None) -> FittedCalibration:
    """Read a calibration that is to be used with some classes.

    Parameters
    ----------
    score
        The kind of score of tags; ``None`` for one label per image.

    Raises
    ------
    CalibrationError
        If it cannot be read, is damaged, or was made for another model, other labels or prompts, or another score.
    """
    text = read_text(file, CalibrationError)
    try:
        fitted = calibration_from(json.loads(text))
    except (LookupError, TypeError, ValueError, RecursionError) as problem:
        reason = " ".join(str(problem).split())[:120]
        raise CalibrationError(f"cannot read {file}: not a calibration of clipcli ({reason}; {REMEDY})") from None
    fitted.check(classes, score, file, REMEDY)
    return fitted


def calibration_for(
    classes: ClassEmbeddings, score: str | None, file: Path | None, source: object
) -> FittedCalibration | None:
    """Return the calibration of a file, or without a file the one that classes were saved with, if there is one.

    Parameters
    ----------
    score
        As for :func:`load_calibration`.
    source
        The file of the classes, for messages.

    Raises
    ------
    CalibrationError
        As for :func:`load_calibration`.
    """
    if file is not None:
        return load_calibration(file, classes, score)
    if classes.calibration is not None:
        name = f"the calibration in {source if isinstance(source, Path) else 'these classes'}"
        classes.calibration.check(classes, score, name, "calibrate again, or use --no-calibration")
    return classes.calibration


def calibration_from(values: Any) -> FittedCalibration:
    """Check plain values, and return the calibration.

    Raises
    ------
    ValueError, LookupError, TypeError
        If they are not those of a calibration.
    """
    if not isinstance(values, dict) or values.get("kind") != _KIND or values.get("clipcli") != _VERSION:
        raise ValueError("it has another kind or version")
    if other := sorted(set(values) - _KEYS):
        raise ValueError(f"unknown key {other[0]!r}")
    if values["score"] not in (None, *SCORES):
        raise ValueError("unknown score")
    thresholds, figures, labels = values["thresholds"], values["figures"], values["labels"]
    if not isinstance(thresholds, list) or not isinstance(figures, dict) or not isinstance(labels, list):
        raise TypeError("its labels or thresholds are not a list")
    if not all(isinstance(text, str) and is_unicode(text) for text in (values["digest"], values["model"], *labels)):
        raise TypeError("a label or the digest is not text")
    if thresholds and len(thresholds) != len(labels):
        raise ValueError("it does not have one threshold per label")
    scale = _number(values["scale"], "scale", 0.0, math.inf)
    if scale == 0.0:
        raise ValueError("its scale is 0")
    unknown, in_set = (
        None if values[name] is None else _number(values[name], name) for name in ("unknown", "set_threshold")
    )
    return FittedCalibration(
        values["digest"], values["model"], tuple(labels), values["score"],
        Correction(scale, _number(values["bias"], "bias", -math.inf, math.inf)),
        tuple(_number(each, "threshold") for each in thresholds), unknown, in_set,
        int(_number(values["images"], "number of images", 0.0, math.inf)),
        {str(name): _number(value, "figure", -math.inf, math.inf) for name, value in figures.items()},
    )  # fmt: skip


def _number(value: Any, name: str, least: float = 0.0, most: float = 1.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"its {name} is not a number")
    if not math.isfinite(value) or not least <= value <= most:
        raise ValueError(f"its {name} is out of range")
    return float(value)
