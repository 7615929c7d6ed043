"""A run survives what ends it, and bad files, and other runs; shown with real processes that are really killed."""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bad_files import make_bad_files
from conftest import Run, clean_environment, lines_of

LABELS = ("-l", "cat", "-l", "dog", "-l", "=red", "-l", "crème brûlée")
COUNT = 240
KILLS = {"jsonl": 8, "csv": 6, "parquet": 6}  # twenty in all


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photographs of noise, all different; among them names that need quoting and a broken one."""
    folder = tmp_path_factory.mktemp("album")
    draw = random.Random(7)
    for number in range(COUNT):
        name = f"{number:03}" + ("", ' "quoted"', "\nnewline", "=1+1", "日本")[number % 5]
        Image.frombytes("RGB", (24, 24), draw.randbytes(24 * 24 * 3)).save(folder / f"{name}.jpg")
    (folder / "050 broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    return folder


class Classify:
    """``clipcli classify`` on one album with one model, in a folder of its own."""

    def __init__(self, folder: Path, album: Path, model: Path) -> None:
        self.folder = folder
        self._common = [str(album), "--model", f"local-dir:{model}", "--batch-size", "8", "--workers", "1", *LABELS]
        self._environment = clean_environment(folder)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "clipcli", "classify", *self._common, *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self._environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            **options,
        )  # fmt: skip

    def run(self, *arguments: str, **options: Any) -> tuple[int, list[str]]:
        process = self.start(*arguments, **options)
        _, told = process.communicate(timeout=300)
        assert "Traceback" not in told
        return process.returncode, lines_of(told)


@pytest.fixture
def classify(tmp_path: Path, album: Path, tiny_clip: Path) -> Classify:
    return Classify(tmp_path, album, tiny_clip)


def records_in(partial: Path) -> int:
    try:
        return partial.read_bytes().count(b"\n")
    except OSError:
        return 0


def wait_for(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something is so, or the process has ended."""
    while not is_so() and process.poll() is None:
        time.sleep(0.002)


def same_rows(first: Path, second: Path) -> bool:
    if first.suffix != ".parquet":
        return first.read_bytes() == second.read_bytes()
    import pyarrow.parquet

    return bool(pyarrow.parquet.read_table(first).equals(pyarrow.parquet.read_table(second)))


@pytest.mark.parametrize("form", KILLS)
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_file(form: str, classify: Classify) -> None:
    draw = random.Random(form)
    whole, target = classify.folder / f"whole.{form}", classify.folder / f"cut.{form}"
    assert classify.run("-o", whole.name, "--no-cache", "-q")[0] == 1  # the broken one
    partial = target.with_name(target.name + ".partial")
    caching = ["--no-cache"] if form == "csv" else []
    for _ in range(KILLS[form]):
        process = classify.start("-o", target.name, "--resume", "-q", *caching)
        before = records_in(partial)
        more = draw.randrange(1, COUNT // KILLS[form])
        if form == "parquet":
            wait_for(partial.exists, process)
            time.sleep(draw.random() * 0.5)
        else:
            wait_for(lambda before=before, more=more: records_in(partial) >= before + more, process)  # type: ignore[misc]
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not target.exists()
    assert classify.run("-o", target.name, "--resume", "-q", *caching)[0] == 1
    assert same_rows(whole, target)
    assert {path.name for path in classify.folder.glob("cut*")} == {target.name}


def test_an_interrupted_run_says_how_to_go_on_and_does(classify: Classify) -> None:
    target = classify.folder / "cut.jsonl"
    process = classify.start("-o", "cut.jsonl", "-q")
    wait_for(lambda: records_in(target.with_name("cut.jsonl.partial")) > 20, process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert lines_of(told)[-1].startswith("error: interrupted: ")
    assert "records kept in cut.jsonl.partial; go on with --resume" in told
    assert not target.exists()
    assert classify.run("-o", "cut.jsonl", "-q")[0] == 2  # neither --resume nor --overwrite: nothing is lost by mistake
    assert classify.run("-o", "cut.jsonl", "-q", "--resume")[0] == 1
    assert classify.run("-o", "whole.jsonl", "-q", "--no-cache")[0] == 1
    assert same_rows(target, classify.folder / "whole.jsonl")
    code, told_again = classify.run("-o", "cut.jsonl", "--resume")
    assert code == 0
    assert told_again[-1].startswith("warning: cut.jsonl: complete already, nothing to do")


def test_a_full_disk_is_one_line_and_what_was_written_stays(classify: Classify) -> None:
    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    code, told = classify.run("-o", "out.jsonl", "-q", "--no-cache", preexec_fn=little_room)
    assert code == 2
    assert told[-1].startswith("error: out.jsonl: cannot be written (File too large); ")
    whole = (classify.folder / "out.jsonl.partial").read_text("utf-8").split("\n")[:-1]
    assert len(whole) > 20
    assert all(json.loads(line)["path"] for line in whole)
    assert classify.run("-o", "out.jsonl", "-q", "--no-cache", "--resume")[0] == 1
    assert len((classify.folder / "out.jsonl").read_text("utf-8").splitlines()) == COUNT + 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["-l", "one more"], "the interrupted run had other labels: number 5 was 'nothing', now 'one more'"),
        (
            ["--template", "a drawing of {}"],
            "the interrupted run had other prompts: number 1 was 'a photo of a cat', now 'a drawing of cat'",
        ),
        (["--min-margin", "0.3"], "the interrupted run had another least margin: None, now 0.3"),
    ],
)
def test_a_run_is_not_resumed_with_other_settings(change: list[str], told: str, classify: Classify) -> None:
    settings = classify.folder / "out.csv.partial.json"
    process = classify.start("-o", "out.csv", "-q")
    wait_for(lambda: settings.exists() and records_in(classify.folder / "out.csv.partial") > 1, process)
    process.kill()
    process.communicate()
    code, lines = classify.run("-o", "out.csv", "-q", "--resume", *change)
    assert code == 2
    assert told in lines[-1]


# --- bad files ----------------------------------------------------------------------------------------


def test_every_bad_file_gets_one_record_and_its_neighbours_the_right_ones(
    tmp_path: Path, tiny_clip: Path, run: Run
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    expected = make_bad_files(folder)
    assert len(expected) >= 25
    model = ("--model", f"local-dir:{tiny_clip}", *LABELS, "--no-cache", "-q")
    done = run("classify", "bad", *model, "-o", "all.jsonl")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    records = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text("utf-8").splitlines()]
    outcome = {record["path"]: record["error"]["type"] if "error" in record else "ok" for record in records}
    assert len(outcome) == len(records)
    as_shown = {os.fsencode(f"bad/{name}").decode("utf-8", "backslashreplace"): kind for name, kind in expected.items()}
    assert outcome == as_shown
    alone = tmp_path / "good"
    alone.mkdir()
    for name, kind in expected.items():
        if kind == "ok":
            os.link(folder / name, alone / name)
    assert run("classify", "good", *model, "-o", "good.jsonl").returncode == 0
    good = [json.loads(line) for line in (tmp_path / "good.jsonl").read_text("utf-8").splitlines()]
    among_bad = [record for record in records if "error" not in record]
    assert [record["label"] for record in good] == [record["label"] for record in among_bad]
    for one, other in zip(good, among_bad, strict=True):
        assert one["similarity"] == pytest.approx(other["similarity"], abs=1e-5)


# --- one cache for all --------------------------------------------------------------------------------


def test_two_runs_share_one_cache(classify: Classify, run: Run) -> None:
    first, second = (classify.start("-o", f"{name}.jsonl", "-q") for name in ("first", "second"))
    for process in (first, second):
        assert "Traceback" not in process.communicate(timeout=300)[1]
    assert same_rows(classify.folder / "first.jsonl", classify.folder / "second.jsonl")
    check = run("cache", "check")
    assert (check.returncode, check.stdout) == (0, "the cache is sound\n")


def test_a_kill_while_the_cache_is_written_leaves_it_sound(classify: Classify, run: Run) -> None:
    process = classify.start("-o", "cut.jsonl", "-q")
    wait_for(lambda: records_in(classify.folder / "cut.jsonl.partial") > 60, process)
    process.kill()
    process.communicate()
    assert run("cache", "check").returncode == 0


def test_a_corrupted_cache_is_set_aside_and_the_run_completes(classify: Classify) -> None:
    assert classify.run("-o", "before.jsonl", "-q")[0] == 1
    (database,) = (classify.folder / "cache").glob("*.sqlite")
    database.write_bytes(b"SQLite format 3\0" + b"rubbish" * 5000)
    code, told = classify.run("-o", "after.jsonl")
    assert code == 1
    assert len([line for line in told if "the cache was damaged; set aside as" in line]) == 1
    assert same_rows(classify.folder / "before.jsonl", classify.folder / "after.jsonl")


def test_a_run_served_from_the_cache_never_imports_torch(classify: Classify, album: Path, tiny_clip: Path) -> None:
    arguments = ["classify", str(album), "--model", f"local-dir:{tiny_clip}", "-o", "again.jsonl"]
    labels = ("-l", "cat", "-l", "dog")
    assert classify.run("-o", "first.jsonl", "-q")[0] == 1
    program = "import sys; from clipcli.cli import run; code = run(sys.argv[1:]); print(code, 'torch' in sys.modules)"
    environment = clean_environment(classify.folder)
    (album / "050 broken.jpg").rename(classify.folder / "away.jpg")  # it is not in the cache, and would be decoded
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments, *labels], cwd=classify.folder, env=environment, text=True,
            capture_output=True,
        )  # fmt: skip
    finally:
        (classify.folder / "away.jpg").rename(album / "050 broken.jpg")
    assert done.stdout == "0 False\n"
    again = [json.loads(line) for line in (classify.folder / "again.jsonl").read_text("utf-8").splitlines()]
    assert len(again) == COUNT
    assert {record["label"] for record in again} <= {"cat", "dog"}


# --- ways to name inputs ------------------------------------------------------------------------------


def test_inputs_can_be_named_in_every_way(tmp_path: Path, photos: dict[str, Path], tiny_clip: Path, run: Run) -> None:
    names = ["a.png", "b c.png", "d\ne.png"]
    for name, photo in zip(names, photos.values(), strict=False):
        Image.open(photo).convert("RGB").resize((40, 40)).save(tmp_path / name)
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for name in names:
            shard.add(tmp_path / name, name)
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["picture"], *([name] for name in names)])
    common = ("--model", f"local-dir:{tiny_clip}", "-l", "cat", "-l", "dog", "-f", "jsonl")
    program = [sys.executable, "-m", "clipcli", "classify", "-", *common]
    listed = subprocess.run(
        [*program, "-0"], cwd=tmp_path, env=clean_environment(tmp_path), input="\0".join(names), text=True,
        capture_output=True,
    )  # fmt: skip
    answers = {
        "stdin": listed.stdout,
        "pattern": run("classify", "[abd]*.png", *common).stdout,
        "table": run("classify", "table.csv", "--path-column", "picture", *common).stdout,
        "archive": run("classify", "shard.tar", *common).stdout.replace("shard.tar/", ""),
    }
    assert [json.loads(line)["path"] for line in answers["stdin"].splitlines()] == names
    assert len(set(answers.values())) == 1, answers
