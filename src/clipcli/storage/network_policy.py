"""Network policy: the one place that decides whether object stores, URLs and the hub may be used.

The command line sets the policy of the whole process with all threads; the library sets it for the steps of one
stream, so that two models in one process may differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from clipcli.errors import InputError
from clipcli.schemes import is_remote

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
    """Return whether the caller must not use the network."""
    return _in_process or _in_context.get()


def forbid_in_process(forbidden: bool = True) -> None:
    """Forbid the network in all threads of this process; do nothing if ``forbidden`` is false."""
    global _in_process
    _in_process = _in_process or forbidden


@contextmanager
def process_policy() -> Iterator[None]:
    """Undo :func:`forbid_in_process` at the end of the block."""
    global _in_process
    before = _in_process
    try:
        yield
    finally:
        _in_process = before


@contextmanager
def network_forbidden_in(*, forbidden: bool) -> Iterator[None]:
    """Forbid the network in this thread during the block; an inner block cannot allow it again."""
    token = _in_context.set(_in_context.get() or forbidden)
    try:
        yield
    finally:
        _in_context.reset(token)


def steps_without_network(stream: Iterator[Item], *, forbidden: bool) -> Iterator[Item]:
    """Pass a stream on; the policy applies while its items are produced, not in the code that consumes them."""
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
    """Raise :class:`InputError` for a URL if the network is forbidden."""
    if is_forbidden() and is_remote(location):
        raise InputError(
            f"cannot use {location}: remote URL not allowed with --offline (copy it to this machine, "
            "or leave --offline out)"
        )
