"""The cache keeps embeddings between runs and processes, and nothing that befalls its file is fatal."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clipcli.store import EmbeddingStore, ModelFacts, content_key

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


def test_a_store_without_a_folder_keeps_nothing_and_says_nothing() -> None:
    warnings: list[str] = []
    store = EmbeddingStore(None, warnings.append)
    keep(store, "cat")
    assert kept(store, "cat") == []
    assert store.info() is None
    assert warnings == []


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


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    store = EmbeddingStore(tmp_path)
    store.file_sha256(file)
    change(tmp_path, "UPDATE files SET sha256 = X'cafe'")
    assert store.file_sha256(file) == "cafe"


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
        (np.full(8, 0.9, "<f4").tobytes(), "length 2.55 where 1 is right"),
        (np.zeros(8, "<f4").tobytes(), "length 0 where 1 is right"),
        (np.full(8, np.nan, "<f4").tobytes(), "length nan where 1 is right"),
        (b"\0" * 12, "12 bytes for 8 numbers"),
    ],
)
def test_a_corrupted_vector_is_found_by_the_check_and_never_used(blob: bytes, problem: str, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, "cat", "dog")
    change(tmp_path, "UPDATE vectors SET vector = ? WHERE content = ?", blob, content_key("cat"))
    assert store.check() == [f"text vector {content_key('cat').hex()[:12]}: {problem}"]
    assert kept(store, "cat", "dog") == ["dog"]


def test_the_check_of_a_damaged_file_says_so(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keep(store, *(f"label {number}" for number in range(500)))
    store.close()
    damage_pages(file_of(tmp_path))
    (problem,) = EmbeddingStore(tmp_path).check()
    assert problem.startswith("the cache was damaged; set aside as ")


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
    damage: Callable[[Path], object], tmp_path: Path
) -> None:
    store = EmbeddingStore(tmp_path)
    texts = [f"label {number}" for number in range(500)]
    keep(store, *texts)
    store.close()
    damage(file_of(tmp_path))
    damaged = file_of(tmp_path).read_bytes()
    warnings: list[str] = []
    store = EmbeddingStore(tmp_path, warnings.append)
    assert kept(store, *texts) == []
    keep(store, "cat")
    assert kept(EmbeddingStore(tmp_path, warnings.append), "cat") == ["cat"]
    (aside,) = tmp_path.glob("*damaged*")
    assert aside.read_bytes() == damaged
    assert warnings == [f"the cache was damaged; set aside as {aside}, a new one begun"]


def test_a_file_that_is_damaged_while_it_is_open_is_set_aside(tmp_path: Path) -> None:
    texts = [f"label {number}" for number in range(500)]
    first = EmbeddingStore(tmp_path)
    keep(first, *texts)
    first.close()
    warnings: list[str] = []
    store = EmbeddingStore(tmp_path, warnings.append)
    damage_pages(file_of(tmp_path))
    assert kept(store, *texts) == []
    keep(store, "cat")
    assert kept(store, "cat") == ["cat"]
    assert len(warnings) == 1


def test_an_empty_file_is_a_new_cache(tmp_path: Path) -> None:
    EmbeddingStore(tmp_path).close()
    file_of(tmp_path).write_bytes(b"")
    warnings: list[str] = []
    store = EmbeddingStore(tmp_path, warnings.append)
    keep(store, "cat")
    assert kept(store, "cat") == ["cat"]
    assert warnings == []


@pytest.mark.parametrize("below", ["file", "file/below", "proc"])
def test_a_folder_that_cannot_be_written_is_done_without_and_said_once(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = Path("/proc/1") / "cache" if below == "proc" else tmp_path / below
    warnings: list[str] = []
    store = EmbeddingStore(folder, warnings.append)
    keep(store, "cat")
    assert kept(store, "cat") == []
    assert store.info() is None
    assert store.clear() == 0
    (warning,) = warnings
    assert warning.startswith("going on without a cache: ")


def test_a_full_disk_is_done_without_a_cache_and_said_once(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import EmbeddingStore, keep, kept
store = EmbeddingStore(Path(sys.argv[1]), print)
resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))
keep(store, *(f"label {number}" for number in range(5000)))
print(kept(store, "label 1"))
"""
    output = run_python(program, tmp_path).splitlines()
    assert output[0].startswith("going on without a cache: ")
    assert output[1:] == ["[]"]
    assert EmbeddingStore(tmp_path).check() == []


# --- several processes ------------------------------------------------------------------------------


def python(program: str, folder: Path, *arguments: object) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    command = [sys.executable, "-c", program, *map(str, (folder, here, *arguments))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run_python(program: str, folder: Path) -> str:
    process = python(program, folder)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import EmbeddingStore, keep
print("ready", flush=True)
sys.stdin.readline()
store = EmbeddingStore(Path(sys.argv[1]), print)
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
    assert [writer.communicate(timeout=60)[0] for writer in writers] == ["", ""]
    store = EmbeddingStore(tmp_path)
    texts = ["shared", *(f"{name} {number}" for name in ("one", "two") for number in range(40))]
    assert kept(store, *texts) == texts
    assert store.check() == []


ENDLESS = """
import sys
from itertools import count
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import EmbeddingStore, keep
store = EmbeddingStore(Path(sys.argv[1]), print)
for batch in count():
    keep(store, *(f"{batch} {number}" for number in range(100)))
    print(batch, flush=True)
"""


@pytest.mark.parametrize("batches", [1, 7])
def test_a_process_killed_while_it_writes_leaves_a_sound_cache(batches: int, tmp_path: Path) -> None:
    process = python(ENDLESS, tmp_path)
    assert process.stdout is not None
    for batch in range(batches):
        assert process.stdout.readline() == f"{batch}\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    warnings: list[str] = []
    store = EmbeddingStore(tmp_path, warnings.append)
    assert store.check() == []
    texts = [f"{batch} {number}" for batch in range(batches) for number in range(100)]
    assert kept(store, *texts) == texts
    info = store.info()
    assert info is not None
    assert info.entries[0][2] % 100 == 0  # a batch is kept whole or not at all
    keep(store, "cat")
    assert kept(store, "cat") == ["cat"]
    assert warnings == []
