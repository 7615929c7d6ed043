"""Single inputs, and shards, which hold many inputs and are read sequentially."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from clipcli.errors import ImageError
from clipcli.redaction import redacted_reference
from clipcli.schemes import is_remote

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "BadInput",
    "EmbeddedImages",
    "EmbeddedInput",
    "FileInput",
    "Input",
    "MadeBy",
    "MemberInput",
    "Shard",
    "Unit",
    "absolute",
    "inputs_of",
    "is_input",
    "name_of",
    "shown_name",
]


def shown_name(name: str, path: str = "") -> str:
    """Return the name of an input for records, messages and files: secrets of a URL are removed."""
    return redacted_reference(name) if is_remote(name) or is_remote(path) else name


@dataclass(frozen=True)
class FileInput:
    """A file on disk or in an object store, which may be unreadable.

    ``name`` is for its record, without the secrets of a URL; ``path`` includes them.
    """

    name: str
    path: str = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", shown_name(self.name, self.path))


@dataclass(frozen=True)
class MemberInput:
    """A member of an archive or a row of a table, already read."""

    name: str
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", shown_name(self.name))


@dataclass(frozen=True)
class BadInput:
    """An input that cannot be an image."""

    name: str
    problem: ImageError

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", shown_name(self.name))


@dataclass(frozen=True)
class MadeBy:
    """The model that made the embeddings of a file.

    Parameters
    ----------
    file
        The file, for messages.
    fingerprint
        The fingerprint of the image encoder.
    dim
        The dimensions of the embeddings.
    title
        The model's name for people; empty if the file does not contain it.
    """

    file: str
    fingerprint: str
    dim: int
    title: str = ""


@dataclass(frozen=True)
class EmbeddedInput:
    """An image whose embedding was read from a file: (D,) float32 of length one, or the reason why it has none."""

    name: str
    vector: NDArray[np.float32] | ImageError = field(repr=False)
    made_by: MadeBy

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", shown_name(self.name))


Input = FileInput | MemberInput | BadInput | EmbeddedInput


class EmbeddedImages(Protocol):
    """A file of image embeddings; :class:`clipcli.ImageEmbeddings` is one."""

    @property
    def name(self) -> str:
        """The name of the file."""

    @property
    def made_by(self) -> MadeBy:
        """The model that made them."""

    @property
    def count(self) -> int | None:
        """The number of rows, if it is known without reading them."""

    def inputs(self) -> Iterator[EmbeddedInput]:
        """Read the file and yield one input per row, in order."""


class Shard(Protocol):
    """A container of many inputs, which can be sent to another process and read there."""

    @property
    def name(self) -> str:
        """Its name, which identifies it among the user's inputs."""

    @property
    def path(self) -> str:
        """Its location."""

    def inputs(self) -> Iterator[Input]:
        """Read it and yield its inputs, always in the same order."""


Unit = Input | Shard
"""An input, or a shard, whose inputs are unknown until it is read."""


def is_input(unit: object) -> TypeGuard[Input]:
    """Return whether a value is a single input."""
    return isinstance(unit, FileInput | MemberInput | BadInput | EmbeddedInput)


def inputs_of(units: Iterable[Unit]) -> Iterator[Input]:
    """Yield single inputs one by one, expanding shards."""
    for unit in units:
        if is_input(unit):
            yield unit
        else:
            yield from unit.inputs()  # type: ignore[union-attr]


def absolute(unit: Any) -> Any:
    """Return the unit with an absolute path, for processes in another folder; its name is unchanged."""
    path = getattr(unit, "path", None)
    if path is None or "://" in path or "\0" in path:
        return unit
    return replace(unit, path=os.path.abspath(path))  # noqa: PTH100 - also for names that are not valid text


def name_of(item: Any) -> str:
    """Return the name of an input for its record; empty for a Pillow image that was not read from a file."""
    return str(item.name) if is_input(item) else getattr(item, "filename", "")
