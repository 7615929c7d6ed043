"""Where the value of a command's parameter comes from: the command line, an environment variable or the default."""

from __future__ import annotations

from typing import Any

__all__ = ["is_from_variable", "is_given"]


def is_given(context: Any, name: str) -> bool:
    """Return whether a parameter is given on the command line."""
    return _source(context, name) == "COMMANDLINE"


def is_from_variable(context: Any, name: str) -> bool:
    """Return whether the value of a parameter is that of an environment variable."""
    return _source(context, name) == "ENVIRONMENT"


def _source(context: Any, name: str) -> str | None:
    source = context.get_parameter_source(name)  # Typer's enumeration, which moves between its versions
    return source.name if source is not None else None
