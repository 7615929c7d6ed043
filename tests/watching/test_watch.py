"""Images that arrive in a folder get one record each, through restarts, slow writers and kills."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from clipcli import Classifier
from clipcli.errors import OutputError
from clipcli.inputs.exclusion import Exclusion
from clipcli.outputs.on_disk import with_layout
from clipcli.outputs.readers import ReadRecord
from clipcli.outputs.run_info import run_info
from clipcli.pipeline.predictions import Result
from clipcli.watching.growing import GrowingFile
from clipcli.watching.watch import Watch
from tests.conftest import RunHere, clipcli_command


class Events:
    """What a watch told of."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def recorded(self, result: Result) -> None:
        self.lines.append(Path(result.path).name)

    def acted(self, line: str) -> None:
        self.lines.append(line)


class Box:
    """An inbox, and watches of it that the test drives step by step."""

    def __init__(self, folder: Path, classifier: Classifier) -> None:
        self.inbox, self.target, self.events = folder / "inbox", folder / "r.jsonl", Events()
        self.inbox.mkdir()
        self._classifier, self.now = classifier, 0.0
        self.acted: list[str] = []

    def _act(self, records: Sequence[ReadRecord]) -> Iterator[str]:
        self.acted += [Path(record.path).name for record in records]
        yield from ()

    def watch(self, form: str = "jsonl") -> tuple[GrowingFile, Watch]:
        layout = self._classifier.layout(form)
        results = GrowingFile(self.target, layout, with_layout(self._classifier.settings(), layout))
        watch = Watch(
            str(self.inbox), Exclusion(), results, self._classifier.classify, [self._act], self.events,
            clock=lambda: self.now,
        )  # fmt: skip
        return results, watch

    def looks(self, watch: Watch, times: int = 2, seconds: float = 1.0) -> None:
        for _ in range(times):
            watch.look()
            self.now += seconds

    def names(self) -> list[str]:
        lines = self.target.read_text("utf-8").splitlines()
        return [Path(json.loads(line)["path"]).name for line in lines]


@pytest.fixture(scope="module")
def classifier(tiny_clip: Path) -> Classifier:
    return Classifier(f"local-dir:{tiny_clip}", labels=["cat", "dog"], cache=False)


@pytest.fixture
def box(tmp_path: Path, classifier: Classifier) -> Box:
    return Box(tmp_path, classifier)


def test_each_image_gets_one_record_and_a_restart_finds_what_came_meanwhile(box: Box, photos: dict[str, Path]) -> None:
    results, watch = box.watch()
    with results.opened():
        shutil.copy(photos["cat"], box.inbox / "1.png")
        (box.inbox / "notes.txt").write_text("no image")
        (box.inbox / "sub").mkdir()
        shutil.copy(photos["rocket"], box.inbox / "sub" / ".2.jpg.part")
        box.looks(watch)
        (box.inbox / "sub" / ".2.jpg.part").rename(box.inbox / "sub" / "2.jpg")
        box.looks(watch, 3)
        assert box.names() == ["1.png", "2.jpg"]
    shutil.copy(photos["flower"], box.inbox / "3.jpg")
    with box.target.open("a") as file:
        file.write('{"path": "torn')
    with pytest.raises(OutputError, match="has changed since"):
        box.watch()
    box.target.write_text(box.target.read_text().removesuffix('{"path": "torn'))
    results, watch = box.watch()
    with results.opened():
        box.looks(watch, 3)
    assert box.names() == ["1.png", "2.jpg", "3.jpg"] == box.acted
    assert (run_info(box.target).state, run_info(box.target).done) == ("complete", 3)


def test_a_record_that_a_kill_cut_off_is_computed_again(box: Box, photos: dict[str, Path]) -> None:
    for number in range(3):
        shutil.copy(photos["cat"], box.inbox / f"{number}.png")
    results, watch = box.watch()
    with pytest.raises(_KilledError), results.opened():
        results._sign = _killed  # type: ignore[method-assign]
        box.looks(watch)
    data = box.target.read_bytes()
    box.target.write_bytes(data[:-7])
    assert run_info(box.target).state == "watched"
    results, watch = box.watch()
    assert len(results.names) == 2
    with results.opened():
        watch.catch_up(box.target)
        box.looks(watch)
    assert (box.target.read_bytes(), box.names()) == (data, ["0.png", "1.png", "2.png"])
    assert Counter(box.acted) == {"0.png": 2, "1.png": 2, "2.png": 2}


class _KilledError(Exception):
    """Stands for SIGKILL: what comes after it is not run."""


def _killed() -> None:
    raise _KilledError


def test_a_slow_writer_that_pauses_gets_no_record_of_a_failure(box: Box, photos: dict[str, Path]) -> None:
    data = photos["rocket"].read_bytes()
    results, watch = box.watch()
    with results.opened():
        for share in (3, 2, 1):
            (box.inbox / "a.jpg").write_bytes(data[: len(data) // share])
            box.looks(watch, 3)
        (box.inbox / "b.jpg").write_bytes(data[:1000])
        box.looks(watch, 3)
        assert box.names() == ["a.jpg"]
        box.looks(watch, 2, seconds=31)
        assert (box.names(), results.failures) == (["a.jpg", "b.jpg"], 1)


def test_an_image_that_is_replaced_while_it_is_classified_is_classified_again(
    box: Box, photos: dict[str, Path]
) -> None:
    results, watch = box.watch()
    shutil.copy(photos["cat"], box.inbox / "a.png")
    classify, calls = watch.classify, []

    def slow(inputs: list[object]) -> Iterator[Result]:
        calls.append(1)
        found = list(classify(inputs))
        if len(calls) == 1:
            shutil.copy(photos["coffee"], box.inbox / "a.png")
        yield from found

    watch.classify = slow  # type: ignore[assignment]
    with results.opened():
        box.looks(watch, 4)
    assert (box.names(), len(calls)) == (["a.png"], 2)


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_results_of_classify_are_continued(form: str, run_here: RunHere, box: Box, tiny_clip: Path) -> None:
    from PIL import Image

    Image.new("RGB", (9, 9)).save(box.inbox / "1.png")
    words = ("--model", f"local-dir:{tiny_clip}", "-l", "cat", "-l", "dog")
    run_here(("classify", box.inbox, *words, "-o", f"r.{form}"))
    box.target = box.target.with_suffix(f".{form}")
    Image.new("RGB", (9, 9), "red").save(box.inbox / "2.png")
    results, watch = box.watch(form)
    with results.opened():
        box.looks(watch)
    again, info = run_here(("classify", box.inbox, *words, "-o", f"r.{form}", "--update"), ("info", f"r.{form}"))
    assert (again.returncode, again.stderr) == (0, "")
    assert "state: complete\ndone: 2\n" in info.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone", "-o", "r.jsonl"), "cannot watch gone: no such folder"),
        (("inbox", "-o", "r.parquet"), "records are added to a .jsonl, .csv or .tsv file"),
        (("inbox", "-o", "other.csv"), "its record other.csv.run.json is missing"),
        (("inbox", "-o", "r.csv", "--sort", "s", "--sort-action", "move", "--tag"), "sidecars are not moved"),
    ],
)
def test_what_cannot_be_watched_is_one_line(
    arguments: tuple[str, ...], message: str, run_here: RunHere, tmp_path: Path, tiny_clip: Path
) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "other.csv").write_text("path,label\n")
    (done,) = run_here(("watch", *arguments, "-l", "a", "-l", "b", "--model", f"local-dir:{tiny_clip}"))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_watch_sorts_and_tags_and_ends_with_0_at_sigterm(
    environment: dict[str, str], tmp_path: Path, photos: dict[str, Path], tiny_clip: Path
) -> None:
    (tmp_path / "inbox").mkdir()
    words = ("-l", "cat", "-l", "dog", "--model", f"local-dir:{tiny_clip}", "--settle", "0.2")
    arguments = ["watch", "inbox", "-o", "r.jsonl", *words, "--sort", "sorted", "--tag", "--prefix", "ai|"]
    lines: list[str] = []
    for number, stop in enumerate((signal.SIGKILL, signal.SIGTERM)):
        with subprocess.Popen(
            [*clipcli_command(environment), *arguments], cwd=tmp_path, env=environment, stderr=subprocess.PIPE,
            text=True,
        ) as watching:  # fmt: skip
            assert watching.stderr is not None
            lines.append(watching.stderr.readline())
            shutil.copy(photos["cat"], tmp_path / "inbox" / f"{number}.png")
            while "sorted: " not in lines[-1]:
                lines.append(watching.stderr.readline())
                assert lines[-1]
            watching.send_signal(stop)
            code = watching.wait(60)
            lines += watching.stderr.readlines()
    assert code == 0
    assert lines[-1] == "stopped; 2 images have records in r.jsonl\n"
    assert len(list((tmp_path / "sorted").glob("*/*.png"))) == 2
    assert len(list((tmp_path / "inbox").glob("*.png.xmp"))) == 2
    names = [json.loads(line)["path"] for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert names == ["inbox/0.png", "inbox/1.png"]
