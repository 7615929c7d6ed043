"""Recognise files and folders that clipcli wrote, by their first record."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from clipcli.delimited import JSON_LINES, first_object, own_kind, read_delimited, read_json_lines
from clipcli.errors import ClipcliError
from clipcli.outputs.manifest import MANIFEST, part_names
from clipcli.outputs.run_settings import RunRecord
from clipcli.text import open_text

__all__ = ["RESULT_SUFFIXES", "groups_of_run", "labels_of_run", "model_of_run", "own_kind_of"]

RESULT_SUFFIXES = (".csv", ".tsv", ".json", ".parquet", *JSON_LINES)
"""The extensions of files that may hold results or embeddings."""

_HEAD = 1 << 20  # bytes that are read; a first record is far shorter


def own_kind_of(path: Path) -> str | None:
    """Return ``results``, ``embeddings`` or ``corrections`` for a file or folder that clipcli wrote, else ``None``.

    A file that cannot be read, or has another extension, is of no known kind. At most 1 MiB of it is read.
    """
    try:
        if path.is_dir():
            return _kind_of_folder(path)
        suffix = path.suffix.lower()
        if suffix not in RESULT_SUFFIXES or not path.is_file():
            return None
        if suffix == ".parquet":
            return own_kind(_parquet_columns(path))
        with path.open("rb") as file:
            head = io.BytesIO(file.read(_HEAD))
        with open_text(head) as text:
            if suffix == ".json":
                return _kind_of_array(text.read())
            read = read_json_lines if suffix in JSON_LINES else read_delimited
            return read(text, str(path)).own
    except (ClipcliError, OSError, ValueError, RecursionError):
        return None


def labels_of_run(results: Path) -> tuple[str, ...]:
    """Return all labels of the run that wrote a results file or folder, as far as its record next to it is known."""
    labels = _settings_of_run(results).get("labels")
    return tuple(each for each in labels if isinstance(each, str)) if isinstance(labels, list) else ()


def model_of_run(results: Path) -> str | None:
    """Return the title of the model of the run that wrote a results file or folder, as far as it is known."""
    model = _settings_of_run(results).get("model")
    return model if isinstance(model, str) else None


def groups_of_run(results: Path) -> dict[str, str]:
    """Return the group of each label of the run that wrote a results file or folder, as far as it is known."""
    settings = _settings_of_run(results)
    labels, groups = settings.get("labels"), settings.get("groups")
    if not isinstance(labels, list) or not isinstance(groups, list) or len(labels) != len(groups):
        return {}
    pairs = zip(labels, groups, strict=True)
    return {  # "none" is how the record writes that a label has no group
        label: group for label, group in pairs if isinstance(label, str) and isinstance(group, str) and group != "none"
    }


def _settings_of_run(results: Path) -> Mapping[str, Any]:
    """Return the settings of the run, from its record; empty if there is none, or the file has changed since."""
    try:
        if results.is_dir():
            settings: Any = json.loads((results / MANIFEST).read_text("utf-8"))["settings"]
        else:
            settings = RunRecord.read(results, "watch").settings.values  # also while a folder is watched
    except (ClipcliError, LookupError, OSError, TypeError, ValueError, RecursionError):
        return {}
    return settings if isinstance(settings, Mapping) else {}


def _kind_of_folder(folder: Path) -> str | None:
    parts = part_names(each.name for each in folder.iterdir())
    if not parts or not (folder / MANIFEST).is_file():
        return None
    return own_kind_of(folder / parts[0])


def _kind_of_array(text: str) -> str | None:
    """Return the kind of the first object in a JSON array; the array may be cut off."""
    first = first_object(text)
    return read_json_lines(io.StringIO(json.dumps(first) + "\n"), "").own if first else None


def _parquet_columns(path: Path) -> Collection[str]:
    from clipcli.extras import pyarrow_or_error

    arrow = pyarrow_or_error()
    try:
        names: list[str] = arrow.parquet.read_schema(path).names
    except arrow.ArrowException:
        return ()
    return names
