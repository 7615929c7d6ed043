"""Classes as JSON that people can read: one line per class, with its vectors as lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.outputs.class_contents import DTYPES, arrays_of, metadata_of
from clipcli.pipeline.class_embeddings import ClassEmbeddings

__all__ = ["read_json", "write_json"]

_ROWS = ("label", "group", "prompts")
_NAMES = {"embeddings": "embedding", "head_weights": "head_weights", "head_bias": "head_bias", "text": "text"}
"""The names of a class's row in arrays that have one per class."""


def write_json(classes: ClassEmbeddings, path: Path) -> None:
    """Write classes, with numbers that are restored bit for bit."""
    metadata, arrays = metadata_of(classes), arrays_of(classes)
    shared = {name: value for name, value in metadata.items() if name not in _ROWS}
    rows = []
    for place in range(len(classes.labels)):
        row: dict[str, Any] = {name: metadata[name][place] for name in _ROWS}
        row |= {_NAMES[name]: _plain(array[place]) for name, array in arrays.items() if name in _NAMES}
        if classes.taught is not None:
            row["examples"] = [_plain(each) for each in classes.taught.examples[classes.taught.owners == place]]
        rows.append(json.dumps(row, ensure_ascii=False))
    head = json.dumps(shared, ensure_ascii=False)[:-1]
    path.write_text(f'{head}, "classes": [\n' + ",\n".join(rows) + "\n]}\n", "utf-8")


def read_json(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what :func:`write_json` wrote."""
    metadata = json.loads(path.read_text("utf-8"))
    rows = metadata.pop("classes")
    allowed = {*_ROWS, *_NAMES.values(), "examples"}
    if unknown := sorted({name for row in rows for name in row} - allowed):
        raise ValueError(f"unknown entry {unknown[0]!r}")
    metadata |= {name: [row[name] for row in rows] for name in _ROWS}
    arrays: dict[str, NDArray[Any]] = {
        name: np.array([row[key] for row in rows], dtype=DTYPES[name])
        for name, key in _NAMES.items()
        if any(key in row for row in rows)
    }
    if "taught" in metadata:
        examples = [example for row in rows for example in row["examples"]]
        arrays["examples"] = np.array(examples, dtype=DTYPES["examples"]).reshape(-1, int(metadata["model"]["dim"]))
        arrays["owners"] = np.repeat(np.arange(len(rows)), [len(row["examples"]) for row in rows])
    return metadata, arrays


def _plain(values: Any) -> Any:
    """Return numbers with the fewest digits that restore them."""
    return float(str(values)) if np.ndim(values) == 0 else [float(str(each)) for each in values]
