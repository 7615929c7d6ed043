"""One rule for runs that are resumed, refused, cut short or shared, whatever the command writes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from clipcli.cli.messages import Messages
from clipcli.errors import ModelError, OutputError
from clipcli.outputs.calibration_files import save_calibration
from clipcli.outputs.own_files import check_output, is_own_output
from clipcli.outputs.text_formats import Layout, write_results
from clipcli.pipeline.calibration import FittedCalibration
from clipcli.pipeline.predictions import Result
from clipcli.scoring.calibration import Correction
from clipcli.storage.locks import locked
from tests.conftest import Run, RunHere, lines_of

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
    assert f"warning: {output}: already complete, nothing to do" in lines_of(again.stderr)
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
        (("-l", "dog"), "labels: item 3, 'dog', is new"),
        (("-t", "art of {label}"), "prompts: item 1 was 'a photo of a cat', now 'art of cat'"),
        (("--min-margin", "0.5"), "min margin: None, now 0.5"),
        (("--top-k", "2"), "a different top k: 1, now 2"),
        (("--model", "pocket"), "model: local-dir:"),
    ],
    ids=["labels", "templates", "threshold", "top-k", "model"],
)
def test_a_complete_run_is_not_taken_for_one_with_other_settings(
    change: tuple[str, str], told: str, output: str, run_here: RunHere, album: Path, model: tuple[str, str]
) -> None:
    once = {"--top-k": ("--top-k", "1"), "--model": model}
    command = ("classify", album, *LABELS, *chain.from_iterable(once.values()), "-o", output)
    kept = chain.from_iterable(each for option, each in once.items() if option != change[0])
    first, again = run_here(command, ("classify", album, *LABELS, *kept, *change, "-o", output, "--resume"))
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
    assert (again.returncode, "already complete" in again.stderr) == (2, False)
    assert "the inputs have changed since the" in again.stderr


def test_results_of_another_program_are_not_taken_for_a_complete_run(
    run_here: RunHere, album: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "r.csv").write_text("path,label\n")
    (done,) = run_here(("classify", album, *LABELS, *model, "-o", "r.csv", "--resume"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot resume r.csv: its record r.csv.run.json is missing")
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


# --- where results cannot go --------------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path, photos: dict[str, Path]) -> Path:
    """A results file, and a folder with a folder for each class."""
    for name in ("cat", "coffee"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        shutil.copy(photos[name], tmp_path / "classes" / name / f"{name}.png")
    file = tmp_path / "results.csv"
    lines = (f"{photos[name]},{name},0.9,0.3,pocket,,fp32,,\n" for name in ("cat", "coffee"))
    header = "path,label,probability,similarity,model,pretrained,precision,error_type,error_message\n"
    file.write_text(header + "".join(lines), "utf-8")
    return file


WRITERS = {
    "classify jsonl": ("classify", "classes", *LABELS, "-o", "OUT.jsonl"),
    "classify json": ("classify", "classes", *LABELS, "-o", "OUT.json"),
    "classify parquet": ("classify", "classes", *LABELS, "-o", "OUT.parquet"),
    "export text npy": ("export", "text", *LABELS, "-o", "OUT.npy"),
    "export text safetensors": ("export", "text", *LABELS, "-o", "OUT.safetensors"),
    "export text csv": ("export", "text", *LABELS, "-o", "OUT.csv"),
    "export images npy": ("export", "images", "classes", "-o", "OUT.npy"),
    "export images npz": ("export", "images", "classes", "-o", "OUT.npz"),
    "export images parquet": ("export", "images", "classes", "-o", "OUT.parquet"),
    "export images jsonl": ("export", "images", "classes", "-o", "OUT.jsonl"),
    "matrix csv": ("matrix", "classes", "-x", "a cat", "-x", "coffee", "-o", "OUT.csv"),
    "matrix npz": ("matrix", "classes", "-x", "a cat", "-x", "coffee", "-o", "OUT.npz"),
    "matrix plot": ("matrix", "classes", "-x", "a cat", "-x", "coffee", "--plot", "OUT.png"),
    "evaluate json": ("evaluate", "classes", "--json", "OUT.json"),
    "report": ("report", "results.csv", "-o", "OUT.html"),
}
_NO_MODEL = ("report",)
MORE_WRITERS = {
    "classify csv": ("classify", "classes", *LABELS, "-o", "OUT.csv"),
    "classify compact tsv": ("classify", "classes", *LABELS, "--compact", "-o", "OUT.tsv"),
    "classify table": ("classify", "classes", *LABELS, "-f", "table", "-o", "OUT.txt"),
    "classify csv in a text file": ("classify", "classes", *LABELS, "-f", "csv", "-o", "OUT.txt"),
    "export text jsonl": ("export", "text", *LABELS, "-o", "OUT.jsonl"),
    "export text npz": ("export", "text", *LABELS, "-o", "OUT.npz"),
    "export text parquet": ("export", "text", *LABELS, "-o", "OUT.parquet"),
    "export images csv": ("export", "images", "classes", "-o", "OUT.csv"),
    "export images safetensors": ("export", "images", "classes", "-o", "OUT.safetensors"),
    "teach": ("teach", "classes", "-o", "OUT.safetensors"),
    "matrix tsv": ("matrix", "classes", "-x", "a cat", "-x", "coffee, black", "-o", "OUT.tsv"),
    "matrix json": ("matrix", "classes", "-x", "a cat", "-o", "OUT.json"),
    "matrix svg": ("matrix", "classes", "-x", "a cat", "-x", "coffee", "--plot", "OUT.svg"),
    "search table": ("search", "a cat", "classes", "-f", "table", "-o", "OUT.txt"),
    "search csv": ("search", "a cat", "classes", "-o", "OUT.csv"),
    "search tsv": ("search", "a cat", "classes", "-o", "OUT.tsv"),
    "search json": ("search", "a cat", "classes", "-o", "OUT.json"),
    "search jsonl": ("search", "a cat", "classes", "-o", "OUT.jsonl"),
    "search page": ("search", "a cat", "classes", "-o", "OUT.html"),
}


def writing(name: str, model: tuple[str, str], place: str = "") -> tuple[object, ...]:
    """The command line of a writer; ``place`` replaces OUT."""
    line = [part.replace("OUT", place or "out") for part in (WRITERS | MORE_WRITERS)[name]]
    return (*line, *(() if name in _NO_MODEL else model))


def outcome(line: tuple[object, ...]) -> Path:
    """Where a command line writes."""
    return Path(next(part for part in map(str, line) if Path(part).stem == "out"))


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_ends_with_one_line_that_names_the_file(
    name: str, run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    line = writing(name, model)
    (tmp_path / outcome(line)).symlink_to("/dev/full")
    (done,) = run_here(line)
    errors = [told for told in lines_of(done.stderr) if told.startswith("error")]
    assert (done.returncode, len(errors)) == (2, 1), done.stderr
    assert str(outcome(line)) in errors[0]
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("name", [*WRITERS, *MORE_WRITERS])
def test_an_existing_file_is_replaced_only_with_overwrite_and_if_clipcli_wrote_it(
    name: str, run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    line = writing(name, model)
    file = tmp_path / outcome(line)
    file.write_text("something else\n")
    (refused,) = run_here(line)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"error: cannot write {file.name}: it exists (replace it with --overwrite, or name another file)\n"
    )
    (foreign,) = run_here((*line, "--overwrite"))
    assert (foreign.returncode, foreign.stdout) == (2, "")
    assert foreign.stderr == (
        f"error: cannot write {file.name}: clipcli did not write this file (delete it, or name another file)\n"
    )
    assert file.read_text() == "something else\n"
    file.write_bytes(b"")
    (done,) = run_here((*line, "--overwrite"))
    assert done.returncode == 0, done.stderr
    written, inode = file.read_bytes(), file.stat().st_ino
    assert written
    again, replaced = run_here(line, (*line, "--overwrite"))  # the first is refused
    assert (again.returncode, replaced.returncode, replaced.stderr) == (2, 0, done.stderr)
    assert file.stat().st_ino != inode


FOREIGN = {
    "labels.csv": "label,group\ncat,animal\n",
    "truth.csv": "path,label\na.jpg,cat\n",
    "sizes.csv": "path,width,height\na.jpg,640,480\n",
    "hand.csv": "path,label,clipcli\na.jpg,cat,1\n",  # labels that the page of report saved
    "notes.json": '{"labels": ["cat"]}\n',
    "list.json": '[{"path": "a.jpg", "label": "cat"}]\n',
    "rows.jsonl": '{"path": "a.jpg", "label": "cat"}\n',
    "page.html": "<!DOCTYPE html>\n<title>clipcli</title>\n",
    "damaged.npz": "PK\x03\x04 no archive",
    "damaged.parquet": "PAR1 no table",
    "array.npy": "\x93NUMPY",
    "deep.json": "[" * 100_000,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_only_looks_similar_is_never_replaced(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(FOREIGN[name], "latin-1")
    assert not is_own_output(file)
    with pytest.raises(OutputError, match="clipcli did not write this file"):
        check_output(file, overwrite=True)


def test_a_calibration_may_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    save_calibration(FittedCalibration("abc", "pocket", ("cat", "dog"), None, Correction(1.5)), file)
    check_output(file, overwrite=True)


def test_a_table_that_was_changed_since_its_run_is_not_replaced(
    run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    line = writing("classify table", model)
    run_here(line)
    with (tmp_path / "out.txt").open("a") as file:
        file.write("my own notes\n")
    assert run_here((*line, "--overwrite"))[0].returncode == 2
    assert (tmp_path / "out.txt").read_text("utf-8").endswith("my own notes\n")


def test_a_plot_of_another_program_is_not_replaced(
    run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    from matplotlib.figure import Figure

    for suffix in ("png", "svg"):
        Figure().savefig(tmp_path / f"out.{suffix}")
    before = [(tmp_path / f"out.{suffix}").read_bytes() for suffix in ("png", "svg")]
    names = ("matrix plot", "matrix svg")
    refused = run_here(*((*writing(name, model), "--overwrite") for name in names))
    assert [done.returncode for done in refused] == [2, 2]
    assert [(tmp_path / f"out.{suffix}").read_bytes() for suffix in ("png", "svg")] == before


@pytest.mark.parametrize(
    "line",
    [
        ("classify", "classes", *LABELS, "-f", "jsonl", "-o", "r.csv"),
        ("search", "a cat", "classes", "-f", "csv", "-o", "r.html"),
    ],
    ids=["classify", "search"],
)  # fmt: skip
def test_a_format_that_contradicts_the_extension_is_refused(
    line: tuple[str, ...], run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    (refused,) = run_here((*line, *model))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: cannot write {line[-3]} to {line[-1]}: its extension is that of ")
    assert not (tmp_path / line[-1]).exists()


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_folder_is_named_with_how_to_create_it(
    name: str, run_here: RunHere, results: Path, model: tuple[str, str]
) -> None:
    (refused,) = run_here(writing(name, model, "a b/c/out"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.endswith(": the folder a b/c does not exist (create it with: mkdir -p 'a b/c')\n")


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_to_an_existing_file_is_replaced_only_with_overwrite(
    name: str, run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    line = writing(name, model)
    (tmp_path / "kept.txt").write_text("something else\n")
    (tmp_path / outcome(line)).symlink_to("kept.txt")
    (refused,) = run_here(line)
    assert refused.returncode == 2
    assert "it exists" in refused.stderr
    assert (tmp_path / "kept.txt").read_text() == "something else\n"


def test_overwrite_never_replaces_an_image_or_an_input(
    run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    shutil.copy(tmp_path / "classes" / "cat" / "cat.png", tmp_path / "out.png")
    shutil.copy(tmp_path / "classes" / "cat" / "cat.png", tmp_path / "out.csv")
    before = (tmp_path / "out.png").read_bytes()
    plot, table, own = run_here(
        (*writing("matrix plot", model), "--overwrite"),
        (*writing("matrix csv", model), "--overwrite"),
        ("report", "results.csv", "-o", "results.csv", "--overwrite"),
    )
    assert (plot.returncode, table.returncode, own.returncode) == (2, 2, 2)
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "out.csv").read_bytes() == before


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_a_finished_run_is_not_replaced_by_a_shorter_one(
    suffix: str, run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    file = f"r.{suffix}"
    first, second = run_here(
        ("classify", "classes", *LABELS, *model, "-o", file),
        ("classify", "classes/cat", *LABELS, *model, "-o", file),
    )
    assert (first.returncode, second.returncode) == (0, 2)
    assert "coffee.png" in (tmp_path / file).read_text("utf-8")


def test_charts_are_replaced_only_with_overwrite(
    run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path, photos: dict[str, Path]
) -> None:
    line = ("evaluate", "classes", *model, "--plots", "plots")
    first, refused = run_here(line, line)
    assert (first.returncode, refused.returncode, refused.stdout) == (0, 2, "")
    assert refused.stderr.startswith("error: cannot write plots/c")
    assert refused.stderr.endswith(": it exists (replace it with --overwrite, or name another folder)\n")
    assert run_here((*line, "--overwrite"))[0].returncode == 0
    shutil.copy(photos["cat"], tmp_path / "plots" / "classes.png")
    (photo,) = run_here((*line, "--overwrite"))
    assert (photo.returncode, "it is an image" in photo.stderr) == (2, True)


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "parquet"])
def test_stdout_by_its_name_is_never_an_existing_file(
    form: str, run: Run, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    line = ["classify", "classes", *LABELS, *model, "-f", form, "-o", "/dev/stdout"]
    with (tmp_path / "out.bin").open("ab") as file:
        file.write(b"earlier\n")
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "clipcli", *line], stdout=file, stderr=subprocess.PIPE, cwd=tmp_path,
            text=True, check=False,
        )  # fmt: skip
    if form == "parquet":
        assert (done.returncode, "not a pipe or device" in done.stderr) == (2, True)
        return
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "out.bin").read_bytes()
    assert written.startswith(b"earlier\n")
    assert b"coffee.png" in written


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_in_place_of_the_file_is_refused_and_left_alone(
    name: str, run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    line = writing(name, model)
    (tmp_path / outcome(line)).mkdir()
    (done,) = run_here(line)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert f"cannot write {outcome(line)}: it is a folder" in done.stderr
    assert list((tmp_path / outcome(line)).iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_does_not_exist_is_named(
    name: str, run_here: RunHere, results: Path, model: tuple[str, str]
) -> None:
    line = writing(name, model, "nowhere/out")
    (done,) = run_here(line)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert "nowhere/out" in done.stderr


@pytest.mark.parametrize("name", WRITERS)
def test_two_runs_never_write_one_file(
    name: str, run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    line = writing(name, model)
    with locked(tmp_path / outcome(line)):
        (refused,) = run_here(line)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"cannot write {outcome(line)}: another run is writing it" in refused.stderr
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize("folder", ["--plots", "-o"])
def test_two_runs_never_write_one_folder(
    folder: str, run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "both").mkdir()
    if folder == "--plots":
        line: tuple[object, ...] = ("evaluate", "classes", *model, "--plots", "both")
    else:
        line = ("classify", "classes", *LABELS, *model, "-o", "both/")
    with locked(tmp_path / "both"):
        (refused,) = run_here(line)
    assert refused.returncode == 2
    assert "both: another run is writing it" in refused.stderr


PIPED = ("classify jsonl", "classify json", "export text csv", "export images jsonl", "matrix csv", "report")


@pytest.mark.parametrize("name", PIPED)
def test_a_named_pipe_is_written_to_and_stays_one(
    name: str, run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    line = writing(name, model)
    pipe = tmp_path / outcome(line)
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    (done,) = run_here(line)
    reader.join(60)
    assert done.returncode == 0, done.stderr
    assert len(found[0]) > 100
    assert pipe.is_fifo()


# --- exit codes ---------------------------------------------------------------------------------------------------

CODES = {
    "classify classes -l cat -l coffee MODEL": 0,
    "classify classes gone.png -l cat -l coffee MODEL": 1,
    "classify empty -l cat -l coffee MODEL": 2,
    "export images classes -o e.npy MODEL": 0,
    "export images classes gone.png -o e.jsonl MODEL": 1,
    "export images empty -o e.npy MODEL": 2,
    "export text -l cat -o t.npy MODEL": 0,
    "export text -l cat -o t.txt MODEL": 2,
    "matrix classes -x cat MODEL": 0,
    "matrix classes gone.png -x cat MODEL": 1,
    "matrix empty -x cat MODEL": 2,
    "evaluate classes MODEL": 0,
    "evaluate truth.csv MODEL": 1,
    "evaluate empty MODEL": 2,
    "report results.csv -o r.html": 0,
    "report gone.csv -o r.html": 2,
    "sort results.csv --into sorted": 0,
    "sort lost.csv --into sorted": 1,
    "sort gone.csv --into sorted": 2,
    "sort --undo empty": 2,
    "train empty -o m MODEL": 2,
    "models list": 0,
    "models show nonesuch": 2,
    "models download nonesuch": 2,
    "prompts list": 0,
    "prompts show nonesuch": 2,
    "cache info": 0,
    "cache check": 0,
    "nonesuch": 2,
}


@pytest.mark.parametrize("line", CODES)
def test_exit_codes_are_those_of_the_docs(
    line: str, run_here: RunHere, results: Path, model: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "truth.csv").write_text("path,label\nclasses/cat/cat.png,cat\ngone.png,coffee\n", "utf-8")
    (tmp_path / "lost.csv").write_text(results.read_text("utf-8").replace("chelsea", "lost"), "utf-8")
    arguments = [part for word in line.split() for part in (model if word == "MODEL" else (word,))]
    (done,) = run_here(arguments)
    assert done.returncode == CODES[line], done.stderr
    assert "Traceback" not in done.stderr


# --- what stdout holds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["tsv", "csv", "json", "jsonl", "table"])
def test_nothing_is_written_before_the_first_result_is_certain(form: str) -> None:
    def fails() -> Iterator[Result]:
        raise ModelError("no such model")
        yield

    file = io.StringIO()
    with pytest.raises(ModelError):
        list(write_results(fails(), file, Layout(form, 1, grouped=False)))
    assert file.getvalue() == ""


@pytest.mark.parametrize("form", ["tsv", "csv", "json"])
def test_no_results_at_all_are_a_whole_file(form: str) -> None:
    file = io.StringIO()
    list(write_results([], file, Layout(form, 1, grouped=False)))
    assert file.getvalue().split("\t")[0].split(",")[0] in {"path", "[]\n"}


def test_a_reader_of_messages_that_leaves_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing_end = os.pipe()
    os.close(reading)
    with monkeypatch.context() as patched:
        broken = os.fdopen(writing_end, "w", encoding="utf-8")
        patched.setattr(sys, "stderr", broken)
        messages = Messages()
        for _ in range(2):
            messages.error("not an image")
            messages.note("done")
        assert sys.stderr is not broken
    with contextlib.suppress(BrokenPipeError):
        broken.close()
