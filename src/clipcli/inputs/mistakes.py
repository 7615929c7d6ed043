"""Files that are given as images by mistake: tables and results get a hint instead of "not an image"."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from clipcli.delimited import JSON_LINES, first_object, read_delimited, read_json_lines
from clipcli.errors import ClipcliError, ImageError, InputError
from clipcli.inputs.own_tables import EMBEDDINGS_HINT, written_by_clipcli
from clipcli.inputs.tables import PATH_COLUMNS
from clipcli.schemes import is_remote
from clipcli.text import open_text

__all__ = ["check_not_only_tables", "table_problem"]

_TABLES = (".csv", ".tsv", *JSON_LINES)
_ARRAYS = (".npy", ".npz", ".safetensors")
_LONGEST = 1 << 20  # characters of the first row that are read


def table_problem(path: str) -> ImageError | None:
    """Return why a table or array cannot be classified as an image; ``None`` for a file with another extension."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - also for names that are not valid text
    if suffix not in (*_TABLES, *_ARRAYS, ".json") or is_remote(path) or not os.path.isfile(path):  # noqa: PTH113
        return None
    if suffix in _ARRAYS:
        return ImageError("not_an_image", f"not an image ({EMBEDDINGS_HINT})")
    columns = _columns(path, suffix)
    own = written_by_clipcli(columns)
    if own is not None:
        reason = own
    elif suffix == ".json":
        return None
    else:
        named = next((name for name in PATH_COLUMNS if name in columns), "NAME")
        reason = f"a table, not an image (name its column of image paths: --path-column {named})"
    return ImageError("not_an_image", reason)


def check_not_only_tables(names: Iterable[str]) -> None:
    """Raise :class:`InputError` if all inputs are tables, before a model is loaded for nothing."""
    problems = [(name, table_problem(name)) for name in names]
    if problems and all(problem is not None for _, problem in problems):
        raise InputError(f"cannot read {problems[0][0]}: {problems[0][1]}")


def _columns(path: str, suffix: str) -> set[str]:
    try:
        with Path(path).open("rb") as raw, open_text(raw) as text:
            if suffix == ".json":
                return set(first_object(text.read(_LONGEST)))
            read = read_json_lines if suffix in JSON_LINES else read_delimited
            return set(read(text, path).columns)
    except (ClipcliError, OSError, ValueError, RecursionError):
        return set()
