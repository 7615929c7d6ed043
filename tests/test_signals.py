"""SIGTERM and SIGHUP end a command as Ctrl-C does: one line, 128 + signal, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipcli.signals import exit_code, preserved, stopped
from clipcli.training.signals import Interruption
from tests.cli.test_survival import LABELS, PACE, Nursery, kept_in, make_images, partial_of
from tests.conftest import clean_environment

COUNT = 200
POLITE = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in two folders, one per class."""
    folder = tmp_path_factory.mktemp("images") / "classes"
    for name in ("cat", "dog"):
        make_images(folder / name, COUNT // 2)
    return folder


# --- commands -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", POLITE)
def test_classify_says_what_is_kept_and_is_resumed_to_the_same_file(
    number: signal.Signals, nursery: Nursery, classes: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    command = ("classify", classes, *LABELS, "--model", f"local-dir:{tiny_clip}", *PACE, "--no-cache", "-o")
    target = tmp_path / "r.jsonl"
    job = nursery.start(*command, target)
    job.wait_until(lambda: kept_in(partial_of(target)) > COUNT // 4)
    for _ in range(2):  # as the end of a session does
        os.kill(job.process, number)
    done = job.wait()
    saved = f"{kept_in(partial_of(target))} records saved in {partial_of(target)}"
    told = f"error: interrupted: {saved}; continue with --resume\n"
    assert done == (128 + number, "", told)
    assert nursery.run(*command, target, "--resume").code == 0
    assert nursery.run(*command, tmp_path / "whole.jsonl").code == 0
    assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("number", POLITE)
def test_export_into_a_folder_keeps_whole_parts(
    number: signal.Signals, nursery: Nursery, classes: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    model = ("--model", f"local-dir:{tiny_clip}")
    command = ("export", "images", classes, *model, *PACE, "--no-cache", "--part-size", "16", "-f", "jsonl", "-o")
    folder = tmp_path / "out"
    job = nursery.start(*command, f"{folder}/")
    job.wait_until(lambda: len(list(folder.glob("part-*"))) > 2)
    os.kill(job.process, number)
    done = job.wait()
    parts = list(folder.glob("part-*"))
    assert (done.code, done.out, done.errors.count("\n")) == (128 + number, "", 1)
    assert f"{len(parts)} parts saved in" in done.errors
    assert all(len(part.read_text("utf-8").splitlines()) == 16 for part in parts)
    assert nursery.run(*command, f"{folder}/", "--resume").code == 0
    rows = [json.loads(line) for part in sorted(folder.glob("part-*")) for line in part.read_text("utf-8").splitlines()]
    assert len({row["path"] for row in rows}) == len(rows) == COUNT


@pytest.mark.parametrize("number", POLITE)
@pytest.mark.parametrize("file", ["embeddings.npy", "embeddings.jsonl"])
def test_export_into_a_file_leaves_no_half_of_it(
    file: str, number: signal.Signals, nursery: Nursery, classes: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    model = ("--model", f"local-dir:{tiny_clip}")
    job = nursery.start("export", "images", classes, *model, *PACE, "--no-cache", "-o", tmp_path / file)
    job.wait_until(lambda: any(tmp_path.iterdir()))
    os.kill(job.process, number)
    assert job.wait() == (128 + number, "", "error: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", POLITE)
def test_evaluate_says_so_in_one_line(
    number: signal.Signals, nursery: Nursery, classes: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    log = tmp_path / "cache" / "embeddings-v1.sqlite-wal"
    job = nursery.start(
        "evaluate", classes, "--model", f"local-dir:{tiny_clip}", *PACE, "--cache-dir", log.parent
    )  # fmt: skip
    job.wait_until(lambda: log.exists() and log.stat().st_size > 100_000)
    os.kill(job.process, number)
    assert job.wait() == (128 + number, "", "error: interrupted\n")
    assert nursery.run("cache", "check", "--cache-dir", log.parent) == (0, "no damage found\n", "")


@pytest.mark.parametrize("number", POLITE)
def test_what_was_sorted_before_the_signal_can_be_undone(
    number: signal.Signals, nursery: Nursery, classes: Path, tmp_path: Path
) -> None:
    paths = sorted(classes.rglob("*.jpg"))
    lines = [json.dumps({"path": str(path), "label": "cat", "probability": 1.0, "top": []}) for path in paths]
    (tmp_path / "r.jsonl").write_text("\n".join(lines), "utf-8")
    into = tmp_path / "sorted"
    job = nursery.start("sort", tmp_path / "r.jsonl", "--into", into, "--copy")
    job.wait_until(lambda: into.exists() and len(list(into.rglob("*.jpg"))) > 5)
    os.kill(job.process, number)
    done = job.wait()
    if done.code == 0:
        pytest.skip("it was over before the signal came")
    assert done == (128 + number, "", "error: interrupted\n")
    assert nursery.run("sort", "--undo", into).code == 0
    assert not list(into.rglob("*.jpg"))
    assert len(sorted(classes.rglob("*.jpg"))) == COUNT


@pytest.mark.parametrize("number", POLITE)
def test_a_command_that_is_still_being_imported_ends_alike(number: signal.Signals, tmp_path: Path) -> None:
    program = (
        "import importlib.abc, os, sys\n"
        "class AtImport(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == 'typer': sys.meta_path.remove(self); os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, AtImport())\n"
        "from clipcli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=clean_environment(tmp_path)
    )
    assert (done.returncode, done.stderr) == (128 + number, "error: interrupted\n")


# --- handlers -----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """Begin each test as a program begins, and leave the handlers of the test run as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *POLITE)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", POLITE)
def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)  # as nohup does
    interruption = Interruption()
    with stopped(), interruption.watched(), interruption.stepping():
        os.kill(os.getpid(), number)
    assert not interruption.asked
    assert signal.getsignal(number) is signal.SIG_IGN


def test_an_ignored_ctrl_c_stays_ignored_while_a_model_is_trained() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a script's background
    interruption = Interruption()
    with stopped(), interruption.watched(), interruption.stepping():
        os.kill(os.getpid(), signal.SIGINT)
    assert not interruption.asked


@pytest.mark.parametrize("number", POLITE)
def test_only_the_first_signal_stops(number: signal.Signals) -> None:
    cleaned = False
    with stopped():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        for each in POLITE:
            os.kill(os.getpid(), each)
        cleaned = True
    assert cleaned
    assert exit_code() == 128 + number


def test_ctrl_c_after_an_earlier_run_has_its_own_exit_code() -> None:
    with stopped(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    assert exit_code() == 143
    with stopped(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert exit_code() == 130


def test_the_handlers_of_before_are_back_afterwards() -> None:
    before = [signal.getsignal(number) for number in POLITE]
    with stopped(), stopped():
        assert [signal.getsignal(number) for number in POLITE] != before
    assert [signal.getsignal(number) for number in POLITE] == before


def test_a_handler_that_a_library_sets_is_replaced_by_ours() -> None:
    with stopped():
        ours = signal.getsignal(signal.SIGTERM)
        with preserved():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray does
        assert signal.getsignal(signal.SIGTERM) is ours


@pytest.mark.parametrize("number", [signal.SIGINT, *POLITE])
def test_training_obeys_between_two_steps_and_names_the_signal(number: signal.Signals) -> None:
    interruption = Interruption()
    with stopped(), interruption.watched(), interruption.stepping():
        os.kill(os.getpid(), number)
        assert interruption.asked
        os.kill(os.getpid(), signal.SIGTERM)  # one more changes nothing
        assert exit_code() == 128 + number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)  # but a second Ctrl-C stops at once
