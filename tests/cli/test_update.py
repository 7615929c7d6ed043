"""Runs that are repeated every night: records of new inputs are added, failed ones computed again."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clipcli.outputs.kept_names import is_gone
from clipcli.outputs.readers import read_results
from tests.conftest import RunHere, lines_of

LABELS = ("-l", "cat", "-l", "cup of coffee")
OUTPUTS = ("r.csv", "r.tsv", "r.jsonl", "r.parquet", "parts/")


@pytest.fixture
def line(tiny_clip: Path) -> tuple[str, ...]:
    return (*LABELS, "--model", f"local-dir:{tiny_clip}", "--part-size", "2")


@pytest.fixture
def album(tmp_path: Path, photos: dict[str, Path]) -> Path:
    """Three photos of yesterday, of which one is damaged."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number, name in enumerate(("cat", "coffee"), start=1):
        save(photos[name], folder / f"{number}.png")
    (folder / "3.jpg").write_bytes(photos["rocket"].read_bytes()[:5000])
    for each in folder.iterdir():
        os.utime(each, (time.time() - 86400,) * 2)
    return folder


def save(photo: Path, file: Path) -> None:
    Image.open(photo).convert("RGB").resize((64, 64)).save(file)


def command(line: tuple[str, ...], output: str, *options: str) -> tuple[str, ...]:
    given = line if output == "parts/" else line[:-2]
    return ("classify", "album", *given, "-o", output, *options)


def records(folder: Path, output: str) -> dict[str, tuple[str | None, str | None]]:
    found = list(read_results(folder / output))
    assert len({each.path for each in found}) == len(found)
    return {each.path: (each.label, each.error) for each in found}


@pytest.mark.parametrize("output", OUTPUTS)
def test_new_inputs_are_added_and_failed_ones_computed_again(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path, photos: dict[str, Path]
) -> None:
    (first,) = run_here(command(line, output, "--update"))
    assert first.returncode == 1, first.stderr
    before = records(tmp_path, output)
    assert [error is not None for _, error in before.values()] == [False, False, True]
    save(photos["flower"], album / "0.png")
    save(photos["rocket"], album / "4.png")
    shutil.copy(photos["rocket"], album / "3.jpg")
    (album / "2.png").unlink()
    (second,) = run_here(command(line, output, "--update", "-v"))
    assert second.returncode == 0, second.stderr
    after = records(tmp_path, output)
    assert list(after)[:2] == ["album/1.png", "album/2.png"]
    assert set(after) == {f"album/{name}" for name in ("0.png", "1.png", "2.png", "3.jpg", "4.png")}
    assert {name: after[name] for name in ("album/1.png", "album/2.png")} == {
        name: before[name] for name in ("album/1.png", "album/2.png")
    }
    assert not any(error for _, error in after.values())
    assert not list(tmp_path.glob("*.partial*"))
    (third,) = run_here(command(line, output, "--update"))
    assert (third.returncode, lines_of(third.stderr)) == (0, [f"warning: {output}: no new inputs, nothing to do"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_update_without_new_inputs_changes_no_file(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    (album / "3.jpg").unlink()
    run_here(command(line, output))
    place = tmp_path / output
    files = [*(place.iterdir() if place.is_dir() else [place]), *tmp_path.glob("*.run.json")]
    before = {each: (each.read_bytes(), each.stat().st_mtime_ns) for each in files}
    (done,) = run_here(command(line, output, "--update", "-q"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {each: (each.read_bytes(), each.stat().st_mtime_ns) for each in before} == before


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_input_whose_content_changed_is_computed_again(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    (album / "3.jpg").unlink()
    run_here(command(line, output))
    (album / "1.png").write_bytes(b"no longer an image")
    (done,) = run_here(command(line, output, "--update"))
    assert done.returncode == 1, done.stderr
    after = records(tmp_path, output)
    assert (len(after), after["album/1.png"][0], after["album/2.png"][1]) == (2, None, None)


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_update_needs_the_same_settings(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    run_here(command(line, output))
    before = records(tmp_path, output)
    (done,) = run_here(command((*line[:4], "-l", "dog", *line[4:]), output, "--update"))
    assert (done.returncode, lines_of(done.stderr)) == (2, [
        f"error: cannot update {output}: the complete run had different labels: item 3, 'dog', is new "
        "(use the same settings, or start again with --overwrite)"
    ])  # fmt: skip
    assert records(tmp_path, output) == before


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_interrupted_update_loses_nothing_and_continues(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path, photos: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run_here(command(line, output))
    before = records(tmp_path, output)
    (album / "2.png").unlink()  # its record exists only in the results
    for number in range(4, 10):
        save(photos["flower"], album / f"{number}.png")
    import clipcli.runner

    follow = clipcli.runner._follow

    def stopped(rows: Any, *rest: Any) -> Any:
        def some() -> Iterator[Any]:
            for number, row in enumerate(rows):
                yield row
                if number == 3:
                    raise KeyboardInterrupt

        return follow(some(), *rest)

    with monkeypatch.context() as patched:
        patched.setattr(clipcli.runner, "_follow", stopped)
        (cut,) = run_here(command(line, output, "--update"))
    assert (cut.returncode, "continue with --update" in cut.stderr) == (130, True), cut.stderr
    if output != "parts/":
        assert records(tmp_path, output) == before
    (refused,) = run_here(command(line, output, "--resume"))
    assert (refused.returncode, "(continue with --update)" in refused.stderr) == (2, True), refused.stderr
    (done,) = run_here(command(line, output, "--update"))
    assert done.returncode == 1, done.stderr
    after = records(tmp_path, output)
    assert {name.partition("/")[2] for name in after} == {
        "1.png",
        "2.png",
        "3.jpg",
        *(f"{n}.png" for n in range(4, 10)),
    }
    assert after["album/2.png"] == before["album/2.png"]


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_update_continues_an_interrupted_run(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    run_here(command(line, output))
    place = tmp_path / output
    if place.is_dir():
        file = place / "manifest.json"
        file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "state": "running"}), "utf-8")
        next(each for each in place.iterdir() if each.name.startswith("part-00000000")).unlink()
    elif output != "r.parquet":
        record = json.loads((tmp_path / f"{output}.run.json").read_text("utf-8"))
        (tmp_path / f"{output}.partial.json").write_text(json.dumps({**record, "state": "running"}), "utf-8")
        place.rename(tmp_path / f"{output}.partial")
    (done,) = run_here(command(line, output, "--update"))
    assert done.returncode == 1, done.stderr
    assert set(records(tmp_path, output)) == {f"album/{name}" for name in ("1.png", "2.png", "3.jpg")}


def test_an_empty_list_of_new_inputs_is_no_error(
    run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "3.jpg").unlink()
    run_here(command(line, "r.csv"))
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"")))
    (done,) = run_here(("classify", "-", *line[:-2], "-o", "r.csv", "--update"))
    assert (done.returncode, lines_of(done.stderr)) == (0, ["warning: r.csv: no new inputs, nothing to do"])
    assert len(records(tmp_path, "r.csv")) == 2


def test_new_members_of_an_archive_are_added(
    run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path, photos: dict[str, Path]
) -> None:
    (album / "3.jpg").unlink()
    for output in ("r.csv", "parts/"):
        (tmp_path / "a.zip").unlink(missing_ok=True)
        shutil.make_archive(str(tmp_path / "a"), "zip", album)
        line_ = [part if part != "album" else "a.zip" for part in command(line, output, "--update")]
        run_here(line_)
        save(photos["flower"], album / f"5{output[0]}.png")
        shutil.make_archive(str(tmp_path / "a"), "zip", album)
        before = len(records(tmp_path, output))
        (done,) = run_here((*line_, "-v"))
        assert done.returncode == 0, done.stderr
        assert len(records(tmp_path, output)) == before + 1


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_records_of_two_runs_at_once_are_told_apart(
    form: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path, photos: dict[str, Path]
) -> None:
    """A store has no locks. The second run saw one more image first, so its parts are cut elsewhere."""
    save(photos["flower"], album / "3.jpg")
    save(photos["rocket"], album / "4.png")
    given = (*command(line, "parts/", "-f", form, "--update"),)
    assert run_here(given)[0].returncode == 0
    save(photos["flower"], album / "0.png")
    assert run_here([part if part != "parts/" else "other/" for part in given])[0].returncode == 0
    for part in (tmp_path / "other").glob("part-*"):
        part.rename(tmp_path / "parts" / part.name.replace("part-0000000", "part-0000001"))
    (done,) = run_here(given)
    assert done.returncode == 0
    assert "parts/: 4 of its records were of an image that had one before, and are removed" in done.stderr
    assert set(records(tmp_path, "parts/")) == {
        f"album/{name}" for name in ("0.png", "1.png", "2.png", "3.jpg", "4.png")
    }
    manifest = json.loads((tmp_path / "parts" / "manifest.json").read_text("utf-8"))
    assert (manifest["state"], manifest["records"], manifest["parts"]) == ("complete", 5, 3)
    (again,) = run_here(given)
    assert lines_of(again.stderr) == ["warning: parts/: no new inputs, nothing to do"]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_embeddings_in_parts_are_updated_too(
    form: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path, photos: dict[str, Path]
) -> None:
    given = ("export", "images", "album", *line[4:], "-f", form, "-o", "e/", "--update")
    assert run_here(given)[0].returncode == 1
    save(photos["flower"], album / "4.png")
    shutil.copy(photos["rocket"], album / "3.jpg")
    (done,) = run_here(given)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "e" / "manifest.json").read_text("utf-8"))
    assert (manifest["state"], manifest["records"], manifest["failures"], manifest["parts"]) == ("complete", 4, 0, 2)


@pytest.mark.parametrize("output", ["r.csv", "parts/"])
def test_another_spelling_of_the_same_folder_adds_no_second_records(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    run_here(command(line, output))
    before = [Path(each).name for each in records(tmp_path, output)]
    for spelling in ("./album", str(album), "album/../album/"):
        (done,) = run_here(("classify", spelling, *command(line, output, "--update")[2:]))
        assert done.returncode == 1, done.stderr  # one photo is damaged
        assert [Path(each).name for each in records(tmp_path, output)] == before


@pytest.mark.parametrize("output", ["r.csv", "parts/"])
def test_the_sizes_of_batches_and_parts_may_change_between_updates(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path, photos: dict[str, Path]
) -> None:
    run_here(command(line, output, "--batch-size", "1"))
    save(photos["flower"], album / "4.png")
    sizes = ("--batch-size", "2", *(("--part-size", "3") if output == "parts/" else ()))
    plain = ("classify", "album", *line[:-2], "-o", output)
    (done,) = run_here((*plain, "--update", *sizes))
    assert done.returncode == 1, done.stderr  # one photo is damaged
    assert len(records(tmp_path, output)) == 4


@pytest.mark.parametrize("output", ["r.csv", "r.parquet", "parts/"])
def test_records_of_deleted_files_are_removed_only_if_asked(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(album / "1.png", "in/1.png")
    with_archive = ("classify", "album", "more.zip", *command(line, output)[2:])
    run_here(with_archive)
    (album / "2.png").unlink()
    run_here((*command(line, output), "--update"))
    assert "album/2.png" in records(tmp_path, output)
    (done,) = run_here((*command(line, output), "--update", "--drop-missing"))
    assert f"warning: {output}: 1 records are removed, because their files no longer exist" in done.stderr
    assert set(records(tmp_path, output)) == {"album/1.png", "album/3.jpg", "more.zip/in/1.png"}


def test_only_files_of_a_folder_that_is_there_count_as_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"")
    (tmp_path / "in").mkdir()
    names = ["gone.png", "in/gone.png", "in/deleted/x.png", str(tmp_path / "gone.png")]
    assert all(map(is_gone, names))
    assert not any(map(is_gone, ["a.zip", "in", "a.zip/x/y.png", "s3://b/x.png", "-", "\\xff.png"]))
