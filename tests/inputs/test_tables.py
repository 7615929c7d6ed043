"""Tables of images: paths or pictures in Parquet, as datasets come."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from clipcli.errors import InputError
from clipcli.inputs.counting import count_files
from clipcli.inputs.discover import BadInput, FileInput, MemberInput, Source, discover, discover_units
from clipcli.inputs.tables import RowGroup
from tests.conftest import RunHere


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write(path: Path, columns: dict[str, Any], rows: int = 2) -> str:
    """Write a table with so many rows in each group."""
    pq.write_table(pa.table(columns), path, row_group_size=rows)
    return str(path)


def found(*names: str, **options: Any) -> list[Any]:
    return list(discover(Source(names, **options)))


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    return write(tmp_path / "p.parquet", {"image": [picture(n) for n in range(5)], "id": [f"n{n}" for n in range(5)]})


def test_the_only_column_of_bytes_holds_the_pictures(pictures: str) -> None:
    items = found(pictures)
    assert [(item.name, item.data) for item in items] == [(f"{pictures}/{n}", picture(n)) for n in range(5)]


def test_another_column_may_name_them(pictures: str) -> None:
    assert [item.name for item in found(pictures, image_column="image", path_column="id")] == [
        f"n{n}" for n in range(5)
    ]


def test_each_group_of_rows_can_be_read_by_itself(pictures: str) -> None:
    groups = list(discover_units(Source((pictures,))))
    assert all(isinstance(group, RowGroup) for group in groups)
    assert [group.name for group in groups] == [f"{pictures}#{number}" for number in range(3)]
    inputs = [item.name for group in reversed(groups) for item in group.inputs()]  # type: ignore[union-attr]
    assert inputs == [f"{pictures}/{number}" for number in (4, 2, 3, 0, 1)]


def test_pictures_as_the_datasets_library_keeps_them(tmp_path: Path) -> None:
    values = [
        {"bytes": picture(1), "path": "one.png"},
        {"bytes": picture(2), "path": None},
        {"bytes": None, "path": "x"},
    ]
    table = write(tmp_path / "h.parquet", {"image": values, "label": [1, 2, 3]})
    one, two, three = found(table)
    assert (one.name, one.data) == (f"{table}/one.png", picture(1))
    assert (two.name, two.data) == (f"{table}/1", picture(2))
    assert isinstance(three, BadInput)
    assert three.problem.kind == "empty"


def test_a_column_of_paths_names_files_beside_the_table(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", {"file": ["a.png", "sub/b.png", None, "/c.png", "s3://b/k.png"]})
    items = found(table, path_column="file")
    assert items[:2] == [
        FileInput("a.png", str(tmp_path / "a.png")), FileInput("sub/b.png", str(tmp_path / "sub/b.png")),
    ]  # fmt: skip
    assert (items[2].name, items[2].problem.kind) == (f"{table}:3", "not_found")
    assert items[3:] == [FileInput("/c.png", "/c.png"), FileInput("s3://b/k.png", "s3://b/k.png")]


def test_a_pattern_names_several_tables(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / f"{name}.parquet", {"file": [f"{name}.png"]})
    assert [item.name for item in found(str(tmp_path / "*.parquet"), path_column="file")] == ["a.png", "b.png"]


def test_how_many_there_are_takes_reading(pictures: str) -> None:
    assert count_files(Source((pictures,))) is None


@pytest.mark.parametrize(
    ("columns", "options", "told"),
    [
        ({"a": ["x"]}, {}, "no column of bytes (name one with --image-column, or one of paths with --path-column"),
        ({"a": [b"x"], "b": [b"y"]}, {}, "several columns of bytes (name one with --image-column"),
        ({"a": [b"x"]}, {"image_column": "b"}, "no column 'b' (it has: a)"),
        ({"a": ["x"]}, {"path_column": "b"}, "no column 'b' (it has: a)"),
        ({"a": [b"x"]}, {"image_column": "a", "path_column": "b"}, "no column 'b' (it has: a)"),
        ({"a": [1]}, {"image_column": "a"}, "column 'a' holds int64, not encoded images"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_used_are_told(
    columns: dict[str, Any], options: dict[str, str], told: str, tmp_path: Path
) -> None:
    table = write(tmp_path / "t.parquet", columns)
    with pytest.raises(InputError) as caught:
        found(table, **options)
    assert told in str(caught.value)
    assert str(caught.value).startswith((f"cannot read {table}: ", f"cannot use {table}: "))


@pytest.mark.parametrize("damage", [b"", b"PAR1 and nothing else", b"\0" * 4000])
def test_what_is_no_table_is_told(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(damage)
    table = str(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet: "):
        found(table, image_column="image")
    (item,) = found(table)  # among other inputs, one failure of many
    assert (item.name, item.problem.kind) == (table, "truncated")


def test_a_column_of_pictures_is_not_taken_for_paths(pictures: str) -> None:
    with pytest.raises(InputError, match=r"column 'image' holds images, not paths \(name it with --image-column\)"):
        found(pictures, path_column="image")


def test_a_picture_without_a_name_is_named_by_its_row(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", {"image": [picture(1), picture(2)], "id": ["a", None]})
    assert [item.name for item in found(table, image_column="image", path_column="id")] == ["a", f"{table}/1"]


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it is a folder \(with --path-column or --image-column, name tables\)"):
        found(str(tmp_path), path_column="id")


def test_what_a_file_has_for_columns_is_told_in_short(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\x01" * 2000)
    with pytest.raises(InputError) as caught:
        found(str(tmp_path / "a.jpg"), path_column="id")
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


def test_damage_within_a_table_ends_that_group_alone(pictures: str) -> None:
    whole = bytearray(Path(pictures).read_bytes())
    groups = list(discover_units(Source((pictures,))))
    start = pq.read_metadata(pictures).row_group(1).column(0).dictionary_page_offset
    start = start or pq.read_metadata(pictures).row_group(1).column(0).data_page_offset
    whole[start : start + 40] = b"\xff" * 40
    Path(pictures).write_bytes(whole)
    answers = [list(group.inputs()) for group in groups]  # type: ignore[union-attr]
    assert [isinstance(items[-1], MemberInput) for items in answers] == [True, False, True]
    assert (answers[1][-1].name, answers[1][-1].problem.kind) == (f"{pictures}#1", "truncated")  # type: ignore[union-attr]


def test_an_image_column_goes_with_parquet_alone(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\nx\n", "utf-8")
    with pytest.raises(InputError, match="with --image-column: it is not a Parquet table"):
        found(str(tmp_path / "t.csv"), image_column="a")


def test_a_table_of_pictures_is_classified_from_end_to_end(pictures: str, run_here: RunHere) -> None:
    command = ("classify", pictures, "--image-column", "image", "--path-column", "id", "-l", "red", "-l", "blue")
    (done,) = run_here((*command, "-m", "pocket", "-f", "jsonl"))
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == [f"n{n}" for n in range(5)]
    assert (done.returncode, done.stderr) == (0, "")


def test_the_columns_of_tables_do_not_go_with_stdin(pictures: str, run_here: RunHere) -> None:
    (done,) = run_here(("classify", "-", "--image-column", "image", "-l", "red", "-l", "blue", "-m", "pocket"))
    told = "--image-column only works with tables, not with '-': stdin holds plain paths (see clipcli classify --help)"
    assert done.stderr == f"error: {told}\n"
