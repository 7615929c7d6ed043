"""What the library has to say, and how loud other libraries are while it uses them.

``LOG`` gets what is worth knowing and does not stop the work: a warning is for everybody, what is less for those who
asked for details. Nothing here sets a handler; the command line does that for its own process.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from clipcli.message_names import named_for_caller

__all__ = ["LOG", "quiet_loggers"]

LOG = logging.getLogger("clipcli")


class _Names(logging.Filter):
    """Names parameters instead of options if the caller is a Python program."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = named_for_caller(record.getMessage()), ()
        return True


LOG.addFilter(_Names())


@contextmanager
def quiet_loggers(*names: str) -> Iterator[None]:
    """Silence the loggers of other libraries for a while, and leave their levels as they were."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
