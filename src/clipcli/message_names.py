"""Names of parameters in messages: options such as ``--overwrite`` on the command line, ``overwrite=True`` in Python.

The code writes options. Errors turn them into parameters where no command line is running.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["named_for_caller", "naming_options", "naming_parameters"]

_FLAGS = ("resume", "overwrite", "update", "offline", "include_hidden", "lock_image", "lock_text", "tags")
_OTHERS = {
    "no_cache": "cache=False", "no_calibration": "calibration=False", "cache_dir": "cache",
    "cache_size": "cache_limit", "label": "labels",
    "template": "templates", "image_embeddings": "ImageEmbeddings",
    "ray_address": "RayOptions.address", "ray_actors": "RayOptions.actors", "ray_gpus": "RayOptions.gpus",
}  # fmt: skip
# The options of a whole command line that a message proposes stay as they are.
_OPTION = re.compile(r"\b(?:clipcli|pip) [a-z](?:(?! with )[^;,)\n])*|(?<![\w-])--([a-z][a-z-]*[a-z])")

_command_lines = 0  # that are running in this process


@contextmanager
def naming_options() -> Iterator[None]:
    """Let the messages of errors name options during a block."""
    global _command_lines
    _command_lines += 1
    try:
        yield
    finally:
        _command_lines -= 1


def named_for_caller(text: str) -> str:
    """Return a message with the names of parameters, if the caller is a Python program."""
    return text if _command_lines else naming_parameters(text)


def naming_parameters(text: str) -> str:
    """Return a message with the names of parameters in place of options."""
    return text if "--" not in text else _OPTION.sub(_as_parameter, text)


def _as_parameter(found: re.Match[str]) -> str:
    if found[1] is None:
        return found[0]
    name = found[1].replace("-", "_")
    return f"{name}=True" if name in _FLAGS else _OTHERS.get(name, name)
