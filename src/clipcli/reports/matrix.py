"""The image-text similarity matrix and its file formats.

N images, M texts. Rows are images and columns are texts, as in figure 1 of the CLIP paper.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from clipcli.delimited import csv_line, guarded, read_delimited, tsv_line
from clipcli.errors import InputError, LabelError, OutputError
from clipcli.headers import column_of
from clipcli.labels.files import Label
from clipcli.labels.kinds import check_kind
from clipcli.outputs.records import round_score
from clipcli.storage.atomic import replacing
from clipcli.text import numbered_lines, printable, read_text

__all__ = ["SUFFIXES", "Matrix", "check_suffix", "read_texts", "save_matrix", "texts_as_labels", "write_tsv"]

_COLUMNS = ("text", "caption", "title", "label")
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

    Of a ``.csv`` or ``.tsv`` table, the first of the columns ``text``, ``caption``, ``title`` and ``label`` is read.
    Unlike labels, texts may be duplicates.

    Raises
    ------
    LabelError
        If the file cannot be read, has no texts, or is of another kind.
    """
    check_kind(file)
    if file.suffix.lower() in (".csv", ".tsv"):
        return _texts_of_table(file)
    if file.suffix.lower() == ".json":
        raise LabelError(f"cannot read {file}: not a file of texts (write one per line into a .txt file)")
    lines = [line for _, line in numbered_lines(read_text(file, LabelError)) if not line.startswith("#")]
    if not lines:
        raise LabelError(f"cannot read {file}: it has no texts (write one per line)")
    return [line[1:] if line.startswith("\\#") else line for line in lines]


def _texts_of_table(file: Path) -> list[str]:
    try:
        table = read_delimited(io.StringIO(read_text(file, LabelError), newline=""), str(file))
        found = next((name for each in _COLUMNS if (name := column_of(table.columns, each)) is not None), None)
        if found is None:
            names = ", ".join(table.columns) or "none"
            raise LabelError(f"cannot read {file}: no column {' or '.join(map(repr, _COLUMNS))} (it has: {names})")
        texts = [text for _, row in table.rows if (text := str(row.get(found) or "").strip())]
    except InputError as problem:
        raise LabelError(str(problem)) from None
    if not texts:
        raise LabelError(f"cannot read {file}: it has no texts (column {found!r} is empty)")
    return texts


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
