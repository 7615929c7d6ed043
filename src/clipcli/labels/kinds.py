"""Recognise files that are given as label files by mistake."""

from __future__ import annotations

from pathlib import Path

from clipcli.errors import LabelError
from clipcli.images.files import looks_like_image, read_signature

__all__ = ["check_kind"]

_REMEDIES = dict.fromkeys((".npy", ".npz", ".safetensors", ".parquet"), "class embeddings are for --classes")
_REMEDIES |= dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "save the spreadsheet as .csv")
_REMEDIES |= dict.fromkeys((".yaml", ".yml", ".jsonl", ".ndjson"), "write one label per line into a .txt file")


def check_kind(path: Path) -> None:
    """Check that a path is not a folder, an image or a file with the extension of another kind.

    Raises
    ------
    LabelError
        If it is; a missing file is reported when it is read.
    """
    if path.is_dir():
        raise LabelError(f"cannot read {path}: it is a folder, not a label file (images are given without --labels)")
    if remedy := _REMEDIES.get(path.suffix.lower()):
        raise LabelError(f"cannot read {path}: not a label file ({remedy})")
    if path.is_file() and looks_like_image(read_signature(path)):  # a pipe can be read only once
        raise LabelError(f"cannot read {path}: it is an image, not a label file (images are given without --labels)")
