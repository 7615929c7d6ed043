"""The embedding cache: one SQLite file, shared by processes, whose faults never stop a run.

An embedding is identified by its kind (text or image), the fingerprint of the encoder, and the sha256 of the encoded
content. Embeddings are float32, or float16 if the encoder computes in half precision. The stamp of a file (path, size,
times, inode) gives the sha256 of its bytes, so that an unchanged file is not read again. Each row has a checksum of its
key and value; a row with a wrong checksum counts as missing, and is replaced when it is next needed. Above a size
limit, the oldest image embeddings are removed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.cache import rows as cache_rows
from clipcli.cache.eviction import evict_images
from clipcli.cache.limit import DEFAULT_LIMIT
from clipcli.cache.rows import ModelFacts
from clipcli.cache.sqlite import Database, chunked
from clipcli.cache.stamps import FileStamp, stamp_of
from clipcli.cache.vectors import LONGEST_VECTOR, packed, unpacked
from clipcli.models.openvino_graphs import check_graphs, list_graphs, trim_graphs
from clipcli.storage.checksums import Seal, hash_file

__all__ = ["CacheInfo", "EmbeddingStore", "ModelFacts", "content_key"]

"""Maximum size of the cache in bytes; above it, the oldest image embeddings are removed."""

_FILE_NAME = "embeddings-v1.sqlite"

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class CacheInfo:
    """The content of the cache: path, size and limit in bytes, embeddings by (model, kind), converted encoders."""

    path: Path
    size: int
    limit: int
    entries: list[tuple[str, str, int]]
    graphs: int = 0


def content_key(content: str | bytes) -> bytes:
    """Return the 32-byte sha256 that identifies some content."""
    return sha256(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content).digest()


class EmbeddingStore:
    """Embeddings on disk, looked up in bulk. If the disk fails, every method behaves as for a cache miss.

    Parameters
    ----------
    folder
        The folder of the file, created if missing. ``None`` for no cache.
    limit
        Size in bytes above which :meth:`trim` removes image embeddings.
    dim
        The number of dimensions of the model, if known; embeddings with others are not used.
    options
        Options of :class:`~clipcli.cache.sqlite.Database`: ``patience``, ``create`` and ``strict``.
    """

    def __init__(
        self, folder: Path | None, limit: int = DEFAULT_LIMIT,
        *, dim: int | None = None, **options: Any,
    ) -> None:  # fmt: skip
        self._limit, self._dim = limit, dim
        self._hashes: dict[FileStamp, bytes] = {}
        self.is_shrunk = True
        self._database = Database(folder / _FILE_NAME if folder else None, cache_rows.SCHEMA, **options)

    @property
    def path(self) -> Path | None:
        """The file, or ``None`` for no cache."""
        return self._database.path

    def close(self) -> None:
        """Close the file; later calls are misses."""
        self._database.close()

    def __enter__(self) -> EmbeddingStore:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def remember_model(self, fingerprint: str, facts: ModelFacts) -> None:
        """Save the facts of a model."""
        text = json.dumps(vars(facts))
        self._database.run(
            lambda connection: connection.execute(
                "INSERT INTO models (fingerprint, facts, checksum) VALUES (?, ?, ?)"
                " ON CONFLICT (fingerprint) DO UPDATE SET facts = excluded.facts, checksum = excluded.checksum",
                (fingerprint, text, cache_rows.model_seal(fingerprint, text)),
            ),
            None,
        )

    def model_facts(self, fingerprint: str) -> ModelFacts | None:
        """Return the facts of a model, or ``None``."""
        return self._database.run(lambda connection: cache_rows.facts_of(connection, fingerprint, self._dim), None)

    def note(self, name: str) -> str | None:
        """Return the value of a note, or ``None``."""
        return self._database.run(lambda connection: cache_rows.read_note(connection, name), None)

    def keep_note(self, name: str, value: str) -> None:
        """Save a note, such as the precision chosen by ``auto`` on this machine."""
        row = cache_rows.sealed_note(name, value)
        self._database.run(
            lambda connection: connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", row), None
        )

    # --- vectors ----------------------------------------------------------------------------------

    def get_many(self, kind: str, fingerprint: str, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """Return the cached embeddings with a right checksum, each (D,) float32, by key."""
        made_by = Seal("vector", kind, fingerprint)

        def look_up(connection: sqlite3.Connection) -> dict[bytes, FloatArray]:
            found: dict[bytes, FloatArray] = {}
            facts = cache_rows.facts_of(connection, fingerprint, self._dim) if keys else None
            for chunk, marks in chunked(keys) if facts else ():
                rows = connection.execute(
                    "SELECT content, dim, vector, checksum FROM vectors WHERE kind = ?"  # noqa: S608
                    " AND model = (SELECT id FROM models WHERE fingerprint = ?)"
                    f" AND length(vector) <= {LONGEST_VECTOR} AND content IN ({marks})",
                    (kind, fingerprint, *chunk),
                )
                found.update(unpacked(rows, made_by, facts.dim if facts else 0))
            return found

        return self._database.run(look_up, {})

    def put_many(self, kind: str, fingerprint: str, vectors: Mapping[bytes, FloatArray], *, half: bool = False) -> None:
        """Save embeddings, each (D,), all or none; the facts of the model must have been saved before.

        ``half`` saves them as float16, for encoders that compute in half precision.
        """
        made_by = Seal("vector", kind, fingerprint)

        def rows() -> Iterator[tuple[object, ...]]:
            for key, vector in vectors.items():
                blob = packed(vector, half=half)
                yield kind, key, vector.size, blob, made_by(key, blob), fingerprint

        def insert(connection: sqlite3.Connection) -> None:
            # The model's id is looked up in the same statement: another process may clear the cache meanwhile.
            connection.executemany(
                "INSERT OR REPLACE INTO vectors (kind, model, content, dim, vector, checksum)"
                " SELECT ?, id, ?, ?, ?, ? FROM models WHERE fingerprint = ?",
                rows(),
            )

        self._database.run(insert, None)

    # --- hashes of files --------------------------------------------------------------------------

    def contents_of(self, stamps: Sequence[FileStamp]) -> dict[FileStamp, bytes]:
        """Return the sha256 of those files that are unchanged since they were read."""
        wanted = {stamp.path: stamp for stamp in stamps}

        def look_up(connection: sqlite3.Connection) -> dict[FileStamp, bytes]:
            found: dict[FileStamp, bytes] = {}
            for chunk, marks in chunked(list(wanted)):
                query = f"SELECT path, stamp, sha256, checksum FROM files WHERE path IN ({marks})"  # noqa: S608
                for path, stamp, content, checksum in connection.execute(query, chunk):
                    if wanted[path].stamp == stamp and checksum == cache_rows.file_seal(path, stamp, content):
                        found[wanted[path]] = content
            return found

        return self._database.run(look_up, {})

    def remember_contents(self, contents: Mapping[FileStamp, bytes]) -> None:
        """Save the sha256 of files, except for those that changed too recently."""
        rows = [
            (stamp.path, stamp.stamp, content, cache_rows.file_seal(stamp.path, stamp.stamp, content))
            for stamp, content in contents.items()
            if stamp.settled
        ]
        query = "INSERT OR REPLACE INTO files (path, stamp, sha256, checksum) VALUES (?, ?, ?, ?)"
        if rows:
            self._database.run(lambda connection: connection.executemany(query, rows), None)

    def file_sha256(self, path: Path) -> str:
        """Return the sha256 of a large file, from memory if its :class:`FileStamp` is unchanged.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        path = path.resolve()
        stamp = stamp_of(path)
        known = None
        if stamp is not None:
            known = self.contents_of([stamp]).get(stamp) if self.path is not None else self._hashes.get(stamp)
        if known is not None:
            return known.hex()
        digest = hash_file(path)
        if stamp is not None and stamp.settled and stamp == stamp_of(path):  # else it changed while it was read
            self.remember_contents({stamp: digest})
            self._hashes[stamp] = digest  # a run asks for its weights several times, also without a cache on disk
        return digest.hex()

    # --- maintenance -------------------------------------------------------------------------

    def info(self) -> CacheInfo | None:
        """Return the content of the cache, or ``None`` if there is no cache."""
        rows: list[tuple[str, str, int]] = self._database.run(
            lambda connection: connection.execute(
                "SELECT models.facts, vectors.kind, COUNT(*) FROM vectors JOIN models ON models.id = vectors.model"
                " GROUP BY models.id, vectors.kind ORDER BY models.id, vectors.kind"
            ).fetchall(),
            [],
        )
        if self.path is None:
            return None
        counts = [(cache_rows.model_name(facts), str(kind), count) for facts, kind, count in rows]
        graphs = list_graphs(self.path.parent)
        size = self._database.size() + sum(graph.size for graph in graphs)
        return CacheInfo(self.path, size, self._limit, counts, len(graphs))

    def trim(self) -> int:
        """Remove the oldest image embeddings while the cache exceeds its limit; return how many.

        Converted encoders may take half of the limit; above that, the least recently used are removed first.
        """
        if self.path is None:
            return 0
        room = self._limit - trim_graphs(self.path.parent, self._limit // 2)
        return self._database.run(lambda connection: evict_images(connection, room), 0)

    def clear(self, kind: str | None = None) -> int:
        """Delete all vectors, or those of one kind; return how many.

        Afterwards, ``is_shrunk`` is whether the file could be made smaller.
        """

        def delete(connection: sqlite3.Connection) -> int:
            where, values = ("WHERE kind = ?", (kind,)) if kind else ("", ())
            gone = connection.execute(f"DELETE FROM vectors {where}", values).rowcount  # noqa: S608
            if kind is None:
                for table in ("models", "files", "notes"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608
            return int(gone)

        gone = self._database.run(delete, 0)
        if kind is None:
            self._database.remove_set_aside()
        self.is_shrunk = self._database.shrink()
        return gone

    def check(self) -> list[str]:
        """Read everything and return all damage, one line each.

        A file that was set aside counts as damage.
        """
        problems = self._database.run(cache_rows.examine, ["there is no usable cache"])
        if self.path is not None:
            problems = [*(problems if self.path.exists() else ()), *check_graphs(self.path.parent)]
        return [*self._database.damage, *problems]
