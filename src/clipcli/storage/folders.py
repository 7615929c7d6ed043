"""Output folders on disk or in an object store, whose files are written atomically."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol

from clipcli.errors import OutputError, StorageError
from clipcli.storage.atomic import replacing
from clipcli.storage.locks import locked
from clipcli.storage.remote import attempted, filesystem, path_in
from clipcli.storage.schemes import is_remote

_MANY = 1 << 30  # bytes; larger than any file here

__all__ = ["Folder", "folder_at"]


class Folder(Protocol):
    """A folder of files; a context in which it can be written.

    On entry it is made if it isn't there; until the end of the block no other run may write in it, where the system
    can prevent that.
    """

    name: str

    def __enter__(self) -> object:
        """Make it, and lock it."""

    def __exit__(self, *problem: object) -> None:
        """Unlock it."""

    def names(self) -> list[str]:
        """Return the names of the files in the folder."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or ``None`` if it does not exist."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file, replacing an existing one."""

    def remove(self, name: str) -> None:
        """Remove a file."""


def folder_at(name: str) -> Folder:
    """Return the folder of a name, without creating it."""
    return _StoreFolder(name) if is_remote(name) else _DiskFolder(name)


class _DiskFolder:
    """A folder on disk. All errors are :class:`OutputError`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._path = Path(name)
        self._lock = ExitStack()

    def __enter__(self) -> _DiskFolder:
        try:
            self._path.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise OutputError(f"cannot create {self.name}: no such folder as {self._path.parent}") from None
        except OSError as problem:
            raise self._failed(problem) from None
        self._lock.enter_context(locked(self._path))
        return self

    def __exit__(self, *problem: object) -> None:
        self._lock.close()

    def names(self) -> list[str]:
        try:
            return os.listdir(self._path)  # noqa: PTH208
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise self._failed(problem) from None

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise self._failed(problem) from None

    def put(self, name: str, data: bytes) -> None:
        try:
            with replacing(self._path / name) as temporary, temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # else a power failure could leave an empty file
        except OSError as problem:
            raise self._failed(problem) from None

    def remove(self, name: str) -> None:
        try:
            (self._path / name).unlink(missing_ok=True)
        except OSError as problem:
            raise self._failed(problem) from None

    def _failed(self, problem: Exception) -> OutputError:
        return OutputError(f"cannot write to {self.name}: {getattr(problem, 'strerror', None) or problem}")


class _StoreFolder:
    """A folder in an object store. Stores have no locks: users must not let two runs write to one URL."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._url = name.rstrip("/")

    def __enter__(self) -> _StoreFolder:
        """Do nothing: an object store has no folders, only names that contain slashes."""
        return self

    def __exit__(self, *problem: object) -> None:
        """Do nothing."""

    def names(self) -> list[str]:
        try:
            found = attempted(lambda: filesystem(self._url).ls(path_in(self._url), detail=False), self._url)
        except StorageError as problem:
            if problem.kind == "not_found":
                return []
            raise self._failed(problem) from None
        return [str(name).rpartition("/")[2] for name in found]

    def read(self, name: str) -> bytes | None:
        try:
            # With a range, s3fs does not request the size first, which costs a request and has less precise errors.
            ask = partial(filesystem(self._url).cat_file, self._path(name), start=0, end=_MANY)
            data: bytes = attempted(ask, self._url)
        except StorageError as problem:
            if problem.kind == "not_found":
                return None
            raise self._failed(problem) from None
        return data

    def put(self, name: str, data: bytes) -> None:
        try:
            attempted(lambda: filesystem(self._url).pipe_file(self._path(name), data), self._url)
        except StorageError as problem:
            raise self._failed(problem) from None

    def remove(self, name: str) -> None:
        try:
            attempted(lambda: filesystem(self._url).rm_file(self._path(name)), self._url)
        except StorageError as problem:
            raise self._failed(problem) from None

    def _path(self, name: str) -> str:
        return path_in(f"{self._url}/{name}")

    def _failed(self, problem: StorageError) -> OutputError:
        return OutputError(f"cannot write to {self.name}: {problem}")
