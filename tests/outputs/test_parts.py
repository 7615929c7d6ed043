"""Folders of parts: each part whole or absent, every input once, and a run that was cut off goes on."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from clipcli.errors import OutputError
from clipcli.inputs.items import FileInput
from clipcli.outputs.manifest import is_complete_folder, part_names
from clipcli.outputs.part_forms import check_part_suffix, result_parts
from clipcli.outputs.parts import PartedOutput
from clipcli.outputs.readers import read_results
from clipcli.outputs.run_settings import RunSettings
from clipcli.outputs.text_formats import Layout
from clipcli.pipeline.chunks import Chunk, Piece, in_chunks
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.scoring.zeroshot import Score
from clipcli.storage.folders import folder_at

SETTINGS = {"model": "pocket", "labels": ["cat", "dog"]}


def result_for(name: str) -> Result:
    if name.startswith("bad"):
        return Failure(name, "truncated", "damaged image")
    return Prediction(name, "cat", (Score("cat", 0.75, 0.25), Score("dog", 0.25, 0.125)), "pocket")


def form_of(suffix: str) -> Any:
    return result_parts(Layout(suffix, 2, grouped=False))


def names(count: int) -> list[str]:
    return [f"{'bad' if number % 5 == 3 else 'img'}{number}.png" for number in range(count)]


def pieces_of(chunks: Iterator[Chunk], worked: list[int], stop_after: int | None = None) -> Iterator[Piece[Result]]:
    """Do the chunks in another order than theirs, a row at a time."""
    waiting = list(chunks)
    random.Random(3).shuffle(waiting)
    for chunk in waiting:
        if stop_after is not None and len(worked) == stop_after:
            raise KeyboardInterrupt
        for place, unit in enumerate(chunk.units):
            yield Piece(chunk, place, [result_for(unit.name)])
        worked.append(chunk.number)


def run(
    folder: Path, given: list[str], *, size: int = 4, stop_after: int | None = None, suffix: str = "parquet",
    settings: dict[str, Any] = SETTINGS, **options: bool,
) -> list[int]:  # fmt: skip
    """Work on some inputs and return the numbers of the chunks that took work."""
    worked: list[int] = []
    with folder_at(f"{folder}/") as opened:
        output = open_parts(opened, suffix, settings, size, **options)
        chunks = in_chunks((FileInput(name, name) for name in given), size)
        for _ in output.write(pieces_of(output.rest(chunks), worked, stop_after)):
            pass
    return worked


def open_parts(
    folder: Any, suffix: str = "jsonl", settings: dict[str, Any] = SETTINGS, size: int = 4, **options: bool
) -> PartedOutput[Result]:
    given, about = RunSettings("classify", settings), {"templates": ["a {}"]}
    return PartedOutput(folder, form_of(suffix), given, about, size=size, **options)


def refusal(folder: Path, given: list[str], **options: Any) -> str:
    with pytest.raises(OutputError) as caught:
        run(folder, given, **options)
    return str(caught.value)


def paths_in(folder: Path) -> list[str]:
    return [record.path for record in read_results(folder)]


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text("utf-8")))


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_all_records_are_read_back_in_the_order_of_the_inputs(suffix: str, tmp_path: Path) -> None:
    run(tmp_path / "out", names(18), suffix=suffix)
    assert paths_in(tmp_path / "out") == names(18)
    records = list(read_results(tmp_path / "out"))
    assert [record.error for record in records[2:4]] == [None, "damaged image"]


def test_a_part_says_in_its_name_how_many_records_and_failures_it_has(tmp_path: Path) -> None:
    run(tmp_path / "out", names(10))
    parts = part_names(path.name for path in (tmp_path / "out").iterdir())
    assert [part[:14] for part in parts] == ["part-00000000-", "part-00000001-", "part-00000002-"]
    assert [part[22:] for part in parts] == ["-n4-f1.parquet", "-n4-f0.parquet", "-n2-f1.parquet"]
    counts = [pyarrow.parquet.read_metadata(tmp_path / "out" / part).num_rows for part in parts]
    assert counts == [4, 4, 2]


def test_the_manifest_names_what_was_run_and_what_came_of_it(tmp_path: Path) -> None:
    run(tmp_path / "out", names(10))
    told = manifest(tmp_path / "out")
    assert (told["state"], told["records"], told["failures"], told["parts"]) == ("complete", 10, 2, 3)
    assert told["templates"] == ["a {}"]
    assert told["settings"] == {"command": "classify", **SETTINGS, "part_size": 4, "format": "parquet"}
    assert (told["version"], told["failure_types_of_last_run"]) == (1, {"truncated": 2})


def test_nothing_but_parts_and_manifest_is_left(tmp_path: Path) -> None:
    run(tmp_path / "out", names(3))
    assert sorted(path.name[:8] for path in (tmp_path / "out").iterdir()) == ["manifest", "part-000"]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_interrupted_run_goes_on_with_the_parts_that_are_missing(after: int, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", names(18), stop_after=after)
    assert after == 0 or not is_complete_folder(folder_at(f"{tmp_path}/out/"))
    worked = run(tmp_path / "out", names(18), resume=True)
    assert len(worked) == 5 - after
    assert paths_in(tmp_path / "out") == names(18)
    assert (manifest(tmp_path / "out")["records"], manifest(tmp_path / "out")["failures"]) == (18, 3)


def test_a_resumed_run_comes_to_the_same_bytes(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", names(18), stop_after=2)
    run(tmp_path / "a", names(18), resume=True)
    run(tmp_path / "b", names(18))
    parts = [{path.name: path.read_bytes() for path in (tmp_path / n).glob("part-*")} for n in "ab"]
    assert parts[0] == parts[1]


def test_a_run_ended_before_its_first_part_leaves_nothing_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", names(18), stop_after=0)
    assert list((tmp_path / "out").iterdir()) == []
    assert run(tmp_path / "out", names(3)) == [0]


def test_earlier_results_are_not_overwritten_silently(tmp_path: Path) -> None:
    run(tmp_path / "out", names(9))
    assert refusal(tmp_path / "out", names(9)) == (
        f"cannot write {tmp_path}/out/: it holds a complete run (replace it with --overwrite, or name another folder)"
    )
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", names(9), stop_after=1)
    assert "it holds an interrupted run" in refusal(tmp_path / "cut", names(9))


def test_overwriting_removes_the_parts_of_before_and_nothing_else(tmp_path: Path) -> None:
    run(tmp_path / "out", names(18))
    (tmp_path / "out" / "notes.txt").write_text("mine", "utf-8")
    run(tmp_path / "out", names(3), overwrite=True)
    assert paths_in(tmp_path / "out") == names(3)
    assert (tmp_path / "out" / "notes.txt").exists()


@pytest.mark.parametrize(
    "change", [lambda given: given[1:], lambda given: given[:-9], lambda given: [*given[:5], "new.png", *given[5:]]],
    ids=["removed first", "removed last", "added"],
)  # fmt: skip
def test_other_inputs_are_refused_on_resuming(change: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", names(18), stop_after=4)
    assert "the inputs have changed since the interrupted run" in refusal(
        tmp_path / "out", change(names(18)), resume=True
    )


def test_inputs_that_were_added_behind_whole_parts_are_worked_on(tmp_path: Path) -> None:
    run(tmp_path / "out", names(8))
    assert run(tmp_path / "out", names(10), resume=True) == [2]
    assert paths_in(tmp_path / "out") == names(10)


@pytest.mark.parametrize("change", [{"labels": ["cat"]}, {"model": "other"}])
def test_other_settings_are_refused_on_resuming(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", names(9), stop_after=1)
    told = refusal(tmp_path / "out", names(9), settings=SETTINGS | change, resume=True)
    assert (
        f"the interrupted run had {'different' if 'labels' in change else 'a different'} {next(iter(change))}" in told
    )


def test_another_form_is_refused_on_resuming(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", names(9), stop_after=1)
    assert "a different format: parquet, now jsonl" in refusal(tmp_path / "out", names(9), suffix="jsonl", resume=True)


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    run(tmp_path / "out", names(2))
    (tmp_path / "out" / "manifest.json").write_bytes(b"{")
    assert refusal(tmp_path / "out", names(2), resume=True) == (
        f"cannot use {tmp_path}/out/manifest.json: it is not what clipcli writes (try again; if it is damaged for good, "
        "start again with --overwrite)"
    )


def test_a_manifest_of_another_version_is_refused_clearly(tmp_path: Path) -> None:
    run(tmp_path / "out", names(2))
    values = manifest(tmp_path / "out") | {"version": 2}
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(values), "utf-8")
    assert refusal(tmp_path / "out", names(2), resume=True) == (
        f"cannot resume {tmp_path}/out/: manifest.json has version 2, but this clipcli reads version 1 "
        "(start again with --overwrite)"
    )


def test_parts_without_a_manifest_are_not_taken_for_a_run(tmp_path: Path) -> None:
    run(tmp_path / "out", names(2))
    (tmp_path / "out" / "manifest.json").unlink()
    for wish in ({"resume": True}, {"overwrite": True}, {}):
        told = refusal(tmp_path / "out", names(2), **wish)
        assert told == f"cannot write {tmp_path}/out/: it holds parts without a manifest.json (name another folder)"
    assert paths_in(tmp_path / "out") == names(2)


def test_a_manifest_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text('{"mine": 1}', "utf-8")
    for wish in ({"resume": True}, {"overwrite": True}, {}):
        told = refusal(tmp_path / "out", names(2), **wish)
        assert told == f"cannot write {tmp_path}/out/: it holds another program's manifest.json (name another folder)"
    assert (tmp_path / "out" / "manifest.json").read_text("utf-8") == '{"mine": 1}'


def test_a_part_that_was_removed_from_a_whole_folder_is_made_again(tmp_path: Path, logged: list[str]) -> None:
    run(tmp_path / "out", names(10))
    next((tmp_path / "out").glob("part-00000001-*")).unlink()
    list(read_results(tmp_path / "out"))
    assert logged == [f"{tmp_path}/out: some parts are missing; continue the run with --resume"]
    assert run(tmp_path / "out", names(10), resume=True) == [1]
    assert paths_in(tmp_path / "out") == names(10)


def test_a_folder_that_a_run_has_not_finished_is_read_with_a_warning(tmp_path: Path, logged: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", names(18), stop_after=2)
    assert len(list(read_results(tmp_path / "out"))) in (6, 8)
    assert len(logged) == 1


def test_whole_results_are_compared_on_resuming_too(tmp_path: Path) -> None:
    run(tmp_path / "out", names(9))
    assert "a different model: pocket, now other" in refusal(
        tmp_path / "out", names(9), settings=SETTINGS | {"model": "other"}, resume=True
    )


def test_a_folder_that_a_run_writes_in_is_refused_to_others(tmp_path: Path) -> None:
    with folder_at(f"{tmp_path}/out/") as opened:
        list(open_parts(opened).write(iter(())))
        assert "another run is writing it" in refusal(tmp_path / "out", names(2))
    run(tmp_path / "out", names(2), overwrite=True)


def test_a_folder_in_no_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no/out", names(2)).endswith(
        f"cannot write to {tmp_path}/no/out/: the folder {tmp_path}/no does not exist "
        f"(create it with: mkdir -p {tmp_path}/no)"
    )


def test_a_full_disk_is_told_with_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    fsync, count = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal count
        count += 1
        if count > 3:  # the manifest, and two parts
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    told = refusal(tmp_path / "out", names(18))
    assert told.endswith(f": No space left on device; 2 parts saved in {tmp_path}/out/; continue with --resume")
    assert sum(path.name.startswith("part-") for path in (tmp_path / "out").iterdir()) == 2


def test_chunks_that_never_became_whole_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    output = open_parts(folder_at(f"{tmp_path}/out/"))
    (chunk,) = in_chunks([FileInput("a", "a"), FileInput("b", "b")], 4)
    with pytest.raises(OutputError, match="1 parts are incomplete"):
        list(output.write([Piece(chunk, 0, [result_for("a")])]))


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "table"])
def test_forms_that_parts_do_not_have_are_refused(form: str) -> None:
    with pytest.raises(OutputError, match="a folder holds parts in parquet or jsonl"):
        check_part_suffix("out/", form)
