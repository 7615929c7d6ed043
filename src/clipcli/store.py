"""The cache of embeddings: one SQLite file, shared by processes, never fatal.

A vector is keyed by the kind (text or image), the fingerprint of what made it, and the sha256 of what it
was made from. Vectors are float32, or float16 where the encoder itself computed in half precision. A
file's path, size and modification time lead to the sha256 of its bytes, so that an unchanged file is not read
again. Over a size limit the oldest image embeddings are dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.database import Database

__all__ = ["DEFAULT_LIMIT", "CacheInfo", "EmbeddingStore", "FileStamp", "ModelFacts", "content_key", "default_folder"]

DEFAULT_LIMIT = 4 << 30
"""Bytes that the cache may take before the oldest image embeddings are dropped."""

_FILE_NAME = "embeddings-v1.sqlite"
# Rows are numbered as they come, so that the lowest numbers are the oldest.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, facts TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS vectors (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, model INTEGER NOT NULL, content BLOB NOT NULL,
    dim INTEGER NOT NULL, vector BLOB NOT NULL, UNIQUE (kind, model, content)
);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, stamp TEXT NOT NULL, sha256 BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_LOOKUP_CHUNK = 500
_EVICTED_SHARE = 0.1

FloatArray = NDArray[np.float32]
Warn = Callable[[str], None]


@dataclass(frozen=True)
class ModelFacts:
    """What must be known of a model to score with its cached embeddings, without loading it."""

    name: str
    pretrained: str | None
    dim: int
    logit_scale: float
    logit_bias: float | None


@dataclass(frozen=True)
class FileStamp:
    """What tells an unchanged file: its absolute path as the file system spells it, size and times."""

    path: bytes
    stamp: str


@dataclass(frozen=True)
class CacheInfo:
    """What the cache holds: where, bytes now and at most, and entries by (model, kind)."""

    path: Path
    size: int
    limit: int
    entries: list[tuple[str, str, int]]


def default_folder() -> Path:
    """Return the folder where this user's caches belong."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("clipcli", appauthor=False))


def content_key(content: str | bytes) -> bytes:
    """Return the 32-byte sha256 that a vector is filed under."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content).digest()


class EmbeddingStore:
    """Embeddings on disk, looked up in bulk. Every method works, as a miss, when the disk does not.

    Parameters
    ----------
    folder
        Where the file lives; made if missing. ``None`` keeps nothing.
    warn
        Called with one line when something is set aside or the cache is given up.
    limit
        Bytes over which :meth:`trim` drops image embeddings.
    """

    def __init__(self, folder: Path | None, warn: Warn = lambda _: None, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._hashes: dict[FileStamp, bytes] = {}
        self._database = Database(folder / _FILE_NAME if folder else None, _SCHEMA, warn)

    @property
    def path(self) -> Path | None:
        """The file, or ``None`` where nothing is kept."""
        return self._database.path

    def close(self) -> None:
        """Close the file; later calls are misses."""
        self._database.close()

    # --- models and notes -------------------------------------------------------------------------

    def remember_model(self, fingerprint: str, facts: ModelFacts) -> None:
        """Keep the facts of a model beside its vectors."""
        text = json.dumps(vars(facts))
        self._database.run(
            lambda connection: connection.execute(
                "INSERT INTO models (fingerprint, facts) VALUES (?, ?)"
                " ON CONFLICT (fingerprint) DO UPDATE SET facts = excluded.facts",
                (fingerprint, text),
            ),
            None,
        )

    def model_facts(self, fingerprint: str) -> ModelFacts | None:
        """Return what is known of a model, or ``None``."""
        row = self._first("SELECT facts FROM models WHERE fingerprint = ?", (fingerprint,))
        try:
            return ModelFacts(**json.loads(row[0])) if row else None
        except (TypeError, ValueError):
            return None

    def note(self, name: str) -> str | None:
        """Return what was noted under a name, or ``None``."""
        row = self._first("SELECT value FROM notes WHERE name = ?", (name,))
        return str(row[0]) if row else None

    def keep_note(self, name: str, value: str) -> None:
        """Note a small fact, such as what ``auto`` came to on this machine."""
        self._database.run(
            lambda connection: connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value)), None
        )

    def _first(self, query: str, values: tuple[Any, ...]) -> Any:
        return self._database.run(lambda connection: connection.execute(query, values).fetchone(), None)

    # --- vectors ----------------------------------------------------------------------------------

    def get_many(self, kind: str, fingerprint: str, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """Return the vectors that are known, each (D,) float32; missing keys are left out."""

        def look_up(connection: sqlite3.Connection) -> dict[bytes, FloatArray]:
            found: dict[bytes, FloatArray] = {}
            for chunk, marks in _chunked(keys):
                rows = connection.execute(
                    "SELECT content, dim, vector FROM vectors WHERE kind = ?"  # noqa: S608
                    f" AND model = (SELECT id FROM models WHERE fingerprint = ?) AND content IN ({marks})",
                    (kind, fingerprint, *chunk),
                )
                found.update((content, _vector(blob, dim)) for content, dim, blob in rows if not _problem_of(dim, blob))
            return found

        return self._database.run(look_up, {})

    def put_many(self, kind: str, fingerprint: str, vectors: Mapping[bytes, FloatArray], *, half: bool = False) -> None:
        """Keep vectors, each (D,); the model must have been remembered before. All or none are kept.

        ``half`` keeps them as float16: for encoders that compute no finer.
        """

        def insert(connection: sqlite3.Connection) -> None:
            # The model's id is looked up in the same statement: another process may clear the cache meanwhile.
            connection.executemany(
                "INSERT OR REPLACE INTO vectors (kind, model, content, dim, vector)"
                " SELECT ?, id, ?, ?, ? FROM models WHERE fingerprint = ?",
                ((kind, key, vector.size, _blob(vector, half=half), fingerprint) for key, vector in vectors.items()),
            )

        self._database.run(insert, None)

    # --- hashes of files --------------------------------------------------------------------------

    def contents_of(self, stamps: Sequence[FileStamp]) -> dict[FileStamp, bytes]:
        """Return the sha256 of those files that are as they were when last read."""
        wanted = {stamp.path: stamp for stamp in stamps}

        def look_up(connection: sqlite3.Connection) -> dict[FileStamp, bytes]:
            found: dict[FileStamp, bytes] = {}
            for chunk, marks in _chunked(list(wanted)):
                query = f"SELECT path, stamp, sha256 FROM files WHERE path IN ({marks})"  # noqa: S608
                rows = connection.execute(query, chunk)
                found.update((wanted[path], sha256) for path, stamp, sha256 in rows if wanted[path].stamp == stamp)
            return found

        return self._database.run(look_up, {})

    def remember_contents(self, contents: Mapping[FileStamp, bytes]) -> None:
        """Keep the sha256 of files as they are now."""
        rows = [(stamp.path, stamp.stamp, sha256) for stamp, sha256 in contents.items()]
        query = "INSERT OR REPLACE INTO files (path, stamp, sha256) VALUES (?, ?, ?)"
        self._database.run(lambda connection: connection.executemany(query, rows), None)

    def file_sha256(self, path: Path) -> str:
        """Return the sha256 of a large file's bytes, from memory where the file is unchanged.

        Unchanged means the same size, modification and change time and inode.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        path = path.resolve()
        status = path.stat()
        times = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
        stamp = FileStamp(os.fsencode(path), times)  # bytes, as a name need not be Unicode
        known = self.contents_of([stamp]).get(stamp) if self.path is not None else self._hashes.get(stamp)
        if known is not None:
            return known.hex()
        with path.open("rb") as file:
            digest = _sha256_of(iter(lambda: file.read(1 << 20), b""))
        self.remember_contents({stamp: digest})
        self._hashes[stamp] = digest  # a run asks for its weights several times, also where nothing is kept on disk
        return digest.hex()

    # --- looking after it -------------------------------------------------------------------------

    def info(self) -> CacheInfo | None:
        """Return what the cache holds, or ``None`` where there is none."""
        rows = self._database.run(
            lambda connection: connection.execute(
                "SELECT models.facts, vectors.kind, COUNT(*) FROM vectors JOIN models ON models.id = vectors.model"
                " GROUP BY models.id, vectors.kind ORDER BY models.id, vectors.kind"
            ).fetchall(),
            None,
        )
        if rows is None or self.path is None:
            return None
        entries = [(_model_name(facts), kind, count) for facts, kind, count in rows]
        return CacheInfo(self.path, self._database.size(), self._limit, entries)

    def trim(self) -> int:
        """Drop the oldest image embeddings while the cache is over its limit; return how many."""

        def evict(connection: sqlite3.Connection) -> int:
            gone = 0
            while _used_bytes(connection) > self._limit:
                count = connection.execute("SELECT COUNT(*) FROM vectors WHERE kind = 'image'").fetchone()[0]
                share = max(1, int(count * _EVICTED_SHARE))
                oldest = "SELECT id FROM vectors WHERE kind = 'image' ORDER BY id LIMIT ?"
                dropped = connection.execute(f"DELETE FROM vectors WHERE id IN ({oldest})", (share,)).rowcount  # noqa: S608
                files = connection.execute(
                    "DELETE FROM files WHERE id IN (SELECT id FROM files ORDER BY id LIMIT ?)", (share,)
                ).rowcount
                if not dropped and not files:
                    break
                gone += dropped
            return gone

        return self._database.run(evict, 0)

    def clear(self, kind: str | None = None) -> int:
        """Forget all vectors, or those of one kind; return how many."""

        def delete(connection: sqlite3.Connection) -> int:
            where, values = ("WHERE kind = ?", (kind,)) if kind else ("", ())
            gone = connection.execute(f"DELETE FROM vectors {where}", values).rowcount  # noqa: S608
            if kind is None:
                for table in ("models", "files", "notes"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608
            return int(gone)

        gone = self._database.run(delete, 0)
        self._database.shrink()
        return gone

    def check(self) -> list[str]:
        """Read everything and return what is wrong, one line each; empty where all is well.

        A file that this store had to set aside is one of the things that are wrong.
        """

        def examine(connection: sqlite3.Connection) -> list[str]:
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            for kind, content, dim, blob in connection.execute("SELECT kind, content, dim, vector FROM vectors"):
                problem = _problem_of(dim, blob)
                if problem:
                    problems.append(f"{kind} vector {bytes(content).hex()[:12]}: {problem}")
            return problems

        problems = self._database.run(examine, ["there is no usable cache"])
        return [*self._database.damage, *problems]


def _chunked(keys: Sequence[bytes]) -> Iterator[tuple[Sequence[bytes], str]]:
    """Split keys into as many as one query takes, each part with its placeholders."""
    for start in range(0, len(keys), _LOOKUP_CHUNK):
        chunk = keys[start : start + _LOOKUP_CHUNK]
        yield chunk, ",".join("?" * len(chunk))


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _blob(vector: FloatArray, *, half: bool) -> bytes:
    return np.ascontiguousarray(vector, dtype="<f2" if half else "<f4").tobytes()


def _vector(blob: bytes, dim: int) -> FloatArray:
    return np.frombuffer(blob, dtype="<f2" if len(blob) == 2 * dim else "<f4").astype(np.float32, copy=False)


def _problem_of(dim: int, blob: bytes) -> str | None:
    """Tell what is wrong with a stored vector: its length, or that it is no unit vector."""
    if len(blob) not in (2 * dim, 4 * dim):
        return f"{len(blob)} bytes for {dim} numbers"
    length = float(np.linalg.norm(_vector(blob, dim)))
    return None if abs(length - 1.0) < 1e-2 else f"length {length:.3g} where 1 is right"


def _model_name(facts: str) -> str:
    try:
        known: dict[str, Any] = json.loads(facts)
        return " ".join(str(part) for part in (known["name"], known["pretrained"]) if part)
    except (KeyError, TypeError, ValueError):
        return "?"


def _sha256_of(chunks: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()
