"""What goes wrong on the command line ends as one line on stderr and the right exit code, never as a traceback."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tests.conftest import Run, RunTogether, clean_environment, clipcli_command, lines_of

POCKET = ("--model", "pocket")

Done = subprocess.CompletedProcess[str]


def only_line(done: Done, code: int = 2) -> str:
    """The one line on stderr of a run that did nothing, without its 'error: '."""
    lines = lines_of(done.stderr)
    assert len(lines) == 1, done.stderr
    assert (done.returncode, done.stdout) == (code, "")
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


# --- labels and templates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (("-o", "out/", "--resume", "--overwrite"), "cannot use --resume with --overwrite (leave one out)"),
        (
            ("-o", "ftp://h/out/"),
            "cannot write to ftp://h/out/: not a writable location (name a folder, or s3://, gs:// or az://)",
        ),
        (
            ("-o", "."),
            "cannot write .: it is a folder (end its name with / to write parts into it, or name a file in it)",
        ),
        (
            ("-o", "out/", "-f", "csv"),
            "cannot write to out/: a folder holds parts in parquet or jsonl, not csv (see --format)",
        ),
    ],
)
def test_a_folder_of_parts_that_cannot_be_written_is_told_at_once(line: tuple[str, ...], told: str, run: Run) -> None:
    done = run("classify", "cat.png", "-l", "cat", "-l", "dog", *line)
    assert (done.returncode, done.stderr) == (2, f"error: {told}\n")


def test_a_missing_label_file_is_named(run: Run) -> None:
    assert (
        only_line(run("classify", "x.png", "--labels", "nowhere.txt", *POCKET))
        == "cannot read nowhere.txt: no such file"
    )


def test_an_empty_label_file_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("# nothing yet\n\n")
    assert "labels.txt: it has no labels" in only_line(run("classify", "x.png", "--labels", "labels.txt", *POCKET))


def test_a_double_label_is_named_with_both_lines(run: Run, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\n  cat  \n")
    line = only_line(run("classify", "x.png", "--labels", "labels.txt", *POCKET))
    assert line == "labels.txt: duplicate label 'cat' (lines 1 and 3)"


def test_a_label_file_that_is_not_utf_8_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes("Käfer\n".encode("latin-1"))
    line = only_line(run("classify", "x.png", "--labels", "labels.txt", *POCKET))
    assert line.startswith("cannot read labels.txt: it is not UTF-8 text")


def test_a_folder_in_place_of_a_label_file_is_refused(run: Run, tmp_path: Path) -> None:
    assert "folder" in only_line(run("classify", "x.png", "--labels", tmp_path, *POCKET))


def test_no_labels_at_all_are_an_error_that_says_how_to_give_them(run: Run) -> None:
    line = only_line(run("classify", "x.png", *POCKET))
    assert "--labels" in line
    assert "-l" in line


@pytest.mark.parametrize(
    "template", ["{0.__class__}", "{label.__class__}", "{label!r}", "a {} and a {label}", "a photo", "{", "{label} }"]
)
def test_a_template_that_is_not_one_place_for_the_label_is_refused(template: str, run: Run) -> None:
    line = only_line(run("classify", "x.png", "-l", "cat", *POCKET, "--template", template))
    assert line.startswith("--template: ")
    assert repr(template) in line


def test_an_unknown_template_set_is_refused_with_the_known_ones(run: Run) -> None:
    assert "photo" in only_line(run("classify", "x.png", "-l", "cat", *POCKET, "--prompts", "fotos"))


def test_labels_and_text_embeddings_do_not_go_together(run: Run) -> None:
    line = only_line(run("classify", "x.png", "-l", "cat", "--classes", "x.npz", *POCKET))
    assert "--classes" in line


def test_a_missing_file_of_text_embeddings_is_named(run: Run, photos: dict[str, Path]) -> None:
    assert only_line(run("classify", str(photos["cat"]), "--classes", "x.npz", *POCKET)).startswith(
        "cannot read x.npz: no such file"
    )


# --- models -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("classify", "x.png", "-l", "cat", "--model"), ("models", "show")])
def test_an_unknown_model_is_refused_with_near_matches(command: tuple[str, ...], run: Run) -> None:
    line = only_line(run(*command, "ViT-B32"))
    assert "no model 'ViT-B32'" in line
    assert "ViT-B-32" in line.partition("did you mean")[2]


def test_a_checkpoint_that_does_not_exist_is_named(run: Run) -> None:
    done = run("classify", "x.png", "-l", "cat", "--model", "ViT-B-32", "--pretrained", "weights/nowhere.pt")
    assert only_line(done) == "weights/nowhere.pt: no such checkpoint file"


def test_an_unknown_tag_is_refused_with_near_matches(run: Run) -> None:
    line = only_line(run("classify", "x.png", "-l", "cat", "--model", "ViT-B-32", "--pretrained", "openay"))
    assert "did you mean openai" in line


def test_a_model_folder_that_does_not_exist_is_named(run: Run) -> None:
    assert "nowhere" in only_line(run("classify", "x.png", "-l", "cat", "--model", "local-dir:nowhere"))


# --- options --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--format", "yaml"), "--format"),
        (("--top-k", "0"), "--top-k"),
        (("--top-k", "many"), "--top-k"),
        (("--batch-size", "0"), "--batch-size"),
        (("--workers", "-1"), "--workers"),
        (("--min-probability", "2"), "--min-probability"),
        (("--min-similarity", "-2"), "--min-similarity"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_an_option_that_cannot_be_is_named_with_where_to_read_more(
    arguments: tuple[str, ...], named: str, run: Run
) -> None:
    line = only_line(run("classify", "x.png", "-l", "cat", *arguments))
    assert named in line
    assert line.endswith("see clipcli classify --help)")


def test_an_unknown_command_is_refused_with_a_near_match(run: Run) -> None:
    line = only_line(run("clasify", "x.png"))
    assert "clasify" in line
    assert line.endswith("(see clipcli --help)")


@pytest.mark.parametrize("command", [(), ("models",), ("cache",), ("prompts",), ("export",)])
def test_a_group_of_commands_alone_shows_its_help(command: tuple[str, ...], run: Run) -> None:
    done = run(*command)
    assert done.returncode == 2
    assert "Commands:" in done.stderr


# --- inputs -----------------------------------------------------------------------------------------------------


def test_no_input_is_an_error(run: Run) -> None:
    assert "INPUT" in only_line(run("classify", "-l", "cat", *POCKET))


def test_an_empty_input_is_an_error_and_not_the_folder_one_is_in(run: Run) -> None:
    assert "empty" in only_line(run("classify", "", "-l", "cat", *POCKET))


@pytest.fixture(scope="module")
def odd_inputs(
    run_together: RunTogether, tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]
) -> list[Done]:
    """A folder without images but with short files; then one photo among inputs that cannot be opened."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "empty").mkdir()
    for name, content in (("nothing", b""), ("x", b"x"), ("notes.txt", b"just words\n")):
        (folder / "empty" / name).write_bytes(content)
    named = (folder / "gone.png", photos["cat"], folder / "empty" / "notes.txt", folder / ("x" * 5000))
    line = ("-l", "cat", "-l", "dog", *POCKET, "--format", "csv")
    return run_together(("classify", folder / "empty", *line), ("classify", *named, *line))


def test_a_folder_without_images_is_an_error_that_names_it(odd_inputs: list[Done]) -> None:
    done = odd_inputs[0]
    assert done.returncode == 2
    assert len(lines_of(done.stderr)) == 1
    assert "/empty: no images found" in done.stderr


def test_inputs_that_cannot_be_opened_are_named_one_a_line(odd_inputs: list[Done]) -> None:
    *errors, last = lines_of(odd_inputs[1].stderr)
    reasons = ["no such file", "not an image in a known format", "File name too long"]
    assert [line.rpartition(": ")[2] for line in errors] == reasons
    assert last == "warning: 3 of 4 images failed"


def test_inputs_that_cannot_be_opened_do_not_keep_the_others_from_being_right(odd_inputs: list[Done]) -> None:
    labels = [line.split(",")[1] for line in lines_of(odd_inputs[1].stdout)]
    assert (odd_inputs[1].returncode, labels) == (1, ["label", "", "cat", "", ""])


# --- output and cache -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("classify", "x.png"), ("export", "text")])
def test_an_output_below_a_regular_file_is_refused(command: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = only_line(run(*command, "-l", "cat", *POCKET, "-o", "file/results.csv"))
    assert line.startswith("cannot write file/results.csv: ")


def test_an_output_that_is_a_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "results.csv").mkdir()
    assert "cannot write results.csv: it is a folder" in only_line(
        run("classify", "x.png", "-l", "cat", *POCKET, "-o", "results.csv")
    )


@pytest.mark.parametrize("command", [("classify", "x.png"), ("export", "text")])
def test_an_output_without_a_known_suffix_is_refused(command: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    line = only_line(run(*command, "-l", "cat", *POCKET, "-o", "results.docx"))
    assert line.startswith(("cannot write results.docx: ", "cannot use results.docx: "))
    assert ".csv" in line
    assert not (tmp_path / "results.docx").exists()


def test_a_cache_folder_that_cannot_be_made_costs_the_cache_and_no_more(
    run: Run, tmp_path: Path, photos: dict[str, Path]
) -> None:
    (tmp_path / "file").write_text("")
    done = run("classify", photos["cat"], "-l", "cat", "-l", "dog", *POCKET, "--cache-dir", "file/cache")
    lines = lines_of(done.stderr)
    assert (done.returncode, len(lines)) == (0, 1)
    assert lines[0].startswith("warning: continuing without the cache file/cache")
    assert "\tcat\t" in lines_of(done.stdout)[1]


def test_a_cache_folder_that_cannot_be_made_is_an_error_where_the_cache_is_all_one_asks_for(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = run("cache", "info", "--cache-dir", "file/cache")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert lines_of(done.stderr)[-1].startswith("error: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_full_disk_below_stdout_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "clipcli", "models", "list", "--all"],
            stdout=full, stderr=subprocess.PIPE, text=True, env=clean_environment(tmp_path), check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "error: cannot continue: No space left on device\n")


def test_control_characters_in_a_name_do_not_reach_the_terminal(run: Run) -> None:
    line = only_line(run("classify", "x.png", "--labels", "red\x1b[31m\nname.txt", *POCKET))
    assert line == r"cannot read red\x1b[31m\nname.txt: no such file"


def with_closed_streams(closed: str, folder: Path, *arguments: object) -> Done:
    command = shlex.join([sys.executable, "-m", "clipcli", *map(str, arguments)])
    return subprocess.run(
        ["bash", "-c", f"{command} {closed}"], cwd=folder, env=clean_environment(folder), capture_output=True, text=True
    )


@pytest.mark.parametrize("closed", ["2>&-", "<&-"])
def test_a_command_started_with_closed_streams_does_its_work(closed: str, tmp_path: Path) -> None:
    done = with_closed_streams(closed, tmp_path, "prompts", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "photo" in done.stdout


def test_a_command_without_any_stream_writes_its_file(tmp_path: Path, photos: dict[str, Path]) -> None:
    line = ("classify", photos["cat"], "-l", "cat", "-l", "dog", *POCKET, "-o", "r.csv")
    assert with_closed_streams("<&- >&- 2>&-", tmp_path, *line).returncode == 0
    assert (tmp_path / "r.csv").read_text("utf-8").startswith("path,label,")


def test_output_to_a_closed_stdout_is_one_line(tmp_path: Path) -> None:
    done = with_closed_streams(">&-", tmp_path, "prompts", "list")
    assert (done.returncode, done.stderr) == (2, "error: cannot continue: stdout is closed\n")


@pytest.mark.parametrize("name", ["-rf.jpg", "-l.jpg", "--help.png"])
def test_a_name_that_begins_with_a_hyphen_gets_a_hint(name: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    line = only_line(run("classify", name, "-l", "cat", "-l", "dog", *POCKET))
    assert line == (
        f"cannot use {name}: a name that begins with - is read as an option (write ./{name}, or put -- before the "
        "names)"
    )


def test_an_option_is_an_option_even_if_a_file_has_its_name(run: Run, tmp_path: Path, photos: dict[str, Path]) -> None:
    (tmp_path / "-l").touch()
    assert run("classify", photos["cat"], "-l", "cat", "-l", "dog", *POCKET).returncode == 0


@pytest.mark.parametrize("given", ["50", "50%"])
@pytest.mark.parametrize("option", ["--min-probability", "--min-margin"])
def test_a_share_in_per_cent_gets_a_hint(option: str, given: str, run: Run) -> None:
    line = only_line(run("classify", "x.png", "-l", "cat", "-l", "dog", option, given, *POCKET))
    assert line.endswith("(write 0.5 for 50 %; see clipcli classify --help)")


def test_a_long_name_is_shortened_in_the_middle(run: Run) -> None:
    line = lines_of(run("classify", "x" * 5000 + ".png", "-l", "cat", "-l", "dog", *POCKET).stderr)[0]
    assert len(line) < 500
    assert line.startswith("error: xxx")
    assert "characters ...]x" in line
    assert "x.png: " in line


@pytest.mark.parametrize("kind", ["tar", "gztar", "zip", "parquet"])
def test_an_archive_on_standard_input_is_recognised(kind: str, tmp_path: Path, photos: dict[str, Path]) -> None:
    (tmp_path / "album").mkdir()
    shutil.copy(photos["cat"], tmp_path / "album")
    if kind == "parquet":
        archive = tmp_path / "album.parquet"
        parquet.write_table(pyarrow.table({"path": ["album/cat.png"]}), archive)
    else:
        archive = Path(shutil.make_archive(str(tmp_path / "archive"), kind, tmp_path / "album"))
    environment = clean_environment(tmp_path)
    line = [*clipcli_command(environment), "classify", "-", "-l", "cat", "-l", "dog", *POCKET]
    with archive.open("rb") as file:
        done = subprocess.run(line, stdin=file, capture_output=True, text=True, env=environment, check=False)
    told = only_line(done)
    assert told.startswith("cannot read standard input: it is a")
    assert told.endswith(", not a list of paths (give the name of the file as an INPUT)")


@pytest.mark.parametrize("names", [("-",), ()])
def test_an_image_on_standard_input_is_classified(
    names: tuple[str, ...], tmp_path: Path, photos: dict[str, Path]
) -> None:
    environment = clean_environment(tmp_path)
    line = [*clipcli_command(environment), "classify", *names, "-l", "cat", "-l", "rocket", *POCKET, "-f", "tsv"]
    with photos["cat"].open("rb") as photo:
        done = subprocess.run(line, stdin=photo, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("-\tcat\t")


def test_without_inputs_and_without_standard_input_the_inputs_are_asked_for(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path)
    line = [*clipcli_command(environment), "classify", "-l", "cat", *POCKET]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, "INPUT" in done.stderr) == (2, True)


# --- arguments of another command, or in another order -------------------------------------------------------


def test_a_query_and_a_folder_that_were_swapped_are_recognised(tmp_path: Path, run: Run) -> None:
    (tmp_path / "photos").mkdir()
    line = only_line(run("search", "photos", "a dog", *POCKET, cwd=tmp_path))
    assert "the query comes first" in line


@pytest.mark.parametrize("option", ["-l", "-L", "--label", "--labels"])
def test_labels_given_to_matrix_are_answered_with_its_options(option: str, run: Run) -> None:
    assert "-x TEXT or --texts FILE" in only_line(run("matrix", "photos", option, "dog", *POCKET))
