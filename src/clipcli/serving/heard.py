"""The warnings of the library while one request is answered: they are for whoever sent it, not for the server's log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clipcli.log import LOG
from clipcli.message_names import naming_parameters

__all__ = ["warnings_heard"]


class _Heard(logging.Filter):
    """Takes the warnings of those threads that listen."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[int, list[str]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        heard = self.texts.get(threading.get_ident())
        if heard is None or record.levelno < logging.WARNING:
            return True
        heard.append(naming_parameters(record.getMessage()))
        return False


_HEARD = _Heard()
LOG.addFilter(_HEARD)


@contextmanager
def warnings_heard() -> Iterator[list[str]]:
    """Gather what this thread would warn of during the block, instead of logging it."""
    texts: list[str] = []
    _HEARD.texts[threading.get_ident()] = texts
    try:
        yield texts
    finally:
        del _HEARD.texts[threading.get_ident()]
