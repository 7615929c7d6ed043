"""Embeddings as arrays with their paths: ``.npy``, ``.npz`` and ``.safetensors``."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ImageError, OutputError
from clipcli.outputs.image_rows import EmbeddingKind, FloatArray, ImageRow, error_of
from clipcli.storage.atomic import replacing
from clipcli.text import printable

__all__ = ["ARRAY_WRITERS", "path_lines_of"]

_LINES = ".jsonl"


def path_lines_of(path: Path) -> Path | None:
    """Return the file with the paths that belongs to an array; ``None`` for a format that holds them itself."""
    return path.with_name(path.name + _LINES) if path.suffix.lower() == ".npy" else None


class _ArrayFile:
    """A ``.npy`` file that grows: its header has room for any number of rows."""

    def __init__(self, file: BinaryIO, dim: int, dtype: str) -> None:
        self._file, self._dim, self._dtype = file, dim, np.dtype(dtype)
        self.count = 0
        self._write_header()

    def _write_header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self._dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self.count, self._dim)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, vector: FloatArray) -> None:
        self._file.write(np.ascontiguousarray(vector, dtype=self._dtype).tobytes())
        self.count += 1

    def finish(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.flush()


class _Npy:
    """``FILE.npy``, and ``FILE.npy.jsonl``: first the model, then one line per input."""

    def __init__(self, temporary: Path, path: Path, kind: EmbeddingKind, stack: ExitStack, *, overwrite: bool) -> None:
        beside = stack.enter_context(replacing(path.with_name(path.name + _LINES), overwrite=overwrite))
        self._lines = stack.enter_context(beside.open("w", encoding="utf-8", newline="\n"))
        self._array = _ArrayFile(stack.enter_context(temporary.open("wb")), kind.facts.dim, kind.dtype)
        self._write_line(kind.metadata())

    def _write_line(self, values: dict[str, Any]) -> None:
        self._lines.write(json.dumps(values, ensure_ascii=False) + "\n")

    def add(self, row: ImageRow) -> None:
        if isinstance(row.vector, ImageError):
            self._write_line({"path": printable(row.path), "error": error_of(row)})
            return
        self._write_line({"path": printable(row.path), "row": self._array.count})
        self._array.append(row.vector)

    def finish(self) -> None:
        self._array.finish()
        self._lines.flush()


class _Collected:
    """Base of the array formats that hold the paths inside: rows go to a temporary array first."""

    def __init__(self, temporary: Path, path: Path, kind: EmbeddingKind, stack: ExitStack) -> None:
        self._target, self._path, self._kind = temporary, path, kind
        spool = temporary.with_name(temporary.name + ".npy")
        stack.callback(spool.unlink, missing_ok=True)
        self._spool = spool
        self._array = _ArrayFile(stack.enter_context(spool.open("wb")), kind.facts.dim, kind.dtype)
        self._paths: list[str] = []
        self._failures: list[dict[str, Any]] = []

    def add(self, row: ImageRow) -> None:
        if isinstance(row.vector, ImageError):
            self._failures.append({"path": printable(row.path), "error": error_of(row)})
            return
        self._paths.append(printable(row.path))
        self._array.append(row.vector)

    def finish(self) -> None:
        self._array.finish()
        vectors = np.load(self._spool, mmap_mode="r" if self._paths else None)
        metadata = json.dumps({**self._kind.metadata(), "failures": self._failures}, ensure_ascii=False)
        self._save(vectors, metadata)

    def _save(self, vectors: NDArray[Any], metadata: str) -> None:
        raise NotImplementedError


class _Npz(_Collected):
    def _save(self, vectors: NDArray[Any], metadata: str) -> None:
        with self._target.open("wb") as file:
            paths = np.array(self._paths, dtype=np.str_)
            np.savez(file, embeddings=vectors, paths=paths, metadata=np.array(metadata))


class _Safetensors(_Collected):
    def _save(self, vectors: NDArray[Any], metadata: str) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        texts = {"clipcli": metadata, "paths": json.dumps(self._paths, ensure_ascii=False)}
        try:
            save_file({"embeddings": np.ascontiguousarray(vectors)}, self._target, texts)
        except SafetensorError as problem:  # as on a full disk
            raise OutputError(f"cannot write {self._path}: {problem}") from None


ARRAY_WRITERS: dict[str, Any] = {".npy": _Npy, ".npz": _Npz, ".safetensors": _Safetensors}
"""The writers, by extension."""
