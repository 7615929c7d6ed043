"""Results come out as programs read them back, whatever stands in a path or a label."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clipcli.delimited import guarded, rows_of, unguarded
from clipcli.outputs.readers import read_results
from clipcli.outputs.records import as_record, flat_columns, flat_values
from clipcli.outputs.text_formats import FORMATS, Layout, write_results
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.zeroshot import Score
from clipcli.text import printable

CAT = Prediction(
    path="photos/cat.jpg",
    label="cat",
    top=(Score("cat", 0.75, 0.3), Score("a cup of coffee", 0.25, 0.2)),
    model="ViT-B-32",
    pretrained="openai",
)
GROUPED = Prediction("owl.jpg", "owl", (Score("owl", 0.6, 0.3),), "pocket", None, {"birds": 0.7, "mammals": 0.3})
BROKEN = Failure("photos/broken.jpg", "truncated", "the file ends too early")
HARD = [
    "=cmd|' /C calc'!A0",
    'a "quoted", label',
    "two\nlines",
    "carriage\rreturn",
    "tab\tand \\t",
    "кошка",
    "🐈‍⬛",
    "می‌خواهم",
]
TEXTS = st.text() | st.sampled_from(HARD)


def written(results: list[Result], form: str, top_k: int = 2, grouped: bool = False, with_unknown: bool = False) -> str:
    file = io.StringIO(newline="")
    assert list(write_results(results, file, Layout(form, top_k, grouped, with_unknown=with_unknown))) == results
    return file.getvalue()


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_tsv(text: str) -> list[dict[str, str]]:
    escapes = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}
    header, *rows = (line.split("\t") for line in text.removesuffix("\n").split("\n"))
    return [
        dict(zip(header, (re.sub(r"\\.", lambda found: escapes[found[0]], cell) for cell in row), strict=True))
        for row in rows
    ]


# --- records ----------------------------------------------------------------------------------------


def test_a_prediction_is_a_nested_record_that_names_its_model() -> None:
    assert as_record(CAT) == {
        "path": "photos/cat.jpg",
        "label": "cat",
        "probability": 0.75,
        "similarity": 0.3,
        "top": [
            {"label": "cat", "probability": 0.75, "similarity": 0.3},
            {"label": "a cup of coffee", "probability": 0.25, "similarity": 0.2},
        ],
        "model": "ViT-B-32",
        "pretrained": "openai",
        "precision": "fp32",
    }


def test_groups_stand_in_a_record_best_first() -> None:
    record = as_record(GROUPED)
    assert record["group"] == "birds"
    assert record["groups"] == [{"group": "birds", "probability": 0.7}, {"group": "mammals", "probability": 0.3}]


def test_a_failure_is_a_record_of_its_own() -> None:
    assert as_record(BROKEN) == {
        "path": "photos/broken.jpg",
        "error": {"type": "truncated", "message": "the file ends too early"},
    }


def test_an_unnamed_image_keeps_the_scores_of_its_best_label() -> None:
    result = Prediction("x.jpg", UNKNOWN, CAT.top, "pocket")
    assert (result.probability, result.similarity) == (0.75, 0.3)


def test_a_path_that_is_no_unicode_is_shown_in_escapes() -> None:
    assert printable(os.fsdecode("é".encode() + b"\xff.jpg")) == "é\\xff.jpg"


def test_a_flat_row_has_a_column_for_each_rank() -> None:
    assert flat_columns(Layout("csv", 2, grouped=True)) == [
        "path", "label", "probability", "similarity", "label_2", "probability_2", "similarity_2", "group",
        "group_probability", "model", "pretrained", "precision", "error_type", "error_message",
    ]  # fmt: skip


def test_a_compact_row_has_no_columns_for_similarities_and_the_model() -> None:
    assert flat_columns(Layout("csv", 2, grouped=True, compact=True)) == [
        "path", "label", "probability", "label_2", "probability_2", "group", "group_probability", "error_type",
        "error_message",
    ]  # fmt: skip


@pytest.mark.parametrize("result", [CAT, GROUPED, BROKEN])
def test_every_cell_of_a_flat_row_has_its_column(result: Result) -> None:
    assert set(flat_values(result)) <= set(flat_columns(Layout("csv", 2, grouped=True, with_unknown=True)))


def test_a_row_with_tags_has_them_after_the_best_label() -> None:
    columns = flat_columns(Layout("csv", 2, grouped=False, compact=True, with_unknown=True, tagged=True))
    assert columns[:5] == ["path", "label", "labels", "probability", "label_1"]
    tagged = replace(CAT, labels=CAT.top)
    assert set(flat_values(tagged)) <= {*columns, "similarity", "similarity_2", "model", "pretrained", "precision"}
    assert flat_values(tagged)["labels"] == "cat|a cup of coffee"


def test_the_table_for_people_shows_all_tags_and_then_the_best_others() -> None:
    tags = (Score("cat", 0.9, 0.3), Score("sofa", 0.8, 0.3), Score("room", 0.7, 0.3))
    text = written([replace(CAT, top=tags[:2], labels=tags)], "table")
    assert [name in text for name in ("cat", "sofa", "room")] == [True] * 3


# --- formats ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_each_result_is_written_before_the_next_is_asked_for(form: str) -> None:
    file = io.StringIO(newline="")
    results: list[Result] = [CAT, BROKEN]
    stream = write_results(iter(results), file, Layout(form, 2, False))
    assert next(stream) == CAT
    assert "photos/cat.jpg" in file.getvalue()
    assert "photos/broken.jpg" not in file.getvalue()


def test_jsonl_is_one_record_a_line() -> None:
    lines = written([CAT, BROKEN, GROUPED], "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == [as_record(CAT), as_record(BROKEN), as_record(GROUPED)]


@pytest.mark.parametrize("results", [[], [CAT], [CAT, BROKEN]])
def test_json_is_one_list_also_where_it_is_empty(results: list[Result]) -> None:
    assert json.loads(written(results, "json")) == [as_record(result) for result in results]


@pytest.mark.parametrize(("form", "read"), [("csv", read_csv), ("tsv", read_tsv)])
def test_a_table_has_a_header_and_a_row_for_each_result(form: str, read: Any) -> None:
    first, second = read(written([CAT, BROKEN], form))
    assert first["label"] == "cat"
    assert float(first["probability"]) == 0.75
    assert first["label_2"] == "a cup of coffee"
    assert first["error_type"] == ""
    assert (second["path"], second["label"], second["error_type"]) == ("photos/broken.jpg", "", "truncated")


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_a_table_without_results_is_its_header(form: str) -> None:
    assert written([], form).count("\n") == 1


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_the_group_stands_in_a_table_of_grouped_labels(form: str) -> None:
    (row,) = (read_csv if form == "csv" else read_tsv)(written([GROUPED], form, grouped=True))
    assert (row["group"], row["group_probability"], row["pretrained"]) == ("birds", "0.7", "")


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_the_group_of_an_unknown_image_is_unknown_and_the_best_one_is_named(form: str, tmp_path: Path) -> None:
    unsure = replace(GROUPED, label="unknown")
    (tmp_path / f"r.{form}").write_text(written([unsure], form, grouped=True, with_unknown=True), "utf-8")
    (read,) = read_results(tmp_path / f"r.{form}")
    assert (read.label, read.group, read.groups[0]) == ("unknown", "unknown", ("birds", 0.7))


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_lines_end_in_a_newline_alone(form: str) -> None:
    text = written([CAT, BROKEN], form)
    assert text.endswith("\n")
    assert "\r" not in text


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "jsonl"])
@given(label=TEXTS, path=st.text(st.characters(codec="utf-8", exclude_characters="\0")), message=TEXTS)
@example(label="carriage\rreturn", path="\r", message="\r")
@example(label="\\", path="\\t", message="\\\\n")
def test_any_text_comes_back_as_it_was(form: str, label: str, path: str, message: str) -> None:
    results: list[Result] = [Prediction(path, label, (Score(label, 0.1, 0.2),), "m"), Failure(path, "empty", message)]
    text = written(results, form, top_k=1)
    assert text.encode("utf-8")
    if form in ("json", "jsonl"):
        records = (
            json.loads(text) if form == "json" else [json.loads(line) for line in text.removesuffix("\n").split("\n")]
        )
        assert records == [as_record(result) for result in results]
    else:
        rows = (read_csv if form == "csv" else read_tsv)(text)
        first, second = (
            {name: unguarded(cell) for name, cell in row.items()} if form == "csv" else row for row in rows
        )
        assert (first["path"], first["label"]) == (path, label)
        assert (second["path"], second["error_message"]) == (path, message)


@given(st.floats(0, 1), st.floats(-1, 1))
def test_numbers_come_back_to_six_digits(probability: float, similarity: float) -> None:
    results: list[Result] = [Prediction("x", "a", (Score("a", probability, similarity),), "m")]
    (row,) = read_csv(written(results, "csv", top_k=1))
    record = json.loads(written(results, "jsonl"))
    assert (record["probability"], record["similarity"]) == pytest.approx((probability, similarity), rel=1e-5)
    assert (float(row["probability"]), float(row["similarity"])) == (record["probability"], record["similarity"])


SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫"
LEADS = ("", "\n", "\r\n", "\t", "\r", " ", "\u3000", "\ufeff", "\u200b", "\x00", " \n\t")
FORMULAS = [lead + sign + "1" for sign in SIGNS for lead in LEADS]


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "@SUM(A1)", "\n", "\ttext", "\rtext", "\ntext", *FORMULAS])
def test_no_text_in_csv_passes_for_a_formula(text: str) -> None:
    table = written([Prediction(text, text, (Score(text, 0.5, -0.2),), "m"), Failure(text, "empty", text)], "csv", 1)
    for _, row in list(rows_of(io.StringIO(table, newline="")))[1:]:
        numbers = [cell for cell in row if re.fullmatch(r"-?\d+\.\d+", cell)]
        cells = [cell for cell in row if cell and cell not in numbers]
        assert not [
            cell for cell in cells if cell[0] in "\t\r\n" or cell.lstrip("\ufeff\u200b\0\t\r\n \u3000")[:1] in SIGNS
        ]
        assert sum(unguarded(cell) == text for cell in cells) in (1, 2)


@given(TEXTS)
def test_the_guard_against_formulas_can_be_taken_off(text: str) -> None:
    assert unguarded(guarded(text)) == text


# --- the table for people ---------------------------------------------------------------------------


def test_the_table_shows_labels_with_percentages_and_cosines() -> None:
    lines = written([CAT], "table").splitlines()
    assert lines[0] == "photos/cat.jpg"
    assert re.fullmatch(r"\s+cat\s.*75\.0%\s+0\.300\s*", lines[1])
    assert re.fullmatch(r"\s+a cup of coffee\s.*25\.0%\s+0\.200\s*", lines[2])


def test_the_table_says_why_an_image_failed() -> None:
    assert written([BROKEN], "table").splitlines() == ["photos/broken.jpg", "  failed: the file ends too early"]


def test_the_table_marks_an_image_that_could_not_be_named() -> None:
    unknown = Prediction("x.jpg", UNKNOWN, CAT.top, "pocket")
    assert written([unknown], "table").splitlines()[0] == "x.jpg  unknown"


def test_the_table_shows_groups_in_brackets() -> None:
    assert re.search(r"\[birds\]\s.*70\.0%", written([GROUPED], "table"))


def test_markup_in_a_label_is_shown_and_not_obeyed() -> None:
    label = "[red]:cat:[/red]"
    assert label in written([Prediction("x", label, (Score(label, 1.0, 0.3),), "m")], "table")


@pytest.mark.parametrize("text", ["\x1b[31mred", "two\nlines", "\x9b0m", "\u202eabc", "\x07"])
def test_no_control_character_reaches_the_terminal(text: str) -> None:
    results: list[Result] = [Prediction(text, text, (Score(text, 1.0, 0.3),), "m"), Failure(text, "empty", text)]
    shown = written(results, "table")
    assert shown.count(repr(text)[1:-1]) == 4
    assert text not in shown


@pytest.mark.parametrize("label", ["می‌خواهم", "क्‍ष", "👩‍🚀", "東京　タワー", "non\u00a0breaking", "кошка"])
def test_any_script_is_shown_as_it_is_written(label: str) -> None:
    assert label in written([Prediction("x", label, (Score(label, 1.0, 0.3),), "m")], "table")
