"""Values of the command line that are converted without pydantic.

Newer releases of Typer convert every value with pydantic, whose import takes longer than NumPy's. Texts, plain numbers
and paths do not need it. Whatever is not plain, and so every error, is left to Typer.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

__all__ = ["convert_plain_values"]

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


class NotPlainError(Exception):
    """A value that is left to Typer."""


def convert_plain_values(parameter: Any) -> None:
    """Let a parameter of a Typer command convert plain values by itself; older releases of Typer do so anyway."""
    usual = getattr(parameter, "get_runtime_param", None)
    if callable(usual) and not isinstance(parameter.__dict__.get("get_runtime_param"), _Plain):
        parameter.get_runtime_param = _Plain(parameter, usual)


@dataclass(frozen=True)
class _Plain:
    """What a parameter converts its values with; called by Typer for each value."""

    parameter: Any
    usual: Any

    def __call__(self) -> _Plain:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Convert a value, or let Typer do so."""
        try:
            return self._plain(value)
        except (NotPlainError, AttributeError, ValueError, OSError):
            return self.usual().coerce(value, param=param, ctx=ctx)

    def _plain(self, value: Any) -> Any:
        described, has_many = self.parameter.type_descriptor, self.parameter.multiple or self.parameter.nargs == -1
        if value is None:
            return () if has_many else None
        info, annotation = described.parameter_info, described.annotation
        if info.parser is not None or described.file_annotation is not None:
            raise NotPlainError
        if not has_many:
            return _converted(value, annotation, info)
        if get_origin(annotation) is not list or not isinstance(value, list | tuple):
            raise NotPlainError
        return [_converted(each, get_args(annotation)[0], info) for each in value]


def _converted(value: Any, annotation: Any, info: Any) -> Any:
    if annotation is str and isinstance(value, str) and not _names_path(info):
        return value
    if annotation is bool and isinstance(value, str) and value in _BOOLEANS:
        return _BOOLEANS[value]
    if annotation in (int, float):
        return _number(value, annotation, info)
    if annotation is Path and isinstance(value, str | Path) and _is_unchecked(value, info):
        return Path(value)
    raise NotPlainError


def _is_unchecked(path: str | Path, info: Any) -> bool:
    """Return whether Typer would accept a path whatever it is."""
    is_any = info.file_okay and info.dir_okay and not (info.exists or info.writable or _names_path(info))
    return is_any and (os.access(path, os.R_OK) or not os.path.lexists(path))


def _names_path(info: Any) -> bool:
    return bool(info.allow_dash or info.path_type is not None or info.resolve_path)


def _number(value: Any, kind: Any, info: Any) -> Any:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value) or ("." in value and kind is int):
            raise NotPlainError
        value = kind(value)
    fits = (info.min is None or value >= info.min) and (info.max is None or value <= info.max)
    if type(value) is not kind or not fits:
        raise NotPlainError
    return value
