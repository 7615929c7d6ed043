"""Label files in JSON: a list of labels, or an object from labels to their names or prompts."""

from __future__ import annotations

import json
import re
from typing import Any

from clipcli.errors import LabelError
from clipcli.labels.entries import Entry, checked
from clipcli.labels.label import Label
from clipcli.labels.templates import has_placeholder
from clipcli.text import name_key

__all__ = ["parse_json"]

_PROMPT_WORDS = 5
_KEYS = {"names", "prompts", "prompt", "group", "folder", "threshold", "not"}


def parse_json(text: str, where: str = "labels") -> list[Label]:
    """Parse a JSON label file.

    Either a list of labels (strings, or objects with ``label`` and optionally ``names``, ``prompts``, ``group``,
    ``folder``, ``threshold`` and ``not``), or an object from each label to a list of names or prompts, or to such an
    object. In a plain list, an entry of five or more words, one that ends like a sentence, or one with ``{label}`` in
    it is taken as a whole prompt; any other as a name to fill into the templates.

    Raises
    ------
    LabelError
        If the text is not JSON of that shape, or has duplicate labels.
    """
    try:
        data = json.loads(text, object_pairs_hook=_refuse_double_keys)
    except json.JSONDecodeError as problem:
        raise LabelError(f"{where}: line {problem.lineno} is not JSON ({problem.msg})") from None
    except LabelError as problem:
        raise LabelError(f"{where}: {problem}") from None
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        raise LabelError(f"{where}: not a label file: nested too deeply, or a number that is too long") from None
    if isinstance(data, list):
        return checked([_list_item(item, where, index) for index, item in enumerate(data, 1)], where)
    if isinstance(data, dict):
        if {"clipcli", "classes"} <= data.keys():
            raise LabelError(f"cannot read {where}: a classes file, not a label file (give it with --classes)")
        pairs = enumerate(data.items(), 1)
        return checked([_object_item(name, value, where, f"entry {index}") for index, (name, value) in pairs], where)
    raise LabelError(f"{where}: not a label file: expected a list of labels, or an object from labels to prompts")


def _refuse_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for index, (key, value) in enumerate(pairs, 1):
        if name_key(key) in map(name_key, result):
            first = list(map(name_key, result)).index(name_key(key)) + 1
            raise LabelError(f"duplicate label {key!r} (entries {first} and {index})")
        result[key] = value
    return result


def _list_item(item: object, where: str, index: int) -> Entry:
    if isinstance(item, str):
        return Entry(item.strip(), f"entry {index}")
    if isinstance(item, dict) and {"path", "top"} <= item.keys():
        raise LabelError(f"cannot read {where}: results of clipcli classify, not a label file")
    if isinstance(item, dict) and isinstance(item.get("label"), str):
        rest = {key: value for key, value in item.items() if key != "label"}
        return _object_item(item["label"], rest, where, f"entry {index}")
    raise LabelError(f"{where}: entry {index}: expected a label, or an object with 'label'")


def _object_item(name: str, value: object, where: str, position: str) -> Entry:
    entry = Entry(name.strip(), position)
    if isinstance(value, str):
        value = [value]
    if value is None:
        return entry
    if isinstance(value, list):
        for text in _strings(value, where, f"{name!r}"):
            (entry.prompts if _reads_as_prompt(text) else entry.names).append(text)
        return entry
    if isinstance(value, dict):
        unknown = sorted(set(value) - _KEYS)
        if unknown:
            raise LabelError(
                f"{where}: {name!r}: unknown key {unknown[0]!r} (use names, prompts, group, folder, threshold or not)"
            )
        if "prompt" in value and "prompts" in value:
            raise LabelError(f"{where}: {name!r} has both 'prompt' and 'prompts' (remove one)")
        entry.names = _strings(value.get("names", []), where, f"names of {name!r}")
        entry.prompts = _strings(value.get("prompts", value.get("prompt", [])), where, f"prompts of {name!r}")
        entry.negatives = _strings(value.get("not", []), where, f"'not' of {name!r}")
        entry.threshold = value.get("threshold")
        entry.group, entry.folder = (_optional_text(value, key, where, name) for key in ("group", "folder"))
        return entry
    raise LabelError(f"{where}: {name!r}: expected a list of names or prompts")


def _optional_text(value: dict[str, Any], key: str, where: str, name: str) -> str | None:
    text = value.get(key)
    if text is not None and not isinstance(text, str):
        raise LabelError(f"{where}: {name!r}: its {key} must be text")
    return (text or "").strip() or None


def _strings(value: object, where: str, what: str) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
        raise LabelError(f"{where}: {what}: expected a list of non-empty texts")
    return [item.strip() for item in items]


def _reads_as_prompt(text: str) -> bool:
    return len(text.split()) >= _PROMPT_WORDS or bool(re.search(r"[.!?]$", text)) or has_placeholder(text)
