"""Image embeddings in files: every format gives back what went in, and says what failed."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipcli.errors import ImageError, OutputError
from clipcli.export_images import DTYPES, IMAGE_SUFFIXES, ImageRow, check_image_suffix, write_image_embeddings
from clipcli.store import ModelFacts
from clipcli.textfiles import unguarded
from clipcli.zeroshot import normalise
from conftest import Run

FACTS = ModelFacts("tiny", "tag", 4, 20.0, None)
PATHS = ["plain.jpg", "with, comma.jpg", 'quo"ted.jpg', "two\nlines.jpg", "日本語.jpg", "=1+1.jpg", "\r.jpg"]
BROKEN = ImageError("truncated", "damaged image\nreally")
Content = tuple[list[str], np.ndarray, list[dict[str, Any]]]


def rows(*, failing: bool = True) -> list[ImageRow]:
    vectors = normalise(np.random.default_rng(0).standard_normal((len(PATHS), 4)).astype(np.float32))
    made = [ImageRow(path, vector) for path, vector in zip(PATHS, vectors, strict=True)]
    return [*made[:2], ImageRow("broken.jpg", BROKEN), *made[2:]] if failing else made


def write(path: Path, given: list[ImageRow], dtype: str = "float32") -> None:
    assert list(write_image_embeddings(given, path, FACTS, "print", dtype)) == given


def read(path: Path) -> Content:
    """Read a file with the libraries that its users have: paths, embeddings, failures."""
    return READERS[path.suffix](path)


def read_npy(path: Path) -> Content:
    first, *lines = (json.loads(line) for line in Path(f"{path}.jsonl").read_text("utf-8").split("\n")[:-1])
    assert (first["fingerprint"], first["model"]["name"]) == ("print", "tiny")
    good = [line for line in lines if "row" in line]
    assert [line["row"] for line in good] == list(range(len(good)))
    return [line["path"] for line in good], np.load(path), [line for line in lines if "error" in line]


def read_npz(path: Path) -> Content:
    with np.load(path, allow_pickle=False) as archive:
        metadata = json.loads(str(archive["metadata"]))
        return archive["paths"].tolist(), archive["embeddings"], metadata["failures"]


def read_safetensors(path: Path) -> Content:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        failures = json.loads(metadata["clipcli"])["failures"]
        return json.loads(metadata["paths"]), file.get_tensor("embeddings"), failures


def read_parquet(path: Path) -> Content:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    assert json.loads(table.schema.metadata[b"clipcli"])["fingerprint"] == "print"
    return split(table.to_pylist(), table.schema.field("embedding").type.value_type.to_pandas_dtype())


def read_jsonl(path: Path) -> Content:
    records = [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]
    flat = [
        {**record, **{f"error_{key}": value for key, value in record.get("error", {}).items()}} for record in records
    ]
    return split(flat, np.float32)


def read_csv(path: Path) -> Content:
    with path.open(encoding="utf-8", newline="") as file:
        table = [{name: unguarded(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    for row in table:
        row["error_type"] = row["error_type"] or None
        row["embedding"] = [float(row[f"e{index}"]) for index in range(4)] if row["e0"] else None
    return split(table, np.float32)


def split(records: list[dict[str, Any]], dtype: Any) -> Content:
    good = [record for record in records if record.get("embedding") is not None]
    failures = [
        {"path": record["path"], "error": {"type": record["error_type"], "message": record["error_message"]}}
        for record in records
        if record.get("error_type") is not None
    ]
    return [record["path"] for record in good], np.array([record["embedding"] for record in good], dtype), failures


READERS = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".safetensors": read_safetensors,
    ".parquet": read_parquet,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
}


def test_every_format_is_covered_here() -> None:
    assert set(READERS) == set(IMAGE_SUFFIXES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_what_went_in_comes_out(suffix: str, dtype: str, tmp_path: Path) -> None:
    file = tmp_path / f"images{suffix}"
    write(file, rows(), dtype)
    paths, embeddings, failures = read(file)
    expected = np.stack([row.vector for row in rows(failing=False)]).astype(dtype)
    assert paths == PATHS
    np.testing.assert_array_equal(embeddings.astype(dtype), expected)
    assert failures == [{"path": "broken.jpg", "error": {"type": "truncated", "message": "damaged image\nreally"}}]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
def test_binary_formats_hold_the_numbers_that_were_asked_for(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"images{suffix}", rows(), "float16")
    assert read(tmp_path / f"images{suffix}")[1].dtype == np.float16


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_a_run_in_which_all_fails_gives_a_file_without_embeddings(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"images{suffix}", [ImageRow("broken.jpg", BROKEN)])
    paths, embeddings, failures = read(tmp_path / f"images{suffix}")
    assert (paths, len(embeddings), len(failures)) == ([], 0, 1)


def test_a_npy_file_can_be_mapped_into_memory(tmp_path: Path) -> None:
    write(tmp_path / "images.npy", rows())
    assert np.load(tmp_path / "images.npy", mmap_mode="r").shape == (len(PATHS), 4)


def test_parquet_is_written_in_groups_of_rows(tmp_path: Path) -> None:
    import pyarrow.parquet

    many = [ImageRow(f"{number}.jpg", rows()[0].vector) for number in range(10_000)]
    write(tmp_path / "images.parquet", many)
    file = pyarrow.parquet.ParquetFile(tmp_path / "images.parquet")
    assert (file.num_row_groups, file.metadata.num_rows) == (2, 10_000)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_a_run_that_ends_early_leaves_what_was_there_before(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"images{suffix}"
    write(file, rows())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def cut_off() -> Iterator[ImageRow]:
        yield from rows()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(write_image_embeddings(cut_off(), file, FACTS, "print"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unknown_suffix_is_refused_with_the_known() -> None:
    with pytest.raises(OutputError, match=r"images.txt: unknown format '.txt'; choose one of .npy, .npz"):
        check_image_suffix(Path("images.txt"))


def test_the_command_exports_and_records_failures(run: Run, photos: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    done = run("export", "images", photos["cat"], "broken.jpg", photos["coffee"], "--model", "pocket", "-o", "x.jsonl")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "warning: 1 of 3 images failed"
    records = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text("utf-8").splitlines()]
    assert ["error" in record for record in records] == [False, True, False]
    assert np.linalg.norm(records[0]["embedding"]) == pytest.approx(1.0, abs=1e-5)
    assert len(records[0]["embedding"]) == 512
