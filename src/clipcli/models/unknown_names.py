"""Errors for a model or pretrained tag that does not exist, with the names that were perhaps meant."""

from __future__ import annotations

from collections.abc import Iterable

from clipcli.errors import ModelNotFoundError
from clipcli.text import near_matches

__all__ = ["unknown_model", "unknown_tag"]


def unknown_model(name: str, known: Iterable[str]) -> ModelNotFoundError:
    """Return the error for a name that no model has."""
    from clipcli.models.recommended import hub_hint  # its table takes a moment

    if (hint := hub_hint(name)) is not None:
        return ModelNotFoundError(f"no model {name!r}; this is the name of a hub repository (use {hint})")
    return ModelNotFoundError(f"no model {name!r}; {near_matches(name, ['pocket', *known])}")


def unknown_tag(name: str, tag: str, known: Iterable[str]) -> ModelNotFoundError:
    """Return the error for a tag that a model does not have."""
    tags = list(known)
    remedy = near_matches(tag, tags) if tags else "give a checkpoint file"
    return ModelNotFoundError(f"{name} has no pretrained tag {tag!r}; {remedy}")
