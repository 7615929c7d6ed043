"""Ground truth is read from folders and tables, and put beside results by the paths."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clipcli.errors import ClipcliError, InputError, LabelError
from clipcli.evaluation.ground_truth import LabelledImage, classes_of, read_truth
from clipcli.evaluation.matching import match_records
from clipcli.evaluation.records import evaluate_records
from clipcli.evaluation.vocabulary import indices_of
from clipcli.inputs.discover import FileInput
from clipcli.labels.files import Label, load_labels, parse_csv, parse_json, parse_text
from clipcli.labels.templates import resolve_templates
from clipcli.outputs.destination import Destination
from clipcli.outputs.part_forms import result_parts
from clipcli.outputs.readers import ReadRecord
from clipcli.outputs.recognition import labels_of_run
from clipcli.outputs.resume import ResultFile
from clipcli.outputs.run_settings import RunSettings
from clipcli.outputs.text_formats import Layout, write_results
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.reports.page import page_data
from clipcli.scoring.zeroshot import Score, group_probabilities
from clipcli.training.captions import Captions
from clipcli.training.data import group_of
from clipcli.training.pairs import Example, ImageFile, read_pairs


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


def test_a_picture_beside_the_class_folders_is_left_out_with_a_warning(classes: Path, logged: list[str]) -> None:
    read_truth(classes)
    assert logged == [f"{classes}: 1 images are not in a class folder, and are left out"]


def test_the_current_folder_can_be_meant(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(classes)
    assert classes_of(read_truth(Path())) == ["cat", "sea food"]


def test_a_folder_of_pictures_alone_has_no_classes(classes: Path) -> None:
    assert "make one folder per class" in refusal(classes / "sea food")


# --- tables -----------------------------------------------------------------------------------------


def test_a_path_that_stands_twice_is_one_image(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\na.png,cat\nb.png,dog\na.png,cat\n")
    assert [each.image.name for each in read_truth(tmp_path / "t.csv")] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "path,class\na,b\n", "no column 'label' (it has: path, class; name one with --label-column)"),
        ("t.csv", "", "no column 'path' (it has: none; name one with --path-column)"),
        ("t.csv", "path,label\n", "no labelled images"),
        ("t.csv", "path,label\na.png,\n", "line 2 has no label"),
        ("t.csv", "path,label\n,cat\n", "line 2 has no path"),
        ("t.csv", 'path,label\n"a.png,cat\n', "not a table"),
        ("t.csv", "path,label\na.png,cat\na.png,dog\n", "line 3: a.png is 'dog' here but 'cat' before"),
        ("t.jsonl", '{"path": "a.png", "label": "cat"}', "the ground truth must be a folder with one folder per class"),
        ("t.txt", "path,label\n", "or a .csv or .tsv table with the columns path and label"),
    ],
)
def test_a_table_that_says_nothing_is_refused_in_one_line(name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert says in refusal(tmp_path / name)


def test_empty_rows_and_a_row_of_totals_are_left_out_with_a_warning(tmp_path: Path, logged: list[str]) -> None:
    table = tmp_path / "t.csv"
    table.write_text("path,label\na.png,cat\n,\n\nb.png,dog\nc.png,\nTotal,3\n")
    assert [(each.image.name, each.label) for each in read_truth(table)] == [("a.png", "cat"), ("b.png", "dog")]
    assert logged == [f"{table}: 2 rows are left out: line 6 has no label"]
    table.write_text("path,label\na.png,cat\n,\n ,\n")
    read_truth(table)
    assert len(logged) == 1  # empty rows are not mentioned


def test_the_paths_of_a_table_can_be_relative_to_another_folder(tmp_path: Path) -> None:
    table = tmp_path / "tables" / "t.csv"
    table.parent.mkdir()
    table.write_text("path,label\nin/a.png,cat\n")
    (each,) = read_truth(table, root=tmp_path / "photos")
    assert isinstance(each.image, FileInput)
    assert each.image.path == str(tmp_path / "photos" / "in" / "a.png")


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv").endswith("none.csv: no such file or folder")


def test_a_table_of_a_european_spreadsheet_has_semicolons(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path;label\r\na.png;crane, bird\r\n")
    assert [(each.image.name, each.label) for each in read_truth(tmp_path / "t.csv")] == [("a.png", "crane, bird")]


# --- answers in place of the truth ------------------------------------------------------------------


def answers(target: Path) -> Path:
    """Write the results of a run, in the format of the extension or as parts."""
    top = (Score("cat", 0.9, 0.3), Score("dog", 0.1, 0.2))
    results: list[Result] = [Prediction("a.png", "cat", top, "pocket"), Failure("b.png", "empty", "no bytes")]
    destination = Destination.for_results(f"{target}/" if not target.suffix else str(target), None)
    layout = Layout(destination.form, 2, grouped=False)
    if destination.in_parts:
        target.mkdir()
        form = result_parts(layout)
        name = f"part-00000000-1a2b3c4d-n2-f1.{form.suffix}"
        (target / name).write_bytes(form.encode(results))
        (target / "manifest.json").write_text('{"clipcli": "1", "settings": {"labels": ["cat", "dog"]}}')
    elif destination.is_resumable:
        list(ResultFile(target, layout, RunSettings("classify", {"labels": ["cat", "dog"]})).write(results))
    else:
        with target.open("w") as file:
            list(write_results(results, file, layout))
    return target


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.json", "r.jsonl", "r.parquet", "parts"])
def test_our_own_answers_are_not_the_truth(name: str, tmp_path: Path) -> None:
    says = refusal(answers(tmp_path / name))
    assert says.startswith(f"cannot use {tmp_path / name} as the ground truth: its labels are answers of clipcli")
    assert "--truth FILE" in says


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.jsonl", "r.parquet"])
def test_results_whose_first_record_is_a_failure_are_recognised(name: str, tmp_path: Path) -> None:
    layout = Layout(name.partition(".")[2], 1, grouped=False)
    results = [Failure("b.png", "empty", "no bytes")]
    list(ResultFile(tmp_path / name, layout, RunSettings("classify")).write(results))
    assert "answers of clipcli" in refusal(tmp_path / name)


def test_labels_that_somebody_corrected_are_the_truth(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label,clipcli\na.png,cat,dog\n")
    assert [each.label for each in read_truth(tmp_path / "t.csv")] == ["cat"]


def test_folders_that_sort_made_are_the_truth_with_a_warning(classes: Path, logged: list[str]) -> None:
    (classes / ".clipcli-sort.jsonl").write_text("")
    assert len(read_truth(classes)) == 3
    assert f"{classes}: its labels are answers of clipcli; unless they were corrected, accuracy" in logged[0]


def test_training_on_our_own_answers_gives_a_warning(tmp_path: Path, logged: list[str]) -> None:
    answers(tmp_path / "r.csv")
    read_pairs([str(tmp_path / "r.csv")])
    assert f"{tmp_path}/r.csv: its labels are answers of clipcli" in logged[0]


def matched(*pairs: tuple[str, str]) -> list[tuple[ReadRecord, str]]:
    """Records with the given answers and true classes."""
    return [(ReadRecord(f"{number}.png", label, 0.9, None), said) for number, (label, said) in enumerate(pairs)]


def test_results_in_other_words_than_the_truth_are_refused_with_examples_of_both() -> None:
    with pytest.raises(InputError) as caught:
        evaluate_records("r.csv", matched(("cat", "Katze"), ("dog", "Hund"), ("cow", "Kuh"), ("ant", "Ameise")))
    assert str(caught.value).startswith(
        "cannot evaluate r.csv: its labels ('ant', 'cat', 'cow' and 1 more) and the classes of the ground truth "
        "('Ameise', 'Hund', 'Katze' and 1 more) have no word in common"
    )


def test_few_words_in_common_give_a_warning_with_examples_of_both(logged: list[str]) -> None:
    evaluate_records("r.csv", matched(("cat", "cat"), ("dog", "Hund"), ("cow", "Kuh")))
    assert logged == [
        "r.csv: 2 of 3 classes of the ground truth are not among its labels, and their images count as wrong: "
        "'Hund', 'Kuh'; labels without a class: 'cow', 'dog'"
    ]


def test_a_class_that_was_no_label_of_the_run_gives_a_warning(logged: list[str]) -> None:
    evaluate_records("r.csv", matched(("cat", "cat"), ("cat", "dog"), ("cat", "cow")), None, ["cat", "dog"])
    assert "r.csv: 1 of 3 classes of the ground truth are not among its labels" in logged[0]


def test_labels_that_were_never_the_answer_give_no_warning(logged: list[str]) -> None:
    evaluate_records("r.csv", matched(("cat", "cat"), ("cat", "dog")), None, ["cat", "dog", "cow"])
    evaluate_records("r.csv", matched(("unknown", "cat"), ("unknown", "dog")))
    assert logged == []


def test_the_labels_of_a_run_are_those_of_its_record(tmp_path: Path) -> None:
    assert labels_of_run(answers(tmp_path / "r.csv")) == ("cat", "dog")
    assert labels_of_run(answers(tmp_path / "parts")) == ("cat", "dog")
    (tmp_path / "r.csv").write_text("changed")
    assert labels_of_run(tmp_path / "r.csv") == labels_of_run(tmp_path / "none.csv") == ()


# --- classes and labels -----------------------------------------------------------------------------


def test_a_label_file_can_give_folders_better_names() -> None:
    labels = parse_csv("label,folder\ntabby cat,n02123045\ndog,\n")
    assert indices_of(["n02123045", "dog", "tabby cat"], labels) == [0, 1, 0]
    assert parse_json('{"tabby cat": {"names": ["cat"], "folder": "n02123045"}}')[0].folder == "n02123045"


def test_a_class_that_is_no_label_is_named_with_the_nearest() -> None:
    with pytest.raises(LabelError, match=r"'cats' \(did you mean cat"):
        indices_of(["dog", "cats"], [Label("cat"), Label("dog")])


# --- names whose letters are composed in different ways: é is one character, or e and an accent --------------

ONE, TWO = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(("folder", "label"), [(ONE, TWO), (TWO, ONE)])
def test_a_class_folder_meets_its_label(folder: str, label: str, tmp_path: Path, photos: dict[str, Path]) -> None:
    (tmp_path / folder).mkdir()
    shutil.copy(photos["coffee"], tmp_path / folder)
    labelled = read_truth(tmp_path)
    assert indices_of([each.label for each in labelled], [Label("x"), Label(label)]) == [1]
    assert indices_of([each.label for each in labelled], [Label("x"), Label("bar", folder=label)]) == [1]


def test_two_spellings_of_a_class_are_one_class(tmp_path: Path, photos: dict[str, Path]) -> None:
    for folder in (ONE, TWO):
        (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copy(photos["coffee"], tmp_path / folder / f"{len(folder)}.png")
    labelled = read_truth(tmp_path)
    assert len(classes_of(labelled)) == 1
    assert set(indices_of([each.label for each in labelled], [Label(name) for name in classes_of(labelled)])) == {0}


def test_a_table_may_spell_a_label_in_two_ways(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"path,label\na.png,{ONE}\na.png,{TWO}\n", "utf-8")
    assert [each.label for each in read_truth(tmp_path / "t.csv")] == [ONE]


@pytest.mark.parametrize(("path", "said"), [(ONE, TWO), (TWO, ONE)])
def test_results_meet_a_truth_whose_paths_are_spelt_in_another_way(path: str, said: str) -> None:
    truth = [LabelledImage(FileInput(f"{said}.png", f"{said}.png"), "cat")]
    assert [text for _, text in match_records([ReadRecord(f"{path}.png", "cat", 0.9, None)], truth)] == ["cat"]


def test_a_path_that_two_files_could_be_meets_neither_by_its_spelling() -> None:
    three = "\u1e69"  # s with a dot above and one below, which can be spelt in three ways
    truth = [
        LabelledImage(FileInput(name, name), label)
        for name, label in (("\u1e63\u0307", "cat"), ("s\u0323\u0307", "dog"))
    ]
    assert [text for _, text in match_records([ReadRecord("\u1e63\u0307", "x", 0.9, None)], truth)] == ["cat"]
    with pytest.raises(InputError, match="they have no paths in common"):
        match_records([ReadRecord(three, "x", 0.9, None)], truth)


def test_two_labels_with_one_folder_are_refused() -> None:
    with pytest.raises(LabelError, match="'bar' and 'shop' have the same folder"):
        indices_of([ONE], [Label("bar", folder=ONE), Label("shop", folder=TWO)])


@pytest.mark.parametrize(
    ("read", "text"),
    [(parse_text, f"{ONE}\n{TWO}\n"), (parse_csv, f"label\n{ONE}\n{TWO}\n"), (parse_json, f'["{ONE}", "{TWO}"]'),
     (parse_json, f'{{"{ONE}": [], "{TWO}": []}}')],
)  # fmt: skip
def test_a_label_in_two_spellings_stands_twice(read: Callable[[str], list[Label]], text: str) -> None:
    with pytest.raises(LabelError, match="duplicate"):
        read(text)


def test_two_spellings_of_a_label_bring_prompts_to_one_ensemble_and_one_group() -> None:
    (label,) = parse_csv(f"label,prompt,group\n{ONE},one,{ONE}\n{TWO},two,{TWO}\n")
    assert (label.name, label.prompts, label.group) == (ONE, ("one", "two"), ONE)


def test_a_label_of_the_command_line_is_compared_with_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text(ONE, "utf-8")
    with pytest.raises(LabelError, match="duplicate"):
        load_labels(tmp_path / "l.txt", [TWO])


def test_two_spellings_of_a_group_are_one_group() -> None:
    assert group_probabilities([ONE, TWO, "x"], np.array([0.5, 0.25, 0.25])) == {ONE: 0.75, "x": 0.25}


def test_results_and_their_truth_are_compared_whatever_the_spelling() -> None:
    others = [Score(name, 0.1, 0.1) for name in "abcdef"]
    records = [
        (ReadRecord("1", ONE, 0.9, None, (Score(ONE, 0.9, 0.3), *others[1:5])), TWO),
        (ReadRecord("2", "a", 0.5, None, (*others[:4], Score(TWO, 0.1, 0.1))), ONE),
    ]
    found = evaluate_records("r", records)
    assert found.labels.count(ONE) == 1
    assert TWO not in found.labels
    assert (found.top1.value, found.top5 and found.top5.value) == (0.5, 1.0)


def test_the_page_of_a_report_has_one_label_for_two_spellings() -> None:
    data = page_data([ReadRecord("1", ONE, 0.9, None, group=TWO), ReadRecord("2", TWO, 0.9, None, group=ONE)])
    assert (data["labels"], data["groups"]) == ([ONE], [TWO])


def test_pairs_of_two_spellings_of_a_class_are_one_class() -> None:
    examples = [Example(name, ImageFile(f"{name}.png"), name, (), name) for name in (ONE, TWO)]
    captions = Captions.of(examples, [], resolve_templates(["a photo of a {label}"], []))
    assert (len(captions.labels), set(captions.places.values())) == (1, {0})
    assert group_of(examples[0], "") == group_of(examples[1], "")


# --- results ----------------------------------------------------------------------------------------


def test_results_meet_their_truth_by_the_name_or_by_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records = [ReadRecord("a.png", "cat", 0.9, None), ReadRecord("./b.png", "dog", 0.8, None)]
    truth = [
        LabelledImage(FileInput("a.png", "elsewhere/a.png"), "cat"),
        LabelledImage(FileInput(str(tmp_path / "b.png"), str(tmp_path / "b.png")), "wolf"),
    ]
    assert [said for _, said in match_records(records, truth)] == ["cat", "wolf"]


def test_results_without_truth_are_left_out_with_a_warning(logged: list[str]) -> None:
    records = [ReadRecord("a.png", "cat", 0.9, None), ReadRecord("c.png", "dog", 0.8, None)]
    assert len(match_records(records, [LabelledImage(FileInput("a.png", "a.png"), "cat")])) == 1
    assert logged == ["1 of 2 results have no ground truth, and are left out"]


def test_an_image_counts_once_however_its_path_is_written(logged: list[str]) -> None:
    records = [ReadRecord(path, "cat", 0.9, None) for path in ("a/b.png", "./a//b.png", "c.png")]
    truth = [LabelledImage(FileInput(name, name), "cat") for name in ("a/b.png", "c.png")]
    assert [record.path for record, _ in match_records(records, truth)] == ["a/b.png", "c.png"]
    assert logged == ["1 of 3 results are of an image that occurs before, and are left out"]


def test_two_spellings_of_a_path_in_a_table_are_one_image(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\na/b.png,cat\n./a//b.png,cat\n")
    assert [each.image.name for each in read_truth(tmp_path / "t.csv")] == ["a/b.png"]
    (tmp_path / "t.csv").write_text("path,label\na/b.png,cat\n./a//b.png,dog\n")
    assert "line 3: ./a//b.png is 'dog' here but 'cat' before" in refusal(tmp_path / "t.csv")


def test_two_links_are_two_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    names = [str(tmp_path / name) for name in ("a.png", "b.png")]
    Path(names[1]).symlink_to("a.png")
    truth = [LabelledImage(FileInput(name, name), "cat") for name in names]
    assert len(match_records([ReadRecord(name, "cat", 0.9, None) for name in names], truth)) == 2


def test_images_of_the_truth_without_a_result_give_a_warning(logged: list[str]) -> None:
    truth = [LabelledImage(FileInput(name, name), "cat") for name in ("a.png", "b.png", "./c.png")]
    match_records([ReadRecord("a.png", "cat", 0.9, None)], truth)
    assert logged == ["2 images of the ground truth have no result, and are left out"]


def test_results_as_the_truth_of_results_are_refused_with_the_results_that_were_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"clipcli evaluate other.csv --truth FILE"):
        read_truth(answers(tmp_path / "r.csv"), results="other.csv")


def test_results_of_other_images_are_refused() -> None:
    says = "the first result is 'a.png', the first image of the ground truth is 'b.png'"
    with pytest.raises(InputError, match=says):
        match_records([ReadRecord("a.png", "cat", 0.9, None)], [LabelledImage(FileInput("b.png", "b.png"), "cat")])
