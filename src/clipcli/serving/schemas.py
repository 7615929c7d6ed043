"""JSON schemas of requests, and the check of a value against one: what is described is what is checked.

The part of JSON Schema that is used: ``type`` (a name or a list of them), ``minimum``, ``maximum``, ``enum``,
``minLength``, ``maxLength``, ``items``, ``maxItems``, ``properties``, ``required``, ``additionalProperties: false``
and ``anyOf``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from clipcli.serving.problems import RequestError, bad_request
from clipcli.text import is_unicode, near_matches

__all__ = ["Schema", "check", "closed"]

Schema = Mapping[str, Any]

_NAMES = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "an object", "null": "null",
}  # fmt: skip


def closed(properties: Mapping[str, Schema], required: list[str] | None = None) -> dict[str, Any]:
    """Return the schema of an object without other properties."""
    schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return schema if required is None else {**schema, "required": required}


def check(value: Any, schema: Schema, where: str) -> None:
    """Raise :class:`RequestError` if a value does not fit a schema; the message names the first place.

    Parameters
    ----------
    where
        What the value is, such as ``labels``.
    """
    if "anyOf" in schema:
        fitting = [each for each in schema["anyOf"] if _has_type(value, each["type"])]
        if not fitting:
            raise bad_request(f"{where}: expected {' or '.join(_NAMES[each['type']] for each in schema['anyOf'])}")
        return check(value, fitting[0], where)
    if not _has_type(value, schema["type"]):
        raise bad_request(f"{where}: expected {_expected(schema['type'])}, not {_found(value)}")
    if value is None:
        return None
    if "enum" in schema and value not in schema["enum"]:
        known = ", ".join(str(each) for each in schema["enum"] if each is not None)
        raise bad_request(f"{where}: unknown value {value!r} (use {known})")
    if isinstance(value, str):
        return _check_text(value, schema, where)
    if isinstance(value, list):
        return _check_list(value, schema, where)
    if isinstance(value, dict):
        return _check_object(value, schema, where)
    return _check_number(value, schema, where)


def _has_type(value: Any, names: str | list[str]) -> bool:
    return any(_is(value, name) for name in ([names] if isinstance(names, str) else names))


def _is(value: Any, name: str) -> bool:
    if name == "null":
        return value is None
    if name == "boolean":
        return isinstance(value, bool)
    if name in ("integer", "number"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (name == "number" or isinstance(value, int) or value.is_integer())
    return isinstance(value, {"string": str, "array": list, "object": dict}[name])


def _expected(names: str | list[str]) -> str:
    return _NAMES[names] if isinstance(names, str) else " or ".join(_NAMES[name] for name in names)


def _found(value: Any) -> str:
    return next(text for name, text in _NAMES.items() if _is(value, name))


def _check_text(value: str, schema: Schema, where: str) -> None:
    if len(value) < schema.get("minLength", 0):
        raise bad_request(f"{where}: it is empty")
    if len(value) > schema.get("maxLength", math.inf):
        raise RequestError(
            "too_large", f"{where}: {len(value):,} characters, over the limit of {schema['maxLength']:,}"
        )
    if not is_unicode(value):
        raise bad_request(f"{where}: it is not valid Unicode text")


def _check_number(value: float, schema: Schema, where: str) -> None:
    if isinstance(value, bool):
        return
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if not least <= value <= most:
        bounds = f"at least {least}" if most == math.inf else f"from {least} to {most}"
        raise bad_request(f"{where}: {str(value)[:40]} is not {bounds}")


def _check_list(value: list[Any], schema: Schema, where: str) -> None:
    if len(value) > schema.get("maxItems", math.inf):
        raise RequestError("too_large", f"{where}: {len(value):,} entries, over the limit of {schema['maxItems']:,}")
    for number, each in enumerate(value, start=1):
        check(each, schema["items"], f"{where}: entry {number}")


def _check_object(value: dict[str, Any], schema: Schema, where: str) -> None:
    known = schema["properties"]
    for name, each in value.items():
        if name not in known:
            raise bad_request(f"{where}: unknown name {name[:60]!r} ({near_matches(name[:60], known)})")
        check(each, known[name], f"{where}: {name}" if where != "request" else name)
    for name in schema.get("required", ()):
        if name not in value:
            raise bad_request(f"{where}: {name} is missing")
