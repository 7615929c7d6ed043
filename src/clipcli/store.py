"""The cache of embeddings: one SQLite file, shared by processes, never fatal.

A row is keyed by the kind (text or image), the fingerprint of what made the vector, and the sha256 of
what it was made from. Vectors are float32. A damaged file is set aside and a new one begun; where the
folder cannot be written, or the disk is full, the run goes on without a cache and says so once.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["CacheInfo", "EmbeddingStore", "ModelFacts", "content_key", "default_folder"]

_FILE_NAME = "embeddings-v1.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, facts TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS vectors (
    kind TEXT NOT NULL, model INTEGER NOT NULL, content BLOB NOT NULL, dim INTEGER NOT NULL,
    vector BLOB NOT NULL, PRIMARY KEY (kind, model, content)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL
) WITHOUT ROWID;
"""
_LOOKUP_CHUNK = 500
_BUSY_SECONDS = 30.0

Result = TypeVar("Result")
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
class CacheInfo:
    """What the cache holds: where, how many bytes, and entries by (model, kind)."""

    path: Path
    size: int
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
    """

    def __init__(self, folder: Path | None, warn: Warn = lambda _: None) -> None:
        self._warn = warn
        self.path = folder / _FILE_NAME if folder else None
        self._connection: sqlite3.Connection | None = None
        self._model_ids: dict[str, int] = {}
        if self.path is not None:
            self._guarded(lambda _: None, None)

    def close(self) -> None:
        """Close the file; later calls are misses."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self.path = None, None

    def _guarded(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """Run ``work``; set a damaged file aside and try once more, give the cache up on other faults."""
        for attempt in (1, 2):
            if self.path is None:
                break
            try:
                connection = self._connection or self._connect(self.path)
                with connection:
                    return work(connection)
            except sqlite3.OperationalError as problem:
                self._give_up(str(problem))
            except sqlite3.DatabaseError:
                self._set_aside(self.path, last=attempt == 2)
            except OSError as problem:
                self._give_up(problem.strerror or str(problem))
        return otherwise

    def _connect(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _give_up(self, reason: str) -> None:
        self._warn(f"going on without a cache: {self.path}: {reason}")
        self.close()

    def _set_aside(self, path: Path, *, last: bool) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._model_ids.clear()
        aside = path.with_name(f"{path.stem}.damaged-{time.time_ns()}.sqlite")
        try:
            path.rename(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # another process set it aside first
        except OSError as problem:
            self._give_up(problem.strerror or str(problem))
            return
        if last:
            self._give_up("damaged again at once")
        else:
            self._warn(f"the cache was damaged; set aside as {aside}, a new one begun")

    # --- models -----------------------------------------------------------------------------------

    def remember_model(self, fingerprint: str, facts: ModelFacts) -> None:
        """Keep the facts of a model beside its vectors."""
        text = json.dumps(vars(facts))
        self._guarded(
            lambda connection: connection.execute(
                "INSERT INTO models (fingerprint, facts) VALUES (?, ?)"
                " ON CONFLICT (fingerprint) DO UPDATE SET facts = excluded.facts",
                (fingerprint, text),
            ),
            None,
        )

    def model_facts(self, fingerprint: str) -> ModelFacts | None:
        """Return what is known of a model, or ``None``."""
        row = self._guarded(
            lambda connection: connection.execute(
                "SELECT facts FROM models WHERE fingerprint = ?", (fingerprint,)
            ).fetchone(),
            None,
        )
        try:
            return ModelFacts(**json.loads(row[0])) if row else None
        except (TypeError, ValueError):
            return None

    def _model_id(self, connection: sqlite3.Connection, fingerprint: str) -> int | None:
        if fingerprint not in self._model_ids:
            row = connection.execute("SELECT id FROM models WHERE fingerprint = ?", (fingerprint,)).fetchone()
            if row is None:
                return None
            self._model_ids[fingerprint] = int(row[0])
        return self._model_ids[fingerprint]

    # --- vectors ----------------------------------------------------------------------------------

    def get_many(self, kind: str, fingerprint: str, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the vectors that are known, each (D,) float32; missing keys are left out."""

        def look_up(connection: sqlite3.Connection) -> dict[bytes, NDArray[np.float32]]:
            model = self._model_id(connection, fingerprint)
            found: dict[bytes, NDArray[np.float32]] = {}
            if model is None:
                return found
            for start in range(0, len(keys), _LOOKUP_CHUNK):
                chunk = keys[start : start + _LOOKUP_CHUNK]
                marks = ",".join("?" * len(chunk))
                rows = connection.execute(
                    f"SELECT content, dim, vector FROM vectors WHERE kind = ? AND model = ? AND content IN ({marks})",  # noqa: S608
                    (kind, model, *chunk),
                )
                for content, dim, blob in rows:
                    if _problem_of(dim, blob) is None:
                        found[bytes(content)] = np.frombuffer(blob, dtype="<f4")
            return found

        return self._guarded(look_up, {})

    def put_many(self, kind: str, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep vectors, each (D,); the model must have been remembered before. All or none are kept."""

        def insert(connection: sqlite3.Connection) -> None:
            model = self._model_id(connection, fingerprint)
            if model is not None:
                connection.executemany(
                    "INSERT OR REPLACE INTO vectors (kind, model, content, dim, vector) VALUES (?, ?, ?, ?, ?)",
                    (
                        (kind, model, key, vector.size, np.ascontiguousarray(vector, dtype="<f4").tobytes())
                        for key, vector in vectors.items()
                    ),
                )

        self._guarded(insert, None)

    # --- hashes of large files --------------------------------------------------------------------

    def file_sha256(self, path: Path) -> str:
        """Return the sha256 of a file's bytes, from memory where the file is unchanged.

        Unchanged means the same size, modification and change time and inode.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        path = path.resolve()
        status = path.stat()
        stamp = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
        row = self._guarded(
            lambda connection: connection.execute(
                "SELECT sha256 FROM files WHERE path = ? AND stamp = ?", (str(path), stamp)
            ).fetchone(),
            None,
        )
        if row:
            return str(row[0])
        with path.open("rb") as file:
            digest = _sha256_of(iter(lambda: file.read(1 << 20), b""))
        self._guarded(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO files (path, stamp, sha256) VALUES (?, ?, ?)",
                (str(path), stamp, digest),
            ),
            None,
        )
        return digest

    # --- looking after it -------------------------------------------------------------------------

    def info(self) -> CacheInfo | None:
        """Return what the cache holds, or ``None`` where there is none."""
        rows = self._guarded(
            lambda connection: connection.execute(
                "SELECT models.facts, vectors.kind, COUNT(*) FROM vectors JOIN models ON models.id = vectors.model"
                " GROUP BY models.id, vectors.kind ORDER BY models.id, vectors.kind"
            ).fetchall(),
            None,
        )
        if rows is None or self.path is None:
            return None
        parts = [self.path, *(self.path.with_name(self.path.name + suffix) for suffix in ("-wal", "-shm"))]
        size = sum(part.stat().st_size for part in parts if part.exists())
        return CacheInfo(self.path, size, [(_model_name(facts), kind, count) for facts, kind, count in rows])

    def clear(self, kind: str | None = None) -> int:
        """Forget all vectors, or those of one kind; return how many."""

        def delete(connection: sqlite3.Connection) -> int:
            where, values = ("WHERE kind = ?", (kind,)) if kind else ("", ())
            gone = connection.execute(f"DELETE FROM vectors {where}", values).rowcount  # noqa: S608
            if kind is None:
                connection.execute("DELETE FROM models")
                connection.execute("DELETE FROM files")
            return int(gone)

        gone = self._guarded(delete, 0)
        self._model_ids.clear()
        if self._connection is not None:
            self._guarded(_shrink, None)
        return gone

    def check(self) -> list[str]:
        """Read everything and return what is wrong, one line each; empty where all is well."""

        def examine(connection: sqlite3.Connection) -> list[str]:
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            for kind, content, dim, blob in connection.execute("SELECT kind, content, dim, vector FROM vectors"):
                problem = _problem_of(dim, blob)
                if problem:
                    problems.append(f"{kind} vector {bytes(content).hex()[:12]}: {problem}")
            return problems

        return self._guarded(examine, ["the cache file was damaged"])


def _shrink(connection: sqlite3.Connection) -> None:
    connection.commit()
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _problem_of(dim: int, blob: bytes) -> str | None:
    """Tell what is wrong with a stored vector: its length, or that it is no unit vector."""
    if len(blob) != 4 * dim:
        return f"{len(blob)} bytes for {dim} numbers"
    length = float(np.linalg.norm(np.frombuffer(blob, dtype="<f4")))
    return None if abs(length - 1.0) < 1e-2 else f"length {length:.3g} where 1 is right"


def _model_name(facts: str) -> str:
    try:
        known: dict[str, Any] = json.loads(facts)
        return " ".join(str(part) for part in (known["name"], known["pretrained"]) if part)
    except (KeyError, TypeError, ValueError):
        return "?"


def _sha256_of(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
