"""``clipcli classify`` from end to end: real photos, the built-in model, a process of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clipcli import Embedder
from clipcli.outputs.readers import read_results
from tests.conftest import Run, RunHere, RunTogether, clean_environment, clipcli_command, lines_of

POCKET = ("--model", "pocket")
LABELS = ("-l", "cat", "-l", "cup of coffee", "-l", "rocket", "-l", "bicycle")
ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38|48)(?:;\d+)*m")
_TSV_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]) -> Path:
    """A folder with three good photos, one that is broken, and awkward names."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "1 cat.png").write_bytes(photos["cat"].read_bytes())
    (folder / "2-broken.jpg").write_bytes(photos["rocket"].read_bytes()[:5000])
    (folder / '3-\tcoffee, "hot"\n.png').write_bytes(photos["coffee"].read_bytes())
    (folder / "4-ракета").write_bytes(photos["rocket"].read_bytes())
    return folder


FORMATS = ("tsv", "csv", "json", "jsonl", "table")
EXPECTED = ["cat", None, "cup of coffee", "rocket"]


THRESHOLDS = {"--min-probability": 1, "--min-similarity": 0.99, "--min-margin": 1}


@pytest.fixture(scope="module")
def runs(run_together: RunTogether, album: Path, photos: dict[str, Path]) -> dict[str, Done]:
    """All runs that need nothing but a look at what they gave, by name, in one process."""
    folder = album.parent
    (folder / "groups").mkdir()
    (folder / "groups" / "labels.csv").write_text(
        "label,group\ncat,animal\ndog,animal\ncup of coffee,drink\nrocket,machine\nbicycle,machine\n"
    )
    over_album = ("classify", album, *LABELS, *POCKET, "--top-k", 3)
    twice = ("classify", photos["cat"], "-l", "kitten", "-l", "lorry", *POCKET, "-v", "--format", "jsonl")
    in_vain = ("classify", photos["cat"], "-l", "cat", "-l", "dog", *POCKET, "--format", "jsonl")
    exported = folder / "labels.safetensors"
    lines: dict[str, tuple[object, ...]] = {
        **{form: (*over_album, "--format", form) for form in FORMATS},
        "tsv": over_album,  # what a pipe gets unasked
        "first": twice,
        "second": twice,
        "grouped": (
            "classify", photos["cat"], photos["rocket"], photos["coffee"], "--labels", folder / "groups" / "labels.csv",
            "--top-k", 2, *POCKET, "-o", folder / "groups" / "results.csv",
        ),
        **{option: (*in_vain, option, bound) for option, bound in THRESHOLDS.items()},
        "export": ("export", "text", *LABELS, *POCKET, "-o", exported),
        "from export": ("classify", album, "--classes", exported, *POCKET, "--top-k", 3),
    }  # fmt: skip
    return dict(zip(lines, run_together(*lines.values()), strict=True))


@pytest.fixture
def outputs(runs: dict[str, Done]) -> dict[str, Done]:
    """One run over the album in each format."""
    return {form: runs[form] for form in FORMATS}


@pytest.fixture
def grouped(runs: dict[str, Done], album: Path) -> tuple[Done, Path]:
    """Labels in groups from a CSV file, the two best of them, written to a file."""
    return runs["grouped"], album.parent / "groups" / "results.csv"


def read_tsv(text: str) -> list[dict[str, str]]:
    """Read the dialect without quotes in which tab, newline and backslash are escaped."""
    rows = [
        [re.sub(r"\\[tnr\\]", lambda found: _TSV_ESCAPES[found.group()], cell) for cell in line.split("\t")]
        for line in text.rstrip("\n").split("\n")
    ]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def flat(record: dict[str, Any]) -> dict[str, str]:
    """What CSV and TSV must say where JSON says this."""
    if "error" in record:
        return {
            "path": record["path"],
            "error_type": record["error"]["type"],
            "error_message": record["error"]["message"],
        }
    cells = {"path": record["path"], "model": record["model"], "pretrained": record["pretrained"] or "",
             "precision": record["precision"]}  # fmt: skip
    for rank, score in enumerate(record["top"], start=1):
        cells |= {f"{name}{'' if rank == 1 else f'_{rank}'}": str(value) for name, value in score.items()}
    return cells


def filled(row: dict[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if cell or (name == "pretrained" and row["model"])}


def assert_close(one: dict[str, str], other: dict[str, str]) -> None:
    """Compare cells; numbers may differ by what another batch of the same photos may."""
    assert one.keys() == other.keys()
    for name, cell in one.items():
        if name.startswith(("probability", "similarity")):
            assert float(cell) == pytest.approx(float(other[name]), abs=1e-5)
        else:
            assert cell == other[name]


# --- formats --------------------------------------------------------------------------------------------


def test_every_photo_gets_its_label_in_the_order_of_the_inputs(outputs: dict[str, Done]) -> None:
    records = [json.loads(line) for line in lines_of(outputs["jsonl"].stdout)]
    assert [record.get("label") for record in records] == EXPECTED


def test_a_record_holds_the_best_labels_their_scores_and_the_model(outputs: dict[str, Done]) -> None:
    record = json.loads(lines_of(outputs["jsonl"].stdout)[0])
    assert list(record) == ["path", "label", "probability", "similarity", "top", "model", "pretrained", "precision"]
    assert (record["model"], record["pretrained"]) == ("pocket", None)
    assert record["precision"] == Embedder("pocket", cache=False).precision
    assert [score["probability"] for score in record["top"]] == sorted(
        (score["probability"] for score in record["top"]), reverse=True
    )
    assert record["top"][0] == {name: record[name] for name in ("label", "probability", "similarity")}


def test_json_holds_the_same_records_as_json_lines(outputs: dict[str, Done]) -> None:
    lines = [json.loads(line) for line in lines_of(outputs["jsonl"].stdout)]
    for one, other in zip(json.loads(outputs["json"].stdout), lines, strict=True):
        assert_close(flat(one), flat(other))


def test_csv_holds_the_same_as_json(outputs: dict[str, Done]) -> None:
    rows = list(csv.DictReader(io.StringIO(outputs["csv"].stdout, newline="")))
    for row, record in zip(rows, json.loads(outputs["json"].stdout), strict=True):
        assert_close(filled(row), flat(record))


def test_tsv_holds_the_same_as_json(outputs: dict[str, Done]) -> None:
    rows = read_tsv(outputs["tsv"].stdout)
    for row, record in zip(rows, json.loads(outputs["json"].stdout), strict=True):
        assert_close(filled(row), flat(record))


def test_the_table_shows_every_file_with_its_labels_in_per_cent(outputs: dict[str, Done]) -> None:
    table = outputs["table"].stdout
    for name in ("1 cat.png", "2-broken.jpg", "4-ракета"):
        assert name in table
    assert re.search(r"cup of coffee .*\d\d\.\d%", table)
    assert "failed: " in table


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_writes_escape_codes_into_a_pipe(form: str, outputs: dict[str, Done]) -> None:
    assert ESCAPE not in outputs[form].stdout + outputs[form].stderr


@pytest.mark.parametrize("form", FORMATS)
def test_one_bad_file_gives_exit_code_1(form: str, outputs: dict[str, Done]) -> None:
    assert outputs[form].returncode == 1


def test_one_bad_file_is_named_on_one_line_of_stderr(outputs: dict[str, Done]) -> None:
    lines = lines_of(outputs["tsv"].stderr)
    assert [line for line in lines if "2-broken.jpg" in line] == [lines[0]]
    assert lines[0].startswith("error: ")
    assert lines[1:] == ["warning: 1 of 4 images failed"]


def test_a_bad_file_becomes_a_record_with_its_reason(outputs: dict[str, Done]) -> None:
    record = json.loads(lines_of(outputs["jsonl"].stdout)[1])
    assert list(record) == ["path", "error"]
    assert record["error"]["type"] == "truncated"


# --- a terminal -------------------------------------------------------------------------------------------


def on_terminal(folder: Path, *arguments: object, **extra: str) -> str:
    """Run ``clipcli`` with stdout and stderr on a terminal and return what it showed."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    environment = clean_environment(folder) | {"TERM": "xterm-256color", "NO_COLOR": ""} | extra
    command = [*clipcli_command(environment), *map(str, arguments)]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=environment):
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # Linux says so when the other side is closed
                part = b""
            if not part:
                break
            shown += part
    os.close(master)
    return shown.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, album: Path) -> dict[str, str]:
    """What a terminal shows, with colours and without."""
    folder = tmp_path_factory.mktemp("terminal")
    arguments = ("classify", album, *LABELS, *POCKET, "--no-cache")
    return {"plain": on_terminal(folder, *arguments, NO_COLOR="1"), "colour": on_terminal(folder, *arguments)}


def test_a_terminal_gets_a_table_in_colour(shown: dict[str, str]) -> None:
    assert COLOUR.search(shown["colour"])
    assert "1 cat.png" in shown["colour"]
    assert "━" in shown["colour"] or "█" in shown["colour"]


def test_no_color_takes_the_colours_away_and_keeps_the_table(shown: dict[str, str]) -> None:
    assert not COLOUR.search(shown["plain"])
    assert re.search(r"cat .*\d\d\.\d%", shown["plain"])


def test_a_newline_in_a_name_is_shown_and_not_sent_to_the_terminal(shown: dict[str, str]) -> None:
    assert r'3-\tcoffee, "hot"\n.png' in shown["plain"]


# --- quiet, verbose, and the cache ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thousand(run_once: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Done]:
    """Three runs with a file of 1000 labels: a first, the same again, and one with a label more."""
    labels = tmp_path_factory.mktemp("labels") / "many.txt"
    labels.write_text("".join(f"thing number {index}\n" for index in range(999)) + "cat\n")
    arguments = ("export", "text", "--labels", labels, *POCKET, "-v", "-o", labels.with_suffix(".npz"), "--overwrite")
    first, second = run_once(*arguments), run_once(*arguments)
    with labels.open("a") as file:
        file.write("dog\n")
    return [first, second, run_once(*arguments)]


def test_a_second_run_encodes_no_text(thousand: list[Done]) -> None:
    assert lines_of(thousand[1].stderr)[0] == "text: 1000 prompts from the cache, 0 encoded"


def test_one_new_label_among_1000_encodes_one_prompt(thousand: list[Done]) -> None:
    assert lines_of(thousand[2].stderr)[0] == "text: 1000 prompts from the cache, 1 encoded"


def test_what_was_encoded_before_scores_the_same_from_the_cache(runs: dict[str, Done]) -> None:
    first, second = (json.loads(runs[name].stdout) for name in ("first", "second"))
    assert_close(flat(first), flat(second))


def test_verbose_says_what_came_from_the_cache_and_what_the_model_is(runs: dict[str, Done]) -> None:
    text, model, images = lines_of(runs["second"].stderr)
    assert text == "text: 2 prompts from the cache, 0 encoded"
    assert re.match(r"model: pocket, 2 labels, logit scale [\d.]+, images in (openvino-)?(fp32|bf16|fp16)$", model)
    assert re.match(r"images: \d+ from the cache, \d+ encoded", images)


def test_quiet_says_nothing_but_errors(run: Run, photos: dict[str, Path]) -> None:
    done = run("classify", photos["cat"], "gone.png", "-l", "cat", "-l", "dog", "--quiet")  # --model auto would warn
    assert lines_of(done.stderr) == ["error: gone.png: no such file"]
    assert (done.returncode, len(lines_of(done.stdout))) == (1, 3)


# --- scores and output ------------------------------------------------------------------------------------------


def test_output_goes_to_the_file_and_its_suffix_chooses_the_format(grouped: tuple[Done, Path]) -> None:
    done, output = grouped
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = list(csv.DictReader(io.StringIO(output.read_text("utf-8"))))
    assert [row["label"] for row in rows] == ["cat", "rocket", "cup of coffee"]


def test_nothing_but_the_output_and_its_record_is_left_in_its_folder(grouped: tuple[Done, Path]) -> None:
    names = sorted(path.name for path in grouped[1].parent.iterdir())
    assert names == ["labels.csv", "results.csv", "results.csv.run.json"]


def test_top_k_says_how_many_labels_are_listed(grouped: tuple[Done, Path]) -> None:
    header = lines_of(grouped[1].read_text("utf-8"))[0].split(",")
    assert [name for name in header if name.startswith("label")] == ["label", "label_2"]


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "jsonl"])
def test_every_file_format_keeps_five_labels_and_the_best_of_unknown(
    form: str, run_here: RunHere, photos: dict[str, Path], tmp_path: Path
) -> None:
    labels = [part for name in ("cat", "dog", "rocket", "tree", "car", "bus") for part in ("-l", name)]
    output = tmp_path / f"results.{form}"
    (done,) = run_here(("classify", photos["cat"], *labels, *POCKET, "--min-probability", "1", "-o", output))
    assert done.returncode == 0, done.stderr
    for record in read_results(output):
        assert record.label == "unknown"
        assert len(record.top) == 5
        assert record.top[0].label in labels


def test_a_compact_table_has_labels_and_probabilities_only(run_here: RunHere, album: Path) -> None:
    compact = ("classify", album, *LABELS, *POCKET, "--top-k", 3, "--compact", "--format")
    done, refused = run_here((*compact, "csv"), (*compact, "jsonl"))
    header = lines_of(done.stdout)[0]
    assert header == "path,label,probability,label_2,probability_2,label_3,probability_3,error_type,error_message"
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "cannot write compact jsonl" in refused.stderr


def test_groups_are_summed_and_the_best_is_named(grouped: tuple[Done, Path]) -> None:
    rows = list(csv.DictReader(io.StringIO(grouped[1].read_text("utf-8"))))
    assert [row["group"] for row in rows] == ["animal", "machine", "drink"]
    for row in rows:
        assert float(row["group_probability"]) >= float(row["probability"])


@pytest.mark.parametrize("option", THRESHOLDS)
def test_below_a_threshold_the_label_is_unknown_and_the_scores_stay(option: str, runs: dict[str, Done]) -> None:
    record = json.loads(runs[option].stdout)
    assert record["label"] == "unknown"
    assert record["top"][0]["label"] == "cat"
    assert record["top"][0]["probability"] == record["probability"] > 0.5


def test_exported_text_embeddings_stand_in_for_the_labels(runs: dict[str, Done]) -> None:
    for row, expected in zip(read_tsv(runs["from export"].stdout), read_tsv(runs["tsv"].stdout), strict=True):
        assert_close(filled(row), filled(expected))


# --- going away ---------------------------------------------------------------------------------------------------


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*clipcli_command(clean_environment(folder)), *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", cwd=folder,
        env=clean_environment(folder),
    )  # fmt: skip


def many(photo: Path, folder: Path, count: int) -> list[Path]:
    """Make links to a photo; each link counts as a separate image."""
    beside = folder.with_name(f"{folder.name}-many")
    beside.mkdir()
    links = [beside / f"{number}.png" for number in range(count)]
    for link in links:
        link.symlink_to(photo)
    return links


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path, photos: dict[str, Path]) -> None:
    with start(
        tmp_path, "classify", *many(photos["cat"], tmp_path, 60), "-l", "cat", "-l", "dog", *POCKET, "--batch-size", 1
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


def test_an_interrupted_run_exits_130_and_says_so_in_one_line(tmp_path: Path, photos: dict[str, Path]) -> None:
    with start(
        tmp_path, "classify", *many(photos["cat"], tmp_path, 2000), "-l", "cat", "-l", "dog", *POCKET, "--batch-size", 1
    ) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert lines[0].startswith("path\t")
    assert (process.returncode, errors) == (130, "error: interrupted\n")


def test_an_interrupted_run_leaves_an_output_file_as_it_was(tmp_path: Path, photos: dict[str, Path]) -> None:
    before = "path,label,probability,similarity,model,pretrained,precision,error_type,error_message\n"
    (tmp_path / "results.csv").write_text(before)
    arguments = (
        "classify",
        *many(photos["cat"], tmp_path, 2000),
        "-l",
        "cat",
        "-l",
        "dog",
        *POCKET,
        "-v",
        "-o",
        "results.csv",
        "--overwrite",
    )
    with start(tmp_path, *arguments) as process:
        assert process.stderr
        process.stderr.readline()
        process.stderr.readline()  # the model is loaded, images are on their way
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
    assert process.returncode == 130
    assert (tmp_path / "results.csv").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "results.csv"]
