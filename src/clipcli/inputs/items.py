"""Single inputs, and shards: what holds many of them and is read from front to back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeGuard

from clipcli.errors import ImageError
from clipcli.redaction import redacted_reference
from clipcli.storage.locations import is_remote

__all__ = [
    "BadInput",
    "FileInput",
    "Input",
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
    """Return what records, messages and files call an input: a URL, or what is relative to one, without its secrets."""
    return redacted_reference(name) if is_remote(name) or is_remote(path) else name


@dataclass(frozen=True)
class FileInput:
    """A file on disk or an object in a store, whether or not it can be opened.

    ``name`` is what its record says; it loses the secrets of a URL, which ``path`` keeps.
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
    """Something found in an input's place that cannot be an image."""

    name: str
    problem: ImageError

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", shown_name(self.name))


Input = FileInput | MemberInput | BadInput


class Shard(Protocol):
    """Something that holds many inputs; it can be handed to another process, which then reads it."""

    @property
    def name(self) -> str:
        """What identifies it among what the user named."""

    @property
    def path(self) -> str:
        """Where it is."""

    def inputs(self) -> Iterator[Input]:
        """Read it and yield what it holds, always in the same order."""


Unit = Input | Shard
"""What is found first: an input, or a shard whose inputs are only known once it is read."""


def is_input(unit: object) -> TypeGuard[Input]:
    """Tell a single input from a shard, or from anything else."""
    return isinstance(unit, FileInput | MemberInput | BadInput)


def inputs_of(units: Iterable[Unit]) -> Iterator[Input]:
    """Yield single inputs one by one: what is in a shard comes in its place."""
    for unit in units:
        if is_input(unit):
            yield unit
        else:
            yield from unit.inputs()  # type: ignore[union-attr]


def absolute(unit: Any) -> Any:
    """Return a unit that another process finds too, in whatever folder it runs; its name stays."""
    path = getattr(unit, "path", None)
    if path is None or "://" in path or "\0" in path:
        return unit
    return replace(unit, path=os.path.abspath(path))  # noqa: PTH100 - also names that are no valid text


def name_of(item: Any) -> str:
    """Return what an input's record says; nothing for a Pillow image that came from no file."""
    return str(item.name) if is_input(item) else getattr(item, "filename", "")
