"""Inputs that are not there for a while never cost results, and never count as a complete run."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import RunHere, lines_of
from tests.object_store import Store, running_store

LABELS = ("-l", "cat", "-l", "cup of coffee")


@pytest.fixture
def line(tiny_clip: Path) -> tuple[str, ...]:
    return (*LABELS, "--model", f"local-dir:{tiny_clip}")


@pytest.fixture
def album(tmp_path: Path, photos: dict[str, Path]) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for number, name in enumerate(("cat", "coffee", "rocket"), start=1):
        Image.open(photos[name]).convert("RGB").resize((64, 64)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with running_store() as started:
        yield started


OUTPUTS = ("r.csv", "r.jsonl", "r.json", "r.parquet", "parts/")


def content(folder: Path, output: str) -> dict[str, bytes]:
    place = folder / output
    return {each.name: each.read_bytes() for each in (place.iterdir() if place.is_dir() else [place])}


@pytest.mark.parametrize("output", OUTPUTS)
def test_results_are_not_replaced_when_the_inputs_are_gone(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    assert run_here(("classify", "album", *line, "-o", output))[0].returncode == 0
    before = content(tmp_path, output)
    shutil.move(album, tmp_path / "away")
    for options in (("--overwrite",), *((("--resume",),) if output != "r.json" else ())):
        (done,) = run_here(("classify", "album", *line, "-o", output, *options))
        assert (done.returncode, done.stdout) == (2, "")
        assert lines_of(done.stderr) == ["error: cannot read album: no such file or folder (check the name)"]
        assert content(tmp_path, output) == before


@pytest.mark.parametrize("output", OUTPUTS)
def test_results_are_not_replaced_when_all_inputs_of_a_list_are_gone(
    output: str, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text("path\nalbum/1.png\nalbum/2.png\n", "utf-8")
    command = ("classify", "list.csv", "--path-column", "path", *line, "-o", output)
    assert run_here(command)[0].returncode == 0
    before = content(tmp_path, output)
    shutil.move(album, tmp_path / "away")
    (done,) = run_here((*command, "--overwrite"))
    assert done.returncode == 2
    assert lines_of(done.stderr)[-1] == (
        "error: cannot read album/1.png: no such file, and none of the other 1 inputs exists either (check the name)"
    )
    assert content(tmp_path, output) == before
    assert not list(tmp_path.glob("r.*.partial*"))


@pytest.mark.parametrize("output", [*OUTPUTS, "e.npy", "e.parquet"])
def test_no_output_is_made_when_no_input_exists(
    output: str, run_here: RunHere, line: tuple[str, ...], tmp_path: Path
) -> None:
    command = ("export", "images", *line[-2:]) if output[0] == "e" else ("classify", *line)
    (done,) = run_here((*command, "gone.png", "nowhere", "-o", output))
    assert (done.returncode, lines_of(done.stderr)) == (2, [
        "error: cannot read gone.png: no such file or folder, and none of the other 1 inputs exists either "
        "(check the name)"
    ])  # fmt: skip
    assert not list(tmp_path.glob(f"{output.rstrip('/')}*"))


@pytest.mark.parametrize("command", ["search 'a cat' gone", "matrix gone -x cat", "classify gone -l cat -l dog"])
def test_a_wrong_name_is_told_before_a_model_is_loaded(command: str, run_here: RunHere) -> None:
    (done,) = run_here([part.strip("'").replace("_", " ") for part in command.replace("'a cat'", "'a_cat'").split()])
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: cannot read gone: no such file or folder (check the name)" in lines_of(done.stderr)


def test_overwriting_parts_keeps_the_old_ones_until_there_is_a_new_one(
    run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    command = ("classify", "album", *line, "-o", "parts/", "--part-size", "2")
    run_here(command)
    before = content(tmp_path, "parts/")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "weights.pt").write_text("nothing")
    (failed,) = run_here((*command, "--overwrite", "--classes", "none.npz"))
    assert failed.returncode == 2
    assert content(tmp_path, "parts/") == before
    (album / "1.png").unlink()
    (done,) = run_here((*command, "--overwrite"))
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "parts" / "manifest.json").read_text("utf-8"))
    assert (manifest["state"], manifest["records"], manifest["parts"]) == ("complete", 2, 1)
    assert len(content(tmp_path, "parts/")) == 2


@pytest.mark.parametrize("name", ["s3://nowhere/in", "s3://nowhere", "s3://there/gone.jpg", "s3://there/gone"])
@pytest.mark.parametrize("output", ["r.csv", "parts/"])
def test_results_are_not_replaced_when_the_bucket_is_gone(
    name: str, output: str, store: Store, run_here: RunHere, album: Path, line: tuple[str, ...], tmp_path: Path
) -> None:
    store.client.create_bucket(Bucket="there")
    run_here(("classify", "album", *line, "-o", output))
    before = content(tmp_path, output)
    (done,) = run_here(("classify", name, *line, "-o", output, "--overwrite"), **store.variables)
    assert done.returncode == 2, done.stderr
    assert len(lines_of(done.stderr)) == 1
    assert content(tmp_path, output) == before


def test_a_bucket_that_is_gone_stops_the_run_so_that_it_can_be_resumed(
    store: Store, run_here: RunHere, line: tuple[str, ...], photos: dict[str, Path], tmp_path: Path
) -> None:
    file = io.BytesIO()
    Image.open(photos["cat"]).convert("RGB").resize((64, 64)).save(file, "JPEG")
    keys = [f"{number}.jpg" for number in range(3)]

    def fill(*, bucket: str) -> None:
        store.client.create_bucket(Bucket=bucket)
        for key in keys:
            store.client.put_object(Bucket=bucket, Key=key, Body=file.getvalue())

    for bucket in ("first", "second"):
        fill(bucket=bucket)
    names = [f"s3://{bucket}/{key}" for bucket in ("first", "second") for key in keys]
    (tmp_path / "list.csv").write_text("url\n" + "".join(f"{name}\n" for name in names), "utf-8")
    command = ("classify", "list.csv", "--path-column", "url", *line, "--batch-size", "1", "-o", "r.csv")
    for key in keys:
        store.client.delete_object(Bucket="second", Key=key)
    store.client.delete_bucket(Bucket="second")
    (stopped,) = run_here(command, **store.variables)
    assert (stopped.returncode, (tmp_path / "r.csv").exists()) == (2, False)
    assert "error: cannot use s3://second: no such bucket (check the name)" in stopped.stderr
    fill(bucket="second")
    (done,) = run_here((*command, "--resume"), **store.variables)
    assert done.returncode == 0, done.stderr
    assert [row.split(",")[0] for row in lines_of((tmp_path / "r.csv").read_text("utf-8"))[1:]] == names
