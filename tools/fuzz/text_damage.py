"""Damage to text: lines and cells of tables, values of JSON, encodings."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from tools.fuzz.damage import damage_bytes

__all__ = ["damage_json", "damage_lines", "damage_text"]

HOSTILE_TEXTS = (
    "", " ", ".", "..", "../victim/f", "/etc/passwd", "a/../../victim/f", "x" * 70_000, "\x00", "a\x00b",
    "\x1b]0;x\x07",
    "\u202egpj.exe", "é" * 300, "e\u0301", "=1+1", "＝1", "'=1", "{label}", "{", "{0}", "{label!r:>99999999999}", "%s",
    "con", "nul.txt", "C:\\x", "http://127.0.0.1:9/x.jpg", "s3://bucket/x", "file:///etc/passwd", "data:,x", "~/x",
    "-rf", "NaN", "1e999", "-1", "9" * 5000, "\ufeff", "\u2028", "\\ud800", "None", "hf-hub:a/b", "local-dir:..",
    "[unknown]", "true", "photos/missing.png", "photos", "*.png", "[", "**/*", "archive.tar::x", "\\t", "\\", "\\xff",
)  # fmt: skip
_HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 10**6, 2**31, 2**63, 10**30, -(10**30), 0.5, 1e308, -1e308, 1e-320, float("nan"),
    float("inf"), [], {}, [[]], [None], {"a": {}}, [1] * 1000, ["x", "x"], {"": ""}, {"path": "x"}, "\ud800",
)  # fmt: skip
_HOSTILE_DOCUMENTS = (
    b"", b"null", b"[]", b"{}", b"1", b'"x"', b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\xff\xfe",
    b"[1e999999]", b'{"a":1,"a":2}', b"\xef\xbb\xbf", b"\x00" * 100, b"[" + b"1," * 300_000 + b"1]",
)  # fmt: skip


def damage_text(data: bytes, rng: random.Random) -> bytes:
    """Damage the lines, separators, encoding or bytes of a text."""
    way = rng.choice((_damage_cells, _damage_cells, _damage_cells, damage_lines, damage_lines, _encode, damage_bytes))
    return way(data, rng)


def damage_lines(data: bytes, rng: random.Random) -> bytes:
    """Repeat, drop, swap, join or stretch lines."""
    lines = data.splitlines(keepends=True) or [b""]
    place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.choice(("repeat", "drop", "swap", "join", "stretch", "empty", "only"))
    if way == "repeat":
        lines[place:place] = [lines[place]] * rng.choice((1, 5, 3000))
    elif way == "drop":
        del lines[place]
    elif way == "swap":
        lines[place], lines[other] = lines[other], lines[place]
    elif way == "join":
        lines[place] = lines[place].rstrip(b"\r\n")
    elif way == "stretch":
        lines[place] = lines[place].rstrip(b"\r\n") * rng.choice((2, 20_000)) + b"\n"
    elif way == "empty":
        lines[place] = rng.choice((b"\n", b"\r", b"\r\n", b"\x0b", b"\x0c", "\u2028".encode(), b"\x1c"))
    else:
        lines = [lines[place]]
    return b"".join(lines)


def _damage_cells(data: bytes, rng: random.Random) -> bytes:
    """Replace, add or drop cells of some lines, or put quotation marks where they don't belong."""
    separator = next((each for each in (b"\t", b",", b"\0") if each in data), b"\n")
    lines = data.split(b"\n") if separator != b"\n" else [data]
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(lines))
        cells = lines[place].split(separator)
        text = rng.choice(HOSTILE_TEXTS).encode()
        cell = rng.choice((text, text, b'"' + text + b'"', b'"' + text, text + b'"', b'"a""b"', rng.randbytes(6)))
        column = rng.randrange(len(cells))
        how_many = rng.choice((0, 1, 1, 1, 2, 500))
        cells[column : column + (how_many != 2)] = [cell] * how_many
        lines[place] = separator.join(cells)
    return b"\n".join(lines)


def _encode(data: bytes, rng: random.Random) -> bytes:
    text = data.decode("utf-8", "replace")
    form = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "cp500"))
    encoded = text.encode(form, "replace")
    return rng.choice((encoded, encoded, encoded[:-1], b"\xff\xfe" + data, b"\xfe\xff" + encoded))


def damage_json(data: bytes, rng: random.Random) -> bytes:
    """Change values and names of a JSON document, or of some of the lines where each is a document."""
    if rng.random() < 0.1:
        return rng.choice(_HOSTILE_DOCUMENTS)
    if rng.random() < 0.2:
        return rng.choice((damage_bytes, damage_lines, _encode))(data, rng)
    try:
        return _written(_changed(json.loads(data), rng), rng)
    except ValueError:
        pass
    lines = [line for line in data.splitlines() if line.strip()]
    for _ in range(rng.choice((1, 1, 3))):
        place = rng.randrange(len(lines))
        try:
            lines[place] = _written(_changed(json.loads(lines[place]), rng), rng)
        except ValueError:
            lines[place] = damage_bytes(lines[place], rng)
    return b"\n".join(lines) + b"\n"


def _written(value: Any, rng: random.Random) -> bytes:
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def _changed(document: Any, rng: random.Random) -> Any:
    for _ in range(rng.choice((1, 1, 2, 5))):
        places = list(_places(document))
        if not places:
            return copy.deepcopy(rng.choice(_HOSTILE_VALUES))
        holder, key = rng.choice(places)
        way = rng.choice(("value", "value", "value", "text", "drop", "rename", "number", "nest"))
        value = holder[key]
        if way == "drop":
            del holder[key]
        elif way == "rename" and isinstance(holder, dict):
            holder[rng.choice(HOSTILE_TEXTS)] = holder.pop(key)
        elif way == "number" and isinstance(value, int | float):
            holder[key] = rng.choice((value + 1, -value, value * 1000, value / 7, str(value)))
        elif way == "nest":
            holder[key] = copy.deepcopy(rng.choice(([value], {"a": value}, [value, value])))
        else:
            holder[key] = copy.deepcopy(rng.choice(HOSTILE_TEXTS if way == "text" else _HOSTILE_VALUES))
    return document


def _places(document: Any) -> Any:
    """Yield each value of a document as what holds it and its key or index there."""
    entries = (
        list(document.items()) if isinstance(document, dict)
        else list(enumerate(document)) if isinstance(document, list)
        else []
    )  # fmt: skip
    for key, value in entries:
        yield document, key
        yield from _places(value)
