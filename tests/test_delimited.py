"""Tables: clipcli reads what it wrote, leaves anybody else's cells alone, and has one rule for relative paths."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcli.delimited import csv_line, own_kind, read_delimited, rows_of, tsv_cell, tsv_line
from clipcli.errors import ImageError, InputError, LabelError
from clipcli.evaluation.ground_truth import TruthColumns, read_truth
from clipcli.headers import column_of
from clipcli.inputs.discover import BadInput, FileInput, Source, discover
from clipcli.inputs.path_base import PathBase
from clipcli.labels.files import load_labels
from clipcli.outputs.image_embeddings import IMAGE_SUFFIXES
from clipcli.outputs.records import Layout, flat_columns
from clipcli.outputs.text_formats import write_results
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.scoring.zeroshot import Score
from clipcli.training.pairs import read_pairs
from tests.conftest import RunHere

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(str.strip)


def written(names: list[str], form: str) -> str:
    """Results of these inputs, as classify writes them."""
    top = (Score("=cat", 0.5, 0.25), Score("dog", 0.25, 0.125))
    results: list[Result] = [Prediction(name, "=cat", top, "pocket") for name in names]
    file = io.StringIO(newline="")
    list(write_results([*results, Failure("'-x", "empty", "=empty")], file, Layout(form, 2, grouped=False)))
    return file.getvalue()


def paths_in(table: Path, column: str = "path") -> list[str]:
    return [item.name for item in discover(Source((str(table),), path_column=column, distinct=False))]


# --- the dialect --------------------------------------------------------------------------------------------

CELLS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1)


@given(CELLS)
def test_any_line_of_csv_is_read_as_it_was_written(cells: list[str]) -> None:
    ((_, found),) = rows_of(io.StringIO(csv_line(cells), newline=""))
    assert found == cells


@given(CELLS)
def test_any_line_of_csv_is_one_for_other_programs(cells: list[str]) -> None:
    line = csv_line([cell.replace("\0", "") for cell in cells])  # which some refuse
    assert list(csv.reader(io.StringIO(line, newline=""))) == [[cell.replace("\0", "") for cell in cells]]


@given(CELLS)
def test_any_line_of_tsv_is_read_as_it_was_written(cells: list[str]) -> None:
    line = tsv_line(cells)
    assert line.count("\n") == 1 and [tsv_cell(cell) for cell in line.rstrip("\n").split("\t")] == cells


# --- own tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
@given(names=st.lists(st.one_of(NAMES, st.sampled_from(["=a", "'=a", "''-b", "a\tb", "a\\tb", "a\nb\r", '"', "a,b"]))))
def test_the_paths_of_own_results_are_read_as_they_were(
    form: str, names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = tmp_path_factory.getbasetemp() / f"own.{form}"
    table.write_bytes(written(names, form).encode())
    assert paths_in(table) == [*names, "'-x"]


def test_own_tables_are_known_by_their_columns_in_any_order_and_with_others() -> None:
    header = written([], "csv").splitlines()[0].split(",")
    assert own_kind(header) == own_kind([*reversed(header), "note"]) == "results"
    compact = flat_columns(Layout("csv", 2, grouped=False, compact=True))
    assert own_kind(compact) == "results"
    assert own_kind(["path", "error_type", "error_message", "fingerprint", "e0"]) == "embeddings"
    assert own_kind(["path", "label", "clipcli"]) == "corrections"
    assert own_kind(["path", "label"]) is own_kind(["path", "label", "probability"]) is own_kind([]) is None


@pytest.mark.parametrize("cell", ["'=a.png", "'-a.png", "'@a.png", "'a.png", "''=a.png"])
def test_an_apostrophe_in_a_table_of_others_is_part_of_the_name(cell: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(csv_line(["path", "label"]) + csv_line([cell, cell]), "utf-8")
    (tmp_path / "t.tsv").write_text(f"path\tlabel\n{cell}\t{cell}\n", "utf-8")
    for name in ("t.csv", "t.tsv"):
        ((truth),), (pair,) = read_truth(tmp_path / name), read_pairs([str(tmp_path / name)]).examples
        assert (paths_in(tmp_path / name), truth.image.name, truth.label) == ([cell], cell, cell)
        assert (pair.name, pair.label) == (cell, cell)


@pytest.mark.parametrize("cell", ["a\\tb.png", "new\\nice.png", "C:\\temp\\a.png", "a\\\\b.png"])
def test_a_backslash_in_a_table_of_others_is_part_of_the_name(cell: str, tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text(f"path\tlabel\n{cell}\tcat\n", "utf-8")
    (truth,), (pair,) = read_truth(tmp_path / "t.tsv"), read_pairs([str(tmp_path / "t.tsv")]).examples
    assert [*paths_in(tmp_path / "t.tsv"), truth.image.name, pair.name] == [cell] * 3


def test_quotes_in_a_tsv_of_others_are_those_that_spreadsheets_write(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text('path\tlabel\n"a ""b"".png"\t"two\nlines"\n5" x.png\tcat\n', "utf-8")
    assert [(each.image.name, each.label) for each in read_truth(tmp_path / "t.tsv")] == [
        ('a "b".png', "two\nlines"), ('5" x.png', "cat"),
    ]  # fmt: skip


def test_a_guarded_cell_of_corrections_is_read_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "checked.csv").write_text("path,label,clipcli\n'-a.png,'=1+1,checked\n", "utf-8")
    (row,) = read_truth(tmp_path / "checked.csv")
    assert (row.image.name, row.label) == ("-a.png", "=1+1")


def test_own_results_are_not_taken_for_the_truth(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(written(["a.png"], "csv"), "utf-8")
    with pytest.raises(InputError, match="its labels are answers of clipcli classify"):
        read_truth(tmp_path / "r.csv")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "path,label\na,b.png,cat\n", "line 2 has 3 cells, the header has 2"),
        ("t.tsv", "path\tlabel\na\tb\tc\n", "line 2 has 3 cells, the header has 2"),
        ("t.csv", 'path,label\n"a.png,cat\nb.png,dog\n', "not a table"),
        ("t.tsv", 'path\tlabel\n"a.png\tcat\nb.png\tdog\n', "not a table"),
        ("t.csv", "path,path,label\na,b,c\n", "duplicate column"),
    ],
)
def test_a_table_whose_cells_cannot_be_told_apart_is_refused(name: str, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match=says):
        paths_in(tmp_path / name)


def test_the_number_of_a_row_is_that_of_its_line() -> None:
    text = written(["a", "b"], "tsv")
    assert [number for number, _ in read_delimited(io.StringIO(text, newline=""), "r.tsv").rows] == [2, 3, 4]
    table = read_delimited(io.StringIO('path\n\n"a\nb"\nc\n', newline=""), "t.csv")
    assert list(table.rows) == [(4, {"path": "a\nb"}), (5, {"path": "c"})]


# --- the tables of spreadsheets -----------------------------------------------------------------------------

SHEETS = {
    "capitals": b"Path,Label\na.png,cat\n",
    "spaces": b" path , label\na.png,cat\n",
    "a separator line": b"sep=;\r\npath;label\r\na.png;cat\r\n",
    "a separator line with a mark": b"\xef\xbb\xbfSEP=|\npath|label\na.png|cat\n",
    "tabs": b"path\tlabel\na.png\tcat\n",
    "tabs in UTF-16": "path\tlabel\na.png\tcat\n".encode("utf-16"),
    "semicolons": b"path;label\na.png;cat\n",
    "commas": b"path,label\na.png,cat\n",
}


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
@pytest.mark.parametrize("kind", SHEETS)
def test_every_reader_understands_what_spreadsheets_write(kind: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(SHEETS[kind])
    assert paths_in(tmp_path / name) == ["a.png"]
    assert [(each.image.name, each.label) for each in read_truth(tmp_path / name)] == [("a.png", "cat")]
    assert [(each.name, each.label) for each in read_pairs([str(tmp_path / name)]).examples] == [("a.png", "cat")]
    (tmp_path / f"labels-{name}").write_bytes(SHEETS[kind].replace(b"path", b"#path").replace(b"Path", b"#Path"))
    if "UTF" not in kind:
        assert [label.name for label in load_labels(tmp_path / f"labels-{name}")] == ["cat"]


def test_a_tab_in_a_cell_is_no_separator_if_the_header_has_commas(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\na.png,a\tcat; or dog\n")
    assert [each.label for each in read_truth(tmp_path / "t.csv")] == ["a\tcat; or dog"]


def test_lines_are_numbered_as_in_the_file_after_a_separator_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\npath;label\nb.png;\n")
    with pytest.raises(InputError, match="line 3 has no label"):
        read_truth(tmp_path / "t.csv")
    (tmp_path / "l.csv").write_text("sep=;\nlabel;group\ncat;a\n;b\n")
    with pytest.raises(LabelError, match="line 4: the label is empty"):
        load_labels(tmp_path / "l.csv")


def test_columns_are_found_by_their_exact_name_first() -> None:
    assert column_of(["Path", "path"], "path") == "path"
    assert column_of(["Path", " PATH"], "path") is None
    assert column_of([" Path ", "label"], "path") == " Path "
    assert column_of(["Straße"], "STRASSE") == "Straße"


def test_a_column_that_stands_twice_is_refused_by_every_reader_of_paths(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,path,label\na.png,b.png,cat\n")
    for read in (paths_in, read_truth):
        with pytest.raises(InputError, match="duplicate column 'path'"):
            read(tmp_path / "t.csv")


@pytest.mark.parametrize("column", ["Art", "art", "ART "])
def test_the_columns_of_a_ground_truth_can_be_named(column: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Datei;Art;Gruppe\na.png;Goldfisch;Fisch\n")
    (found,) = read_truth(tmp_path / "t.csv", columns=TruthColumns("datei", column))
    assert (found.image.name, found.label) == ("a.png", "Goldfisch")
    with pytest.raises(InputError) as caught:
        read_truth(tmp_path / "t.csv")
    says = "no column 'path' (it has: Datei, Art, Gruppe; name one with --path-column)"
    assert str(caught.value) == f"cannot read {tmp_path / 't.csv'}: {says}"
    with pytest.raises(InputError, match="it is a folder, not a table"):
        read_truth(tmp_path, columns=TruthColumns("path"))


@pytest.mark.parametrize("row", ["K\xe4fer.png,cat", "a.png,K\xe4fer"])
def test_a_table_that_is_not_utf_8_is_refused_with_the_remedy(row: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"path,label\n" + row.encode("latin-1") + b"\n")
    with pytest.raises(InputError, match=r"line 2 is not UTF-8 text \(save the table as UTF-8\)"):
        read_truth(tmp_path / "t.csv")


def test_a_path_that_is_not_utf_8_is_one_if_the_file_exists(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("path,label\nK\xe4fer.png,cat\n".encode("latin-1"))
    (bad,) = discover(Source((str(tmp_path / "t.csv"),), path_column="path"))
    assert isinstance(bad, BadInput)
    assert "save it as UTF-8" in str(bad.problem)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/K\xe4fer.png")).write_bytes(b"")
    assert len(read_truth(tmp_path / "t.csv")) == 1
    (good,) = discover(Source((str(tmp_path / "t.csv"),), path_column="path"))
    assert isinstance(good, FileInput)


# --- encodings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_tables_are_read_in_every_encoding_that_names_itself(name: str, encoding: str, tmp_path: Path) -> None:
    mark = "\t" if name.endswith("tsv") else ","
    text = f"path{mark}label\nKätzchen 猫.png{mark}cat\n"
    if name.endswith("jsonl"):
        text = json.dumps({"path": "Kätzchen 猫.png", "label": "cat"}, ensure_ascii=False) + "\n"
    (tmp_path / name).write_bytes(text.encode(encoding))
    assert paths_in(tmp_path / name) == ["Kätzchen 猫.png"]
    assert [each.name for each in read_pairs([str(tmp_path / name)]).examples] == ["Kätzchen 猫.png"]
    if not name.endswith("jsonl"):
        assert [each.image.name for each in read_truth(tmp_path / name)] == ["Kätzchen 猫.png"]


@pytest.mark.parametrize("data", ["path,label\na,b\n".encode("utf-16-le"), "path,label\na,b\n".encode("utf-16")[:-1]])
def test_a_table_in_an_encoding_that_cannot_be_read_is_refused_by_name(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    for read in (paths_in, read_truth, lambda path: read_pairs([str(path)])):
        with pytest.raises(InputError, match=r"t\.csv: .*(UTF-16|utf-16)"):
            read(tmp_path / "t.csv")


# --- relative paths -----------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, photos: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photographs to work in, and another one for tables."""
    for name in ("photos/a.png", "photos/-b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(photos["cat"], tmp_path / name)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def located(table: str) -> list[str]:
    """Where every reader finds the files of a table; they must agree."""
    items: list[Any] = list(discover(Source((table,), path_column="path", distinct=False)))
    paths = [item.path for item in items if isinstance(item, FileInput)]
    pairs = [each.image.path for each in read_pairs([table]).examples]
    assert paths == pairs
    if not table.endswith("jsonl"):
        truth = [each.image.path for each in read_truth(Path(table)) if isinstance(each.image, FileInput)]
        assert truth == paths
    return paths


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_a_table_of_others_names_files_beside_itself_else_in_the_current_folder(form: str, place: Path) -> None:
    def table(at: str, *names: str) -> str:
        mark = "\t" if form == "tsv" else ","
        rows = [json.dumps({"path": name, "label": "cat"}) for name in names]
        text = [f"path{mark}label", *(f"{name}{mark}cat" for name in names)] if form != "jsonl" else rows
        (place / at).write_text("\n".join(text) + "\n", "utf-8")
        return at

    assert located(table(f"photos/t.{form}", "a.png", "-b.png")) == ["photos/a.png", "photos/-b.png"]
    assert located(table(f"out/t.{form}", "photos/a.png", "photos/gone.png")) == ["photos/a.png", "photos/gone.png"]
    shutil.copy("photos/a.png", "c.png")
    mixed = ["photos/a.png", "photos/c.png"]  # what is missing is not taken from elsewhere
    assert located(table(f"photos/t.{form}", "a.png", "c.png")) == mixed
    assert located(table(f"photos/t.{form}", "gone.png", "a.png")) == ["photos/gone.png", "photos/a.png"]
    assert located(table(f"out/t.{form}", str(place / "c.png"), "c.png")) == [str(place / "c.png"), "c.png"]


def test_own_results_name_files_as_the_run_did_wherever_they_are(place: Path) -> None:
    (place / "out" / "photos").mkdir()
    shutil.copy("photos/a.png", "out/photos/a.png")
    own = PathBase("out/r.csv", own=True)
    assert [own.locate(name) for name in ("photos/a.png", "photos/-b.png")] == ["photos/a.png", "photos/-b.png"]
    assert PathBase("out/t.csv", own=False).locate("photos/a.png") == "out/photos/a.png"


@pytest.mark.parametrize("own", [True, False])
def test_a_path_of_windows_or_in_other_composed_letters_is_the_file_that_exists(own: bool, place: Path) -> None:
    shutil.copy("photos/a.png", "photos/caf\u00e9.png")
    base = PathBase("t.csv", own=own)
    assert base.locate("photos\\a.png") == "photos/a.png"
    assert base.locate("photos/cafe\u0301.png") == base.locate("photos\\cafe\u0301.png") == "photos/caf\u00e9.png"
    shutil.copy("photos/a.png", "photos\\a.png")
    assert base.locate("photos\\a.png") == "photos\\a.png"


def test_own_tables_name_bytes_that_are_no_text_as_they_show_them(place: Path) -> None:
    raw = b"photos/caf\xe9.png"
    shutil.copy(b"photos/a.png", raw)
    assert PathBase("r.csv", own=True).locate("photos/caf\\xe9.png") == raw.decode("utf-8", "surrogateescape")
    assert PathBase("r.csv", own=False).locate("photos/caf\\xe9.png") == "photos/caf\\xe9.png"


def test_results_in_another_folder_are_read_by_every_command(place: Path, run_here: RunHere) -> None:
    answer = ("-m", "pocket", "-l", "cat", "-l", "dog", "--no-cache")
    forms = ("csv", "tsv", "jsonl", "parquet")
    run_here(*(("classify", "photos", *answer, "-o", f"out/r.{form}") for form in forms))
    (place / "truth.csv").write_text("path,label\nphotos/a.png,cat\nphotos/-b.png,cat\n", "utf-8")
    done = run_here(
        *(("classify", f"out/r.{form}", "--path-column", "path", *answer, "-f", "jsonl") for form in forms),
        ("matrix", "out/r.csv", "--path-column", "path", "-m", "pocket", "-x", "a cat", "--no-cache"),
        ("sort", "out/r.csv", "--into", "sorted"),
        ("report", "out/r.csv", "-o", "page.html"),
        ("evaluate", "out/r.csv", "--truth", "truth.csv", "-l", "cat", "-l", "dog"),
    )
    assert [(each.returncode, each.stderr) for each in done] == [(0, "")] * len(done)
    for each in done[:4]:
        paths = [json.loads(line)["path"] for line in each.stdout.splitlines()]
        assert paths == ["photos/-b.png", "photos/a.png"]


def test_results_that_moved_with_their_photographs_are_found_beside_them(place: Path, run_here: RunHere) -> None:
    (place / "moved").mkdir()
    shutil.move("photos", "moved/photos")
    (place / "moved" / "r.csv").write_text(written(["photos/a.png"], "csv"), "utf-8")
    sort, report = run_here(("sort", "moved/r.csv", "--into", "sorted"), ("report", "moved/r.csv", "-o", "page.html"))
    assert (sort.stdout, report.returncode, report.stderr) == ("=cat\t1\n", 0, "")


def test_embeddings_in_csv_are_read_by_their_paths(place: Path, run_here: RunHere) -> None:
    assert ".csv" in IMAGE_SUFFIXES
    shutil.copy("photos/a.png", "=a.png")
    (done,) = run_here(("export", "images", "=a.png", "-m", "pocket", "--no-cache", "-o", "out/e.csv"))
    with (place / "out" / "e.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["path"] == "'=a.png"
    (item,) = discover(Source(("out/e.csv",), path_column="path"))
    assert (done.returncode, item) == (0, FileInput("=a.png", "=a.png"))


def test_a_url_in_a_table_stays_one_and_a_table_at_a_url_names_its_neighbours() -> None:
    base = PathBase("https://h/x/t.csv?sig=a/b", own=False)
    names = ("b c.jpg", "/y/d.jpg", "s3://b/e.jpg", "f.jpg?token=1")
    assert [base.locate(name) for name in names] == [
        "https://h/x/b c.jpg", "https://h/y/d.jpg", "s3://b/e.jpg", "https://h/x/f.jpg?token=1",
    ]  # fmt: skip
    assert PathBase("t.csv", own=True).locate("https://h/a.jpg") == "https://h/a.jpg"


def test_a_record_of_a_failure_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"path": "a.png"}\nnot json\n{"path": 7}\n', "utf-8")
    first, *bad = discover(Source((str(tmp_path / "t.jsonl"),), path_column="path"))
    assert first == FileInput("a.png", str(tmp_path / "a.png"))
    assert [(item.name, isinstance(item.problem, ImageError)) for item in bad] == [  # type: ignore[union-attr]
        (f"{tmp_path}/t.jsonl:2", True), (f"{tmp_path}/t.jsonl:3", True),
    ]  # fmt: skip
