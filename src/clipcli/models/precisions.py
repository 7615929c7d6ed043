"""The names of all precisions that an image encoder of any engine can have."""

from __future__ import annotations

from clipcli.models.devices import PRECISIONS
from clipcli.models.engines import engine_named

__all__ = ["precision_names"]

_ENGINES = ("torch", "openvino")  # a test compares them with the table of engines
_AUTOMATIC = "auto"


def precision_names() -> list[str]:
    """Return what records call the precision of an image encoder, for every engine: ``fp32``, ``openvino-bf16``."""
    arithmetic = [name for name in PRECISIONS if name != _AUTOMATIC]
    return [engine_named(engine).precision(name) for engine in _ENGINES for name in arithmetic]
