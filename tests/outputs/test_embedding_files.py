"""Exported image embeddings are read back as they were written; a file that lies is refused in one line."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipcli import ImageEmbeddings
from clipcli.cache.embeddings import ModelFacts
from clipcli.errors import EmbeddingFileError, ImageError
from clipcli.inputs.discover import FileInput
from clipcli.outputs.embedding_reading import READERS
from clipcli.outputs.image_embeddings import IMAGE_SUFFIXES, write_image_embeddings
from clipcli.outputs.image_rows import DTYPES, EmbeddingKind, ImageRow
from clipcli.outputs.part_forms import embedding_parts
from clipcli.outputs.parts import PartedOutput
from clipcli.outputs.run_settings import RunSettings
from clipcli.pipeline.chunks import LocalEngine
from clipcli.scoring.zeroshot import normalise
from clipcli.storage.folders import folder_at

SUFFIX = pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
FACTS = ModelFacts("tiny", "tag", 4, 20.0, None)
PATHS = ["plain.jpg", "with, comma.jpg", 'quo"ted.jpg', "two\nlines.jpg", "日本語.jpg", "=1+1.jpg", "\r.jpg", "'a.jpg"]
VECTORS = normalise(np.random.default_rng(0).standard_normal((len(PATHS), 4)).astype(np.float32))
BROKEN = ImageRow("=broken.jpg", ImageError("truncated", "=damaged image"))
GOOD = [ImageRow(path, vector) for path, vector in zip(PATHS, VECTORS, strict=True)]


def write(path: Path, rows: list[ImageRow], dtype: str = "float32", print_: str = "print") -> Path:
    list(write_image_embeddings(rows, path, EmbeddingKind.of(FACTS, print_, dtype)))
    return path


def plain(rows: list[ImageRow]) -> list[tuple[str, Any]]:
    return [
        (row.path, (row.vector.kind, str(row.vector)) if isinstance(row.vector, ImageError) else row.vector.tolist())
        for row in rows
    ]


def read(path: Path) -> list[tuple[str, Any]]:
    return plain(list(ImageEmbeddings(path).rows()))


def refused(path: Path) -> str:
    with pytest.raises(EmbeddingFileError) as problem:
        list(ImageEmbeddings(path).rows())
    assert "\n" not in str(problem.value) and str(path) in str(problem.value)
    return str(problem.value)


def test_every_format_that_is_written_can_be_read() -> None:
    assert set(READERS) == set(IMAGE_SUFFIXES)


@SUFFIX
@pytest.mark.parametrize("dtype", DTYPES)
def test_reading_gives_the_rows_that_were_written(suffix: str, dtype: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"e{suffix}", [*GOOD[:2], BROKEN, *GOOD[2:]], dtype)
    rows = read(path)
    vectors = [vector for name, vector in rows if name != BROKEN.path]
    # the shortest text of a float16 is read as the float32 that is nearest to the text
    rounding = 5e-4 if dtype == "float16" and suffix in (".csv", ".jsonl") else 0.0
    np.testing.assert_allclose(vectors, VECTORS.astype(dtype).astype(np.float32), rtol=rounding)
    assert [name for name, _ in rows if name != BROKEN.path] == PATHS
    assert plain([BROKEN])[0] in rows
    embeddings = ImageEmbeddings(path)
    assert (embeddings.made_by.fingerprint, embeddings.made_by.dim) == ("print", 4)
    assert embeddings.made_by.title == ("" if suffix == ".csv" else "tiny tag")
    assert embeddings.count in (None, len(rows))


@SUFFIX
def test_more_rows_than_are_read_at_once(suffix: str, tmp_path: Path) -> None:
    rows = [ImageRow(f"{number}.jpg", VECTORS[number % 8]) for number in range(3000)]
    assert read(write(tmp_path / f"e{suffix}", rows)) == plain(rows)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
def test_a_file_without_rows_is_empty(suffix: str, tmp_path: Path) -> None:
    assert read(write(tmp_path / f"e{suffix}", [])) == []


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_without_an_embedding_names_no_model(suffix: str, tmp_path: Path) -> None:
    assert "it holds no embedding" in refused(write(tmp_path / f"e{suffix}", []))


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_folder_of_parts_is_read_in_the_order_of_its_inputs(suffix: str, tmp_path: Path) -> None:
    folder = folder_at(f"{tmp_path}/parts/")
    rows = [BROKEN, *GOOD]
    kind = EmbeddingKind.of(FACTS, "print", "float32")
    with folder:
        output = PartedOutput(folder, embedding_parts(suffix, kind), RunSettings("export images"), size=1)
        engine = LocalEngine(lambda items, _: iter([next(row for row in rows if row.path == i.name) for i in items]))
        list(output.rows(engine, [FileInput(row.path, row.path) for row in rows]))
    embeddings = ImageEmbeddings(tmp_path / "parts")
    assert plain(list(embeddings.rows())) == plain(rows)
    assert embeddings.count == len(rows)


def test_parts_of_different_models_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, print_ in enumerate(("one", "other")):
        write(folder / "part.jsonl", GOOD[number : number + 1], print_=print_)
        (folder / "part.jsonl").rename(folder / f"part-{number:08}-00000000-n1-f0.jsonl")
    with pytest.raises(EmbeddingFileError, match=r"00000001.* another model than those of the first part"):
        list(ImageEmbeddings(folder).rows())


@pytest.mark.parametrize("name", ["none.npz", "none.npy", "none.jsonl"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    assert refused(tmp_path / name) == f"cannot read {tmp_path / name}: no such file"


def test_an_array_without_its_paths_names_the_missing_file(tmp_path: Path) -> None:
    path = write(tmp_path / "e.npy", GOOD)
    Path(f"{path}.jsonl").unlink()
    assert "e.npy.jsonl: no such file" in refused(path)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    bomb = np.array([Bomb()], dtype=object)
    path = write(tmp_path / "e.npy", GOOD)
    np.save(path, bomb, allow_pickle=True)
    refused(path)
    for name in ("embeddings", "paths", "metadata"):
        arrays = dict(np.load(write(tmp_path / "e.npz", GOOD))) | {name: bomb}
        np.savez(tmp_path / "e.npz", **arrays)
        refused(tmp_path / "e.npz")
    for suffix in IMAGE_SUFFIXES:
        (tmp_path / f"raw{suffix}").write_bytes(pickle.dumps(Bomb()))
        refused(tmp_path / f"raw{suffix}")
    assert not (tmp_path / "exploded").exists()


def test_a_compressed_archive_is_refused_since_it_could_be_of_any_size(tmp_path: Path) -> None:
    path = write(tmp_path / "e.npz", GOOD)
    np.savez_compressed(path, **dict(np.load(path)))
    assert "compressed" in refused(path)


@pytest.mark.parametrize("shape", [(10**12, 4), (8, 10**12), (7, 4), (9, 4), (8, 3), (8,), (-1, 4)])
def test_an_array_of_another_shape_than_the_file_has_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = write(tmp_path / "e.npy", GOOD)
    with path.open("r+b") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    refused(path)


@SUFFIX
@pytest.mark.parametrize("bad", [np.full(4, np.nan), np.full(4, np.inf), np.zeros(4), np.full(4, 3.0)], ids=str)
def test_embeddings_are_finite_and_of_length_one(suffix: str, bad: Any, tmp_path: Path) -> None:
    path = write(tmp_path / f"e{suffix}", [*GOOD, ImageRow("bad.jpg", bad.astype(np.float32))])
    assert "embedding of row 9 does not have length one" in refused(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"path": "plain.jpg"', '"path": 5'),
        ('"path": "plain.jpg"', '"path": ""'),
        ('"path": "plain.jpg"', '"path": "\\ud800"'),
        ('"path": "plain.jpg", ', ""),
        ('"fingerprint": "print"', '"fingerprint": "other"'),
        ('"embedding": [', '"embedding": [1e999, '),
        ('"embedding": [', f'"embedding": [{"9" * 500}, '),
        ('"embedding": [', '"embedding": ["x", '),
        ('"embedding": [', '"embedding": [[[], '),
        ('"embedding": [', '"embedding": null, "x": ['),
        ('{"path"', "[" * 100_000),
    ],
)
def test_hostile_json_lines_are_refused(old: str, new: str, tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", GOOD)
    first, *rest = path.read_text("utf-8").splitlines(keepends=True)
    assert old in first
    path.write_text("".join([*rest[:3], first.replace(old, new, 1), *rest[3:]]), "utf-8", newline="")
    refused(path)


def test_the_rows_beside_an_array_name_each_row_once(tmp_path: Path) -> None:
    path = write(tmp_path / "e.npy", GOOD)
    beside = Path(f"{path}.jsonl")
    first, *lines = beside.read_text("utf-8").splitlines(keepends=True)
    for wrong in (lines[:-1], [*lines, lines[-1]], [lines[1], lines[0], *lines[2:]]):
        beside.write_text("".join([first, *wrong]), "utf-8", newline="")
        refused(path)


def test_names_and_embeddings_of_safetensors_are_as_many(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = write(tmp_path / "e.safetensors", GOOD)
    metadata = {"clipcli": json.dumps({**EmbeddingKind.of(FACTS, "print", "float32").metadata(), "failures": []})}
    save_file({"embeddings": VECTORS}, path, {**metadata, "paths": json.dumps(PATHS[1:])})
    assert "as many paths as embeddings" in refused(path)
    save_file({"embeddings": VECTORS.astype(np.float64)}, path, {**metadata, "paths": json.dumps(PATHS)})
    assert "F64" in refused(path)


def test_failures_of_other_programs_cannot_disturb_a_terminal(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", GOOD)
    with path.open("a") as file:
        file.write(json.dumps({"path": "x.jpg", "error": {"type": "\x1b[2J", "message": "a\nb" * 1000}}) + "\n")
    kind, message = read(path)[-1][1]
    assert kind == "unreadable" and "\n" not in message and len(message) <= 500


def test_results_are_not_taken_for_embeddings(tmp_path: Path) -> None:
    results = tmp_path / "r.csv"
    results.write_text("path,label,probability,error_type,error_message\na.jpg,cat,0.9,,\n")
    assert "it holds results of clipcli classify" in refused(results)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(IMAGE_SUFFIXES), st.data())
def test_damage_is_one_line(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    path = write(tmp_path / f"e{suffix}", [*GOOD, BROKEN])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + 1] = data.draw(st.sampled_from([b"", b"\0", b"\xff", b'"', b"9999", b"\x80\x05"]))
    path.write_bytes(content)
    try:
        list(ImageEmbeddings(path).rows())
    except EmbeddingFileError as problem:
        assert "\n" not in str(problem)


def test_an_archive_whose_directory_lies_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "e.npz", GOOD)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("embeddings.npy").header_offset
    content = bytearray(path.read_bytes())
    content[place + 18 : place + 26] = struct.pack("<II", 1 << 31, 1 << 31)
    end = content.rindex(b"PK\x01\x02", 0, content.index(b"paths.npy", content.rindex(b"PK\x01\x02") - 400))
    content[end + 20 : end + 28] = struct.pack("<II", 1 << 31, 1 << 31)
    path.write_bytes(content)
    try:
        list(ImageEmbeddings(path).rows())
    except EmbeddingFileError as problem:
        assert "\n" not in str(problem)
