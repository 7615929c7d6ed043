"""Results corrected by labels that people gave, and the commands that read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipcli.errors import InputError
from clipcli.outputs.corrections import Corrections, corrected, read_corrections
from clipcli.outputs.readers import ReadRecord, read_results
from tests.conftest import Run

RECORDS = [
    ReadRecord("a.png", "cat", 0.5, None, (), "pets"),
    ReadRecord("b.png", "fox", 0.5, None, (), "wild"),
    ReadRecord("c.png", None, None, "broken"),
]
CHECKED = "path,label,clipcli\na.png,fox,checked\nc.png,cat,checked\n"
RESULTS = (
    "path,label,probability,similarity,error_type,error_message\n"
    "a.png,cat,0.9,0.3,,\nb.png,fox,0.8,0.3,,\nc.png,,,,truncated,broken\n"
)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Three files, their results, and a table of checked labels."""
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_text(name)
    (tmp_path / "results.csv").write_text(RESULTS)
    (tmp_path / "checked.csv").write_text(CHECKED)
    return tmp_path


def test_labels_of_people_replace_those_of_the_model() -> None:
    corrections = Corrections({"a.png": "fox", "c.png": "wolf"})
    for each in RECORDS:
        corrections.learn(each)
    found = [(each.label, each.group, each.error) for each in corrected(RECORDS, corrections)]
    assert found == [("fox", "wild", None), ("fox", "wild", None), ("wolf", None, None)]


def test_a_label_that_was_confirmed_keeps_its_group() -> None:
    assert next(corrected(RECORDS, Corrections({"a.png": "cat"}))) is RECORDS[0]


def test_paths_agree_however_their_letters_are_composed() -> None:
    record = ReadRecord("u\u0308.png", "cat", 0.5, None)
    assert next(corrected([record], Corrections({"\xfc.png": "fox"}))).label == "fox"


def test_images_are_sorted_by_their_checked_labels(album: Path, run: Run) -> None:
    done = run("sort", "results.csv", "--into", "fixed", "--checked", "checked.csv", cwd=album)
    assert (done.returncode, done.stdout) == (0, "cat\t1\nfox\t2\n")
    assert sorted(str(path.relative_to(album / "fixed")) for path in album.glob("fixed/*/*")) == [
        "cat/c.png", "fox/a.png", "fox/b.png",
    ]  # fmt: skip


def test_a_report_shows_checked_labels_as_checked(album: Path, run: Run) -> None:
    done = run("report", "results.csv", "-o", "page.html", "--checked", "checked.csv", "--thumbnail", "0", cwd=album)
    assert done.returncode == 0, done.stderr
    assert '"checked":[[0,1],[2,0]]' in (album / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    "command", [("sort", "checked.csv", "--into", "fixed", "-n"), ("report", "checked.csv", "-o", "page.html")]
)
def test_checked_labels_alone_are_no_results_and_the_message_helps(
    command: tuple[str, ...], album: Path, run: Run
) -> None:
    done = run(*command, cwd=album)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "add --checked checked.csv" in done.stderr


@pytest.mark.parametrize("command", [("sort", "--into", "fixed"), ("report", "-o", "page.html")])
@pytest.mark.parametrize(
    ("table", "code", "message"),
    [
        ("path,label,clipcli\nother.png,cat,checked\n", 2, "none of its paths is in the results"),
        ("path,label,clipcli\na.png,dog,checked\nother.png,cat,checked\n", 0, "1 of 2 paths in table.csv are not in"),
        (RESULTS, 2, "its labels are answers of clipcli classify"),
        ("path,label,clipcli\n", 2, "it has no checked labels"),
        ("path,label\na.png,dog\na.png,fox\n", 2, "a.png is 'fox' here but 'dog' before"),
        ("file,label\na.png,dog\n", 2, "no column 'path'"),
    ],
)
def test_a_table_that_does_not_fit_is_named(
    command: tuple[str, ...], table: str, code: int, message: str, album: Path, run: Run
) -> None:
    (album / "table.csv").write_text(table)
    done = run(command[0], "results.csv", *command[1:], "--checked", "table.csv", cwd=album)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert code == 0 or not (album / "fixed").exists()


def test_a_missing_table_and_one_of_another_kind_are_errors(tmp_path: Path) -> None:
    for name, message in (("gone.csv", "No such file"), ("x.txt", "a .csv or .tsv table")):
        with pytest.raises(InputError, match=message):
            read_corrections(tmp_path / name)


def test_corrections_are_recognised_in_tsv_too(tmp_path: Path) -> None:
    (tmp_path / "checked.tsv").write_text(CHECKED.replace(",", "\t"))
    with pytest.raises(InputError, match="add --checked"):
        list(read_results(tmp_path / "checked.tsv"))
