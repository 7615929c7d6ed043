"""Results are read back as they were written, and what is no results file is refused in one line."""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clipcli.errors import InputError
from clipcli.outputs.readers import ReadRecord, read_results
from clipcli.outputs.resume import ResultFile
from clipcli.outputs.run_settings import RunSettings
from clipcli.outputs.text_formats import Layout, write_results
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.reports.page import page_data
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.zeroshot import Score
from clipcli.text import printable

FORMS = ("jsonl", "json", "csv", "tsv", "parquet")
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


def save(file: Path, results: list[Result], *, compact: bool = False, with_unknown: bool = False) -> Path:
    layout = Layout(file.suffix[1:], 2, grouped=False, compact=compact, with_unknown=with_unknown)
    if layout.form == "parquet":
        list(ResultFile(file, layout, RunSettings("classify"), overwrite=True).write(results))
        return file
    text = io.StringIO(newline="")
    list(write_results(results, text, layout))
    file.write_bytes(text.getvalue().encode())
    return file


def predicted(path: str, label: str = "cat", probability: float = 0.75) -> Prediction:
    return Prediction(path, label, (Score(label, probability, 0.3), Score("dog", 0.1, 0.2)), "pocket")


def refusal(file: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(read_results(file))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", FORMS)
@given(path=TEXTS, label=TEXTS, message=TEXTS)
@example(path="=1+1", label="'=x", message="-y")
@example(path='"a"\n', label="tab\t\\t\r\n", message="\\")
@example(path="\u2028\x85\x0b", label="猫", message="👩‍🚀")
def test_every_text_is_read_back_from_every_format(
    form: str, path: str, label: str, message: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if form == "csv" and "\0" in path + label + message:
        return  # the csv module of Python 3.10 cannot read it
    file = tmp_path_factory.getbasetemp() / f"any.{form}"
    save(file, [predicted(path, label), Failure(path, "empty", message)])
    assert list(read_results(file)) == [ReadRecord(path, label, 0.75, None), ReadRecord(path, None, None, message)]


@pytest.mark.parametrize("form", FORMS)
def test_the_ranking_is_read_back_from_every_format(form: str, tmp_path: Path) -> None:
    result = predicted("a.png")
    read, failed = read_results(save(tmp_path / f"r.{form}", [result, Failure("b.png", "empty", "no bytes in it")]))
    assert (read.top, read.model, failed.top) == (result.top, "pocket fp32", ())


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet"])
def test_a_compact_ranking_is_read_back_without_similarities(form: str, tmp_path: Path) -> None:
    file = save(tmp_path / f"r.{form}", [predicted("a.png"), Failure("b.png", "empty", "no bytes")], compact=True)
    read, failed = read_results(file)
    assert [(score.label, score.probability) for score in read.top] == [("cat", 0.75), ("dog", 0.1)]
    assert all(math.isnan(score.similarity) for score in read.top)
    assert (failed.label, failed.error) == (None, "no bytes")


@pytest.mark.parametrize("form", FORMS)
def test_the_best_label_of_an_unknown_image_is_read_back(form: str, tmp_path: Path) -> None:
    result = replace(predicted("a.png"), label=UNKNOWN)
    (read,) = read_results(save(tmp_path / f"r.{form}", [result], with_unknown=True))
    assert (read.label, read.top) == (UNKNOWN, result.top)


@pytest.mark.parametrize("form", FORMS)
def test_a_path_that_is_no_text_is_read_as_it_was_shown(form: str, tmp_path: Path) -> None:
    path = os.fsdecode(b"caf\xe9.png")
    (record,) = read_results(save(tmp_path / f"r.{form}", [predicted(path)]))
    assert record.path == printable(path)


@pytest.mark.parametrize("form", FORMS)
def test_an_image_that_nothing_fits_has_the_label_unknown(form: str, tmp_path: Path) -> None:
    result = Prediction("a.png", UNKNOWN, (Score("cat", 0.2, 0.1),), "pocket")
    assert list(read_results(save(tmp_path / f"r.{form}", [result]))) == [ReadRecord("a.png", UNKNOWN, 0.2, None)]


@pytest.mark.parametrize("form", FORMS)
def test_no_results_are_no_records(form: str, tmp_path: Path) -> None:
    assert list(read_results(save(tmp_path / f"r.{form}", []))) == []


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_records_are_read_one_by_one(form: str, tmp_path: Path) -> None:
    file = save(tmp_path / f"r.{form}", [predicted("a.png")])
    with file.open("ab") as more:
        more.write(b"damaged\n")
    assert next(read_results(file)).path == "a.png"


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_an_editor_may_add_a_bom_blank_lines_and_crlf(form: str, tmp_path: Path) -> None:
    file = save(tmp_path / f"r.{form}", [predicted("a.png"), predicted("b.png")])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert [record.path for record in read_results(file)] == ["a.png", "b.png"]


def test_more_columns_than_needed_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("note,path,label,probability\nx,a.png,cat,0.5\n", "utf-8")
    assert list(read_results(tmp_path / "r.csv")) == [ReadRecord("a.png", "cat", 0.5, None)]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("r.jsonl", '{"path": "a", "label": "x", "probability": 1}\n{"path"', "record 2"),
        ("r.jsonl", '{"label": "x", "probability": 1}\n', "no 'path'"),
        ("r.jsonl", '{"path": "a", "label": "x"}\n', "no 'probability'"),
        ("r.jsonl", '{"path": "a", "label": "x", "probability": "much"}\n', "record 1"),
        ("r.jsonl", '{"path": 3, "label": "x", "probability": 1}\n', "not text"),
        ("r.jsonl", '{"path": "a", "label": 3, "probability": 1}\n', "neither a label nor an error"),
        ("r.jsonl", '{"path": "a", "label": null, "probability": 1}\n', "neither a label nor an error"),
        ("r.jsonl", '{"path": "a", "error": "text"}\n', "record 1"),
        ("r.jsonl", '{"path": "a", "error": {"message": 3}}\n', "not text"),
        ("r.jsonl", "[1]\n", "not an object"),
        ("r.jsonl", "3\n", "not an object"),
        ("r.jsonl", "[" * 100_000 + "\n", "record 1"),
        ("r.jsonl", '{"path": "\\ud800", "label": "x", "probability": 1}\n', "not text"),
        ("r.jsonl", '{"path": "a", "label": "\\ud800", "probability": 1}\n', "not text"),
        ("r.jsonl", '{"path": "a", "label": "x", "probability": 1, "group": ["g"]}\n', "group is not text"),
        ("r.jsonl", '{"path": "a", "label": "x", "probability": 1, "group": {"g": 1}}\n', "group is not text"),
        ("r.jsonl", '{"path": "a", "label": "x", "probability": 1, "model": [1]}\n', "model is not text"),
        ("r.jsonl", '{"path": "a", "label": "x", "probability": 1, "top": {"a": 1}}\n', "not a list"),
        ("r.jsonl", '{"path": "a", "label": "x", "probability": 1, "top": [3]}\n', "record 1"),
        (
            "r.jsonl",
            '{"path": "a", "label": "x", "probability": 1, "top": [{"label": 3, "probability": 1, "similarity": 1}]}\n',
            "a label is not text",
        ),
        ("r.json", '{"path": "a"}', "not a list"),
        ("r.json", "[3]", "not an object"),
        ("r.json", "", "record 1"),
        ("r.csv", "a,b\n1,2\n", "no 'path'"),
        ("r.csv", "path,label,probability\na,x,1,2\n", "more cells"),
        ("r.csv", "path,label,probability\na\n", "neither a label nor an error"),
        ("r.csv", 'path,label,probability\n"a', "record 1"),
        ("r.tsv", "path\tlabel\tprobability\na\tx\n", "record 1"),
        ("r.parquet", "PAR1 no parquet", "record 1"),
    ],
)
def test_what_is_no_result_is_refused_by_its_number(name: str, text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert refusal(tmp_path / name).startswith(f"cannot read {tmp_path / name}: ")
    assert told in refusal(tmp_path / name)


NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e300", "-1e300", "1" + "0" * 400, "1" * 5000, "true", "null", "[1]",
              "{}", '"nan"', '"inf"', '"x"', '"1_000"', "1.1", "-1.1"]  # fmt: skip


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_no_probability_or_similarity_is_refused(number: str, tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    top = '{"path": "a", "label": "x", "probability": 1, "top": [{"label": "x", "probability": %s, "similarity": %s}]}'
    for record in (
        f'{{"path": "a", "label": "x", "probability": {number}}}', top % (number, "1"), top % ("1", number)
    ):  # fmt: skip
        file.write_text(record, "utf-8")
        assert "record 1 is not a result of clipcli classify" in refusal(file)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()), lambda each: st.lists(each)
    | st.dictionaries(st.sampled_from(["label", "probability", "similarity", "message", "type"]), each),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["path", "label", "probability", "top", "group", "error", "model"]), JSON))
def test_any_json_is_read_or_refused_in_one_line(values: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "r.jsonl"
        file.write_text(json.dumps(values), "utf-8")
        try:
            (record,) = read_results(file)
        except InputError as problem:
            assert "\n" not in str(problem)
        else:
            json.dumps(page_data([record]), allow_nan=False)


@pytest.mark.parametrize("form", FORMS)
def test_bytes_that_are_no_text_are_refused(form: str, tmp_path: Path) -> None:
    (tmp_path / f"r.{form}").write_bytes(b"\xff\xfe\0\1" * 40)
    assert refusal(tmp_path / f"r.{form}").startswith(f"cannot read {tmp_path}/r.{form}: ")


def test_parquet_of_other_columns_is_refused(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"x": [1]}), tmp_path / "r.parquet")
    assert "no 'path'" in refusal(tmp_path / "r.parquet")


def test_an_unknown_suffix_is_refused_with_those_there_are(tmp_path: Path) -> None:
    assert refusal(tmp_path / "r.txt").endswith("(use .jsonl, .json, .csv, .tsv, .parquet)")


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_not_there_is_refused(form: str, tmp_path: Path) -> None:
    assert refusal(tmp_path / f"r.{form}") == f"cannot read {tmp_path}/r.{form}: no such file"


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_is_refused(form: str, tmp_path: Path) -> None:
    (tmp_path / f"r.{form}").mkdir()
    assert refusal(tmp_path / f"r.{form}").startswith(f"cannot read {tmp_path}/r.{form}: ")


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_file_that_a_european_spreadsheet_saved_is_read(suffix: str, tmp_path: Path) -> None:
    separator = ";" if suffix == "csv" else "\t"
    rows = (
        [
            "path",
            "label",
            "probability",
            "similarity",
            "label_2",
            "probability_2",
            "similarity_2",
            "error_type",
            "error_message",
        ],
        ["a.png", "cat", "0,75", "-0,25", "dog", "2,5E-05", "0,1", "", ""],
    )
    file = tmp_path / f"r.{suffix}"
    file.write_text("".join(separator.join(row) + "\r\n" for row in rows), "utf-8", newline="")
    (record,) = read_results(file)
    assert (record.label, record.probability) == ("cat", 0.75)
    assert record.top == (Score("cat", 0.75, -0.25), Score("dog", 0.000025, 0.1))


def test_numbers_that_a_spreadsheet_changed_are_refused_with_a_hint(tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_text("path;label;probability;error_type;error_message\na.png;cat;213694;;\n")
    with pytest.raises(InputError, match="'213694' is not a number from 0 to 1; if a spreadsheet saved the file"):
        list(read_results(file))


# --- several labels ---------------------------------------------------------------------------------


def tagged(path: str, *labels: str) -> Prediction:
    scores = tuple(Score(label, 0.75, 0.3) for label in labels)
    top = (*scores, Score("dog", 0.1, 0.2))[:2]
    return Prediction(path, labels[0] if labels else UNKNOWN, top, "pocket", labels=scores)


def save_tags(file: Path, results: list[Result]) -> Path:
    layout = Layout(file.suffix[1:], 2, grouped=False, with_unknown=True, tagged=True)
    if layout.form == "parquet":
        list(ResultFile(file, layout, RunSettings("classify"), overwrite=True).write(results))
        return file
    text = io.StringIO(newline="")
    list(write_results(results, text, layout))
    file.write_bytes(text.getvalue().encode())
    return file


@pytest.mark.parametrize("form", FORMS)
def test_all_labels_of_an_image_are_read_back_from_every_format(form: str, tmp_path: Path) -> None:
    results: list[Result] = [
        tagged("a.png", "=cat", "outdoor", "sun"),
        tagged("b.png"),
        Failure("c.png", "empty", "no"),
    ]
    first, second, failed = read_results(save_tags(tmp_path / f"r.{form}", results))
    assert (first.label, first.labels) == ("=cat", ("=cat", "outdoor", "sun"))
    assert [score.label for score in first.top] == ["=cat", "outdoor"]
    assert (second.label, second.labels, second.top[0].label) == (UNKNOWN, (), "dog")
    assert (failed.label, failed.error) == (None, "no")


@pytest.mark.parametrize("form", FORMS)
def test_a_run_with_one_label_per_image_has_no_list_of_labels(form: str, tmp_path: Path) -> None:
    (record,) = read_results(save(tmp_path / f"r.{form}", [predicted("a.png")]))
    assert record.labels is None


@pytest.mark.parametrize("labels", [[1], [{"label": 3}], [{"label": ""}], {"a": 1}, 7])
def test_labels_that_are_not_text_are_one_line(labels: object, tmp_path: Path) -> None:
    record = {"path": "a.png", "label": "cat", "probability": 0.5, "labels": labels, "top": []}
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps(record) + "\n", "utf-8")
    assert "record 1 is not a result" in refusal(file)


def finished(file: Path, *results: Result) -> Path:
    """Write a file with the record of its run next to it."""
    output = ResultFile(file, Layout(file.suffix[1:], 2, grouped=False), RunSettings("classify"))
    list(output.write(list(results)))
    return file


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_a_file_that_lost_records_after_its_run_is_read_with_a_warning(
    form: str, tmp_path: Path, logged: list[str]
) -> None:
    file = finished(tmp_path / f"r.{form}", *(predicted(name) for name in ("a.png", "b.png", "c.png")))
    assert (len(list(read_results(file))), logged) == (3, [])
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    assert len(list(read_results(file))) == 2
    assert logged == [f"{file}: it has 2 records, but its run wrote 3 (it was cut off or edited)"]


def test_a_file_that_was_edited_is_read_with_a_warning(tmp_path: Path, logged: list[str]) -> None:
    file = finished(tmp_path / "r.csv", predicted("a.png"), predicted("b.png"))
    file.write_text(file.read_text().replace("cat", "dog", 1))
    assert [each.label for each in read_results(file)] == ["dog", "cat"]
    assert logged == [f"{file}: it was edited after its run ended"]


def test_a_part_that_lost_records_is_read_with_a_warning(tmp_path: Path, logged: list[str]) -> None:
    part = save(tmp_path / "x.jsonl", [predicted("a.png")])
    part = part.rename(tmp_path / "part-00000000-01234567-n2-f0.jsonl")
    (tmp_path / "manifest.json").write_text('{"clipcli": "0", "state": "complete", "parts": 1}')
    assert len(list(read_results(tmp_path))) == 1
    assert logged == [f"{part}: it has 1 records, but its run wrote 2 (it was cut off or edited)"]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_a_record_that_was_cut_off_is_refused_although_no_run_is_known(form: str, tmp_path: Path) -> None:
    file = save(tmp_path / f"r.{form}", [predicted("a.png"), predicted("b.png")])
    file.write_bytes(file.read_bytes()[:-30])
    assert "record 2 is not a result of clipcli classify: it is cut off" in refusal(file)


def test_a_row_of_the_wrong_length_is_described(tmp_path: Path) -> None:
    file = tmp_path / "r.tsv"
    file.write_text("path\tlabel\tprobability\na.png\tcat\n")
    assert refusal(file).endswith("it has 2 cells, but the table has 3 columns")
