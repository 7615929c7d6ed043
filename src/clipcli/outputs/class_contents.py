"""What a classes file holds: plain values and arrays, checked when they are read.

Arrays of C classes, D dimensions and E examples: ``embeddings`` (C, D) float32, always; ``head_weights`` (C, D) float32
and ``head_bias`` (C,) float64 of a linear head; ``text`` (C, D) float32, ``examples`` (E, D) float16 and ``owners``
(E,) int64 of classes that were taught.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.cache.embeddings import ModelFacts
from clipcli.outputs.calibration_files import calibration_from, calibration_values
from clipcli.pipeline.class_embeddings import ClassEmbeddings, Competitors
from clipcli.pipeline.taught import Taught
from clipcli.scoring.scores import LinearHead

__all__ = ["DTYPES", "IMAGES", "SHARED", "arrays_of", "metadata_of", "restored"]

_VERSION = 1
SHARED = ("clipcli", "fingerprint", "model")
"""The plain values that are those of all classes together, in every file."""
IMAGES = "it holds image embeddings: use them with --image-embeddings"
DTYPES = {
    "embeddings": np.float32, "head_weights": np.float32, "head_bias": np.float64, "text": np.float32,
    "examples": np.float16, "owners": np.int64,
}  # fmt: skip
"""The arrays that a file can hold."""
_HEAD, _TAUGHT = ("head_weights", "head_bias"), ("text", "examples", "owners")
_KEYS = {
    *SHARED,
    "label",
    "group",
    "prompts",
    "thresholds",
    "competitors",
    "logit_scale",
    "taught",
    "calibration",
    "folders",
}
_METHODS = ("text", "prototypes", "mixed", "logistic")

Arrays = dict[str, NDArray[Any]]


def metadata_of(classes: ClassEmbeddings) -> dict[str, Any]:
    """Return the plain values of classes."""
    values: dict[str, Any] = {
        "clipcli": _VERSION,
        "fingerprint": classes.fingerprint,
        "model": asdict(classes.facts),
        "label": list(classes.labels),
        "group": list(classes.groups),
        "prompts": [list(prompts) for prompts in classes.prompts],
    }
    if classes.folders:
        values["folders"] = list(classes.folders)
    if classes.thresholds:
        values["thresholds"] = list(classes.thresholds)
    if classes.competitors is not None:
        against = classes.competitors
        values["competitors"] = {
            "phrases": list(against.phrases),
            "prompts": [list(prompts) for prompts in against.prompts],
            "rivals": [list(places) for places in against.rivals],
            "embeddings": [[float(str(each)) for each in vector] for vector in against.vectors],
        }
    if classes.scale is not None:
        values["logit_scale"] = classes.scale
    if classes.taught is not None:
        taught = classes.taught
        values["taught"] = {"method": taught.method, "weight": taught.weight, "accuracy": taught.accuracy}
    if classes.calibration is not None:
        values["calibration"] = calibration_values(classes.calibration)
    return values


def arrays_of(classes: ClassEmbeddings) -> Arrays:
    """Return the arrays of classes."""
    arrays: Arrays = {"embeddings": classes.vectors}
    if classes.head is not None:
        arrays |= {"head_weights": classes.head.weights, "head_bias": classes.head.bias}
    if classes.taught is not None:
        arrays |= {name: getattr(classes.taught, name) for name in _TAUGHT}
    return arrays


def restored(metadata: Mapping[str, Any], arrays: Mapping[str, Any]) -> ClassEmbeddings:
    """Return the classes of a file.

    Raises
    ------
    ValueError, LookupError, TypeError
        If the file holds something else, or values that cannot be used.
    """
    if "dtype" in metadata:
        raise ValueError(IMAGES)
    if unknown := sorted(map(str, {*metadata} - _KEYS)) or sorted({*arrays} - {*DTYPES}):
        raise ValueError(f"unknown entry {unknown[0]!r}")
    chosen: Arrays = {name: np.ascontiguousarray(array, dtype=DTYPES[name]) for name, array in arrays.items()}
    classes = ClassEmbeddings(
        labels=tuple(map(_text, metadata["label"])),
        groups=tuple(None if group is None else _text(group) for group in metadata["group"]),
        prompts=tuple(tuple(map(_text, prompts)) for prompts in metadata["prompts"]),
        vectors=chosen["embeddings"],
        fingerprint=_text(metadata["fingerprint"]),
        facts=ModelFacts(**metadata["model"]),
        thresholds=tuple(None if each is None else _number(each) for each in metadata.get("thresholds", ())),
        competitors=_competitors(metadata.get("competitors")),
        head=_head(chosen),
        scale=None if metadata.get("logit_scale") is None else _number(metadata["logit_scale"]),
        taught=_taught(metadata.get("taught"), chosen),
        folders=_folders(metadata.get("folders", [])),
        calibration=calibration_from(metadata["calibration"]) if "calibration" in metadata else None,
    )
    _check(classes)
    return classes


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in place of text")
    return value


def _folders(values: object) -> tuple[str | None, ...]:
    if not isinstance(values, list):
        raise TypeError("the names in the ground truth are not a list")
    return tuple(None if each is None else _text(each) for each in values)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} in place of a number"[:60])
    return float(value)


def _head(arrays: Arrays) -> LinearHead | None:
    if not any(name in arrays for name in _HEAD):
        return None
    return LinearHead(arrays["head_weights"], arrays["head_bias"])


def _competitors(values: Any) -> Competitors | None:
    if values is None:
        return None
    if not isinstance(values, dict) or {*values} != {"phrases", "prompts", "rivals", "embeddings"}:
        raise ValueError("unknown form of phrases that compete")
    vectors = np.array([[_number(each) for each in row] for row in values["embeddings"]], dtype=np.float32)
    rivals = tuple(tuple(places) for places in values["rivals"])
    if not all(type(place) is int for places in rivals for place in places):
        raise TypeError("a place of a phrase that competes is not a number")
    prompts = tuple(tuple(map(_text, prompts)) for prompts in values["prompts"])
    return Competitors(tuple(map(_text, values["phrases"])), prompts, vectors, rivals)


def _taught(values: Any, arrays: Arrays) -> Taught | None:
    if values is None:
        if extra := [name for name in _TAUGHT if name in arrays]:
            raise ValueError(f"{extra[0]} of classes that were not taught")
        return None
    method, weight, accuracy = values["method"], _number(values["weight"]), values["accuracy"]
    if method not in _METHODS or not 0 <= weight <= 1 or len(values) != 3:
        raise ValueError("unknown method of teaching")
    text, examples, owners = (arrays[name] for name in _TAUGHT)
    return Taught(method, weight, text, examples, owners, None if accuracy is None else _number(accuracy))


def _check(classes: ClassEmbeddings) -> None:
    """Check that the parts of classes fit together, and that their numbers can be used."""
    count, vectors, facts = len(classes.labels), classes.vectors, classes.facts
    if vectors.shape != (count, facts.dim) or not count:
        raise ValueError(f"{count} labels with {facts.dim} dimensions, but embeddings of shape {vectors.shape}")
    if not count == len(classes.groups) == len(classes.prompts):
        raise ValueError(f"{count} labels, {len(classes.groups)} groups, {len(classes.prompts)} lists of prompts")
    if classes.thresholds and len(classes.thresholds) != count:
        raise ValueError(f"{count} labels, {len(classes.thresholds)} thresholds")
    if classes.folders and len(classes.folders) != count:
        raise ValueError(f"{count} labels, {len(classes.folders)} folders")
    if not all(each is None or 0 <= each <= 1 for each in classes.thresholds):
        raise ValueError("a threshold is not a probability")
    for number in filter(lambda each: each is not None, (facts.logit_scale, facts.logit_bias)):
        _number(number)
    if classes.scale is not None and classes.scale <= 0:
        raise ValueError("its logit scale is not positive")
    _check_length_one(vectors)
    if classes.competitors is not None:
        _check_competitors(classes.competitors, count, facts.dim)
    head, taught = classes.head, classes.taught
    if head is not None:
        _check_shape("head", head.weights, vectors.shape)
        _check_shape("head", head.bias, (count,))
    if taught is not None:
        _check_shape("text", taught.text, vectors.shape)
        _check_shape("examples", taught.examples, (len(taught.owners), facts.dim))
        _check_shape("owners", taught.owners, (len(taught.examples),))
        _check_length_one(taught.text)
        _check_length_one(taught.examples.astype(np.float32))
        if taught.owners.size and not 0 <= taught.owners.min() <= taught.owners.max() < count:
            raise ValueError("its examples belong to no class")


def _check_competitors(against: Competitors, count: int, dim: int) -> None:
    _check_shape("embeddings of phrases", against.vectors, (len(against.phrases), dim))
    _check_length_one(against.vectors)
    if len(against.rivals) != count or not against.phrases or len(against.prompts) != len(against.phrases):
        raise ValueError("its phrases do not belong to its labels")
    if not all(0 <= place < len(against.phrases) for places in against.rivals for place in places):
        raise ValueError("a label competes with no phrase")


def _check_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"its {name} has the shape {array.shape} in place of {shape}, or numbers that are not finite")


def _check_length_one(vectors: NDArray[np.float32]) -> None:
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3):
        raise ValueError("its embeddings do not have length one")
