"""What is known of a run: complete, interrupted, changed and unrecorded results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from clipcli.errors import InputError
from clipcli.outputs.run_info import run_info
from clipcli.run_log import circumstances, noting
from tests.conftest import RunHere

LABELS = ("-l", "cat", "-l", "cup of coffee")


@pytest.fixture
def album(tmp_path: Path, photos: dict[str, Path]) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    shutil.copy(photos["cat"], folder / "1.png")
    (folder / "2.png").write_bytes(b"no image")
    return folder


def shown(run_here: RunHere, results: object) -> dict[str, object]:
    (done,) = run_here(("info", results, "--json"))
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("output", ["r.csv", "r.json", "r.parquet", "parts/"])
def test_a_run_says_who_made_it_when_and_how(output: str, run_here: RunHere, album: Path, tiny_clip: Path) -> None:
    model = f"local-dir:{tiny_clip}"
    arguments = ["classify", str(album), *LABELS, "--model", model, "-o", output]
    (done,) = run_here(arguments)
    assert done.returncode == 1
    found = shown(run_here, output)
    assert (found["state"], found["done"], found["failed"]) == ("complete", 1, 1)
    assert found["arguments"] == arguments
    assert (found["model"], found["command"]) == (model, "classify")
    assert str(found["started"]) <= str(found["ended"])
    assert {"python", "platform", "torch", "numpy"} <= set(found["versions"])  # type: ignore[call-overload]
    (text,) = run_here(("info", output))
    assert "state: complete\ndone: 1\nfailed: 1\n" in text.stdout


def test_results_that_were_edited_or_lost_their_record_are_counted_again(
    run_here: RunHere, album: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    run_here(("classify", album, *LABELS, "--model", f"local-dir:{tiny_clip}", "-o", "r.jsonl"))
    lines = (tmp_path / "r.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "r.jsonl").write_text(lines[0], "utf-8")
    assert (run_info(tmp_path / "r.jsonl").state, run_info(tmp_path / "r.jsonl").failed) == ("changed", 0)
    (tmp_path / "r.jsonl.run.json").unlink()
    found = run_info(tmp_path / "r.jsonl")
    assert (found.state, found.done, found.failed, found.ended) == ("unrecorded", 1, 0, None)
    assert found.model.startswith("local-dir:")  # type: ignore[union-attr]


def test_an_interrupted_run_is_counted_up_to_its_last_complete_record(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl.partial").write_text('{"path": "a"}\n{"path": "b", "error": {}}\n{"path": "c', "utf-8")
    values = {"version": 1, "clipcli": "0.1.0", "state": "running", "settings": {"format": "jsonl", "model": "m"}}
    (tmp_path / "r.jsonl.partial.json").write_text(json.dumps(values), "utf-8")
    found = run_info(tmp_path / "r.jsonl")
    assert (found.state, found.done, found.failed, found.model) == ("incomplete", 1, 1, "m")


@pytest.mark.parametrize("damage", ["", "[]", '{"state": "complete"}', "[" * 100_000, '{"state": 1, "settings": 2}'])
def test_a_damaged_record_is_one_line(damage: str, tmp_path: Path, run_here: RunHere) -> None:
    (tmp_path / "r.csv").write_text("path,label\n", "utf-8")
    (tmp_path / "r.csv.run.json").write_text(damage, "utf-8")
    (done,) = run_here(("info", "r.csv"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: cannot read r.csv.run.json: it is not what clipcli writes (classify again)\n"


def test_nothing_is_said_of_what_does_not_exist(tmp_path: Path) -> None:
    for name in ("r.csv", "folder"):
        with pytest.raises(InputError, match="no such file"):
            run_info(tmp_path / name)


def test_secrets_and_surplus_arguments_are_left_out_of_the_log() -> None:
    with noting(["classify", "https://user:pw@host/a.jpg?X-Amz-Signature=abc&size=2", "caf\udce9.jpg", *"a" * 2000]):
        arguments = circumstances()["arguments"]
    assert arguments[:3] == ["classify", "https://host/a.jpg?size=2", "caf\\xe9.jpg"]
    assert (len(arguments), arguments[-1]) == (1001, "[1003 more]")
    assert circumstances()["arguments"] is None
