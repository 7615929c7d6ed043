"""Recognise the files that clipcli writes, by their content: ``--overwrite`` replaces no others."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from clipcli.delimited import first_object, own_kind, read_delimited, read_json_lines
from clipcli.errors import ClipcliError
from clipcli.outputs.run_settings import RunRecord
from clipcli.storage.atomic import check_writable
from clipcli.text import open_text

__all__ = ["CHART_MARK", "check_output", "is_own_output"]

CHART_MARK = "clipcli"
"""The software that charts name in their metadata."""

_HEAD = 1 << 20  # bytes that are read; a first record is far shorter
_MARKED = 4096  # bytes of a page or chart in which it names clipcli
_MARKS = (
    b'<meta name="generator" content="clipcli ',
    b"Software\0" + CHART_MARK.encode(),
    f"<dc:title>{CHART_MARK}".encode(),
)
# Keys of which one set is in the first object of JSON and JSON Lines, besides those of results.
_KEYS = ({"rank", "similarity", "path"}, {"clipcli", "fingerprint", "model"})
_JSON_START = re.compile(  # of objects with many lines
    r'\{\s*"(?:clipcli": \d+,\s*"(?:fingerprint|kind)"|clipcli": "[^"]*",\s*"(?:evaluations|tags)"'
    r'|unit": "(?:cosine|logit)",\s*"texts")'
)
_CLASSES = ("label", "group", "prompts", "clipcli", "fingerprint", "model")
_HITS = ("rank", "similarity", "path")
_HIT_LINE = re.compile(r" *1  [ -]\d\.\d{3}  \S")
_LARGEST = 1000.0  # of a logit


def check_output(path: Path, inputs: Iterable[str | Path | None] = (), *, overwrite: bool | None) -> None:
    """Check that an output file can be written, before any work is done for it.

    Parameters
    ----------
    inputs
        Files that are never replaced.
    overwrite
        Whether an existing file may be replaced, if it is empty or clipcli wrote it. ``None`` if the caller checks that
        itself.

    Raises
    ------
    OutputError
        If it cannot be created or may not be replaced.
    """
    check_writable(path, inputs, overwrite=overwrite, is_own=lambda: is_own_output(path))


def is_own_output(path: Path) -> bool:
    """Return whether a file has the form of an output of clipcli, and so can be made again.

    The labels that were corrected by hand on a page cannot be made again, so they do not count.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if any(mark in head[:_MARKED] for mark in _MARKS):
            return True
        kind = next((start for start in _BINARY if head.startswith(start)), None)
        is_own = _BINARY[kind](path) if kind is not None else _is_safetensors(path, head) or _is_own_text(head)
    except (ClipcliError, OSError, ValueError, LookupError, TypeError, RecursionError):
        is_own = False
    return is_own or _has_record(path)


def _has_record(path: Path) -> bool:
    """Return whether the file is, unchanged, what a run wrote according to its record."""
    try:
        RunRecord.read(path)
    except ClipcliError:
        return False
    return True


def _is_model(metadata: object) -> bool:
    """Return whether the metadata of embeddings are those that clipcli writes."""
    return isinstance(metadata, Mapping) and {"clipcli", "fingerprint", "model"} <= set(metadata)


# --- binary files -----------------------------------------------------------------------------------


def _is_own_parquet(path: Path) -> bool:
    from clipcli.extras import pyarrow_or_error

    arrow = pyarrow_or_error()
    try:
        schema = arrow.parquet.read_schema(path)
    except arrow.ArrowException:
        return False
    return b"clipcli" in (schema.metadata or {}) or own_kind(schema.names) in ("results", "embeddings")


def _is_own_npy(path: Path) -> bool:
    """Return whether clipcli wrote the file next to the array, which names the model."""
    beside = (path.with_name(path.name + suffix) for suffix in (".jsonl", ".json"))
    return any(is_own_output(each) for each in beside if each.is_file())


def _is_own_npz(path: Path) -> bool:
    from zipfile import BadZipFile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            if set(archive.files) == {"matrix", "paths", "texts"}:
                return True
            return "metadata" in archive.files and _is_model(json.loads(str(archive["metadata"])))
    except BadZipFile:
        return False


def _is_safetensors(path: Path, head: bytes) -> bool:
    if head[8:9] != b"{":
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            return _is_model(json.loads((opened.metadata() or {}).get("clipcli", "{}")))
    except SafetensorError:
        return False


_BINARY: dict[bytes, Callable[[Path], bool]] = {
    b"PAR1": _is_own_parquet,
    b"\x93NUMPY": _is_own_npy,
    b"PK\x03\x04": _is_own_npz,
}


# --- text -------------------------------------------------------------------------------------------


def _is_own_text(head: bytes) -> bool:
    with open_text(io.BytesIO(head)) as opened:
        text = opened.read()
    if text.startswith("["):
        return _is_own_object(first_object(text))
    if text.startswith("{"):
        first = json.loads(line) if (line := text.split("\n", 1)[0]).endswith("}") else {}
        return bool(_JSON_START.match(text)) or _is_own_object(first)
    return bool(_HIT_LINE.match(text)) or any(_is_own_table(text, name) for name in ("a.csv", "a.tsv"))


def _is_own_object(first: Mapping[str, Any]) -> bool:
    line = json.dumps(first) + "\n"
    kind = read_json_lines(io.StringIO(line), "").own
    return kind in ("results", "embeddings") or any(keys <= set(first) for keys in _KEYS)


def _is_own_table(text: str, name: str) -> bool:
    try:
        table = read_delimited(io.StringIO(text, newline=""), name)
        if table.own is not None:
            return table.own != "corrections"
        if table.columns == _HITS or table.columns[: len(_CLASSES)] == _CLASSES:
            return True
        _, cells = next(table.rows, (0, {}))
    except ClipcliError:
        return False
    return table.columns[0] == "path" and len(cells) > 1 and all(map(_is_score, list(cells.values())[1:]))


def _is_score(cell: object) -> bool:
    """Return whether a cell of a table may be one of a matrix: cosine similarities and logits are fractions."""
    try:
        return ("." in str(cell) or "e" in str(cell)) and abs(float(str(cell))) < _LARGEST
    except ValueError:
        return False
