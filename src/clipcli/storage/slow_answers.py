"""Warn that an object store or web server takes long to answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clipcli.log import LOG

__all__ = ["warn_if_slow"]

_PATIENCE = 5.0  # seconds


@contextmanager
def warn_if_slow(place: str) -> Iterator[None]:
    """Log that a request is still being tried, if the block takes long; as an error, so that ``--quiet`` prints it too.

    The libraries of the stores try a request again by themselves, for up to minutes, if the store is busy.

    Parameters
    ----------
    place
        The store, for the message.
    """
    text = f"{place} is busy or does not answer; still trying (stop with Ctrl-C)"
    timer = threading.Timer(_PATIENCE, LOG.error, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
