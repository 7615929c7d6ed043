"""The languages that the text encoder of a model reads, as far as its name and its settings show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["reads_other_languages"]

_MULTILINGUAL = ("siglip2", "i18n", "xlm", "mt5", "nllb", "gemma", "multilingual", "worldwide")


def reads_other_languages(name: str, text_settings: Mapping[str, Any]) -> bool:
    """Return whether a model reads other languages than English.

    Parameters
    ----------
    text_settings
        The ``text_cfg`` of its ``model_cfg``.
    """
    described = f"{name} {dict(text_settings)}".lower()
    return any(word in described for word in _MULTILINGUAL)
