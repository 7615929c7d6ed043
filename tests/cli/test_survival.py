"""Runs that are killed, interrupted, crowded or starved, from end to end: nothing is lost and nothing comes twice."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from clipcli import Classifier
from clipcli.pipeline.predictions import Prediction
from clipcli.text import printable
from tests.bad_files import make_bad_files
from tests.conftest import TINY_CLIP, clean_environment, save_model_folder

COUNT, MARGIN = 400, 120  # images, and how many of them a run is never killed at: the last ones
PART = 40  # rows of Parquet that are put on disk at once
NAMES = ("cat", "dog", "a cup of coffee")
LABELS = tuple(part for name in NAMES for part in ("-l", name))
PACE = ("--batch-size", "8", "--workers", "1")
FORMS = ("jsonl", "csv", "parquet")

# Imports torch once, then forks a process for each command line: a start that costs next to nothing, of a process
# of its own that can be killed.
NURSERY = f"""
import io, json, os, resource, sys, traceback
from clipcli.outputs import parquet
from clipcli.models._torchvision import import_open_clip
from clipcli.cli import run

import_open_clip()
parquet._PART_ROWS = {PART}

def child(arguments, files, folder, size_limit):
    os.chdir(folder)
    for number, path in enumerate(files):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY), number)
    sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False))
    if size_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_limit, resource.RLIM_INFINITY))
    try:
        code = run(arguments)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stderr.flush()
    os._exit(code)

for line in sys.stdin:
    task = json.loads(line)
    if isinstance(task, int):
        answer = os.waitstatus_to_exitcode(os.waitpid(task, 0)[1])
    else:
        answer = os.fork()
        if not answer:
            child(*task)
    print(answer, flush=True)
"""


class Done(NamedTuple):
    """How a command line ended, and what it wrote."""

    code: int
    out: str
    errors: str


@dataclass
class Job:
    """A command line that runs."""

    process: int
    said: list[Path]
    ask: Callable[[Any], int]

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)

    def wait(self) -> Done:
        code = self.ask(self.process)
        return Done(code, *(path.read_text("utf-8") if path.exists() else "" for path in self.said))

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that this job brings about, or for its end."""
        while not holds() and self._runs():
            time.sleep(0.001)

    def _runs(self) -> bool:
        state = Path(f"/proc/{self.process}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        return state != "Z"


class Nursery:
    """Starts command lines as processes of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._parent = subprocess.Popen(
            [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
            env=clean_environment(folder),
        )  # fmt: skip

    def close(self) -> None:
        self._parent.communicate()

    def _ask(self, task: Any) -> int:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(task) + "\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())

    def start(self, *arguments: object, folder: Path | None = None, stdin: bytes = b"", size_limit: int = 0) -> Job:
        self._count += 1
        files = [self._folder / f"{kind}-{self._count}" for kind in ("stdin", "stdout", "stderr")]
        files[0].write_bytes(stdin)
        process = self._ask((list(map(str, arguments)), list(map(str, files)), str(folder or "."), size_limit))
        return Job(process, files[1:], self._ask)

    def run(self, *arguments: object, **options: Any) -> Done:
        return self.start(*arguments, **options).wait()


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()


def make_images(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True)
    chance = np.random.default_rng(0)
    paths = [folder / f"{number:04}.jpg" for number in range(count)]
    for path in paths:
        blotches = Image.fromarray(chance.integers(0, 256, (6, 6, 3), np.uint8))
        blotches.resize((48, 48)).save(path, quality=90)
    return paths


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many small images that a run over them takes a while."""
    folder = tmp_path_factory.mktemp("images") / "album"
    make_images(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def model(tiny_clip: Path) -> tuple[str, str]:
    return ("--model", f"local-dir:{tiny_clip}")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache that the undisturbed runs filled."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery, album: Path, model: tuple[str, str], cache: Path
) -> dict[str, Path]:
    """The files, by format, that runs come to which nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    files = {form: folder / f"r.{form}" for form in FORMS}
    for file in files.values():
        done = nursery.run("classify", album, *LABELS, *model, *PACE, "--cache-dir", cache, "-o", file)
        assert done == (0, "", "")
    return files


def content(file: Path) -> Any:
    """What may not differ: the bytes of a text file, the rows of Parquet."""
    return pyarrow.parquet.read_table(file).to_pylist() if file.suffix == ".parquet" else file.read_bytes()


def partial_of(target: Path) -> Path:
    return target.with_name(target.name + ".partial")


def kept_in(partial: Path) -> int:
    """Count the lines, or rows, on disk."""
    if partial.is_dir():
        return PART * len(list(partial.glob("part-*.parquet")))
    return partial.read_bytes().count(b"\n") if partial.exists() else 0


def left_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def records_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- killed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caching", [("--no-cache",), ("--cache-dir", "cache")], ids=["without cache", "with cache"])
@pytest.mark.parametrize(("form", "kills"), [("jsonl", 4), ("csv", 3), ("parquet", 3)])
def test_a_run_killed_at_random_moments_is_resumed_to_the_same_file(
    form: str,
    kills: int,
    caching: tuple[str, ...],
    nursery: Nursery,
    album: Path,
    model: tuple[str, str],
    undisturbed: dict[str, Path],
    tmp_path: Path,
) -> None:
    chance = random.Random(f"{form} {caching}")
    target = tmp_path / "results" / f"r.{form}"
    target.parent.mkdir()
    where = [tmp_path / part if part == "cache" else part for part in caching]
    command = ("classify", album, *LABELS, *model, *PACE, *where, "-o", target, "--resume")
    for moment in sorted(chance.sample(range(COUNT - MARGIN), kills)):
        least = max(moment, kept_in(partial_of(target)))
        job = nursery.start(*command)
        job.wait_until(lambda least=least: kept_in(partial_of(target)) > least)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.02))
        job.kill()
        assert job.wait().code == -signal.SIGKILL
        assert not target.exists()
    assert nursery.run(*command) == (0, "", "")
    assert content(target) == content(undisturbed[form])
    assert sorted(left_in(target.parent)) == [target.name, f"{target.name}.run.json"]


def test_a_cache_whose_writer_was_killed_is_sound(
    nursery: Nursery, album: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    chance = random.Random(0)
    log = tmp_path / "cache" / "embeddings-v1.sqlite-wal"
    command = ("classify", album, *LABELS, *model, *PACE, "--cache-dir", log.parent, "-o", tmp_path / "r.csv")
    for _ in range(3):
        shutil.rmtree(log.parent, ignore_errors=True)
        enough = chance.randrange(50_000, 500_000)
        job = nursery.start(*command, "--overwrite")
        job.wait_until(lambda enough=enough: log.exists() and log.stat().st_size > enough)  # type: ignore[misc]
        job.kill()
        assert job.wait().code == -signal.SIGKILL
        assert nursery.run("cache", "check", "--cache-dir", log.parent) == (0, "no damage found\n", "")


# --- interrupted --------------------------------------------------------------------------------------------


@dataclass
class Stopped:
    """A run that Ctrl-C ended."""

    code: int
    errors: str
    kept: int
    target: Path
    command: tuple[object, ...]  # but for the target

    def changed(self, option: str, value: object) -> tuple[object, ...]:
        """Return the command with another value of an option, which may be given several times if it is a label."""
        if option not in self.command or option == "-l":
            return (*self.command[:-1], option, value, self.command[-1])
        place = self.command.index(option) + 1
        return (*self.command[:place], value, *self.command[place + 1 :])

    def copied_to(self, folder: Path) -> Path:
        """Copy what is left of it, for one test to go on from."""
        for path in self.target.parent.glob("r.jsonl.*"):
            shutil.copy(path, folder / path.name)
        return folder / "r.jsonl"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, album: Path, model: tuple[str, str]) -> Stopped:
    """A run as users start it, ended by Ctrl-C on its way."""
    folder = tmp_path_factory.mktemp("stopped")
    target = folder / "r.jsonl"
    command = ("classify", album, *LABELS, *model, *PACE, "--no-cache", "-o")
    process = subprocess.Popen(
        [sys.executable, "-m", "clipcli", *map(str, command), str(target)], stderr=subprocess.PIPE, text=True,
        encoding="utf-8", env=clean_environment(folder),
    )  # fmt: skip
    while kept_in(partial_of(target)) < COUNT // 4 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    errors = process.communicate()[1]
    return Stopped(process.returncode, errors, kept_in(partial_of(target)), target, command)


def test_ctrl_c_ends_a_run_with_one_line_that_says_how_to_go_on(stopped: Stopped) -> None:
    told = f"error: interrupted: {stopped.kept} records saved in {partial_of(stopped.target)}; continue with --resume\n"
    assert (stopped.code, stopped.errors) == (130, told)
    assert COUNT // 4 <= stopped.kept < COUNT


def test_a_run_ended_by_ctrl_c_is_resumed_to_the_same_file(
    stopped: Stopped, nursery: Nursery, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    target = stopped.copied_to(tmp_path)
    assert nursery.run(*stopped.command, target, "--resume") == (0, "", "")
    assert target.read_bytes() == undisturbed["jsonl"].read_bytes()


def test_an_interrupted_run_is_not_overwritten_unasked(stopped: Stopped, nursery: Nursery, tmp_path: Path) -> None:
    target = stopped.copied_to(tmp_path)
    before = left_in(tmp_path)
    assert nursery.run(*stopped.command, target) == (
        2,
        "",
        f"error: cannot write {target}: r.jsonl.partial holds an interrupted run "
        "(continue with --resume, or start again with --overwrite)\n",
    )
    assert left_in(tmp_path) == before


def test_an_interrupted_run_is_begun_anew_on_request(
    stopped: Stopped, nursery: Nursery, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    target = stopped.copied_to(tmp_path)
    assert nursery.run(*stopped.command, target, "--overwrite", "-l", "cow").code == 0
    records = records_of(target.read_text("utf-8"))
    before = records_of(undisturbed["jsonl"].read_text("utf-8"))
    assert [record["path"] for record in records] == [record["path"] for record in before]
    assert all("cow" in {score["label"] for score in record["top"]} for record in records)


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same shape with other weights."""
    return save_model_folder(tmp_path_factory.mktemp("models") / "other-clip", TINY_CLIP, seed=1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("-l", "cow"), "different labels: item 4, 'cow', is new"),
        (("-t", "art of {}"), "different prompts: item 1 was 'a photo of a cat', now 'art of cat'"),
        (("--batch-size", "9"), "a different batch size: 8, now 9"),
        (("--min-margin", "0.1"), "a different min margin: None, now 0.1"),
    ],
    ids=["labels", "template", "batch size", "threshold"],
)
def test_a_run_is_not_resumed_with_other_settings(
    change: tuple[str, str], told: str, stopped: Stopped, nursery: Nursery, tmp_path: Path
) -> None:
    target = stopped.copied_to(tmp_path)
    before = left_in(tmp_path)
    assert nursery.run(*stopped.changed(*change), target, "--resume") == (
        2,
        "",
        f"error: cannot resume {target}: the interrupted run had {told} "
        "(use the same settings, or start again with --overwrite)\n",
    )
    assert left_in(tmp_path) == before


def test_a_run_is_not_resumed_with_another_model(
    stopped: Stopped, other_model: Path, nursery: Nursery, tmp_path: Path
) -> None:
    target = stopped.copied_to(tmp_path)
    code, _, errors = nursery.run(*stopped.changed("--model", f"local-dir:{other_model}"), target, "--resume")
    assert (code, errors.count("\n")) == (2, 1)
    assert "the interrupted run had a different model: local-dir:" in errors


def test_a_run_is_not_resumed_with_other_weights_of_the_same_name(
    stopped: Stopped, tiny_clip: Path, other_model: Path, nursery: Nursery, tmp_path: Path
) -> None:
    target = stopped.copied_to(tmp_path)
    weights = tiny_clip / "open_clip_model.safetensors"
    before = weights.read_bytes()
    try:
        weights.write_bytes((other_model / weights.name).read_bytes())
        code, _, errors = nursery.run(*stopped.command, target, "--resume")
    finally:
        weights.write_bytes(before)
    assert (code, errors.count("\n")) == (2, 1)
    assert "the interrupted run had a different set of weights or preprocessing: " in errors


@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_run_is_not_resumed_over_a_folder_that_changed(
    change: str, stopped: Stopped, nursery: Nursery, album: Path, tmp_path: Path
) -> None:
    target = stopped.copied_to(tmp_path)
    before = left_in(tmp_path)
    third, new, aside = album / "0002.jpg", album / "0001b.jpg", album / ".aside"
    found = new if change == "added" else album / "0003.jpg"
    try:
        if change == "added":
            new.hardlink_to(third)
        else:
            third.rename(aside)
        code, _, errors = nursery.run(*stopped.command, target, "--resume")
    finally:
        new.unlink(missing_ok=True)
        if aside.exists():
            aside.rename(third)
    assert (code, errors.count("\n")) == (2, 1)
    assert f"the inputs have changed since the interrupted run, input 3 was {third} and is now {found}" in errors
    assert left_in(tmp_path) == before


# --- bad files ----------------------------------------------------------------------------------------------


@dataclass
class Bad:
    """A run over a folder of bad files: what was expected of them, and what came."""

    folder: Path
    expected: dict[str, str]
    done: Done
    records: list[dict[str, Any]]


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery, model: tuple[str, str]) -> Bad:
    folder = tmp_path_factory.mktemp("bad") / "folder"
    expected = make_bad_files(folder)
    for start, path in zip("acmpr~", make_images(folder.parent / "good", 6), strict=True):
        name = f"{start}-good.jpg"  # here and there among the bad ones
        path.rename(folder / name)
        expected[name] = "ok"
    done = nursery.run("classify", folder, *LABELS, *model, "--no-cache", "-f", "jsonl")
    return Bad(folder, expected, done, records_of(done.out))


def test_each_file_of_a_bad_folder_has_one_record(bad: Bad) -> None:
    found = {record["path"]: record.get("error", {"type": "ok"})["type"] for record in bad.records}
    assert found == {printable(str(bad.folder / name)): outcome for name, outcome in bad.expected.items()}
    assert len(bad.records) == len(found)


def test_bad_files_end_with_exit_code_1_and_a_line_each(bad: Bad) -> None:
    *each, last = bad.done.errors.splitlines()
    failed = sum(outcome != "ok" for outcome in bad.expected.values())
    assert bad.done.code == 1
    assert last == f"warning: {failed} of {len(bad.expected)} images failed"
    assert len(each) == failed
    assert all(line.startswith(f"error: {bad.folder}/") for line in each)


def test_the_neighbours_of_bad_files_are_right(bad: Bad, tiny_clip: Path) -> None:
    classifier = Classifier(f"local-dir:{tiny_clip}", labels=NAMES, cache=False)
    beside = {record["path"]: record for record in bad.records if "label" in record}
    for name in (name for name, outcome in bad.expected.items() if outcome == "ok"):
        path = str(bad.folder / name)
        (alone,) = classifier.classify([path])
        assert isinstance(alone, Prediction)
        record = beside.pop(printable(path))
        assert record["label"] == alone.label
        assert record["similarity"] == pytest.approx(alone.similarity, abs=1e-5)
    assert not beside


# --- one cache, several processes ---------------------------------------------------------------------------


def test_two_runs_at_once_share_a_cache(
    nursery: Nursery, album: Path, model: tuple[str, str], undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    lines = undisturbed["jsonl"].read_bytes().splitlines(keepends=True)
    spans = (slice(0, 120), slice(60, 180))
    targets = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    images = sorted(album.iterdir())
    jobs = [
        nursery.start("classify", *images[span], *LABELS, *model, *PACE, "--cache-dir", cache, "-o", target)
        for span, target in zip(spans, targets, strict=True)
    ]
    assert [job.wait() for job in jobs] == [(0, "", ""), (0, "", "")]
    assert [target.read_bytes() for target in targets] == [b"".join(lines[span]) for span in spans]
    assert nursery.run("cache", "check", "--cache-dir", cache) == (0, "no damage found\n", "")


def overwrite_start(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"no database at all")


def overwrite_middle(file: Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(size // 8)
        opened.write(b"\xa5" * (size // 2))


@pytest.mark.parametrize("damage", [overwrite_start, overwrite_middle])
def test_a_damaged_cache_is_set_aside_with_one_warning(
    damage: Callable[[Path], None],
    nursery: Nursery,
    album: Path,
    model: tuple[str, str],
    cache: Path,
    undisturbed: dict[str, Path],
    tmp_path: Path,
) -> None:
    file = tmp_path / "embeddings-v1.sqlite"
    source, copy = sqlite3.connect(cache / file.name), sqlite3.connect(file)
    source.backup(copy)
    source.close()
    copy.close()
    damage(file)
    target = tmp_path / "r.jsonl"
    images = sorted(album.iterdir())[:40]
    code, _, errors = nursery.run("classify", *images, *LABELS, *model, *PACE, "--cache-dir", tmp_path, "-o", target)
    (aside,) = tmp_path.glob("*.damaged-*")
    assert (code, errors) == (
        0,
        f"warning: the cache was damaged and has been set aside as {aside}, a new one has been started\n",
    )
    assert target.read_bytes().splitlines() == undisturbed["jsonl"].read_bytes().splitlines()[:40]


# --- a full disk --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "room"), [("jsonl", 30_000), ("csv", 10_000)])
def test_a_full_disk_is_told_in_one_line_and_the_run_goes_on_later(
    form: str,
    room: int,
    nursery: Nursery,
    album: Path,
    model: tuple[str, str],
    undisturbed: dict[str, Path],
    tmp_path: Path,
) -> None:
    target = tmp_path / f"r.{form}"
    command = ("classify", album, *LABELS, *model, *PACE, "--no-cache", "-o", target)
    told = nursery.run(*command, size_limit=room)
    kept = kept_in(partial_of(target)) - (form == "csv")
    expected = f"File too large; {kept} records saved in {target}.partial; continue with --resume"
    assert told == (2, "", f"error: cannot write {target}: {expected}\n")
    assert undisturbed[form].read_bytes().startswith(partial_of(target).read_bytes())
    assert nursery.run(*command, "--resume") == (0, "", "")
    assert target.read_bytes() == undisturbed[form].read_bytes()


# --- all in the cache ---------------------------------------------------------------------------------------

WITHOUT_TORCH = """
import sys
from clipcli.cli import run

code = run(sys.argv[1:])
print("torch" in sys.modules, file=sys.stderr)
sys.exit(code)
"""


def test_what_is_cached_is_classified_among_other_labels_without_torch(
    nursery: Nursery,
    album: Path,
    model: tuple[str, str],
    tiny_clip: Path,
    undisturbed: dict[str, Path],
    cache: Path,
    tmp_path: Path,
) -> None:
    cached = ("-l", "rocket", "-l", "temple", *model, "--cache-dir", cache)
    assert nursery.run("classify", album / "0000.jpg", *cached).code == 0  # caches the text
    images = sorted(map(str, album.iterdir()))[:20]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "classify", *images, *map(str, cached), "-f", "jsonl"],
        capture_output=True, check=False, text=True, encoding="utf-8", env=clean_environment(tmp_path),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "False\n")
    fresh = Classifier(f"local-dir:{tiny_clip}", labels=["rocket", "temple"], cache=False).classify(images)
    for record, expected in zip(records_of(done.stdout), fresh, strict=True):
        assert isinstance(expected, Prediction)
        assert (record["path"], record["label"]) == (expected.path, expected.label)
        assert record["similarity"] == pytest.approx(expected.similarity, abs=1e-5)


# --- inputs of all kinds ------------------------------------------------------------------------------------


@pytest.fixture
def few(album: Path, tmp_path: Path, undisturbed: dict[str, Path]) -> list[dict[str, Any]]:
    """Three images in the folder ``few``; the records they should have, but for the paths."""
    (tmp_path / "few").mkdir()
    for name in ("0000.jpg", "0001.jpg", "0002.jpg"):
        (tmp_path / "few" / name).hardlink_to(album / name)
    return [without_path(record) for record in records_of(undisturbed["jsonl"].read_text("utf-8"))[:3]]


def without_path(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "path"}


Classify = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def classify(nursery: Nursery, model: tuple[str, str], cache: Path, tmp_path: Path) -> Classify:
    def classify(*inputs: object, stdin: bytes = b"") -> list[dict[str, Any]]:
        command = ("classify", *inputs, *LABELS, *model, *PACE, "--cache-dir", cache, "-f", "jsonl")
        code, out, errors = nursery.run(*command, folder=tmp_path, stdin=stdin)
        assert (code, errors) == (0, "")
        return records_of(out)

    return classify


def test_paths_come_from_standard_input(classify: Classify, few: list[dict[str, Any]]) -> None:
    records = classify("-", stdin=b"few/0000.jpg\nfew/0001.jpg\r\nfew/0002.jpg")
    assert [record["path"] for record in records] == ["few/0000.jpg", "few/0001.jpg", "few/0002.jpg"]
    assert [without_path(record) for record in records] == few


def test_paths_with_line_ends_come_from_standard_input(
    classify: Classify, few: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "few" / "0000.jpg").rename(tmp_path / "few" / "two\nlines.jpg")
    records = classify("-", "-0", stdin=b"few/two\nlines.jpg\0few/0001.jpg\0few/0002.jpg\0")
    assert [record["path"] for record in records] == ["few/two\nlines.jpg", "few/0001.jpg", "few/0002.jpg"]
    assert [without_path(record) for record in records] == few


def test_a_pattern_stands_for_the_files_that_match(classify: Classify, few: list[dict[str, Any]]) -> None:
    records = classify("few/*[12].jpg")
    assert [record["path"] for record in records] == ["few/0001.jpg", "few/0002.jpg"]
    assert [without_path(record) for record in records] == few[1:]


def test_paths_come_from_a_column_of_a_table(classify: Classify, few: list[dict[str, Any]], tmp_path: Path) -> None:
    with (tmp_path / "few" / "table.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "image"), ("1", "0002.jpg"), ("2", "0000.jpg"), ("3", "0001.jpg")])
    records = classify("few/table.csv", "--path-column", "image")
    assert [record["path"] for record in records] == ["0002.jpg", "0000.jpg", "0001.jpg"]
    assert [without_path(record) for record in records] == [few[2], few[0], few[1]]


def test_images_come_from_shards(classify: Classify, few: list[dict[str, Any]], tmp_path: Path) -> None:
    for shard, names in {"0.tar": ("0000.jpg", "0001.jpg"), "1.tar": ("0002.jpg",)}.items():
        with tarfile.open(tmp_path / shard, "w") as archive:
            for name in names:
                archive.add(tmp_path / "few" / name, name)
    records = classify("0.tar", "1.tar")
    assert [record["path"] for record in records] == ["0.tar/0000.jpg", "0.tar/0001.jpg", "1.tar/0002.jpg"]
    assert [without_path(record) for record in records] == few
