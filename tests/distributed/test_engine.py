"""The same work on Ray: the same records, whatever is lost on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from clipcli.outputs.manifest import part_names
from tests.conftest import clean_environment

COUNT = 5000
LABELS = ("-l", "cat", "-l", "dog", "-l", "a cup of coffee")


@pytest.fixture(scope="module")
def album(photos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thousands of small photographs cut out of real ones, and some files that are none."""
    folder = tmp_path_factory.mktemp("album")
    originals = [Image.open(path).convert("RGB").resize((400, 300)) for path in photos.values()]
    chance = np.random.default_rng(7)
    for number in range(COUNT):
        path = folder / f"{number // 1000}" / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        if number % 1000 == 17:
            path.write_bytes(b"no image at all")
            continue
        left, top = int(chance.integers(0, 300)), int(chance.integers(0, 220))
        originals[number % len(originals)].crop((left, top, left + 80, top + 60)).save(path, quality=80)
    return folder


@pytest.fixture(scope="module")
def model(tiny_clip: Path) -> tuple[str, ...]:
    return ("--model", f"local-dir:{tiny_clip}", "--no-cache", "--batch-size", "32")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return clean_environment(tmp_path_factory.mktemp("ray"))


def started(environment: dict[str, str], *line: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "clipcli", *map(str, line)], env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=1200)
    return process.returncode, out, errors


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Return all records of a folder of parts, in their order."""
    parts = part_names(path.name for path in folder.iterdir())
    return [row for part in parts for row in pyarrow.parquet.read_table(folder / part).to_pylist()]


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Compare records: all the same but for the last digits of numbers."""
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for name, value in theirs.items():
            if isinstance(value, float):
                assert ours[name] == pytest.approx(value, abs=1e-4), (ours["path"], name)
            else:
                assert ours[name] == value, (ours["path"], name)


@pytest.fixture(scope="module")
def expected(
    album: Path, model: tuple[str, ...], environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What torch makes of the album on this machine."""
    folder = tmp_path_factory.mktemp("local") / "out"
    command = ("classify", album, *LABELS, *model, "--engine", "torch", "-o", f"{folder}/", "-q")
    code, out, errors = finished(started(environment, *command))
    assert (code, out, errors.count("not an image")) == (1, "", 5)
    rows = rows_in(folder)
    assert len(rows) == COUNT
    return rows


def parts_of(folder: Path) -> int:
    return len(part_names(path.name for path in folder.iterdir())) if folder.is_dir() else 0


def wait_until_half(folder: Path, process: subprocess.Popen[str], parts: int) -> None:
    while parts_of(folder) < parts and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()


def test_ray_with_two_actors_gives_the_records_of_the_local_engine(
    album: Path, model: tuple[str, ...], environment: dict[str, str], expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    command = ("classify", album, *LABELS, *model, "--engine", "ray", "--ray-actors", "2")
    code, out, errors = finished(started(environment, *command, "-o", f"{tmp_path}/out/"))
    assert (code, out) == (1, "")
    assert sorted(errors.splitlines()) == sorted(
        [f"error: {row['path']}: {row['error_message']}" for row in expected if row["error_type"]]
        + [f"warning: 5 of {COUNT} images failed"]
    )
    assert_same(rows_in(tmp_path / "out"), expected)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))
    assert (manifest["state"], manifest["records"], manifest["failures"]) == ("complete", COUNT, 5)
    assert manifest["settings"]["labels"] == ["cat", "dog", "a cup of coffee"]
    assert manifest["templates"] == ["a photo of a/an {label}"]


# --- a cluster of several machines --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three simulated machines; the first is the head, which the driver is on."""
    from ray.cluster_utils import Cluster

    machine = {"num_cpus": 2, "object_store_memory": 200 << 20, "include_dashboard": False}
    quickly = {"health_check_period_ms": 500, "health_check_failure_threshold": 3, "health_check_initial_delay_ms": 0}
    made = Cluster(initialize_head=True, head_node_args={**machine, "_system_config": quickly})
    for _ in range(2):
        made.add_node(num_cpus=2, object_store_memory=200 << 20)
    made.wait_for_nodes()
    yield made
    made.shutdown()


def test_a_machine_that_is_lost_half_way_costs_no_record_and_doubles_none(
    cluster: Any, album: Path, model: tuple[str, ...], environment: dict[str, str], expected: list[dict[str, Any]],
    tmp_path: Path,
) -> None:  # fmt: skip
    command = ("classify", album, *LABELS, *model, "--engine", "ray", "--ray-address", cluster.address, "-q")
    process = started(environment, *command, "--ray-actors", "3", "--part-size", "128", "-o", f"{tmp_path}/out/")
    wait_until_half(tmp_path / "out", process, COUNT // 128 // 2)
    assert parts_of(tmp_path / "out") < COUNT // 128
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    code, out, errors = finished(process)
    assert (code, out, errors.count("\n")) == (1, "", 5)
    assert_same(rows_in(tmp_path / "out"), expected)


def test_a_driver_that_is_killed_leaves_whole_parts_and_a_resumed_run_adds_the_rest(
    cluster: Any, album: Path, model: tuple[str, ...], environment: dict[str, str], expected: list[dict[str, Any]],
    tmp_path: Path,
) -> None:  # fmt: skip
    command = ("classify", album, *LABELS, *model, "--engine", "ray", "--ray-address", cluster.address, "-q")
    command = (*command, "--ray-actors", "2", "--part-size", "128", "-o", f"{tmp_path}/out/")
    process = started(environment, *command)
    wait_until_half(tmp_path / "out", process, COUNT // 128 // 2)
    process.kill()
    assert finished(process)[0] == -signal.SIGKILL
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert COUNT // 128 // 2 <= len(kept) < COUNT // 128
    code, _, _ = finished(started(environment, *command, "--resume"))
    assert code == 1
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert kept.items() <= now.items()  # those that were there were not made again
    assert_same(rows_in(tmp_path / "out"), expected)


def test_tags_are_those_of_the_local_engine(
    cluster: Any, album: Path, model: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    tags = ("--tags", "--score", "softmax", "--threshold", "0.2")
    command = ("classify", album / "0" / "0000*.jpg", *LABELS, *model, *tags, "-q")
    local, on_ray = ("--engine", "torch"), ("--engine", "ray", "--ray-address", cluster.address, "--ray-actors", "2")
    runs = [("here", local), ("ray", on_ray)]
    done = [finished(started(environment, *command, *engine, "-o", f"{tmp_path}/{name}/")) for name, engine in runs]
    assert [code for code, _, _ in done] == [0, 0], done[1][2]
    found = rows_in(tmp_path / "ray")
    assert_same(found, rows_in(tmp_path / "here"))
    assert len(found) == 10
    assert all(row["labels"] for row in found)  # the best of three labels has at least a third


def test_no_more_inputs_are_taken_than_there_is_room_for(cluster: Any, album: Path, tiny_clip: Path) -> None:
    from clipcli.distributed.cluster import RayOptions
    from clipcli.distributed.engine import RayEngine
    from clipcli.embedder import Embedder
    from clipcli.inputs.items import FileInput
    from clipcli.outputs.image_rows import image_rows
    from clipcli.pipeline.chunks import in_chunks

    files = [FileInput(str(path), str(path)) for path in sorted(album.rglob("*.jpg"))]
    taken = done = most = 0

    def stream() -> Iterator[FileInput]:
        nonlocal taken
        for item in files:
            taken += 1
            yield item

    embedder = Embedder(f"local-dir:{tiny_clip}", device="cpu", cache=False, batch_size=32)
    with RayEngine(embedder, RayOptions(cluster.address, actors=(1, 1)), lambda _: image_rows) as engine:
        room = (8 + 4 * int(engine._ray.cluster_resources()["CPU"])) * 128  # images in portions
        for piece in engine.pieces(in_chunks(stream(), 128)):
            most = max(most, taken - done)
            done += len(piece.rows)
    assert (taken, done) == (COUNT, COUNT)
    assert most <= room + 2 * 128 < COUNT


def test_shards_become_parts_and_embeddings_too(
    cluster: Any, album: Path, model: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    files = sorted(album.rglob("*.jpg"))
    for number in range(3):
        with tarfile.open(tmp_path / f"{number}.tar", "w") as archive:
            for path in files[number * 70 : number * 70 + 70 - number]:
                archive.add(path, path.name)
    (tmp_path / "3.tar").write_bytes((tmp_path / "0.tar").read_bytes()[:100_000])
    command = ("export", "images", f"{tmp_path}/*.tar", *model, "-q")
    assert finished(started(environment, *command, "--engine", "torch", "-o", f"{tmp_path}/local/"))[0] == 1
    ray = ("--engine", "ray", "--ray-address", cluster.address)
    assert finished(started(environment, *command, "-o", f"{tmp_path}/ray/", *ray))[0] == 1
    local, far = rows_in(tmp_path / "local"), rows_in(tmp_path / "ray")
    assert [{**row, "embedding": None} for row in far] == [{**row, "embedding": None} for row in local]
    assert {path.name for path in (tmp_path / "ray").iterdir()} == {
        path.name for path in (tmp_path / "local").iterdir()
    }
    vectors = [np.array([row["embedding"] for row in rows if row["embedding"]]) for rows in (local, far)]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


def test_results_can_go_to_a_pipe_in_the_order_of_the_inputs(
    cluster: Any, album: Path, model: tuple[str, ...], environment: dict[str, str], expected: list[dict[str, Any]]
) -> None:
    command = (
        "classify",
        album / "0",
        *LABELS,
        *model,
        "-f",
        "jsonl",
        "--engine",
        "ray",
        "--ray-address",
        cluster.address,
    )
    code, out, _ = finished(started(environment, *command))
    assert code == 1
    assert [json.loads(line)["path"] for line in out.splitlines()] == [row["path"] for row in expected[:1000]]


# --- what can go wrong --------------------------------------------------------------------------------------

POISON = """
import os, signal
from fsspec.spec import AbstractFileSystem

class PoisonFileSystem(AbstractFileSystem):
    protocol = "az"

    def cat_file(self, path, start=None, end=None, **_):
        if "poison" in path:
            os.kill(os.getpid(), signal.SIGKILL)
        with open("/" + path.lstrip("/"), "rb") as file:
            return file.read()
"""


def test_an_input_that_kills_whoever_reads_it_is_a_failure_and_the_rest_goes_on(
    album: Path, model: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    package = tmp_path / "package"
    (package / "poison-1.0.dist-info").mkdir(parents=True)
    (package / "poison.py").write_text(POISON, "utf-8")
    (package / "poison-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: poison\nVersion: 1.0\n", "utf-8"
    )
    specs = "[fsspec.specs]\naz = poison:PoisonFileSystem\n"
    (package / "poison-1.0.dist-info/entry_points.txt").write_text(specs, "utf-8")
    names = [f"az:/{path}" for path in sorted((album / "1").iterdir())[20:220]]
    names[70:70], names[150:150] = ["az:///poison/1.jpg", "az:///poison/2.jpg"], ["az:///poison/3.jpg"]
    (tmp_path / "list.csv").write_text("\n".join(["url", *names, ""]), "utf-8")
    command = ("classify", tmp_path / "list.csv", "--path-column", "url", *LABELS, *model, "--engine", "ray", "-q")
    poisoned = {**environment, "PYTHONPATH": str(package)}
    code, _, errors = finished(started(poisoned, *command, "--ray-actors", "1", "-o", f"{tmp_path}/out/"))
    assert (code, sorted(errors.splitlines())) == (
        1, [f"error: az:///poison/{number}.jpg: the decoder crashed" for number in (1, 2, 3)],
    )  # fmt: skip
    rows = rows_in(tmp_path / "out")
    assert [row["path"] for row in rows] == names
    assert [row["error_type"] for row in rows].count(None) == 200


def test_a_mistake_is_told_in_one_line_before_ray_is_started(environment: dict[str, str], tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(image)
    command = ("classify", image, *LABELS, "-m", "pocket", "--engine")
    for line, told in (
        (("ray+jax",), "cannot use --engine ray+jax: unknown engine (use auto, torch, openvino, ray, ray+openvino)"),
        (
            ("ray", "--ray-actors", "3:1"),
            "cannot use --ray-actors 3:1: not a number or range",
        ),
        (
            ("ray", "--ray-address", "ray://head:10001"),
            "--ray-address ray://head:10001: run clipcli on a",
        ),
        (("ray", "-o", tmp_path / "out.xyz"), f"cannot write {tmp_path}/out.xyz: unknown extension"),
    ):
        code, out, errors = finished(started(environment, *command, *line))
        assert (code, out, errors.count("\n")) == (2, "", 1)
        assert errors.startswith(f"error: {told}")


def test_a_cluster_that_does_not_answer_is_told_in_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(image)
    command = ("classify", image, *LABELS, "-m", "pocket", "--engine", "ray", "--ray-address", "127.0.0.1:9")
    code, out, errors = finished(started(environment, *command))
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("error: --ray-address 127.0.0.1:9: no cluster can be joined (")


def test_inputs_that_are_none_are_told_before_anything_is_written(
    cluster: Any, model: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    ray = ("--engine", "ray", "--ray-address", cluster.address)
    command = ("classify", tmp_path / "empty", *LABELS, *model, *ray, "-o", f"{tmp_path}/out/")
    assert finished(started(environment, *command)) == (2, "", f"error: {tmp_path}/empty: no images found\n")
    assert not (tmp_path / "out").exists()


def test_other_weights_on_a_machine_of_the_cluster_are_refused(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from clipcli.distributed.encode_actor import Encode, EncoderOptions, facts_of
    from clipcli.embedder import Embedder
    from clipcli.errors import ModelError

    embedder = Embedder(f"local-dir:{tiny_clip}", device="cpu", cache=False)
    facts = replace(facts_of(embedder), fingerprint="0" * 32)
    monkeypatch.chdir(tmp_path)  # an actor goes to the driver's folder
    with pytest.raises(ModelError, match="holds other weights"):
        Encode(EncoderOptions(embedder.options, str(tmp_path)), facts, None)  # type: ignore[arg-type]
