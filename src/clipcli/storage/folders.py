"""Output folders on disk or in an object store, whose files are written atomically."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from clipcli.errors import OutputError, StorageError
from clipcli.schemes import is_remote
from clipcli.storage.atomic import missing_folder, replacing
from clipcli.storage.locks import locked
from clipcli.storage.remote import attempted, filesystem, path_in

_MANY = 1 << 30  # bytes; larger than any file here

__all__ = ["Folder", "folder_at"]

Answer = TypeVar("Answer")


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


@contextmanager
def _writing_to(name: str) -> Iterator[None]:
    """Turn the errors of a disk or a store into :class:`OutputError`."""
    try:
        yield
    except (OSError, StorageError) as problem:
        raise OutputError(f"cannot write to {name}: {getattr(problem, 'strerror', None) or problem}") from None


class _DiskFolder:
    """A folder on disk. All errors are :class:`OutputError`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._path = Path(name)
        self._lock = ExitStack()

    def __enter__(self) -> _DiskFolder:
        with _writing_to(self.name):
            try:
                self._path.mkdir(exist_ok=True)
            except FileNotFoundError:
                raise OutputError(f"cannot write to {self.name}: {missing_folder(self._path)}") from None
        self._lock.enter_context(locked(self._path))
        return self

    def __exit__(self, *problem: object) -> None:
        self._lock.close()

    def names(self) -> list[str]:
        with _writing_to(self.name):
            try:
                return os.listdir(self._path)  # noqa: PTH208
            except FileNotFoundError:
                return []

    def read(self, name: str) -> bytes | None:
        with _writing_to(self.name):
            try:
                return (self._path / name).read_bytes()
            except FileNotFoundError:
                return None

    def put(self, name: str, data: bytes) -> None:
        with _writing_to(self.name), replacing(self._path / name) as temporary, temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power failure could leave an empty file

    def remove(self, name: str) -> None:
        with _writing_to(self.name):
            (self._path / name).unlink(missing_ok=True)


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
        found = self._attempted(lambda files: files.ls(path_in(self._url), detail=False)) or []
        return [str(name).rpartition("/")[2] for name in found]

    def read(self, name: str) -> bytes | None:
        # With a range, s3fs does not request the size first, which costs a request and has less precise errors.
        return self._attempted(lambda files: files.cat_file(self._path(name), start=0, end=_MANY))

    def put(self, name: str, data: bytes) -> None:
        with _writing_to(self.name):
            attempted(lambda: filesystem(self._url).pipe_file(self._path(name), data), self._url)

    def remove(self, name: str) -> None:
        with _writing_to(self.name):
            attempted(lambda: filesystem(self._url).rm_file(self._path(name)), self._url)

    def _attempted(self, read: Callable[[Any], Answer]) -> Answer | None:
        """Return what a store answers; ``None`` if it has no such object."""
        with _writing_to(self.name):
            try:
                return attempted(lambda: read(filesystem(self._url)), self._url)
            except StorageError as problem:
                if problem.kind != "not_found":
                    raise
                return None

    def _path(self, name: str) -> str:
        return path_in(f"{self._url}/{name}")
