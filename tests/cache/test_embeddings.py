"""The cache keeps embeddings between runs and processes, and nothing that befalls its file is fatal."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from weakref import finalize

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clipcli.cache.embeddings import EmbeddingStore, ModelFacts, content_key
from clipcli.cache.folder import default_folder
from clipcli.cache.rows import SCHEMA
from clipcli.cache.sqlite import Database
from clipcli.errors import CacheError
from clipcli.storage.checksums import hash_file

FACTS = ModelFacts("ViT-B-32", "openai", 8, 100.0, None)
SIGMOID = ModelFacts("pocket", None, 8, 10.0, -10.0)


def vector_of(text: str) -> NDArray[np.float32]:
    vector = np.random.default_rng(list(text.encode())).normal(size=8)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def vectors_of(*texts: str) -> dict[bytes, NDArray[np.float32]]:
    return {content_key(text): vector_of(text) for text in texts}


def keep(store: EmbeddingStore, *texts: str, fingerprint: str = "one", facts: ModelFacts = FACTS) -> None:
    store.remember_model(fingerprint, facts)
    store.put_many("text", fingerprint, vectors_of(*texts))


def kept(store: EmbeddingStore, *texts: str, fingerprint: str = "one") -> list[str]:
    """Return those of the texts whose vectors the store has, after a look at the vectors."""
    found = store.get_many("text", fingerprint, [content_key(text) for text in texts])
    known = [text for text in texts if content_key(text) in found]
    for text in known:
        np.testing.assert_array_equal(found[content_key(text)], vector_of(text))
    assert len(found) == len(known)
    return known


def file_of(folder: Path) -> Path:
    (file,) = (path for path in folder.glob("*.sqlite") if "damaged" not in path.name)
    return file


def change(folder: Path, statement: str, *values: object) -> None:
    """Change the cache behind the store's back."""
    connection = sqlite3.connect(file_of(folder))
    with connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


# --- keeping and finding ----------------------------------------------------------------------------


def test_vectors_come_back_bit_for_bit_in_another_run(tmp_path: Path) -> None:
    first = EmbeddingStore(tmp_path)
    keep(first, "cat", "кошка")
    first.close()
    assert kept(EmbeddingStore(tmp_path), "cat", "кошка") == ["cat", "кошка"]


def test_of_several_prompts_those_that_are_known_are_found(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", "dog")
    assert kept(store, "owl", "dog", "fox", "cat") == ["dog", "cat"]


def test_many_more_keys_than_one_query_takes_are_found(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    texts = [f"label {number}" for number in range(1700)]
    keep(store, *texts)
    assert kept(store, *texts) == texts


def test_no_keys_find_nothing(tmp_path: Path) -> None:
    assert EmbeddingStore(tmp_path).get_many("text", "one", []) == {}


def test_models_do_not_share_vectors(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", fingerprint="one")
    keep(store, "dog", fingerprint="two", facts=SIGMOID)
    assert kept(store, "cat", "dog", fingerprint="two") == ["dog"]


def test_kinds_do_not_share_vectors(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat")
    assert store.get_many("image", "one", [content_key("cat")]) == {}


def test_vectors_of_a_model_that_was_not_remembered_are_not_kept(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.put_many("text", "one", vectors_of("cat"))
    store.remember_model("one", FACTS)
    assert kept(store, "cat") == []


@pytest.mark.parametrize("facts", [FACTS, SIGMOID])
def test_the_facts_of_a_model_come_back(facts: ModelFacts, tmp_path: Path) -> None:
    EmbeddingStore(tmp_path).remember_model("one", facts)
    assert EmbeddingStore(tmp_path).model_facts("one") == facts


def test_an_unknown_model_has_no_facts(tmp_path: Path) -> None:
    assert EmbeddingStore(tmp_path).model_facts("one") is None


def test_facts_that_cannot_be_read_are_a_miss(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.remember_model("one", FACTS)
    change(tmp_path, "UPDATE models SET facts = '{\"nom\": 3}'")
    assert store.model_facts("one") is None


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    keep(EmbeddingStore(tmp_path / "a" / "b"), "cat")
    assert kept(EmbeddingStore(tmp_path / "a" / "b"), "cat") == ["cat"]


def test_a_store_without_a_folder_keeps_nothing_and_says_nothing(logged: list[str]) -> None:
    store = EmbeddingStore(None)
    keep(store, "cat")
    assert kept(store, "cat") == []
    assert store.info() is None
    assert logged == []


def test_a_closed_store_finds_nothing(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat")
    store.close()
    assert kept(store, "cat") == []


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_different_texts_have_different_keys(one: str, other: str) -> None:
    assert len(content_key(one)) == 32
    assert (content_key(one) == content_key(other)) == (one == other)


@given(names=st.lists(st.text(max_size=6), unique=True, max_size=8), split=st.integers(0, 8))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_put_is_found_and_nothing_else(names: list[str], split: int, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.clear()
    keep(store, *names[:split])
    assert kept(store, *names) == names[:split]
    store.close()


# --- hashes of files --------------------------------------------------------------------------------


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_hashed_by_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"x" * 3_000_000)
    assert EmbeddingStore(tmp_path).file_sha256(file) == sha256(b"x" * 3_000_000)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """List the files that are hashed."""
    paths: list[Path] = []

    def note_and_hash(path: Path) -> bytes:
        paths.append(path)
        return hash_file(path)

    monkeypatch.setattr("clipcli.cache.embeddings.hash_file", note_and_hash)
    return paths


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("folder", ["cache", None])
def test_an_unchanged_file_is_not_read_again(folder: str | None, read: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    store = EmbeddingStore(tmp_path / folder if folder else None)
    assert [store.file_sha256(file) for _ in range(3)] == [sha256(b"one")] * 3
    assert read == [file]


@pytest.mark.parametrize("folder", ["cache", None])
def test_a_file_that_was_written_just_now_is_read_again(folder: str | None, tmp_path: Path) -> None:
    file, times = tmp_path / "weights", (10**18, 10**18)
    store = EmbeddingStore(tmp_path / folder if folder else None)
    for content in (b"one", b"two", b"six"):  # all perhaps within one tick of the clock
        file.write_bytes(content)
        os.utime(file, ns=times)
        assert store.file_sha256(file) == sha256(content)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("column", ["sha256", "stamp", "checksum"])
def test_a_damaged_hash_of_a_file_is_found_by_the_check_and_never_used(column: str, tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    store = EmbeddingStore(tmp_path)
    store.file_sha256(file)
    change(tmp_path, f"UPDATE files SET {column} = X'cafe'")  # noqa: S608
    assert store.check() == [f"hash of file {str(file)[-60:]}: does not match its checksum"]
    assert store.file_sha256(file) == sha256(b"one")
    assert store.check() == []


def test_a_file_of_another_size_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    store = EmbeddingStore(tmp_path)
    store.file_sha256(file)
    file.write_bytes(b"three")
    assert store.file_sha256(file) == sha256(b"three")


def test_a_file_of_the_same_size_and_time_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    file, other = tmp_path / "weights", tmp_path / "other"
    file.write_bytes(b"one")
    store = EmbeddingStore(tmp_path)
    store.file_sha256(file)
    other.write_bytes(b"two")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert store.file_sha256(file) == sha256(b"two")


def test_a_file_whose_name_is_no_unicode_is_hashed(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"weights\xff")
    file.write_bytes(b"one")
    store = EmbeddingStore(tmp_path)
    assert [store.file_sha256(file), store.file_sha256(file)] == [sha256(b"one")] * 2


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        EmbeddingStore(tmp_path).file_sha256(tmp_path / "missing")


# --- info, clear and check --------------------------------------------------------------------------


def test_info_counts_what_is_kept_by_model_and_kind(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", "dog", fingerprint="one")
    keep(store, "owl", fingerprint="two", facts=SIGMOID)
    store.put_many("image", "two", vectors_of("photo"))
    info = store.info()
    assert info is not None
    assert info.path == file_of(tmp_path)
    assert info.size >= info.path.stat().st_size > 0
    assert info.entries == [("ViT-B-32 openai", "text", 2), ("pocket", "image", 1), ("pocket", "text", 1)]


def test_clearing_forgets_everything_and_counts_it(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", "dog")
    assert store.clear() == 2
    assert kept(store, "cat", "dog") == []
    assert store.model_facts("one") is None


def test_one_kind_can_be_cleared_by_itself(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", "dog")
    store.put_many("image", "one", vectors_of("photo"))
    assert store.clear("image") == 1
    assert kept(store, "cat", "dog") == ["cat", "dog"]


def test_clearing_gives_the_disk_space_back(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    empty = store.info()
    keep(store, *(f"label {number}" for number in range(2000)))
    full = store.info()
    store.clear()
    cleared = store.info()
    assert empty is not None
    assert full is not None
    assert cleared is not None
    assert cleared.size <= empty.size < full.size


def test_a_cleared_store_can_be_filled_again(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat")
    store.clear()
    keep(store, "dog")
    assert kept(store, "cat", "dog") == ["dog"]


def test_a_model_never_gets_vectors_of_another_when_the_cache_is_cleared_meanwhile(tmp_path: Path) -> None:
    here, there = EmbeddingStore(tmp_path), EmbeddingStore(tmp_path)
    keep(here, "cat", fingerprint="one")
    there.clear()
    there.remember_model("two", SIGMOID)
    here.put_many("text", "one", vectors_of("dog"))
    assert kept(there, "cat", "dog", fingerprint="two") == []


def test_a_sound_cache_passes_its_check(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", "dog")
    assert store.check() == []


@pytest.mark.parametrize(
    ("blob", "problem"),
    [
        (np.full(8, 0.9, "<f4").tobytes(), "length 2.55 instead of 1"),
        (np.zeros(8, "<f4").tobytes(), "length 0 instead of 1"),
        (np.full(8, np.nan, "<f4").tobytes(), "length nan instead of 1"),
        (b"\0" * 12, "12 bytes for 8 dimensions"),
    ],
)
def test_a_corrupted_vector_is_found_by_the_check_and_never_used(blob: bytes, problem: str, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", "dog")
    change(tmp_path, "UPDATE vectors SET vector = ? WHERE content = ?", blob, content_key("cat"))
    assert store.check() == [f"text vector {content_key('cat').hex()[:12]}: {problem}"]
    assert kept(store, "cat", "dog") == ["dog"]


def flipped(blob: bytes, bit: int = 77) -> bytes:
    changed = bytearray(blob)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


DAMAGED_VECTORS: dict[str, Callable[[bytes], bytes]] = {
    "one bit": flipped,
    "rotated": lambda blob: blob[4:] + blob[:4],
    "mirrored": lambda blob: np.frombuffer(blob, "<f4")[::-1].tobytes(),
    "negated": lambda blob: (-np.frombuffer(blob, "<f4")).tobytes(),
    "of another text": lambda _: vector_of("owl").tobytes(),
    "as halves": lambda blob: np.frombuffer(blob, "<f4").astype("<f2").tobytes(),
}


@pytest.mark.parametrize("damage", DAMAGED_VECTORS.values(), ids=list(DAMAGED_VECTORS))
def test_a_damaged_vector_of_the_right_length_is_found_never_used_and_replaced(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", "dog")
    blob = damage(vector_of("cat").tobytes())
    change(tmp_path, "UPDATE vectors SET vector = ? WHERE content = ?", blob, content_key("cat"))
    assert store.check() == [f"text vector {content_key('cat').hex()[:12]}: does not match its checksum"]
    assert kept(store, "cat", "dog") == ["dog"]
    keep(store, "cat")
    assert kept(store, "cat", "dog") == ["cat", "dog"]
    assert store.check() == []


MOVED_ROWS = {
    "to another text": "UPDATE vectors SET content = X'00' WHERE content = (SELECT MIN(content) FROM vectors)",
    "to another kind": "UPDATE vectors SET kind = 'image'",
    "to another model": "UPDATE vectors SET model = (SELECT id FROM models WHERE fingerprint = 'two')",
    "to another type": "UPDATE vectors SET vector = 'text'",
    "to no dimensions": "UPDATE vectors SET dim = -8",
    "without a checksum": "UPDATE vectors SET checksum = NULL",
    "to another fingerprint": "UPDATE models SET fingerprint = 'three' WHERE fingerprint = 'one'",
}


@pytest.mark.parametrize("statement", MOVED_ROWS.values(), ids=list(MOVED_ROWS))
def test_a_vector_that_moved_to_another_key_is_found_and_never_used(statement: str, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", "dog")
    store.remember_model("two", FACTS)
    change(tmp_path, statement)
    for kind in ("text", "image"):
        for fingerprint in ("one", "two", "three"):
            found = store.get_many(kind, fingerprint, [content_key("cat"), content_key("dog"), b"\0"])
            for key, vector in found.items():
                assert (kind, fingerprint) == ("text", "one")
                assert key in {content_key(text) for text in ("cat", "dog") if (vector == vector_of(text)).all()}
    assert store.check() != []


DAMAGED_FACTS = [
    '{"name": "m", "pretrained": null, "dim": 8, "logit_scale": 101.0, "logit_bias": null}',
    '{"name": 1, "pretrained": null, "dim": -1, "logit_scale": "x", "logit_bias": []}',
    "[" * 100_000,
]


@pytest.mark.parametrize("facts", DAMAGED_FACTS, ids=["other scale", "other types", "nested"])
def test_facts_of_a_model_that_were_changed_are_found_and_never_used(facts: str, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat")
    change(tmp_path, "UPDATE models SET facts = ?", facts)
    assert store.check() == ["model one: does not match its checksum"]
    assert store.model_facts("one") is None
    assert kept(store, "cat") == []
    assert store.info() is not None


@pytest.mark.parametrize(
    "values", [{"dim": -1}, {"dim": 8.0}, {"logit_scale": float("nan")}, {"logit_bias": "x"}, {"name": 3}]
)
def test_facts_that_no_model_can_have_are_never_used_whatever_their_checksum(
    values: dict[str, object], tmp_path: Path
) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", facts=replace(FACTS, **values))  # type: ignore[arg-type]
    assert store.model_facts("one") is None
    assert kept(store, "cat") == []


def test_a_vector_of_another_size_than_the_model_s_is_never_used(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.remember_model("one", FACTS)
    store.put_many("text", "one", {content_key("cat"): np.array([0.6, 0.8], np.float32)})
    assert kept(store, "cat") == []


def test_facts_of_another_size_than_the_model_s_are_never_used(tmp_path: Path) -> None:
    keep(EmbeddingStore(tmp_path), "cat")
    store = EmbeddingStore(tmp_path, dim=16)
    assert (store.model_facts("one"), kept(store, "cat")) == (None, [])


def test_a_note_that_was_changed_is_found_and_never_used(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.keep_note("precision", "bf16")
    assert store.note("precision") == "bf16"
    change(tmp_path, "UPDATE notes SET value = replace(value, 'bf', 'fp')")
    assert store.check() == ["note precision: does not match its checksum"]
    assert store.note("precision") is None


@pytest.mark.parametrize("text", [b"\xff\xfe", b"\x1b[31m"], ids=["no UTF-8", "escapes"])
def test_text_that_was_damaged_is_a_miss_and_shown_safely(text: bytes, tmp_path: Path, logged: list[str]) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat")
    store.keep_note("precision", "bf16")
    for column in ("models SET facts", "notes SET value", "vectors SET kind", "notes SET name"):
        change(tmp_path, f"UPDATE {column} = CAST(? AS TEXT)", text)
    assert (store.model_facts("one"), store.note("precision"), kept(store, "cat"), logged) == (None, None, [], [])
    assert all(problem.isprintable() for problem in store.check())
    keep(store, "cat")
    assert kept(store, "cat") == ["cat"]


# --- files from others, and from older versions -----------------------------------------------------


FIRST_VERSION = """
CREATE TABLE models (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, facts TEXT NOT NULL);
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, model INTEGER NOT NULL, content BLOB NOT NULL,
    dim INTEGER NOT NULL, vector BLOB NOT NULL, UNIQUE (kind, model, content)
);
CREATE TABLE files (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, stamp TEXT NOT NULL, sha256 BLOB NOT NULL);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def made_of(folder: Path, script: str) -> Path:
    """Make a file of SQL in the place of the cache."""
    folder.mkdir(exist_ok=True)
    file = folder / "embeddings-v1.sqlite"
    connection = sqlite3.connect(file)
    connection.executescript(script)
    connection.close()
    return file


def test_vectors_of_a_version_without_checksums_are_dropped_and_their_space_is_free(
    tmp_path: Path, logged: list[str]
) -> None:
    insert = (
        "INSERT INTO vectors VALUES (1, 'text', 1, X'00', 8, zeroblob(3000000)); INSERT INTO notes VALUES ('a', 'b');"
    )
    file = made_of(tmp_path, FIRST_VERSION + insert)
    store = EmbeddingStore(tmp_path)
    info = store.info()
    assert info is not None
    assert (info.entries, store.note("a"), logged) == ([], None, [])
    assert file.stat().st_size < 1_000_000
    keep(store, "cat")
    assert kept(store, "cat") == ["cat"]
    assert store.check() == []


def test_an_older_version_can_share_the_file(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.keep_note("precision", "bf16")
    keep(store, "cat")
    change(tmp_path, "INSERT OR REPLACE INTO notes VALUES ('precision', 'fp32')")
    insert = "INSERT INTO vectors (kind, model, content, dim, vector) SELECT 'text', id, ?, 8, ? FROM models"
    change(tmp_path, insert, content_key("dog"), vector_of("owl").tobytes())
    assert store.note("precision") == "bf16"
    assert kept(store, "cat", "dog") == ["cat"]


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path, logged: list[str]) -> None:
    file = made_of(tmp_path, "CREATE TABLE other (id); PRAGMA user_version = 3")
    before = file.read_bytes()
    EmbeddingStore(tmp_path)
    (warning,) = logged
    assert "made by a newer version of clipcli" in warning
    assert file.read_bytes() == before


FOREIGN = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON vectors BEGIN DELETE FROM models; END",
    "a view": "DROP TABLE notes; CREATE VIEW notes AS SELECT 'a' AS name, 'b' AS value",
    "another table": "CREATE TABLE mine (id)",
    "an index": "CREATE INDEX i ON vectors (abs(dim))",
    "a column more": "ALTER TABLE vectors ADD COLUMN more",
    "a column less": "ALTER TABLE vectors DROP COLUMN checksum",
}


@pytest.mark.parametrize(
    ("first", "script"),
    [
        pytest.param(first, script, id=f"{name}, {'first' if first else 'this'} version")
        for name, script in FOREIGN.items()
        for first in (True, False)
        if not (first and "COLUMN" in script)  # all tables of that version are replaced
    ],
)
def test_a_file_with_a_schema_of_others_is_set_aside(
    first: bool, script: str, tmp_path: Path, logged: list[str]
) -> None:
    if first:
        made_of(tmp_path, FIRST_VERSION)
    else:
        EmbeddingStore(tmp_path).close()
    file = made_of(tmp_path, script)
    store = EmbeddingStore(tmp_path)
    keep(store, "cat")
    assert kept(store, "cat") == ["cat"]
    assert len(logged) == 1
    assert "set aside as" in logged[0]
    assert [path for path in tmp_path.glob("*.damaged-*") if path != file]


def make_link(path: Path) -> None:
    (path.parent / "victim").write_bytes(b"")
    path.symlink_to("victim")


SPECIAL: dict[str, Callable[[Path], object]] = {
    "a pipe": lambda path: os.mkfifo(path),
    "a link": make_link,
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("make", SPECIAL.values(), ids=list(SPECIAL))
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_link_or_pipe_in_the_place_of_the_file_is_refused_in_one_line(
    suffix: str, make: Callable[[Path], object], tmp_path: Path, logged: list[str]
) -> None:
    make(tmp_path / f"embeddings-v1.sqlite{suffix}")
    store = EmbeddingStore(tmp_path)
    keep(store, "cat")
    assert (kept(store, "cat"), len(logged)) == ([], 1)
    assert "a symbolic link" in logged[0] or "not a regular file" in logged[0]
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "victim").exists() or (tmp_path / "victim").read_bytes() == b""
    with pytest.raises(CacheError, match=r"a symbolic link|not a regular file"):
        EmbeddingStore(tmp_path, strict=True)


# --- whose it is ------------------------------------------------------------------------------------


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o7777 for path in (folder, *folder.iterdir())}


@pytest.mark.parametrize("before", ["nothing", "open", "first version"])
def test_the_cache_is_closed_to_other_users(before: str, tmp_path: Path) -> None:
    folder = tmp_path / "parent" / "cache"
    if before != "nothing":
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    if before == "first version":
        made_of(folder, FIRST_VERSION).chmod(0o644)
        (folder / "engines").mkdir(0o755)
        (folder / "embeddings-v1.damaged-1.sqlite").touch(0o644)
    store = EmbeddingStore(folder)
    keep(store, "cat")
    found = modes(folder)
    assert {"cache", "embeddings-v1.sqlite", "embeddings-v1.sqlite-wal", "embeddings-v1.sqlite-shm"} <= found.keys()
    assert all(mode & 0o077 == 0 for mode in found.values())


def test_a_folder_that_holds_other_things_keeps_its_mode_and_theirs(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "photo.jpg").touch(0o644)
    store = EmbeddingStore(tmp_path)
    keep(store, "cat")
    found = modes(tmp_path)
    assert (found.pop(tmp_path.name), found.pop("photo.jpg")) == (0o755, 0o644)
    assert set(found.values()) == {0o600}


@pytest.mark.parametrize("mode", [0o2775, 0o1777])
def test_a_shared_folder_keeps_its_mode(mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    keep(EmbeddingStore(tmp_path), "cat")
    assert tmp_path.stat().st_mode & 0o7777 == mode


def test_what_a_link_in_the_cache_folder_leads_to_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(0o755)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "engines").symlink_to(tmp_path / "mine")
    keep(EmbeddingStore(tmp_path / "cache"), "cat")
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o755


def test_the_variable_names_the_folder_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPCLI_CACHE_DIR", str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine"
    monkeypatch.setenv("CLIPCLI_CACHE_DIR", "")
    assert default_folder().name == "clipcli"


# --- only looking, and a cache that is in use -------------------------------------------------------


def test_a_look_at_a_cache_that_is_not_there_makes_none(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "cache", create=False, strict=True)
    info = store.info()
    assert info is not None
    assert (info.entries, info.size, store.check(), store.clear()) == ([], 0, [], 0)
    assert not list(tmp_path.iterdir())


LOCKS = {"for reading and writing": "BEGIN EXCLUSIVE", "for writing": "BEGIN IMMEDIATE"}


@pytest.mark.parametrize("lock", LOCKS.values(), ids=list(LOCKS))
def test_a_cache_that_another_process_has_locked_is_not_cleared_and_that_is_an_error(lock: str, tmp_path: Path) -> None:
    keep(EmbeddingStore(tmp_path), "cat")
    other = sqlite3.connect(file_of(tmp_path), isolation_level=None)
    other.execute(lock)
    store = EmbeddingStore(tmp_path, create=False, strict=True, patience=0.1)
    with pytest.raises(CacheError, match=r"cannot use the cache .*: locked by another process \(try again"):
        store.clear()
    other.execute("ROLLBACK")
    assert kept(EmbeddingStore(tmp_path), "cat") == ["cat"]


def test_a_cache_that_is_locked_while_it_is_opened_is_an_error_too(tmp_path: Path, logged: list[str]) -> None:
    made_of(tmp_path, FIRST_VERSION)  # not in WAL mode, where readers are kept out
    other = sqlite3.connect(file_of(tmp_path), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CacheError, match="locked by another process"):
        EmbeddingStore(tmp_path, create=False, strict=True, patience=0.1)
    assert EmbeddingStore(tmp_path, patience=0.1).get_many("text", "one", [b""]) == {}
    (warning,) = logged
    assert "locked by another process" in warning


def test_clearing_while_another_process_reads_removes_everything(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, patience=0.1)
    keep(store, *(f"label {number}" for number in range(2000)))
    reader = sqlite3.connect(file_of(tmp_path), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM vectors").fetchone()
    assert (store.clear(), store.is_shrunk) == (2000, False)
    assert kept(store, "label 1") == []


def test_clearing_removes_the_damaged_files_that_were_set_aside(tmp_path: Path) -> None:
    EmbeddingStore(tmp_path).close()
    file_of(tmp_path).write_bytes(b"no database at all" * 100)
    store = EmbeddingStore(tmp_path)
    assert list(tmp_path.glob("*.damaged-*"))
    store.clear()
    assert not list(tmp_path.glob("*.damaged-*"))


def test_the_check_of_a_damaged_file_says_so(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, *(f"label {number}" for number in range(500)))
    store.close()
    damage_pages(file_of(tmp_path))
    (problem,) = EmbeddingStore(tmp_path).check()
    assert problem.startswith("the cache was damaged and has been set aside as ")


def test_the_check_of_a_cache_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert EmbeddingStore(tmp_path / "file").check() == ["there is no usable cache"]


# --- damage -----------------------------------------------------------------------------------------


def damage_pages(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 4] + b"\xa5" * (len(content) - len(content) // 4))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda file: file.write_bytes(b"this is no database" * 1000),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "overwritten pages": damage_pages,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_file_is_set_aside_with_one_warning_and_the_work_goes_on(
    damage: Callable[[Path], object], tmp_path: Path, logged: list[str]
) -> None:
    store = EmbeddingStore(tmp_path)
    texts = [f"label {number}" for number in range(500)]
    keep(store, *texts)
    store.close()
    damage(file_of(tmp_path))
    damaged = file_of(tmp_path).read_bytes()
    store = EmbeddingStore(tmp_path)
    assert kept(store, *texts) == []
    keep(store, "cat")
    assert kept(EmbeddingStore(tmp_path), "cat") == ["cat"]
    (aside,) = tmp_path.glob("*damaged*")
    assert aside.read_bytes() == damaged
    assert logged == [f"the cache was damaged and has been set aside as {aside}, a new one has been started"]


def test_a_file_that_is_damaged_while_it_is_open_is_set_aside(tmp_path: Path, logged: list[str]) -> None:
    texts = [f"label {number}" for number in range(500)]
    first = EmbeddingStore(tmp_path)
    keep(first, *texts)
    first.close()
    store = EmbeddingStore(tmp_path)
    damage_pages(file_of(tmp_path))
    assert kept(store, *texts) == []
    keep(store, "cat")
    assert kept(store, "cat") == ["cat"]
    assert len(logged) == 1


def test_an_empty_file_is_a_new_cache(tmp_path: Path, logged: list[str]) -> None:
    EmbeddingStore(tmp_path).close()
    file_of(tmp_path).write_bytes(b"")
    store = EmbeddingStore(tmp_path)
    keep(store, "cat")
    assert kept(store, "cat") == ["cat"]
    assert logged == []


@pytest.mark.parametrize("below", ["file", "file/below", "proc"])
def test_a_folder_that_cannot_be_written_is_done_without_and_said_once(
    below: str, tmp_path: Path, logged: list[str]
) -> None:
    (tmp_path / "file").touch()
    folder = Path("/proc/1") / "cache" if below == "proc" else tmp_path / below
    store = EmbeddingStore(folder)
    keep(store, "cat")
    assert kept(store, "cat") == []
    assert store.info() is None
    assert store.clear() == 0
    (warning,) = logged
    assert warning.startswith("continuing without the cache ")


def test_a_full_disk_is_done_without_a_cache_and_said_once(tmp_path: Path) -> None:
    program = """
import logging, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.cache.test_embeddings import EmbeddingStore, keep, kept
logging.basicConfig(stream=sys.stdout, format="%(message)s")
store = EmbeddingStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))
keep(store, *(f"label {number}" for number in range(5000)))
print(kept(store, "label 1"))
"""
    output = run_python(program, tmp_path).splitlines()
    assert output[0].startswith("continuing without the cache ")
    assert output[1:] == ["[]"]
    assert EmbeddingStore(tmp_path).check() == []


# --- several processes ------------------------------------------------------------------------------


def python(program: str, folder: Path, *arguments: object) -> subprocess.Popen[str]:
    here = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, *map(str, (folder, here, *arguments))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run_python(program: str, folder: Path) -> str:
    process = python(program, folder)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return output


WRITER = """
import logging, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.cache.test_embeddings import EmbeddingStore, keep
print("ready", flush=True)
sys.stdin.readline()
logging.basicConfig(stream=sys.stdout, format="%(message)s")
store = EmbeddingStore(Path(sys.argv[1]))
for number in range(40):
    keep(store, "shared", f"{sys.argv[3]} {number}")
"""


@pytest.mark.parametrize("begun", [False, True], ids=["new", "begun"])
def test_two_processes_write_at_once_and_nothing_is_lost(begun: bool, tmp_path: Path) -> None:
    if begun:
        keep(EmbeddingStore(tmp_path), "before")
    writers = [python(WRITER, tmp_path, name) for name in ("one", "two")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=300)[0] for writer in writers] == ["", ""]
    store = EmbeddingStore(tmp_path)
    texts = ["shared", *(f"{name} {number}" for name in ("one", "two") for number in range(40))]
    assert kept(store, *texts) == texts
    assert store.check() == []


ENDLESS = """
import logging, sys
from itertools import count
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.cache.test_embeddings import EmbeddingStore, keep
logging.basicConfig(stream=sys.stdout, format="%(message)s")
store = EmbeddingStore(Path(sys.argv[1]))
for batch in count():
    keep(store, *(f"{batch} {number}" for number in range(100)))
    print(batch, flush=True)
"""


@pytest.mark.parametrize("batches", [1, 7])
def test_a_process_killed_while_it_writes_leaves_a_sound_cache(batches: int, tmp_path: Path, logged: list[str]) -> None:
    process = python(ENDLESS, tmp_path)
    assert process.stdout is not None
    for batch in range(batches):
        assert process.stdout.readline() == f"{batch}\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)
    store = EmbeddingStore(tmp_path)
    assert store.check() == []
    texts = [f"{batch} {number}" for batch in range(batches) for number in range(100)]
    assert kept(store, *texts) == texts
    info = store.info()
    assert info is not None
    assert info.entries[0][2] % 100 == 0  # a batch is kept whole or not at all
    keep(store, "cat")
    assert kept(store, "cat") == ["cat"]
    assert logged == []


def test_closing_waits_for_the_work_of_other_threads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = Database(tmp_path / "x.sqlite", SCHEMA)
    started, answers = threading.Event(), []

    def work(connection: sqlite3.Connection) -> int:
        started.set()
        time.sleep(0.2)  # in which an unsynchronised close would come
        return int(connection.execute("SELECT 7").fetchone()[0])

    thread = threading.Thread(target=lambda: answers.append(database.run(work, None)))
    thread.start()
    started.wait()
    database.close()
    thread.join()
    assert (answers, caplog.messages) == ([7], [])


def test_work_after_the_exit_of_the_process_began_is_a_miss_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(tmp_path / "x.sqlite", SCHEMA)
    (at_exit,) = [each for each in list(vars(finalize)["_registry"]) if each.peek() and each.peek()[0] is database]
    at_exit()  # as Python does while daemon threads still run
    assert database.run(lambda connection: connection.execute("SELECT 7").fetchone(), None) is None
    assert caplog.messages == []
