"""Runs from Python: written, resumed, followed and refused as those of the command line are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipcli import Classifier, Outcome
from clipcli.errors import InputError, Interrupted, OutputError
from clipcli.inputs.discover import Source
from clipcli.outputs.readers import read_results
from clipcli.runner import SilentReporter
from clipcli.storage.locks import locked

LABELS = ["cat", "rocket", "cup of coffee"]
OUTPUTS = ("r.csv", "r.tsv", "r.jsonl", "r.parquet", "parts/")


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]) -> Path:
    """Four photos, and a broken one between them."""
    folder = tmp_path_factory.mktemp("album")
    for number, name in enumerate(("cat", "coffee", "rocket", "flower")):
        shutil.copy(photos[name], folder / f"{2 * number}{photos[name].suffix}")
    (folder / "3.jpg").write_bytes(photos["rocket"].read_bytes()[:5000])
    return folder


@pytest.fixture(scope="module")
def classifier(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    cache = tmp_path_factory.mktemp("cache")
    return Classifier(f"local-dir:{tiny_clip}", LABELS, device="cpu", batch_size=2, workers=1, cache=cache)


class Noted(SilentReporter):
    """Notes all it is told, and may stop the run after some records."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.failures: list[str] = []
        self.shown: list[tuple[int, int]] = []
        self.begun, self._stop_after = 0, stop_after
        self.total: int | None = None

    def begin(self) -> None:
        self.begun += 1

    def failed(self, path: str, reason: str) -> None:
        self.failures.append(f"{Path(path).name}: {reason}")

    @contextmanager
    def following(self, count: Callable[[], Any]) -> Iterator[Callable[[int, int], None]]:
        self.total = count()

        def show(done: int, failed: int) -> None:
            self.shown.append((done, failed))
            if len(self.shown) == self._stop_after:
                raise KeyboardInterrupt

        yield show


def content(output: Path) -> Any:
    if output.is_dir():
        return {path.name: path.read_bytes() for path in output.glob("part-*")}
    return output.read_bytes()


def records(output: Path) -> list[tuple[str, bool]]:
    return [(Path(each.path).name, each.error is not None) for each in read_results(output)]


# --- what is written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", [*OUTPUTS, "r.json"])
def test_each_input_gets_its_record_in_the_output(
    output: str, classifier: Classifier, album: Path, tmp_path: Path
) -> None:
    assert classifier.classify_to(f"{tmp_path}/{output}", album) == Outcome(5, 1)
    expected = [("0.png", False), ("2.png", False), ("3.jpg", True), ("4.jpg", False), ("6.jpg", False)]
    assert records(tmp_path / output) == expected


def test_the_command_line_writes_the_same_bytes(
    classifier: Classifier, tiny_clip: Path, album: Path, run_here: Any, tmp_path: Path
) -> None:
    classifier.classify_to(tmp_path / "python.csv", album)
    labels = [part for label in LABELS for part in ("-l", label)]
    options = ("--model", f"local-dir:{tiny_clip}", "--device", "cpu", "--batch-size", "2", "-k", "5")
    run_here(("classify", album, *labels, *options, "-o", "command.csv"))
    assert (tmp_path / "command.csv").read_bytes() == (tmp_path / "python.csv").read_bytes()


def test_embeddings_are_written_and_their_failures_counted(classifier: Classifier, album: Path, tmp_path: Path) -> None:
    assert classifier.embed_to(tmp_path / "e.npy", album, dtype="float16") == Outcome(5, 1)
    stored = np.load(tmp_path / "e.npy")
    assert (stored.shape, stored.dtype) == ((4, 32), np.float16)
    assert classifier.embed_to(f"{tmp_path}/parts/", [album], part_size=2, file_format="jsonl") == Outcome(5, 1)
    assert len(list((tmp_path / "parts").glob("part-*.jsonl"))) == 3


def test_names_may_be_many_or_a_source(classifier: Classifier, album: Path, tmp_path: Path) -> None:
    named: list[str | Path] = [album / "0.png", str(album / "4.jpg")]
    assert classifier.classify_to(tmp_path / "a.csv", named) == Outcome(2, 0)
    assert classifier.classify_to(tmp_path / "b.csv", Source(tuple(map(str, named)))) == Outcome(2, 0)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_an_image_in_memory_is_refused_for_it_has_no_name(classifier: Classifier, tmp_path: Path) -> None:
    from PIL import Image

    with pytest.raises(InputError, match="cannot write the result for a Image: it has no name"):
        classifier.classify_to(tmp_path / "r.csv", [Image.new("RGB", (8, 8))])  # type: ignore[list-item]


# --- how it is followed --------------------------------------------------------------------------------------


def test_a_reporter_hears_of_each_record_and_failure(classifier: Classifier, album: Path, tmp_path: Path) -> None:
    noted = Noted()
    classifier.classify_to(tmp_path / "r.csv", album, reporter=noted)
    assert (noted.begun, noted.total) == (1, 5)
    assert noted.shown == [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1)]
    assert len(noted.failures) == 1
    assert noted.failures[0].startswith("3.jpg: damaged image")


# --- resumed and refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_run_that_was_stopped_is_resumed_to_the_same_bytes(
    output: str, classifier: Classifier, album: Path, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    classifier.classify_to(f"{tmp_path}/whole/{output}", album, part_size=2)
    target = f"{tmp_path}/{output}"
    with pytest.raises(Interrupted, match=r"interrupted: 1 part saved|interrupted: [23] records saved"):
        classifier.classify_to(target, album, part_size=2, reporter=Noted(stop_after=3))
    with pytest.raises(OutputError, match="holds an interrupted run"):
        classifier.classify_to(target, album, part_size=2)
    noted = Noted()
    assert classifier.classify_to(target, album, part_size=2, resume=True, reporter=noted) == Outcome(5, 1)
    assert noted.shown[0][0] > 1  # those of the earlier run are counted
    assert content(tmp_path / output) == content(tmp_path / "whole" / output)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_complete_run_is_left_alone_when_resumed(
    output: str, classifier: Classifier, album: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = f"{tmp_path}/{output}"
    classifier.classify_to(target, album)
    before = content(tmp_path / output)
    assert classifier.classify_to(target, album, resume=True) == Outcome(5, 1)
    assert caplog.messages == [f"{target}: already complete, nothing to do"]
    assert content(tmp_path / output) == before


@pytest.mark.parametrize("output", ["r.csv", "r.json", "parts/"])
def test_an_output_that_another_run_is_writing_is_refused(
    output: str, classifier: Classifier, album: Path, tmp_path: Path
) -> None:
    if output.endswith("/"):
        (tmp_path / output).mkdir()
    with locked(tmp_path / output), pytest.raises(OutputError, match="another run is writing it"):
        classifier.classify_to(f"{tmp_path}/{output}", album)
    assert classifier.classify_to(f"{tmp_path}/{output}", album) == Outcome(5, 1)


def test_a_folder_of_embeddings_is_not_resumed_as_results(classifier: Classifier, album: Path, tmp_path: Path) -> None:
    classifier.embed_to(f"{tmp_path}/out/", album)
    with pytest.raises(OutputError, match="had a different command: export images, now classify"):
        classifier.classify_to(f"{tmp_path}/out/", album, resume=True)


def test_settings_are_kept_by_snake_case_names_with_a_version(
    classifier: Classifier, album: Path, tmp_path: Path
) -> None:
    classifier.classify_to(tmp_path / "r.csv", album)
    classifier.classify_to(f"{tmp_path}/parts/", album, part_size=3)
    for file in ("r.csv.run.json", "parts/manifest.json"):
        values = json.loads((tmp_path / file).read_text("utf-8"))
        assert (values["version"], values["state"], values["records"], values["failures"]) == (1, "complete", 5, 1)
        names = [*values, *values["settings"]]
        assert [name for name in names if not name.isidentifier() or name != name.lower()] == []
        assert values["settings"]["labels"] == LABELS


def test_nothing_is_left_where_there_is_nothing_to_classify(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images found"):
        classifier.classify_to(tmp_path / "r.csv", tmp_path / "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
