"""What every file that describes a run says of its circumstances: when it ended, its command line, the versions.

The command line is that of ``clipcli``; a program that uses the Python API has none. Secrets in URLs are removed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from clipcli.redaction import redacted_foreign

__all__ = ["LIBRARIES", "circumstances", "noting"]

LIBRARIES = ("torch", "open-clip-torch", "openvino", "numpy", "pillow")
"""The libraries that decide the digits of a result."""

_MOST_ARGUMENTS = 1000  # a shell may turn one pattern into any number of them
_ARGUMENTS: ContextVar[tuple[str, ...] | None] = ContextVar("arguments", default=None)


@contextmanager
def noting(arguments: Sequence[str]) -> Iterator[None]:
    """Note the arguments of the command that runs in the block."""
    token = _ARGUMENTS.set(tuple(arguments))
    try:
        yield
    finally:
        _ARGUMENTS.reset(token)


def circumstances() -> dict[str, Any]:
    """Return the circumstances of the run that ends now, as plain values for JSON.

    Returns
    -------
    ``ended`` in seconds since the epoch, ``arguments`` (``None`` without a command line), and ``versions`` of Python,
    the platform and the libraries that are installed.
    """
    import platform  # both are slow to import, and only a run that ends needs them
    from importlib.metadata import PackageNotFoundError, version

    arguments, versions = _ARGUMENTS.get(), dict[str, str]()
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    system = f"{platform.system()} {platform.machine()}"
    return {
        "ended": time.time(),
        "arguments": None if arguments is None else _without_secrets(arguments),
        "versions": {"python": platform.python_version(), "platform": system, **versions},
    }


def _without_secrets(arguments: Sequence[str]) -> list[str]:
    more = len(arguments) - _MOST_ARGUMENTS
    shown = [redacted_foreign(_valid(each)) for each in arguments[:_MOST_ARGUMENTS]]
    return shown if more <= 0 else [*shown, f"[{more} more]"]


def _valid(argument: str) -> str:
    """Return an argument as valid Unicode: a file name can have bytes that are not UTF-8."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
