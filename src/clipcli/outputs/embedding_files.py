"""Image embeddings that ``clipcli export images`` wrote, read back: one file, or a folder of parts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from clipcli.errors import ClipcliError, EmbeddingFileError, ImageError
from clipcli.inputs.items import EmbeddedInput, MadeBy
from clipcli.log import LOG
from clipcli.outputs.embedding_reading import READERS, RawRow, Reader
from clipcli.outputs.image_rows import FloatArray, ImageRow
from clipcli.outputs.parts import is_complete_folder, part_names, records_in
from clipcli.outputs.recognition import own_kind_of
from clipcli.schemes import is_remote
from clipcli.storage.folders import folder_at
from clipcli.storage.network_policy import check_location
from clipcli.text import is_unicode, one_line

__all__ = ["ImageEmbeddings"]

_TOLERANCE = 2e-3  # of the squared length: float16 rounds it
_LONGEST_MESSAGE = 500  # characters
_KINDS = (
    "not_found", "unreadable", "empty", "not_an_image", "truncated", "too_large", "unsupported", "not_a_file",
)  # fmt: skip


class ImageEmbeddings:
    """Image embeddings in a file or folder that ``clipcli export images`` wrote.

    They can be given wherever images are given, such as to :meth:`clipcli.Classifier.classify`; no image is read then.

    Parameters
    ----------
    file
        A ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``, ``.csv`` or ``.jsonl`` file; or a folder of parts, which
        may be the URL of an object store.

    Attributes
    ----------
    name
        The name of the file or folder.
    made_by
        The fingerprint, the dimensions and, if the file contains it, the name of the model that made them.
    count
        The number of rows, if it is known without reading them.

    Raises
    ------
    EmbeddingFileError
        If the file cannot be read, is damaged, or does not hold image embeddings; also while rows are read.
    """

    def __init__(self, file: str | Path) -> None:
        self.name = str(file)
        check_location(self.name)
        is_folder = is_remote(self.name) or Path(self.name).is_dir()
        self._folder = folder_at(self.name) if is_folder else None
        self.count: int | None = None
        with _faults_of(self.name):
            made_by = self._first_part() if is_folder else self._header()
            if made_by is None:
                raise ValueError("it holds no embedding")
        self.made_by = made_by

    def rows(self) -> Iterator[ImageRow]:
        """Yield the rows in order: each has the path of an image, and its embedding or its error.

        An embedding is (D,) float32 of length one.
        """
        for name, raw in self._raw_rows():
            with _faults_of(name):
                yield from _checked(raw, self.made_by.dim)

    def inputs(self) -> Iterator[EmbeddedInput]:
        """Yield the rows as inputs of a run."""
        for row in self.rows():
            yield EmbeddedInput(row.path, row.vector, self.made_by)

    def _header(self) -> MadeBy | None:
        reader, path = _reader_of(self.name), Path(self.name)
        with _regular(path) as file:
            made_by, self.count = reader.made_by(file, path, self.name)
        return made_by

    def _first_part(self) -> MadeBy | None:
        """Return the model of the first part that has an embedding."""
        parts = self._parts()
        self.count = records_in(parts)
        made = (_reader_of(part).made_by(self._part(part), Path(part), self.name)[0] for part in parts)
        return next(filter(None, made), None)

    def _raw_rows(self) -> Iterator[tuple[str, Iterator[RawRow]]]:
        """Yield the name of each file, and its rows."""
        if self._folder is None:
            path = Path(self.name)
            with _faults_of(self.name), _regular(path) as file:
                yield self.name, _reader_of(self.name).rows(file, path)
            return
        if not is_complete_folder(self._folder):
            LOG.warning(f"{self.name}: some parts are missing; continue the run with --resume")
        for part in self._parts():
            reader, name = _reader_of(part), f"{self.name.rstrip('/')}/{part}"
            with _faults_of(name):
                made_by, _ = reader.made_by(self._part(part), Path(part), self.name)
                if made_by is not None and made_by != self.made_by:
                    raise ValueError("its embeddings come from another model than those of the first part")
            yield name, reader.rows(self._part(part), Path(part))

    def _parts(self) -> list[str]:
        parts = part_names(self._folder.names()) if self._folder is not None else []
        if not parts:
            raise EmbeddingFileError(f"cannot read {self.name}: a folder without parts of image embeddings")
        return parts

    def _part(self, name: str) -> BinaryIO:
        data = self._folder.read(name) if self._folder is not None else None
        if data is None:
            raise FileNotFoundError(name)
        return io.BytesIO(data)


def _reader_of(name: str) -> Reader:
    suffix = Path(name).suffix.lower()
    if suffix not in READERS:
        raise EmbeddingFileError(f"cannot use {name}: unknown extension {suffix!r} (use {', '.join(READERS)})")
    return READERS[suffix]


def _regular(path: Path) -> BinaryIO:
    if path.exists() and not path.is_file():
        raise ValueError("it is a pipe or device")
    return path.open("rb")


def _checked(rows: Iterator[RawRow], dim: int) -> Iterator[ImageRow]:
    """Check the rows of one file, whatever its format."""
    for number, (path, vector) in enumerate(rows, start=1):
        if not isinstance(path, str | np.str_) or not path or not is_unicode(path):
            raise ValueError(f"row {number} has no path")
        if isinstance(vector, ImageError):
            yield ImageRow(str(path), ImageError(vector.kind if vector.kind in _KINDS else "unreadable", _text(vector)))
            continue
        yield ImageRow(str(path), _embedding(vector, dim, number))


def _embedding(vector: Any, dim: int, number: int) -> FloatArray:
    with np.errstate(all="ignore"):
        embedding = np.asarray(vector, np.float32)
        if embedding.shape != (dim,):
            raise ValueError(f"the embedding of row {number} has shape {embedding.shape}, not ({dim},)")
        if not abs(float(embedding @ embedding) - 1.0) <= _TOLERANCE:  # not a number is neither
            raise ValueError(f"the embedding of row {number} does not have length one")
    return embedding


def _text(problem: ImageError) -> str:
    return one_line(str(problem))[:_LONGEST_MESSAGE]


@contextmanager
def _faults_of(name: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into one line that names it."""
    try:
        yield
    except EmbeddingFileError:
        raise
    except FileNotFoundError as problem:
        raise EmbeddingFileError(f"cannot read {problem.filename or name}: no such file") from None
    except ClipcliError as problem:
        raise EmbeddingFileError(str(problem)) from None
    except Exception as problem:
        if not is_remote(name) and own_kind_of(Path(name)) == "results":
            reason = "it holds results of clipcli classify"
        else:
            reason = f"no {problem}" if isinstance(problem, KeyError) else " ".join(str(problem).split())[:120]
        reason = reason or type(problem).__name__
        raise EmbeddingFileError(f"cannot read {name}: not a file of image embeddings ({reason})") from problem
