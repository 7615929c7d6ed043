"""Image embeddings in files: every format gives back what went in, and says what failed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipcli.cache.embeddings import ModelFacts
from clipcli.delimited import unguarded
from clipcli.errors import ImageError, OutputError
from clipcli.outputs.class_embeddings import check_suffix
from clipcli.outputs.image_embeddings import IMAGE_SUFFIXES, write_image_embeddings
from clipcli.outputs.image_rows import DTYPES, EmbeddingKind, ImageRow
from clipcli.scoring.zeroshot import normalise
from tests.conftest import Run

FACTS = ModelFacts("tiny", "tag", 4, 20.0, None)
PATHS = ["plain.jpg", "with, comma.jpg", 'quo"ted.jpg', "two\nlines.jpg", "日本語.jpg", "=1+1.jpg", "\r.jpg"]
SUFFIX = pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
BROKEN = ImageError("truncated", "damaged image\nreally")
Content = tuple[list[str], np.ndarray, list[dict[str, Any]]]
KIND = EmbeddingKind.of(FACTS, "print", "float32")


def rows(*, failing: bool = True) -> list[ImageRow]:
    vectors = normalise(np.random.default_rng(0).standard_normal((len(PATHS), 4)).astype(np.float32))
    made = [ImageRow(path, vector) for path, vector in zip(PATHS, vectors, strict=True)]
    return [*made[:2], ImageRow("broken.jpg", BROKEN), *made[2:]] if failing else made


def write(path: Path, given: list[ImageRow], dtype: str = "float32") -> None:
    assert list(write_image_embeddings(given, path, EmbeddingKind.of(FACTS, "print", dtype))) == given


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
        table: list[dict[str, Any]] = [
            {name: unguarded(cell) for name, cell in row.items()} for row in csv.DictReader(file)
        ]
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
@SUFFIX
def test_what_went_in_comes_out(suffix: str, dtype: str, tmp_path: Path) -> None:
    file = tmp_path / f"images{suffix}"
    write(file, rows(), dtype)
    paths, embeddings, failures = read(file)
    expected = np.stack([np.asarray(row.vector) for row in rows(failing=False)]).astype(dtype)
    assert paths == PATHS
    np.testing.assert_array_equal(embeddings.astype(dtype), expected)
    assert failures == [{"path": "broken.jpg", "error": {"type": "truncated", "message": "damaged image\nreally"}}]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
def test_binary_formats_hold_the_numbers_that_were_asked_for(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"images{suffix}", rows(), "float16")
    assert read(tmp_path / f"images{suffix}")[1].dtype == np.float16


@SUFFIX
def test_a_run_in_which_all_fails_gives_a_file_without_embeddings(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"images{suffix}", [ImageRow("broken.jpg", BROKEN)])
    paths, embeddings, failures = read(tmp_path / f"images{suffix}")
    assert (paths, len(embeddings), len(failures)) == ([], 0, 1)


@SUFFIX
@given(names=st.lists(NAMES, min_size=1, max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_names_come_back_in_their_order(suffix: str, names: list[str], tmp_path: Path) -> None:
    vectors = np.eye(4, dtype=np.float32)
    write(tmp_path / f"images{suffix}", [ImageRow(name, vectors[index]) for index, name in enumerate(names)])
    found, embeddings, failures = read(tmp_path / f"images{suffix}")
    assert (found, failures) == (names, [])
    np.testing.assert_array_equal(embeddings, vectors[: len(names)])


@SUFFIX
@given(message=NAMES, name=NAMES)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_failure_comes_back_with_its_reason(suffix: str, message: str, name: str, tmp_path: Path) -> None:
    write(tmp_path / f"images{suffix}", [ImageRow(name, ImageError("unreadable", message)), rows()[0]])
    paths, _, failures = read(tmp_path / f"images{suffix}")
    assert paths == PATHS[:1]
    assert failures == [{"path": name, "error": {"type": "unreadable", "message": message}}]


@SUFFIX
@given(seed=st.integers(0, 2**32), power=st.integers(-30, 0), dtype=st.sampled_from(DTYPES))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_numbers_come_back_bit_for_bit(suffix: str, seed: int, power: int, dtype: str, tmp_path: Path) -> None:
    vector = np.random.default_rng(seed).normal(size=4).astype(np.float32)
    vector[0] *= np.float32(10.0**power)
    write(tmp_path / f"images{suffix}", [ImageRow("a.jpg", normalise(vector[None])[0])], dtype)
    found = read(tmp_path / f"images{suffix}")[1].astype(dtype)
    np.testing.assert_array_equal(found[0], normalise(vector[None])[0].astype(dtype))


@SUFFIX
def test_bytes_in_a_name_that_are_no_utf_8_are_shown(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"images{suffix}", [ImageRow("caf\udce9.jpg", rows()[0].vector)])
    assert read(tmp_path / f"images{suffix}")[0] == ["caf\\xe9.jpg"]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet", ".jsonl"])
def test_a_model_may_lie_in_a_folder_whose_name_is_no_utf_8(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"images{suffix}"
    facts = replace(FACTS, name="local-dir:/caf\udce9", pretrained="/caf\udce9/weights.pt")
    list(write_image_embeddings(rows(), file, EmbeddingKind.of(facts, "print", "float32")))
    assert model_in(file) == ("local-dir:/caf\\xe9", "/caf\\xe9/weights.pt")


def model_in(path: Path) -> tuple[str, str]:
    """Read the name of the model and its weights."""
    import pyarrow.parquet
    from safetensors import safe_open

    if path.suffix == ".npz":
        metadata = json.loads(str(np.load(path)["metadata"]))
    elif path.suffix == ".safetensors":
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads(file.metadata()["clipcli"])
    elif path.suffix == ".parquet":
        metadata = json.loads(pyarrow.parquet.read_schema(path).metadata[b"clipcli"])
    else:
        lines = Path(f"{path}.jsonl") if path.suffix == ".npy" else path
        metadata = json.loads(lines.read_text("utf-8").split("\n")[0])
    if path.suffix == ".jsonl":
        return metadata["model"], metadata["pretrained"]
    return metadata["model"]["name"], metadata["model"]["pretrained"]


@SUFFIX
def test_a_suffix_may_be_in_capitals(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"IMAGES{suffix.upper()}"
    write(file, rows())
    assert READERS[suffix](file)[0] == PATHS


@SUFFIX
def test_writing_again_replaces_the_file(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"images{suffix}"
    write(file, rows())
    write(file, rows()[1:2])
    assert read(file)[0] == PATHS[1:2]


# --- what other programs see ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_failure_has_its_row_where_its_input_stood(suffix: str, tmp_path: Path) -> None:
    import pyarrow.parquet

    file = tmp_path / f"images{suffix}"
    write(file, [rows()[0], ImageRow("broken.jpg", BROKEN), rows()[1]])
    if suffix == ".parquet":
        names = pyarrow.parquet.read_table(file)["path"].to_pylist()
    elif suffix == ".csv":
        names = [row[0] for row in csv.reader(file.open(encoding="utf-8", newline=""))][1:]
    else:
        names = [json.loads(line)["path"] for line in file.read_text("utf-8").splitlines()]
    assert names == ["plain.jpg", "broken.jpg", "with, comma.jpg"]


def test_the_lines_beside_a_npy_file_tell_of_a_failure_where_its_input_stood(tmp_path: Path) -> None:
    write(tmp_path / "images.npy", [rows()[0], ImageRow("broken.jpg", BROKEN), rows()[1]])
    lines = [json.loads(line) for line in (tmp_path / "images.npy.jsonl").read_text("utf-8").splitlines()]
    assert [line.get("row", "none") for line in lines[1:]] == [0, "none", 1]


def test_a_spreadsheet_takes_no_name_for_a_formula(tmp_path: Path) -> None:
    write(tmp_path / "images.csv", [ImageRow("=cmd|' /C calc'!A0.jpg", rows()[0].vector), ImageRow("+1.jpg", BROKEN)])
    table = list(csv.reader((tmp_path / "images.csv").open(encoding="utf-8", newline="")))
    assert [row[0] for row in table[1:]] == ["'=cmd|' /C calc'!A0.jpg", "'+1.jpg"]


def test_csv_has_a_column_for_each_dimension(tmp_path: Path) -> None:
    write(tmp_path / "images.csv", rows())
    header = (tmp_path / "images.csv").read_text("utf-8").split("\n")[0]
    assert header == "path,error_type,error_message,fingerprint,e0,e1,e2,e3"


def test_jsonl_names_the_model_in_every_embedding(tmp_path: Path) -> None:
    write(tmp_path / "images.jsonl", rows())
    first = json.loads((tmp_path / "images.jsonl").read_text("utf-8").split("\n")[0])
    assert (first["fingerprint"], first["model"], first["pretrained"]) == ("print", "tiny", "tag")


def test_a_npy_file_can_be_mapped_into_memory(tmp_path: Path) -> None:
    write(tmp_path / "images.npy", rows())
    assert np.load(tmp_path / "images.npy", mmap_mode="r").shape == (len(PATHS), 4)


def test_parquet_is_written_in_groups_of_rows(tmp_path: Path) -> None:
    import pyarrow.parquet

    many = [ImageRow(f"{number}.jpg", rows()[0].vector) for number in range(10_000)]
    write(tmp_path / "images.parquet", many)
    file = pyarrow.parquet.ParquetFile(tmp_path / "images.parquet")
    assert (file.num_row_groups, file.metadata.num_rows) == (2, 10_000)


# --- whole or not at all ------------------------------------------------------------------------------


@SUFFIX
def test_a_row_is_passed_on_before_the_next_is_asked_for(suffix: str, tmp_path: Path) -> None:
    given = rows()
    stream = iter(given)
    written = write_image_embeddings(stream, tmp_path / f"images{suffix}", KIND)
    assert [next(written), next(written)] == given[:2]
    assert next(stream) is given[2]


@SUFFIX
def test_nothing_is_left_where_the_reader_of_the_rows_stops(suffix: str, tmp_path: Path) -> None:
    written = write_image_embeddings(rows(), tmp_path / f"images{suffix}", KIND)
    next(written)
    assert list(tmp_path.iterdir())
    written.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


@SUFFIX
def test_a_folder_that_is_not_there_is_an_output_error(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*: the folder .* does not exist "):
        write(tmp_path / "missing" / f"images{suffix}", rows())


FULL_DISK = """
import resource, sys
from pathlib import Path
from random import Random
sys.path.insert(0, sys.argv[1])
from tests.outputs.test_image_embeddings import ImageRow, OutputError, rows, write
count, length = int(sys.argv[2]), int(sys.argv[3])
given = [ImageRow(Random(number).randbytes(length).hex(), rows()[0].vector) for number in range(count)]
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
for path in sys.argv[4:]:
    try:
        write(Path(path), given)
    except OutputError as problem:
        print(problem)
"""


@pytest.mark.parametrize(("count", "length"), [(1000, 10), (20, 1000)], ids=["many rows", "long names"])
def test_a_full_disk_is_an_output_error_in_every_format_and_leaves_the_old_file(
    count: int, length: int, tmp_path: Path
) -> None:
    paths = [tmp_path / f"images{suffix}" for suffix in IMAGE_SUFFIXES]
    for path in paths:
        write(path, rows())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    arguments = [str(Path(__file__).parents[2]), str(count), str(length), *map(str, paths)]
    result = subprocess.run([sys.executable, "-c", FULL_DISK, *arguments], capture_output=True, text=True, check=True)
    for path, line in zip(paths, result.stdout.splitlines(), strict=True):
        assert line.startswith(f"cannot write {path}")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@SUFFIX
def test_a_run_that_ends_early_leaves_what_was_there_before(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"images{suffix}"
    write(file, rows())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def cut_off() -> Iterator[ImageRow]:
        yield from rows()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(write_image_embeddings(cut_off(), file, KIND))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unknown_suffix_is_refused_with_the_known() -> None:
    with pytest.raises(OutputError, match=r"images.txt: unknown extension '.txt' \(use .npy, .npz"):
        check_suffix(Path("images.txt"))


def test_the_command_exports_and_records_failures(run: Run, photos: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    done = run("export", "images", photos["cat"], "broken.jpg", photos["coffee"], "--model", "pocket", "-o", "x.jsonl")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "warning: 1 of 3 images failed"
    records = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text("utf-8").splitlines()]
    assert ["error" in record for record in records] == [False, True, False]
    assert np.linalg.norm(records[0]["embedding"]) == pytest.approx(1.0, abs=1e-5)
    assert len(records[0]["embedding"]) == 752
