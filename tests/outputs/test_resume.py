"""Results reach their file whole or not at all, and a run that was cut off goes on to the same file."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcli.errors import ModelError, OutputError
from clipcli.inputs.discover import FileInput
from clipcli.outputs.readers import read_results
from clipcli.outputs.resume import RESUMABLE, ResultFile
from clipcli.outputs.run_settings import RunSettings, record_of
from clipcli.outputs.text_formats import Layout
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.scoring.zeroshot import Score
from clipcli.text import printable

TEXT = ("jsonl", "csv", "tsv")
SETTINGS: dict[str, Any] = {"model": "pocket", "labels": ["cat", "dog"], "threshold": None}
HARD = [
    "plain.png", 'quo"ted".png', "two\nlines.png", '"\n"', "tab\tand\\t.png", "cr\r\n.png", "=1+1.png", "'=x.png", "",
    "猫-🎄.png", "می‌خواهم.png", "\u2028.png", os.fsdecode(b"\xff\xe9.png"), ",;.png", "\x0b\x1c\x85.png",
]  # fmt: skip
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.sampled_from(HARD)


def result_for(number: int, name: str) -> Result:
    """What a run would say of an input; always the same."""
    if number % 3 == 2:
        return Failure(name, "truncated", f'damaged "image"\n({name.encode("utf-8", "replace").decode()})')
    return Prediction(name, 'a "cat"', (Score('a "cat"', 0.75, 0.3), Score("=dog", 0.25, 1 / 7)), "pocket")


def layout(form: str) -> Layout:
    return Layout(form, 2, grouped=False)


def open_file(target: Path, settings: dict[str, Any] = SETTINGS, **options: bool) -> ResultFile:
    return ResultFile(target, layout(target.suffix.lstrip(".")), RunSettings("classify", settings), **options)


def run(target: Path, names: Sequence[str], stop_after: int | None = None, **options: Any) -> list[str]:
    """Do what ``classify`` does, except for the lock; return the names that were worked on."""
    file = open_file(target, **options)
    rest = file.rest(FileInput(name, name) for name in names)
    worked: list[str] = []

    def results() -> Iterator[Result]:
        for item in rest:
            if len(worked) == stop_after:
                raise KeyboardInterrupt
            worked.append(item.name)
            yield result_for(names.index(item.name), item.name)

    for _ in file.write(results()):
        pass
    return worked


def interrupted(target: Path, names: Sequence[str], after: int, **options: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(target, names, after, **options)


def refusal(target: Path, names: Sequence[str] = ("a.png", "b.png"), **options: Any) -> str:
    with pytest.raises(OutputError) as caught:
        run(target, names, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def partial_of(target: Path) -> Path:
    return target.with_name(target.name + ".partial")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def content(target: Path) -> Any:
    """What may not differ: the bytes of a text file, the rows of Parquet."""
    return pyarrow.parquet.read_table(target).to_pylist() if target.suffix == ".parquet" else target.read_bytes()


def whole(folder: Path, form: str, names: Sequence[str]) -> Any:
    """What a run that nothing disturbs comes to."""
    target = folder / f"whole.{form}"
    run(target, names, overwrite=True)
    return content(target)


# --- a run that nothing disturbs ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_record_for_each_input_is_read_back_in_order(form: str, tmp_path: Path) -> None:
    run(tmp_path / f"r.{form}", HARD)
    assert [record.path for record in read_results(tmp_path / f"r.{form}")] == [printable(name) for name in HARD]


@pytest.mark.parametrize("form", RESUMABLE)
def test_nothing_but_the_file_and_its_record_is_left(form: str, tmp_path: Path) -> None:
    run(tmp_path / f"r.{form}", HARD)
    assert left_in(tmp_path) == [f"r.{form}", f"r.{form}.run.json"]


@pytest.mark.parametrize("form", RESUMABLE)
def test_the_file_is_not_there_before_the_end(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    for _ in open_file(target).write(result_for(0, name) for name in HARD):
        assert not target.exists()
    assert target.is_file()


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_file_that_appeared_during_the_run_is_kept_and_so_are_the_records(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    expected = whole(tmp_path, form, HARD)
    results = open_file(target).write(result_for(number, name) for number, name in enumerate(HARD))
    next(results)
    target.write_text("of another program", "utf-8")
    with pytest.raises(OutputError, match="another program created it during the run") as problem:
        list(results)
    assert "records saved in" in str(problem.value) and "--resume" in str(problem.value)
    assert target.read_text("utf-8") == "of another program"
    assert not record_of(target).exists()
    assert "another program created it during the run" in refusal(target, HARD, resume=True)
    target.unlink()
    assert run(target, HARD, resume=True) == []
    assert content(target) == expected


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_resumed_run_replaces_what_it_was_to_replace(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    target.write_text("before", "utf-8")
    interrupted(target, HARD, 3, overwrite=True)
    assert target.read_text("utf-8") == "before"
    run(target, HARD, resume=True)
    assert content(target) == whole(tmp_path, form, HARD)


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_file_that_was_there_before_stays_until_the_end(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    target.write_text("before", "utf-8")
    assert "it exists (replace it with --overwrite" in refusal(target, HARD)
    interrupted(target, HARD, 3, overwrite=True)
    assert target.read_text("utf-8") == "before"


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_run_without_inputs_makes_a_whole_file_without_records(form: str, tmp_path: Path) -> None:
    run(tmp_path / f"r.{form}", [])
    assert list(read_results(tmp_path / f"r.{form}")) == []


def test_every_record_is_in_the_partial_file_as_soon_as_it_is_made(tmp_path: Path) -> None:
    written = open_file(tmp_path / "r.jsonl").write(result_for(0, name) for name in HARD)
    for number, _ in enumerate(written, start=1):
        if number < len(HARD):
            assert len(partial_of(tmp_path / "r.jsonl").read_bytes().splitlines()) == number


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_link_stays_and_leads_to_the_results(form: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"r.{form}").symlink_to(tmp_path / "elsewhere" / "real")
    run(tmp_path / f"r.{form}", HARD)
    assert (tmp_path / f"r.{form}").is_symlink()
    assert content(tmp_path / f"r.{form}") == whole(tmp_path, form, HARD)
    names = {name.removesuffix(".run.json") for name in left_in(tmp_path)}
    assert names == {"elsewhere", f"r.{form}", f"whole.{form}"}


@pytest.mark.parametrize("form", RESUMABLE)
def test_permissions_of_a_file_that_is_replaced_are_kept(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    target.touch(0o600)
    run(target, HARD, overwrite=True)
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_pipe_is_refused_and_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.jsonl")
    assert "pipe" in refusal(tmp_path / "r.jsonl")
    assert (tmp_path / "r.jsonl").is_fifo()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").mkdir()
    assert "it is a folder" in refusal(tmp_path / "r.csv")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot write " in refusal(tmp_path / "nowhere" / "r.csv")


def test_a_format_that_cannot_be_taken_up_again_is_refused(tmp_path: Path) -> None:
    assert "json cannot be resumed" in refusal(tmp_path / "r.json")


# --- cut off, and taken up again --------------------------------------------------------------------------


@pytest.mark.parametrize("form", RESUMABLE)
@pytest.mark.parametrize("after", [0, 1, 2, len(HARD) - 1])
def test_an_interrupted_run_goes_on_where_it_stopped(form: str, after: int, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    interrupted(target, HARD, after)
    assert not target.exists()
    assert run(target, HARD, resume=True) == HARD[after:]
    assert content(target) == whole(tmp_path, form, HARD)


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_run_may_be_interrupted_again_and_again(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    interrupted(target, HARD, 2)
    for _ in range(3):
        interrupted(target, HARD, 2, resume=True)
    assert run(target, HARD, resume=True) == HARD[8:]
    assert content(target) == whole(tmp_path, form, HARD)


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_run_that_was_cut_off_after_its_last_record_only_takes_its_place(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    interrupted(target, [*HARD, "last"], len(HARD))
    assert run(target, HARD, resume=True) == []
    assert content(target) == whole(tmp_path, form, HARD)


@pytest.mark.parametrize("form", RESUMABLE)
def test_resuming_where_nothing_was_begun_begins(form: str, tmp_path: Path) -> None:
    assert run(tmp_path / f"r.{form}", HARD, resume=True) == HARD


@pytest.mark.parametrize("form", TEXT)
@settings(max_examples=60)
@given(data=st.data(), names=st.lists(NAMES, min_size=1, max_size=6, unique=True))
def test_a_run_killed_at_any_byte_comes_to_the_identical_file(
    form: str, data: st.DataObject, names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    expected: bytes = whole(folder, form, names)
    target = folder / f"r.{form}"
    interrupted(target, [*names, "last\0"], len(names))
    partial = partial_of(target)
    assert partial.read_bytes() == expected
    cut = data.draw(st.integers(0, len(expected)))
    partial.write_bytes(expected[:cut])
    worked = run(target, names, resume=True)
    assert worked == names[len(names) - len(worked) :]
    assert target.read_bytes() == expected


@pytest.mark.parametrize("form", TEXT)
def test_a_run_killed_at_each_single_byte_comes_to_the_identical_file(form: str, tmp_path: Path) -> None:
    names = ['"\n"', "=\n'"]
    expected: bytes = whole(tmp_path, form, names)
    target = tmp_path / f"r.{form}"
    for cut in range(len(expected) + 1):
        open_file(target, overwrite=True)
        partial_of(target).write_bytes(expected[:cut])
        run(target, names, resume=True)
        assert target.read_bytes() == expected


KILLED = """
import os, signal, sys
from pathlib import Path
from clipcli.outputs import parquet
from clipcli.pipeline.predictions import Failure
from clipcli.outputs.resume import ResultFile
from clipcli.outputs.run_settings import RunSettings, record_of
from clipcli.outputs.text_formats import Layout

parquet._PART_ROWS = 3
target = Path(sys.argv[1])
file = ResultFile(target, Layout(target.suffix[1:], 2, False), RunSettings("classify"))
for number, _ in enumerate(file.write(Failure(f"{number}.png", "empty", "") for number in range(20)), start=1):
    if number == 10:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("form", "kept"), [("jsonl", 10), ("csv", 10), ("tsv", 10), ("parquet", 9)])
def test_a_run_killed_at_once_keeps_its_records(form: str, kept: int, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    file = open_file(target, {}, resume=True)
    assert list(file.done()) == [f"{number}.png" for number in range(kept)]


@pytest.mark.parametrize("kept", range(4))
def test_parts_that_are_missing_at_the_end_are_made_again(kept: int, tmp_path: Path) -> None:
    target = tmp_path / "r.parquet"
    names = [f"{number}.png" for number in range(10)]
    interrupted(target, names, 3)
    interrupted(target, names, 3, resume=True)
    interrupted(target, names, 3, resume=True)
    for part in sorted(partial_of(target).iterdir())[kept:]:
        part.unlink()
    assert run(target, names, resume=True) == names[3 * kept :]
    assert content(target) == whole(tmp_path, "parquet", names)


def test_a_part_that_was_never_finished_is_no_part(tmp_path: Path) -> None:
    target = tmp_path / "r.parquet"
    interrupted(target, HARD, 3)
    (partial_of(target) / ".clipcli-x.parquet").write_bytes(b"half")
    run(target, HARD, resume=True)
    assert left_in(tmp_path) == ["r.parquet", "r.parquet.run.json"]


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_run_cut_off_between_its_last_steps_is_taken_up_again(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    interrupted(target, HARD, 3)
    kept = target.with_name(target.name + ".partial.json").read_bytes()
    run(target, HARD, resume=True)
    expected = content(target)
    target.with_name(target.name + ".partial.json").write_bytes(kept)  # as if killed before this was removed
    run(target, HARD, resume=True)
    assert (content(target), left_in(tmp_path)) == (expected, [f"r.{form}", f"r.{form}.run.json"])


# --- a run that is complete -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_complete_run_is_left_alone_and_its_failures_are_counted(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    run(target, HARD)
    before = {name: (tmp_path / name).read_bytes() for name in left_in(tmp_path)}
    file = open_file(target, resume=True)
    assert list(file.write(result_for(0, item.name) for item in file.rest(FileInput(n, n) for n in HARD))) == []
    assert (file.is_complete, file.earlier, file.earlier_failures) == (True, len(HARD), len(HARD) // 3)
    assert {name: (tmp_path / name).read_bytes() for name in left_in(tmp_path)} == before


@pytest.mark.parametrize("form", RESUMABLE)
def test_the_record_of_a_run_says_what_it_was_made_with_and_what_came_of_it(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    interrupted(target, HARD, 4)
    run(target, HARD, resume=True)
    record = json.loads((tmp_path / f"r.{form}.run.json").read_text("utf-8"))
    assert record["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert record["settings"] == {"command": "classify", **SETTINGS}
    assert (record["version"], record["records"], record["failures"]) == (1, len(HARD), len(HARD) // 3)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (HARD[1:], "input 1 was plain.png and is now quo"),
        (HARD[:-1], f"input {len(HARD)} was {HARD[-1]} and is now nothing"),
        ([*HARD, "late.png"], "late.png is new"),
    ],
)
@pytest.mark.parametrize("form", RESUMABLE)
def test_a_complete_run_is_not_the_answer_for_other_inputs(
    form: str, names: list[str], told: str, tmp_path: Path
) -> None:
    target = tmp_path / f"r.{form}"
    run(target, HARD)
    before = content(target)
    message = refusal(target, names, resume=True)
    assert "the inputs have changed since the complete run, " in message
    assert told in message
    assert content(target) == before


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_complete_run_is_not_the_answer_for_other_settings(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    run(target, HARD)
    message = refusal(target, HARD, settings=SETTINGS | {"labels": ["cat", "cow"]}, resume=True)
    assert "the complete run had different labels: item 2 was 'dog', now 'cow'" in message


@pytest.mark.parametrize("form", RESUMABLE)
def test_results_that_were_changed_after_their_run_are_not_resumed(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    run(target, HARD)
    target.write_bytes(target.read_bytes() + b"\n")
    assert refusal(target, HARD, resume=True) == (
        f"cannot resume {target}: it has changed since its run ended (replace it with --overwrite, or name another "
        "file)"
    )
    assert run(target, HARD, overwrite=True) == HARD


@pytest.mark.parametrize("damage", [None, b"", b"[]", b"{}", b"\xff", b'{"settings": 1, "records": 1}'])
def test_results_whose_record_is_missing_or_damaged_are_not_resumed(damage: bytes | None, tmp_path: Path) -> None:
    target, record = tmp_path / "r.csv", tmp_path / "r.csv.run.json"
    run(target, HARD)
    if damage is None:
        record.unlink()
    else:
        record.write_bytes(damage)
    message = refusal(target, HARD, resume=True)
    assert message.startswith(f"cannot resume {target}: ")
    assert "r.csv.run.json" in message
    assert run(target, HARD, overwrite=True, resume=True) == HARD


@pytest.mark.parametrize("version", [0, 2])
def test_files_of_another_version_are_refused_clearly(version: int, tmp_path: Path) -> None:
    interrupted(tmp_path / "cut.csv", HARD, 3)
    run(tmp_path / "whole.csv", HARD)
    for target, file in (("cut.csv", "cut.csv.partial.json"), ("whole.csv", "whole.csv.run.json")):
        values = json.loads((tmp_path / file).read_text("utf-8"))
        (tmp_path / file).write_text(json.dumps(values | {"version": version}), "utf-8")
        assert refusal(tmp_path / target, HARD, resume=True).startswith(
            f"cannot resume {tmp_path / target}: {file} has version {version}, but this clipcli reads version 1 ("
        )


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", RESUMABLE)
def test_an_interrupted_run_is_not_overwritten_silently(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    interrupted(target, HARD, 3)
    message = refusal(target, HARD)
    assert f"r.{form}.partial" in message
    assert "--resume" in message
    assert run(target, HARD, resume=True) == HARD[3:]


@pytest.mark.parametrize("form", RESUMABLE)
def test_an_interrupted_run_is_forgotten_on_request(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    interrupted(target, ["other", *HARD], 3)
    assert run(target, HARD, overwrite=True) == HARD
    assert content(target) == whole(tmp_path, form, HARD)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "ViT-B-32"}, "a different model: pocket, now ViT-B-32"),
        ({"labels": ["cat", "cow"]}, "different labels: item 2 was 'dog', now 'cow'"),
        ({"labels": ["cat", "dog", "cow"]}, "different labels: item 3, 'cow', is new"),
        ({"labels": ["cat"]}, "different labels: item 2, 'dog', is missing now"),
        ({"threshold": 0.5}, "a different threshold: None, now 0.5"),
        ({"new": "x"}, "a different new: None, now x"),
    ],
)
def test_other_settings_are_refused_with_what_differs(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    interrupted(tmp_path / "r.csv", HARD, 3)
    assert told in refusal(tmp_path / "r.csv", HARD, settings=SETTINGS | change, resume=True)


def test_a_setting_that_is_no_more_is_refused_too(tmp_path: Path) -> None:
    interrupted(tmp_path / "r.csv", HARD, 3)
    fewer = {"labels": SETTINGS["labels"], "threshold": None}
    assert "a different model: pocket, now None" in refusal(tmp_path / "r.csv", HARD, settings=fewer, resume=True)


def test_a_long_setting_is_told_in_short(tmp_path: Path) -> None:
    interrupted(tmp_path / "r.csv", HARD, 3)
    assert len(refusal(tmp_path / "r.csv", HARD, settings=SETTINGS | {"model": "x" * 999}, resume=True)) < 400


@pytest.mark.parametrize("form", RESUMABLE)
@pytest.mark.parametrize(
    ("now", "told"),
    [
        (["new.png", *HARD], "input 1 was plain.png and is now new.png"),
        (HARD[1:], 'input 1 was plain.png and is now quo"ted".png'),
        ([*HARD[:2], *HARD[3:]], 'input 3 was two\\nlines.png and is now "\\n"'),
        (HARD[:2], "and is now nothing"),
    ],
    ids=["added", "removed first", "removed", "fewer than done"],
)
def test_other_inputs_are_refused_with_the_first_that_differs(
    form: str, now: list[str], told: str, tmp_path: Path
) -> None:
    interrupted(tmp_path / f"r.{form}", HARD, 5)
    before = partial_of(tmp_path / f"r.{form}").stat().st_mtime_ns
    with pytest.raises(OutputError) as caught:
        run(tmp_path / f"r.{form}", now, resume=True)
    assert told in str(caught.value).replace("\n", "\\n")
    assert partial_of(tmp_path / f"r.{form}").stat().st_mtime_ns == before


def test_inputs_that_were_added_at_the_end_are_worked_on(tmp_path: Path) -> None:
    interrupted(tmp_path / "r.csv", HARD, 5)
    assert run(tmp_path / "r.csv", [*HARD, "new.png"], resume=True) == [*HARD[5:], "new.png"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"null", b"\xff"])
def test_damaged_settings_are_refused(damage: bytes, tmp_path: Path) -> None:
    interrupted(tmp_path / "r.csv", HARD, 3)
    (tmp_path / "r.csv.partial.json").write_bytes(damage)
    assert "--overwrite" in refusal(tmp_path / "r.csv", HARD, resume=True)


@pytest.mark.parametrize(
    ("form", "damage"),
    [("jsonl", b"\0\0\0\n"), ("jsonl", b"{}\n"), ("jsonl", b"3\n"), ("csv", b"a\n\n"), ("tsv", b"a\n\xff\n")],
)
def test_a_damaged_partial_file_is_refused(form: str, damage: bytes, tmp_path: Path) -> None:
    open_file(tmp_path / f"r.{form}")
    partial_of(tmp_path / f"r.{form}").write_bytes(damage)
    assert "damaged (start again with --overwrite)" in refusal(tmp_path / f"r.{form}", HARD, resume=True)


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"PAR1" + bytes(90) + b"PAR1"])
def test_a_damaged_part_is_refused(damage: bytes, tmp_path: Path) -> None:
    interrupted(tmp_path / "r.parquet", HARD, 3)
    next(partial_of(tmp_path / "r.parquet").iterdir()).write_bytes(damage)
    assert "damaged (start again with --overwrite)" in refusal(tmp_path / "r.parquet", HARD, resume=True)


def test_an_error_on_the_way_is_not_taken_for_one_of_the_file(tmp_path: Path) -> None:
    def results() -> Iterator[Result]:
        yield result_for(0, "a.png")
        raise ConnectionResetError("of the model")

    with pytest.raises(ConnectionResetError):
        list(open_file(tmp_path / "r.csv").write(results()))
    assert list(open_file(tmp_path / "r.csv", resume=True).done()) == ["a.png"]


# --- a full disk ------------------------------------------------------------------------------------------

FULL = """
import resource, signal, sys
from pathlib import Path
from clipcli.outputs import parquet
from clipcli.errors import ModelError, OutputError
from clipcli.pipeline.predictions import Failure
from clipcli.outputs.resume import ResultFile
from clipcli.outputs.run_settings import RunSettings, record_of
from clipcli.outputs.text_formats import Layout

parquet._PART_ROWS, parquet._GROUP_ROWS = 100, 100
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
target = Path(sys.argv[1])
file = ResultFile(target, Layout(target.suffix[1:], 1, False), RunSettings("classify"))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    for _ in file.write(Failure(f"{number}.png", "empty", str(number) * 9) for number in range(1000)):
        pass
except OutputError as problem:
    sys.exit(str(problem))
"""


def on_full_disk(target: Path, size: int) -> str:
    command = [sys.executable, "-c", FULL, str(target), str(size)]
    return subprocess.run(command, check=False, capture_output=True, text=True).stderr


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_full_disk_is_told_in_one_line_and_what_came_before_is_kept(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    said = on_full_disk(target, 9000)
    assert said.startswith(f"cannot write {target}: ")
    assert "File too large" in said
    assert said.count("\n") == 1
    assert not target.exists()
    done = list(open_file(target, {}, resume=True).done())
    assert done == [f"{number}.png" for number in range(len(done))]
    assert f"{len(done):,} records saved in {target}.partial" in said


def fails() -> Iterator[Result]:
    raise ModelError("no such model")
    yield


def test_a_run_that_fails_before_its_first_record_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        list(open_file(tmp_path / "r.csv").write(fails()))
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_run_that_fails_at_once_keeps_what_was_there(tmp_path: Path) -> None:
    interrupted(tmp_path / "r.csv", HARD, 3)
    before = partial_of(tmp_path / "r.csv").read_bytes()
    with pytest.raises(ModelError):
        list(open_file(tmp_path / "r.csv", resume=True).write(fails()))
    assert partial_of(tmp_path / "r.csv").read_bytes() == before


@pytest.mark.parametrize("form", RESUMABLE)
def test_ctrl_c_between_a_record_and_whatever_follows_it_is_told_with_the_true_count(form: str, tmp_path: Path) -> None:
    target = tmp_path / f"r.{form}"
    kept = open_file(target)
    write = kept._partial.write

    def write_and_be_interrupted(result: Result) -> None:
        write(result)
        if result.path == "2.png":
            raise KeyboardInterrupt

    kept._partial.write = write_and_be_interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        list(kept.write(result_for(number, f"{number}.png") for number in range(5)))
    assert kept.resume_hint() == f"3 records saved in {partial_of(target)}; continue with --resume"
    assert list(open_file(target, resume=True).done()) == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize("form", RESUMABLE)
def test_an_image_that_was_modified_after_its_record_is_noticed(form: str, tmp_path: Path) -> None:
    target, names = tmp_path / f"r.{form}", [str(tmp_path / f"{number}.png") for number in range(3)]
    for name in names:
        Path(name).write_bytes(b"as it was")
    interrupted(target, names, 2)
    stopped = time.time() - 60.0  # all times are in the past: one in the future says nothing
    os.utime(partial_of(target), (stopped, stopped))
    for name in names:
        os.utime(name, (stopped - 1.0, stopped - 1.0))
    os.utime(names[1], (stopped + 1.0, stopped + 1.0))
    assert refusal(target, names, resume=True) == (
        f"cannot resume {target}: the inputs have changed since the interrupted run, {names[1]} was modified after its "
        "record was written (continue with --update, or start again with --overwrite; cached embeddings are reused)"
    )
    os.utime(names[1], (stopped - 1.0, stopped - 1.0))
    assert run(target, names, resume=True) == names[2:]
