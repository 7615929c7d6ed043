"""May the network be used? Asked at the two doors, object stores with URLs and the hub, and decided here alone.

The command line decides for its whole process, threads included; the library decides for the steps of one
stream, so that two models in one process may differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from clipcli.errors import InputError
from clipcli.storage.locations import is_remote

__all__ = [
    "check_location",
    "forbid_in_process",
    "is_forbidden",
    "network_forbidden_in",
    "process_policy",
    "steps_without_network",
]

Item = TypeVar("Item")

_in_context: ContextVar[bool] = ContextVar("clipcli_network_forbidden", default=False)
_in_process = False


def is_forbidden() -> bool:
    """Tell whether whoever asks must not use the network."""
    return _in_process or _in_context.get()


def forbid_in_process(forbidden: bool = True) -> None:
    """Forbid the network to all threads of this process, or do nothing where it is not ``forbidden``."""
    global _in_process
    _in_process = _in_process or forbidden


@contextmanager
def process_policy() -> Iterator[None]:
    """Let what :func:`forbid_in_process` forbids end with the block."""
    global _in_process
    before = _in_process
    try:
        yield
    finally:
        _in_process = before


@contextmanager
def network_forbidden_in(*, forbidden: bool) -> Iterator[None]:
    """Forbid the network to this thread for the block; a block within one that is forbidden stays so."""
    token = _in_context.set(_in_context.get() or forbidden)
    try:
        yield
    finally:
        _in_context.reset(token)


def steps_without_network(stream: Iterator[Item], *, forbidden: bool) -> Iterator[Item]:
    """Pass a stream on; each of its steps runs where the network is ``forbidden``, whoever takes them does not."""
    try:
        while True:
            with network_forbidden_in(forbidden=forbidden):
                try:
                    item = next(stream)
                except StopIteration:
                    return
            yield item
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def check_location(location: str) -> None:
    """Raise :class:`InputError` for a URL where the network is forbidden; paths on this machine pass."""
    if is_forbidden() and is_remote(location):
        raise InputError(
            f"cannot use {location}: remote URL not allowed with --offline (copy it to this machine, "
            "or leave --offline out)"
        )
