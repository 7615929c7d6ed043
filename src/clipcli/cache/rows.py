"""The rows of the cache: their tables, their checksums, and the checks before a row is used."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clipcli.cache.sqlite import Schema
from clipcli.cache.vectors import problem_of
from clipcli.storage.checksums import Seal, seal

__all__ = ["SCHEMA", "ModelFacts", "examine", "facts_of", "file_seal", "model_seal", "read_note", "sealed_note"]

# Rows are numbered in the order of writing, so the lowest numbers are the oldest. An older version of clipcli can share
# the file: it writes rows without a checksum, which are not used here.
SCHEMA = Schema(
    2,
    {
        "models": "CREATE TABLE models (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE,"
        " facts TEXT NOT NULL, checksum BLOB)",
        "vectors": "CREATE TABLE vectors (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, model INTEGER NOT NULL,"
        " content BLOB NOT NULL, dim INTEGER NOT NULL, vector BLOB NOT NULL, checksum BLOB,"
        " UNIQUE (kind, model, content))",
        "files": "CREATE TABLE files (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, stamp TEXT NOT NULL,"
        " sha256 BLOB NOT NULL, checksum BLOB)",
        "notes": "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL)",  # its values hold checksums
    },
)
_NOTE = "sealed "  # before the names of notes, so that an older version does not take a checksum for a value
_MOST_DIMENSIONS = 1 << 16


@dataclass(frozen=True)
class ModelFacts:
    """The facts of a model that are needed for scoring with its cached embeddings, without loading it."""

    name: str
    pretrained: str | None
    dim: int
    logit_scale: float
    logit_bias: float | None


def model_seal(fingerprint: Any, facts: Any) -> bytes | None:
    """Return the checksum of a model's row; ``None`` if its values have wrong types."""
    return seal("model", fingerprint, facts) if isinstance(fingerprint, str) and isinstance(facts, str) else None


def file_seal(path: Any, stamp: Any, content: Any) -> bytes | None:
    """Return the checksum of a file's row; ``None`` if its values have wrong types."""
    typed = isinstance(path, bytes) and isinstance(stamp, str) and isinstance(content, bytes)
    return seal("file", path, stamp, content) if typed else None


def sealed_note(name: str, value: str) -> tuple[str, str]:
    """Return the row of a note."""
    return _NOTE + name, f"{seal('note', name, value).hex()} {value}"


def read_note(connection: sqlite3.Connection, name: str) -> str | None:
    """Return the value of a note, or ``None`` if it is missing or damaged."""
    row = connection.execute("SELECT value FROM notes WHERE name = ?", (_NOTE + name,)).fetchone()
    checksum, _, value = str(row[0]).partition(" ") if row else ("", "", "")
    return value if checksum == seal("note", name, value).hex() else None


def facts_of(connection: sqlite3.Connection, fingerprint: str, dim: int | None = None) -> ModelFacts | None:
    """Return the facts of a model, or ``None`` if they are missing, damaged, or do not have ``dim`` dimensions."""
    row = connection.execute("SELECT facts, checksum FROM models WHERE fingerprint = ?", (fingerprint,)).fetchone()
    if row is None or row[1] is None or row[1] != model_seal(fingerprint, row[0]):
        return None
    try:
        facts = ModelFacts(**json.loads(row[0]))
    except (TypeError, ValueError, RecursionError):
        return None
    return facts if _is_plausible(facts) and dim in (None, facts.dim) else None


def _is_plausible(facts: ModelFacts) -> bool:
    """Return whether facts have the right types; the file may come from other people."""
    return (
        isinstance(facts.name, str)
        and isinstance(facts.pretrained, str | None)
        and type(facts.dim) is int
        and 0 < facts.dim <= _MOST_DIMENSIONS
        and _is_number(facts.logit_scale)
        and (facts.logit_bias is None or _is_number(facts.logit_bias))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and math.isfinite(value)


def model_name(facts: Any) -> str:
    """Return the name of the model of a row, or a question mark."""
    try:
        known = json.loads(facts)
        return " ".join(str(part) for part in (known["name"], known["pretrained"]) if part)
    except (KeyError, TypeError, ValueError, RecursionError):
        return "?"


def examine(connection: sqlite3.Connection) -> list[str]:
    """Read all rows and return all damage, one line each."""
    problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    return [
        *problems,
        *_bad_models(connection),
        *_bad_vectors(connection),
        *_bad_files(connection),
        *_bad_notes(connection),
    ]


def _bad_models(connection: sqlite3.Connection) -> Iterator[str]:
    for (fingerprint,) in connection.execute("SELECT fingerprint FROM models").fetchall():
        if facts_of(connection, str(fingerprint)) is None:
            yield f"model {_short(fingerprint)}: does not match its checksum"


def _bad_vectors(connection: sqlite3.Connection) -> Iterator[str]:
    seals: dict[tuple[str, str], Seal] = {}
    rows = connection.execute(
        "SELECT kind, fingerprint, content, dim, vector, vectors.checksum FROM vectors"
        " LEFT JOIN models ON models.id = vectors.model"
    )
    for kind, fingerprint, content, dim, blob, checksum in rows:
        names = (str(kind), str(fingerprint))
        made_by = seals.setdefault(names, Seal("vector", *names))
        if (problem := problem_of(content, dim, blob, checksum, made_by)) is not None:
            yield f"{_short(kind)} vector {_short(content)}: {problem}"


def _bad_files(connection: sqlite3.Connection) -> Iterator[str]:
    for path, stamp, content, checksum in connection.execute("SELECT path, stamp, sha256, checksum FROM files"):
        if checksum is None or checksum != file_seal(path, stamp, content):
            yield f"hash of file {_short(path, 60)}: does not match its checksum"


def _bad_notes(connection: sqlite3.Connection) -> Iterator[str]:
    for name, _ in connection.execute("SELECT name, value FROM notes").fetchall():
        known = str(name).removeprefix(_NOTE)
        if str(name).startswith(_NOTE) and read_note(connection, known) is None:
            yield f"note {_short(known, 60)}: does not match its checksum"


def _short(value: Any, length: int = 12) -> str:
    """Return the beginning of a key, or the end of a path, with control characters escaped."""
    if isinstance(value, bytes):
        value = value.hex() if length == 12 else value.decode("utf-8", "backslashreplace")
    text = str(value)[:length] if length == 12 else str(value)[-length:]
    return "".join(sign if sign.isprintable() else "?" for sign in text)
