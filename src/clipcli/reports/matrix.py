"""The image-text similarity matrix and its file formats.

N images, M texts. Rows are images and columns are texts, as in figure 1 of the CLIP paper.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from clipcli.delimited import csv_line, guarded, tsv_line
from clipcli.errors import LabelError, OutputError
from clipcli.labels.files import Label
from clipcli.outputs.records import round_score
from clipcli.storage.atomic import replacing
from clipcli.text import numbered_lines, printable, read_text

__all__ = ["SUFFIXES", "Matrix", "check_suffix", "read_texts", "save_matrix", "texts_as_labels", "write_tsv"]

SUFFIXES = (".csv", ".tsv", ".npz", ".json")


@dataclass(frozen=True)
class Matrix:
    """(N, M) float64 ``values`` between N ``paths`` and M ``texts``; ``unit`` is ``cosine`` or ``logit``."""

    paths: tuple[str, ...]
    texts: tuple[str, ...]
    values: NDArray[np.float64]
    unit: str


def read_texts(file: Path) -> list[str]:
    r"""Read one text per line, skipping ``#`` comments and blank lines; ``\#`` starts a text with ``#``.

    Unlike labels, texts may be duplicates.

    Raises
    ------
    LabelError
        If the file cannot be read, or has no texts.
    """
    lines = [line for _, line in numbered_lines(read_text(file, LabelError)) if not line.startswith("#")]
    if not lines:
        raise LabelError(f"cannot read {file}: it has no texts (write one per line)")
    return [line[1:] if line.startswith("\\#") else line for line in lines]


def texts_as_labels(texts: Sequence[str]) -> list[Label]:
    """Return a label for each text; texts may be duplicates, labels may not."""
    return [Label(str(number), names=(text,)) for number, text in enumerate(texts)]


def check_suffix(file: Path) -> None:
    """Raise :class:`OutputError` for a file with an unknown extension."""
    if file.suffix.lower() not in SUFFIXES:
        raise OutputError(f"cannot write {file}: unknown extension {file.suffix!r} (use {', '.join(SUFFIXES)})")


def save_matrix(matrix: Matrix, file: Path, *, overwrite: bool = True) -> None:
    """Write the matrix with its names; the extension gives the format."""
    suffix = file.suffix.lower()
    with replacing(file, overwrite=overwrite) as temporary:
        if suffix == ".npz":
            with temporary.open("wb") as opened:
                np.savez(
                    opened,
                    matrix=matrix.values.astype(np.float32),
                    paths=np.array([printable(path) for path in matrix.paths], dtype=np.str_),
                    texts=np.array(matrix.texts, dtype=np.str_),
                )
            return
        with temporary.open("w", encoding="utf-8", newline="") as opened:
            {".csv": _write_csv, ".tsv": write_tsv, ".json": _write_json}[suffix](matrix, opened)


def write_tsv(matrix: Matrix, file: TextIO) -> None:
    """Write one line per image, with the texts as the header; escapes as in all TSV output."""
    file.writelines(tsv_line(map(str, row)) for row in _rows(matrix))


def _write_csv(matrix: Matrix, file: TextIO) -> None:
    rows = _rows(matrix)
    file.writelines(csv_line(guarded(cell) if isinstance(cell, str) else cell for cell in row) for row in rows)


def _write_json(matrix: Matrix, file: TextIO) -> None:
    header, *rows = _rows(matrix)
    found = {
        "unit": matrix.unit,
        "texts": header[1:],
        "paths": [row[0] for row in rows],
        "matrix": [row[1:] for row in rows],
    }
    json.dump(found, file, ensure_ascii=False)
    file.write("\n")


def _rows(matrix: Matrix) -> list[list[str | float]]:
    rows: list[list[str | float]] = [["path", *matrix.texts]]
    for path, values in zip(matrix.paths, matrix.values, strict=True):
        rows.append([printable(path), *map(round_score, values)])
    return rows
