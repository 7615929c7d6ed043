"""The options of a request: their schemas, and how they are read from a query string or a form.

The names and values are those of :class:`clipcli.Classifier`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clipcli.labels.label import Label
from clipcli.labels.templates import builtin_set_names
from clipcli.scoring.odds import SCORES
from clipcli.scoring.thresholds import DEFAULT_THRESHOLD, Thresholds
from clipcli.serving.limits import Limits
from clipcli.serving.problems import bad_request
from clipcli.serving.schemas import Schema, check, closed

__all__ = ["Options", "model_schema", "option_schemas", "options_from", "options_of_fields", "parsed_json"]

_LONGEST_TEXT = 1000
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": _LONGEST_TEXT}
_MOST_TEMPLATES = 200
_MOST_TEXTS = 100  # synonyms or prompts of one label
_FIELDS = {"label": "labels", "template": "templates"}  # what repeated fields are called
_TRUE_FALSE = {"true": True, "false": False}


def model_schema() -> Schema:
    """Return the schema of the option ``model``."""
    return {
        "type": ["string", "null"], "minLength": 1, "maxLength": _LONGEST_TEXT,
        "description": "A model of the server; the default is its first.",
    }  # fmt: skip


def _texts(most: int, description: str) -> Schema:
    return {"type": "array", "items": _TEXT, "maxItems": most, "description": description}


def _number(least: float, most: float, description: str) -> Schema:
    return {"type": ["number", "null"], "minimum": least, "maximum": most, "description": description}


def _count(description: str) -> Schema:
    return {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000, "description": description}


def _label_schema() -> dict[str, Any]:
    return closed(
        {
            "name": _TEXT,
            "names": _texts(_MOST_TEXTS, "Texts to fill into the templates."),
            "prompts": _texts(_MOST_TEXTS, "Complete prompts."),
            "negatives": _texts(_MOST_TEXTS, "Phrases that compete with the label."),
            "group": {"type": ["string", "null"], "maxLength": _LONGEST_TEXT},
            "threshold": _number(0.0, 1.0, "The probability below which the label is not given."),
        },
        ["name"],
    )


def option_schemas(limits: Limits) -> dict[str, Schema]:
    """Return the schema of each option of ``classify``, by its name."""
    return {
        "labels": {
            "type": ["array", "null"], "items": {"anyOf": [_TEXT, _label_schema()]}, "maxItems": limits.labels,
            "description": "Labels; the default are those of the server.",
        },
        "templates": _texts(_MOST_TEMPLATES, "Prompt templates with {label} in them."),
        "prompts": {
            "type": "array", "items": {"type": "string", "enum": builtin_set_names()}, "maxItems": 10,
            "description": "Built-in sets of prompt templates.",
        },
        "model": model_schema(),
        "top_k": _count("Number of labels to list per image."),
        "min_probability": _number(0.0, 1.0, "Answer 'unknown' if the highest probability is below."),
        "min_similarity": _number(-1.0, 1.0, "Answer 'unknown' if the highest cosine similarity is below."),
        "min_margin": _number(0.0, 1.0, "Answer 'unknown' if the two highest probabilities differ by less."),
        "tags": {
            "type": "boolean",
            "description": "Give each image all labels that reach their threshold, instead of the best label.",
        },
        "score": {
            "type": ["string", "null"], "enum": [*SCORES, None], "description": "Kind of probability for tags.",
        },
        "threshold": {"type": "number", "minimum": 0.0, "maximum": 1.0, "description": "Least probability for tags."},
        "level": _count("With groups that are paths in a tree: the deepest level of the answer."),
    }  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The options of one request; those that it does not give have the defaults of ``classify``.

    Parameters
    ----------
    labels
        ``None`` for the labels of the server.
    model
        ``None`` for the first model of the server.
    """

    labels: tuple[str | Label, ...] | None = None
    templates: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    model: str | None = None
    top_k: int = 5
    min_probability: float | None = None
    min_similarity: float | None = None
    min_margin: float | None = None
    tags: bool = False
    score: str | None = None
    threshold: float = DEFAULT_THRESHOLD
    level: int | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of :class:`clipcli.Classifier`, without those of labels, prompts and model."""
        thresholds = Thresholds(self.min_probability, self.min_similarity, self.min_margin)
        return {
            "top_k": self.top_k, "thresholds": thresholds, "tags": self.tags, "score": self.score,
            "threshold": self.threshold, "level": self.level,
        }  # fmt: skip


def options_from(values: Mapping[str, Any], schemas: Mapping[str, Schema]) -> Options:
    """Check options and return them.

    Raises
    ------
    RequestError
        If one is unknown or has an invalid value.
    """
    check(dict(values), closed(schemas), "request")
    given = {name: value for name, value in values.items() if value is not None}
    for name in ("templates", "prompts"):
        given[name] = tuple(given.get(name, ()))
    if "labels" in given:
        given["labels"] = tuple(_label(each) for each in given["labels"])
    for name in ("top_k", "level"):
        if name in given:
            given[name] = int(given[name])
    return Options(**given)


def _label(value: str | dict[str, Any]) -> str | Label:
    if isinstance(value, str):
        return value
    fields: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in value.items()}
    return Label(**fields)


def options_of_fields(
    fields: Iterable[tuple[str, str]], schemas: Mapping[str, Schema], where: str = "the form"
) -> dict[str, Any]:
    """Return the options in the fields of a form, or in a query string, not yet checked.

    Parameters
    ----------
    fields
        Names and texts. A list has one field per entry; ``options`` is a JSON object with several options.
    where
        What the fields belong to, for messages.

    Raises
    ------
    RequestError
        If a field cannot be read, or a single value is given twice.
    """
    values: dict[str, Any] = {}
    for field, text in fields:
        if field == "options":
            several = parsed_json(text, "options")
            if not isinstance(several, dict):
                raise bad_request("options: expected an object")
            values.update(several)
            continue
        name = _FIELDS.get(field, field)
        types = schemas[name]["type"] if name in schemas else "string"
        names = [types] if isinstance(types, str) else types
        if "array" in names:
            values.setdefault(name, []).append(text)
        elif name in values:
            raise bad_request(f"{name}: given more than once in {where}")
        else:
            values[name] = _value(text, names)
    return values


def _value(text: str, types: list[str]) -> Any:
    """Return the value that a text stands for; if it cannot be read, the text, which the check then rejects."""
    if "string" in types:
        return text
    if "boolean" in types:
        return _TRUE_FALSE.get(text.lower(), text)
    if text == "" and "null" in types:
        return None
    try:
        return int(text) if "integer" in types else float(text)
    except ValueError:
        return text


def parsed_json(text: str | bytes, where: str) -> Any:
    """Parse JSON.

    Raises
    ------
    RequestError
        If it is malformed, nested too deeply, or has a number that JSON does not have.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as problem:
        reason = "nested too deeply" if isinstance(problem, RecursionError) else " ".join(str(problem).split())[:100]
        raise bad_request(f"{where}: not valid JSON: {reason}") from None
