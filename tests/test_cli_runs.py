"""One rule for runs that are resumed, refused, cut short or shared, whatever the command writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import RunHere, lines_of

LABELS = ("-l", "cat", "-l", "cup of coffee")


@pytest.fixture
def model(tiny_clip: Path) -> tuple[str, str]:
    return ("--model", f"local-dir:{tiny_clip}")


@pytest.fixture
def album(tmp_path: Path, photos: dict[str, Path]) -> Path:
    """Two photos and a broken one."""
    folder = tmp_path / "album"
    folder.mkdir()
    shutil.copy(photos["cat"], folder / "1.png")
    shutil.copy(photos["coffee"], folder / "2.png")
    (folder / "3.jpg").write_bytes(photos["rocket"].read_bytes()[:5000])
    return folder


# --- resuming what is complete --------------------------------------------------------------------------------

OUTPUTS = ("r.jsonl", "r.csv", "r.tsv", "r.parquet", "parts/")


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_complete_run_with_failures_ends_with_the_same_exit_code_when_resumed(
    output: str, run_here: RunHere, album: Path, model: tuple[str, str]
) -> None:
    command = ("classify", album, *LABELS, *model, "-o", output)
    first, again = run_here(command, (*command, "--resume"))
    assert (first.returncode, again.returncode) == (1, 1)
    assert f"warning: {output}: complete already, nothing was left to do" in lines_of(again.stderr)
    assert lines_of(first.stderr)[-1] == lines_of(again.stderr)[-1] == "warning: 1 of 3 images failed"


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_complete_run_without_failures_ends_with_0_when_resumed(
    output: str, run_here: RunHere, album: Path, model: tuple[str, str]
) -> None:
    (album / "3.jpg").unlink()
    command = ("classify", album, *LABELS, *model, "-o", output)
    first, again = run_here(command, (*command, "--resume"))
    assert (first.returncode, again.returncode) == (0, 0)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("-l", "dog"), "labels: number 3 was 'nothing', now 'dog'"),
        (("-t", "art of {label}"), "prompts: number 1 was 'a photo of a cat', now 'art of cat'"),
        (("--min-margin", "0.5"), "least margin: None, now 0.5"),
        (("--top-k", "2"), "top_k"),
        (("--model", "pocket"), "model: local-dir:"),
    ],
    ids=["labels", "templates", "threshold", "top-k", "model"],
)
def test_a_complete_run_is_not_taken_for_one_with_other_settings(
    change: tuple[str, str], told: str, output: str, run_here: RunHere, album: Path, model: tuple[str, str]
) -> None:
    command = ("classify", album, *LABELS, *model, "--top-k", "1", "-o", output)
    first, again = run_here(command, (*command, *change, "--resume"))
    assert (first.returncode, again.returncode, again.stdout) == (1, 2, "")
    (line,) = (line for line in lines_of(again.stderr) if line.startswith("error"))
    assert told in line


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_complete_run_is_not_taken_for_one_over_other_inputs(
    output: str, run_here: RunHere, album: Path, model: tuple[str, str], photos: dict[str, Path]
) -> None:
    command = ("classify", album, *LABELS, *model, "-o", output)
    assert run_here(command)[0].returncode == 1
    shutil.copy(photos["flower"], album / "2b.jpg")
    (again,) = run_here((*command, "--resume"))
    assert (again.returncode, "complete already" in again.stderr) == (2, False)
    assert "the inputs changed since the" in again.stderr


def test_results_of_another_program_are_not_taken_for_a_complete_run(
    run_here: RunHere, album: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "r.csv").write_text("path,label\n")
    (done,) = run_here(("classify", album, *LABELS, *model, "-o", "r.csv", "--resume"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot resume r.csv: no r.csv.run.json says what its results were made with")
    assert (tmp_path / "r.csv").read_text() == "path,label\n"


@pytest.mark.parametrize("output", ["r.jsonl", "r.json", "r.csv", "r.parquet"])
def test_the_record_beside_results_says_what_they_were_made_with(
    output: str, run_here: RunHere, album: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    run_here(("classify", album, *LABELS, *model, "-o", output))
    record = json.loads((tmp_path / f"{output}.run.json").read_text("utf-8"))
    assert record["state"] == "complete"
    assert (record["records"], record["failures"]) == (3, 1)
    assert record["settings"]["labels"] == ["cat", "cup of coffee"]
    assert record["settings"]["model"] == model[1]
