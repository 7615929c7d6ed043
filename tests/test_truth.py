"""Ground truth is read from folders and tables, and put beside results by the paths."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clipcli.errors import ClipcliError, InputError, LabelError
from clipcli.inputs import FileInput
from clipcli.labels import Label, parse_csv, parse_json
from clipcli.reading import ReadRecord
from clipcli.truth import LabelledImage, classes_of, indices_of, match_records, read_truth


@pytest.fixture
def classes(tmp_path: Path, photos: dict[str, Path]) -> Path:
    """A folder of class folders, one of which has a folder of its own, and a stray picture beside them."""
    for folder, name in (("cat", "cat"), ("cat/kittens", "cat"), ("sea food", "coffee"), (".", "rocket")):
        (tmp_path / "set" / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(photos[name], tmp_path / "set" / folder)
    (tmp_path / "set" / "cat" / "notes.txt").write_text("no image")
    return tmp_path / "set"


def refusal(source: Path) -> str:
    with pytest.raises(ClipcliError) as caught:
        read_truth(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- folders ----------------------------------------------------------------------------------------


def test_the_first_folder_below_is_the_class(classes: Path) -> None:
    assert [each.label for each in read_truth(classes)] == ["cat", "cat", "sea food"]


def test_a_picture_beside_the_class_folders_is_left_out_with_a_warning(classes: Path) -> None:
    warnings: list[str] = []
    read_truth(classes, warnings.append)
    assert warnings == [f"{classes}: 1 images stand in no class's folder, and are left out"]


def test_the_current_folder_can_be_meant(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(classes)
    assert classes_of(read_truth(Path())) == ["cat", "sea food"]


def test_a_folder_of_pictures_alone_has_no_classes(classes: Path) -> None:
    assert "each class needs a folder of its own" in refusal(classes / "sea food")


# --- tables -----------------------------------------------------------------------------------------


def test_a_path_that_stands_twice_is_one_image(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\na.png,cat\nb.png,dog\na.png,cat\n")
    assert [each.image.name for each in read_truth(tmp_path / "t.csv")] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "path,class\na,b\n", "no column 'label'; it has: path, class"),
        ("t.csv", "", "no column 'path'; it has: none"),
        ("t.csv", "path,label\n", "no labelled images"),
        ("t.csv", "path,label\na.png,\n", "line 2: no label in it"),
        ("t.csv", "path,label\n,cat\n", "line 2: no path in it"),
        ("t.csv", 'path,label\n"a.png,cat\n', "not a table"),
        ("t.csv", "path,label\na.png,cat\na.png,dog\n", "line 3: a.png is 'dog' here and 'cat' before"),
        ("t.jsonl", "{}", "results don't say what is true; name that with --truth"),
        ("t.txt", "path,label\n", "neither a folder nor a .csv or .tsv table"),
    ],
)
def test_a_table_that_says_nothing_is_refused_in_one_line(name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert says in refusal(tmp_path / name)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv").endswith("none.csv: no such file or folder")


# --- classes and labels -----------------------------------------------------------------------------


def test_a_label_file_can_give_folders_better_names() -> None:
    labels = parse_csv("label,folder\ntabby cat,n02123045\ndog,\n")
    assert indices_of(["n02123045", "dog", "tabby cat"], labels) == [0, 1, 0]
    assert parse_json('{"tabby cat": {"names": ["cat"], "folder": "n02123045"}}')[0].folder == "n02123045"


def test_a_class_that_is_no_label_is_named_with_the_nearest() -> None:
    with pytest.raises(LabelError, match=r"'cats' \(did you mean cat"):
        indices_of(["dog", "cats"], [Label("cat"), Label("dog")])


# --- results ----------------------------------------------------------------------------------------


def test_results_meet_their_truth_by_the_name_or_by_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records = [ReadRecord("a.png", "cat", 0.9, None), ReadRecord("./b.png", "dog", 0.8, None)]
    truth = [
        LabelledImage(FileInput("a.png", "elsewhere/a.png"), "cat"),
        LabelledImage(FileInput(str(tmp_path / "b.png"), str(tmp_path / "b.png")), "wolf"),
    ]
    assert [said for _, said in match_records(records, truth)] == ["cat", "wolf"]


def test_results_without_truth_are_left_out_with_a_warning() -> None:
    records = [ReadRecord("a.png", "cat", 0.9, None), ReadRecord("c.png", "dog", 0.8, None)]
    warnings: list[str] = []
    assert len(match_records(records, [LabelledImage(FileInput("a.png", "a.png"), "cat")], warnings.append)) == 1
    assert warnings == ["1 of 2 results are of images without ground truth, and are left out"]


def test_results_of_other_images_are_refused() -> None:
    with pytest.raises(InputError, match="no path of the results occurs in the ground truth"):
        match_records([ReadRecord("a.png", "cat", 0.9, None)], [LabelledImage(FileInput("b.png", "b.png"), "cat")])
