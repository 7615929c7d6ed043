"""Label files in every form become labels, or one line that says what to put right."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clipcli.errors import LabelError
from clipcli.labels.files import (
    Label,
    labels_from,
    load_labels,
    parse_csv,
    parse_json,
    parse_text,
    prompts_for,
    read_labels,
)
from clipcli.labels.label import check_labels
from clipcli.labels.several import label_key
from clipcli.labels.templates import Template, has_placeholder

ANY_TEXT = st.text(st.characters(codec=None))  # with lone surrogates, as JSON and the command line can bring them
TRIMMED = st.text(min_size=1).map(str.strip).filter(bool)
# The csv module of Python 3.10 neither writes nor reads NUL.
CELL = TRIMMED if sys.version_info >= (3, 11) else TRIMMED.filter(lambda text: "\0" not in text)
GROUP = CELL.filter(lambda text: all(part.strip() for part in text.split("/")))
ONE_LINE = TRIMMED.filter(lambda text: "\n" not in text and "\r" not in text and not text.startswith(("#", "\\#")))
OWN_HEADER = "path,label,probability,similarity,model,pretrained,precision,error_type,error_message\n"
PLAIN, OF_A = Template("{}"), Template("a photo of a {}")


def names(labels: list[Label]) -> list[str]:
    return [label.name for label in labels]


# --- plain text -------------------------------------------------------------------------------------


def test_a_text_file_has_one_label_a_line() -> None:
    assert parse_text("cat\ndog\na cup of coffee") == [Label("cat"), Label("dog"), Label("a cup of coffee")]


def test_comments_and_blank_lines_are_skipped() -> None:
    assert names(parse_text("# pets\n\ncat\n   \n  # more\ndog\n")) == ["cat", "dog"]


def test_a_backslash_lets_a_label_start_with_a_hash() -> None:
    assert names(parse_text("\\#1 fan\nC#\n")) == ["#1 fan", "C#"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_ending_will_do(end: str) -> None:
    assert names(parse_text(f"cat{end}dog{end}")) == ["cat", "dog"]


def test_a_comma_or_a_quote_is_part_of_a_label() -> None:
    assert names(parse_text('cat, black\n"quoted"\n=cmd|x\n')) == ["cat, black", '"quoted"', "=cmd|x"]


def test_a_unicode_line_separator_is_part_of_a_label() -> None:
    assert names(parse_text("one\u2028label\nanother\x0cone")) == ["one\u2028label", "another\x0cone"]


def test_a_label_that_stands_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(LabelError, match=r"pets.txt: duplicate label 'cat' \(lines 1 and 4\)"):
        parse_text("cat\n# more\ndog\n  cat \n", "pets.txt")


SPELLINGS = (
    ("cat", "Cat"), ("a cup", "a  cup"), ("a cup", "a\u00a0cup"), ("caf\u00e9", "CAFE\u0301"), ("fish", "\ufb01sh"),
    ("cat", "\uff23\uff21\uff34"), ("cat", "cat\u200b"), ("sea lion", "Sea_lion"),
)  # fmt: skip
"""One label in two spellings: case, spaces, composed letters, ligatures, full width, a character without width."""


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_labels_that_differ_only_in_their_spelling_are_refused_with_both(one: str, other: str) -> None:
    with pytest.raises(LabelError) as caught:
        parse_text(f"{one}\ndog\n{other}\n", "pets.txt")
    only = "differ only in case, spaces, underscores or Unicode form"
    assert str(caught.value) == f"pets.txt: labels {one!r} and {other!r} {only} (lines 1 and 3)"
    with pytest.raises(LabelError, match=f"they {only}"):
        load_labels(None, [one, "dog", other])
    with pytest.raises(LabelError, match=only):
        parse_json(json.dumps([one, "dog", other]))
    with pytest.raises(LabelError, match=only):
        parse_csv(f"label\n{one}\n{other}\n")


def test_groups_that_differ_only_in_their_spelling_are_refused() -> None:
    with pytest.raises(LabelError, match="groups 'animal' and 'Animal' differ only in"):
        parse_csv("label,group\ncat,animal\ndog,Animal\n")


@pytest.mark.parametrize("labels", [("Ma\u00dfe", "Masse"), ("resume", "r\u00e9sum\u00e9"), ("dogs", "dog")])
def test_labels_with_other_letters_are_two_labels(labels: tuple[str, str]) -> None:
    assert names(load_labels(None, labels)) == list(labels)


# --- several labels in one text ----------------------------------------------------------------------


@pytest.mark.parametrize("mark", [",", ", ", ";", " | ", "\uff0c"])
def test_one_option_with_several_labels_is_refused_with_a_question(mark: str) -> None:
    text = mark.join(("cat", "dog", "fish"))
    with pytest.raises(LabelError) as caught:
        load_labels(None, [text])
    assert str(caught.value) == (
        f"cannot use --label {text!r} as the only label: did you mean three labels? repeat -l: -l cat -l dog -l fish "
        "(a label that contains a comma can be given in a .csv or .json label file)"
    )
    with pytest.raises(LabelError, match=r"labels\.txt: line 2: .* did you mean three labels\? write one per line"):
        parse_text(f"# pets\n{text}\n", "labels.txt")
    with pytest.raises(LabelError, match=r"did you mean three labels\? give a list: \['cat', 'dog', 'fish'\]"):
        labels_from([text])


@pytest.mark.parametrize("labels", [["cat,dog", "fish"], ["fish, dog, cat", "bird"]])
def test_several_labels_in_one_of_more_options_give_a_hint(labels: list[str], logged: list[str]) -> None:
    assert names(load_labels(None, labels)) == labels
    assert len(logged) == 1
    assert logged[0].startswith(f"--label {labels[0]!r} is one label (did you mean t")
    logged.clear()
    assert names(parse_text("\n".join(labels), "pets.txt")) == labels
    assert logged[0].startswith(f"pets.txt: line 1: {labels[0]!r} is one label (did you mean t")


@pytest.mark.parametrize(
    "labels",
    [
        ["crane, bird", "crane, machine"],
        ["a cat, which sits on a mat, and sleeps there all day", "a dog"],
        ["1,000 dollars", "10,000 dollars"],
        ["a dog; it runs through the water"],
    ],
)
def test_a_comma_within_a_label_is_not_remarked_on(labels: list[str], logged: list[str]) -> None:
    assert names(load_labels(None, labels)) == labels
    assert names(parse_text("\n".join(labels))) == labels
    assert logged == []


def test_a_long_list_of_class_names_with_synonyms_is_not_remarked_on(logged: list[str]) -> None:
    lines = [f"class {number}, synonym {number}, other {number}" for number in range(1000)]
    assert names(parse_text("\n".join(lines))) == lines
    assert logged == []


def test_tables_and_json_can_hold_a_single_label_with_commas() -> None:
    assert names(parse_csv('label\n"crane, bird"\n')) == ["crane, bird"]
    assert names(parse_json('["crane, bird"]')) == ["crane, bird"]
    assert names(labels_from([Label("crane, bird")])) == ["crane, bird"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- cat\n- dog\n", "'- cat' would be a label with a mark of a list"),
        ("labels:\n  - cat\n  - dog\n", "'- cat' would be a label with a mark of a list"),
        ("* cat\n* dog\n", "a mark of a list"),
        ("1. cat\n2. dog\n", "a mark of a list"),
        ("\u2022 cat\n", "a mark of a list"),
        ('"cat",\n"dog"\n', "would be a label with quotes"),
        ('["cat", "dog"]\n', "would be a label with quotes"),
        ("label;group\ncat;animal\n", "line 1 is the header of a table"),
        ("label,group\ncat,animal\n", "line 1 is the header of a table"),
    ],
)
def test_a_list_in_another_notation_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(LabelError) as caught:
        parse_text(text, "labels.txt")
    assert str(caught.value).startswith("cannot read labels.txt: ")
    assert complaint in str(caught.value)


def test_single_labels_may_begin_with_a_dash_or_a_number() -> None:
    assert names(parse_text("- minus\nplus\n4. place\nC:\n")) == ["- minus", "plus", "4. place", "C:"]


@pytest.mark.parametrize("text", ["", "\n \n", "# only a comment\n"])
def test_a_text_without_labels_is_refused(text: str) -> None:
    with pytest.raises(LabelError, match="it has no labels"):
        parse_text(text)


@given(st.lists(ONE_LINE, min_size=2, unique_by=label_key))
def test_every_label_of_one_line_survives_a_text_file(labels: list[str]) -> None:
    labels = [f"a label {label}" for label in labels]
    assert names(parse_text("\n".join(labels))) == labels


# --- tables -----------------------------------------------------------------------------------------


def test_a_table_with_a_label_column_alone_is_enough() -> None:
    assert parse_csv("label\ncat\ndog\n") == [Label("cat"), Label("dog")]


def test_prompt_and_group_are_read_by_the_names_of_their_columns() -> None:
    table = "Group, #note, LABEL, Prompt\npets, x, cat, a cat asleep\n"
    assert parse_csv(table) == [Label("cat", prompts=("a cat asleep",), group="pets")]


def test_several_rows_of_one_label_make_an_ensemble() -> None:
    table = "label,prompt,group\ncat,a cat,\ndog,a dog,\ncat,a kitten,pets\n"
    assert parse_csv(table) == [Label("cat", prompts=("a cat", "a kitten"), group="pets"), Label("dog", (), ("a dog",))]


def test_a_quoted_cell_may_hold_commas_quotes_and_newlines() -> None:
    table = 'label,prompt\n"cat, black","a ""black"" cat,\nasleep"\n'
    assert parse_csv(table) == [Label("cat, black", prompts=('a "black" cat,\nasleep',))]


def test_a_space_before_a_quoted_cell_does_no_harm() -> None:
    assert parse_csv('label, prompt\ncat, "a cat, asleep"\n') == [Label("cat", prompts=("a cat, asleep",))]


def test_rows_without_any_text_are_skipped() -> None:
    assert names(parse_csv("label,prompt\n\ncat,a cat\n , \ndog,a dog\n")) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("", "the first row has no column 'label'"),
        ("name\ncat\n", "the first row has no column 'label' (it has: name)"),
        ("label,label\ncat,dog\n", "duplicate column 'label' in the first row"),
        ("label,promt\ncat,a cat\n", "unknown column 'promt' (did you mean prompt?"),
        ("label,Prompts\ncat,a cat\n", "unknown column 'prompts' (did you mean prompt?"),
        ("lable,label\ncat,dog\n", "unknown column 'lable' (did you mean label?"),
        ("label,grup\ncat,pets\n", "unknown column 'grup' (did you mean group?"),
        ("label,synonyms\ncat,tabby\n", "unknown column 'synonyms' (known: label, prompt, group, folder"),
        ("label,\ncat,a cat\n", "line 2: 'a cat' is in a column without a name"),
        ("label,prompt\ncat,a photo of a {lable}\n", "line 2: unknown placeholder in "),
        ("label,prompt\ncat,a {label} and a {label}\n", "line 2: 2 placeholders for the label"),
        ("label\n", "it has no labels"),
        ("label,prompt\n,a cat\n", "line 2: the label is empty"),
        ("label\ncat\ndog\ncat\n", "duplicate label 'cat' (lines 2 and 4)"),
        ("label,prompt\ncat,a cat\ncat,a cat\n", "duplicate label 'cat' (lines 2 and 3)"),
        ("label,prompt\ncat,a cat\ncat,\n", "duplicate label 'cat' (lines 2 and 3)"),
        ("label,prompt,group\ncat,a,pets\ncat,b,wild\n", "'cat' is in two groups: 'pets' (line 2) and 'wild' (line 3)"),
        ("label,prompt\ncat,a cat, asleep\n", "line 2 has 3 cells, the header has 2 (put quotes around"),
        ('label\n"cat\ndog\n', "is a quote not closed?"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(table: str, complaint: str) -> None:
    with pytest.raises(LabelError) as caught:
        parse_csv(table, "labels.csv")
    assert str(caught.value).startswith("labels.csv: ")
    assert complaint in str(caught.value)


def test_an_empty_column_without_a_name_does_no_harm() -> None:
    assert parse_csv("label,prompt,\ncat,a cat,\n") == [Label("cat", prompts=("a cat",))]


@given(
    st.lists(
        st.tuples(CELL, CELL.filter(lambda text: not has_placeholder(text)), GROUP),
        min_size=1,
        unique_by=lambda row: label_key(row[0]),
    )
)
def test_every_label_prompt_and_group_survives_a_table(rows: list[tuple[str, str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("label", "prompt", "group"), *rows])
    assert parse_csv(text.getvalue()) == [Label(label, (), (prompt,), group) for label, prompt, group in rows]


# --- JSON -------------------------------------------------------------------------------------------


def test_a_json_list_is_a_list_of_labels() -> None:
    assert parse_json('["cat", " dog "]') == [Label("cat"), Label("dog")]


def test_a_json_object_gives_each_label_its_names() -> None:
    assert parse_json('{"cat": ["kitten", "tabby"], "dog": "hound", "owl": [], "fox": null}') == [
        Label("cat", ("kitten", "tabby")), Label("dog", ("hound",)), Label("owl"), Label("fox"),
    ]  # fmt: skip


def test_a_long_text_or_a_sentence_in_a_json_list_is_a_whole_prompt() -> None:
    (label,) = parse_json('{"cat": ["a cat on a mat", "Meow!", "house cat"]}')
    assert label == Label("cat", names=("house cat",), prompts=("a cat on a mat", "Meow!"))


def test_an_object_says_which_are_names_and_which_are_prompts() -> None:
    text = '[{"label": "cat", "names": ["a very small cat indeed"], "prompts": "meow", "group": " pets "}, "dog"]'
    assert parse_json(text) == [Label("cat", ("a very small cat indeed",), ("meow",), "pets"), Label("dog")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1 is not JSON"),
        ('["cat",\n"dog"', "line 2 is not JSON"),
        ('"cat"', "expected a list of labels"),
        ("[]", "it has no labels"),
        ("{}", "it has no labels"),
        ('["cat", 3]', "entry 2: expected a label"),
        ('["cat", " "]', "entry 2: the label is empty"),
        ('["cat", "dog", "cat "]', "duplicate label 'cat' (entries 1 and 3)"),
        ('{"cat": [], "dog": [], "cat": []}', "duplicate label 'cat' (entries 1 and 3)"),
        ('{"cat": [], "cat ": []}', "duplicate label 'cat' (entries 1 and 2)"),
        ('{"cat": 3}', "'cat': expected a list of names or prompts"),
        ('{"cat": ["kitten", ""]}', "'cat': expected a list of non-empty texts"),
        ('{"cat": {"name": ["kitten"]}}', "unknown key 'name'"),
        ('{"cat": {"group": 3}}', "its group must be text"),
        ('{"cat": {"prompt": "a cat", "prompts": ["a tabby"]}}', "has both 'prompt' and 'prompts'"),
        ('{"cat": ["a photo of a {labl}"]}', "entry 1: unknown placeholder in "),
        ('["\\ud800"]', "is not valid Unicode text"),
        ('{"cat": {"prompts": ["\\udfff"]}}', "is not valid Unicode text"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5_000, "a number that is too long"),
    ],
)
def test_json_that_is_no_label_file_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(LabelError) as caught:
        parse_json(text, "labels.json")
    assert str(caught.value).startswith("labels.json: ")
    assert complaint in str(caught.value)


@given(st.lists(TRIMMED, min_size=1, unique_by=label_key))
def test_every_label_survives_json(labels: list[str]) -> None:
    assert names(parse_json(json.dumps(labels))) == labels


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
KEYS = st.sampled_from(["label", "names", "prompts", "prompt", "group"]) | ANY_TEXT


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=12))
def test_any_json_yields_labels_or_a_label_error(data: object) -> None:
    assert_labels_or_label_error(parse_json, json.dumps(data))


@pytest.mark.parametrize("parse", [parse_text, parse_csv, parse_json])
@given(text=ANY_TEXT)
@example(text="label\nx\x00y\n")
@example(text='label\n"')
@example(text="\ufefflabel\ncat")
@example(text="label,prompt\n\ud800,x")
def test_any_text_yields_labels_or_a_label_error(parse: Callable[[str], list[Label]], text: str) -> None:
    assert_labels_or_label_error(parse, text)


def assert_labels_or_label_error(parse: Callable[[str], list[Label]], text: str) -> None:
    try:
        labels = parse(text)
    except LabelError:
        return
    assert len(set(names(labels))) == len(labels) > 0
    for label in labels:
        texts = [label.name, *label.names, *label.prompts, *([label.group] if label.group is not None else [])]
        assert all(text and text == text.strip() and text.encode("utf-8") for text in texts)


# --- files and options ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("labels.txt", "# pets\nкошка\n犬\n"),
        ("labels.anything", "кошка\n犬\n"),
        ("labels.csv", "label,prompt\nкошка,\n犬,\n"),
        ("labels.TSV", "label\tprompt\nкошка\t\n犬\t\n"),
        ("labels.json", '["кошка", "犬"]'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_suffix_chooses_the_form_and_a_bom_is_no_part_of_it(
    file: str, content: str, encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / file
    path.write_text(content, encoding)
    assert names(read_labels(path)) == ["кошка", "犬"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"missing.txt: no such file"):
        read_labels(tmp_path / "missing.txt")


def test_a_folder_is_no_label_file(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="is a folder"):
        read_labels(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "latin-1", "cp1251"])  # without a byte-order mark
def test_a_file_in_another_encoding_is_refused_with_the_remedy(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(("кошка" if encoding == "cp1251" else "café").encode(encoding))
    with pytest.raises(LabelError, match=r"(is not UTF-8 text|UTF-16 without a byte-order mark).*save it as UTF-8"):
        read_labels(path)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("photo.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "it is an image, not a label file"),
        ("labels.txt", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 40, "it is an image, not a label file"),
        ("labels.yaml", b"- cat\n", "not a label file (write one label per line into a .txt file)"),
        ("r.jsonl", b'{"path": "a.png"}\n', "not a label file (write one label per line"),
        ("labels.npy", b"", "not a label file (class embeddings are for --classes)"),
        ("c.json", b'{"clipcli": 1, "classes": []}', "a classes file, not a label file (give it with "),
        ("labels.xlsx", b"", "not a label file (save the spreadsheet as .csv)"),
        ("r.csv", OWN_HEADER.encode(), "a table of images that clipcli wrote, not a label file"),
        ("r.json", b'[{"path": "a.png", "label": "cat", "top": []}]', "results of clipcli classify, not a label file"),
    ],
)
def test_a_file_of_another_kind_is_recognised(name: str, content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelError) as caught:
        read_labels(tmp_path / name)
    assert str(caught.value).startswith(f"cannot read {tmp_path / name}: {complaint}")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_of_a_european_spreadsheet_has_semicolons(end: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(f"\ufefflabel;group{end}cat, black;animal{end}car;{end}".encode())
    assert read_labels(tmp_path / "labels.csv") == [Label("cat, black", group="animal"), Label("car")]


def test_a_semicolon_in_a_table_with_commas_is_part_of_a_cell() -> None:
    assert parse_csv("label,group\ncat;dog,animal\n") == [Label("cat;dog", group="animal")]


def test_labels_from_options_follow_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cat\n")
    assert load_labels(path, ["dog", " #1 "]) == [Label("cat"), Label("dog"), Label("#1")]


def test_options_alone_are_enough() -> None:
    assert names(load_labels(None, ["cat", "dog"])) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ([], "no labels"),
        ([" "], "the label is empty"),
        (["dog", "dog "], "duplicate --label 'dog'"),
        (["\udcff"], "not valid Unicode"),
    ],
)
def test_options_that_name_no_set_of_labels_are_refused(extra: list[str], complaint: str) -> None:
    with pytest.raises(LabelError, match=complaint):
        load_labels(None, extra)


def test_an_option_that_repeats_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cat\n")
    with pytest.raises(LabelError, match=r"duplicate --label 'cat', also in .*labels.txt"):
        load_labels(path, ["cat"])


# --- prompts ----------------------------------------------------------------------------------------


def test_a_label_fills_every_template() -> None:
    assert prompts_for(Label("cat"), [PLAIN, OF_A]) == ["cat", "a photo of a cat"]


def test_names_are_filled_in_place_of_the_label() -> None:
    assert prompts_for(Label("n02123045", ("tabby", "tabby cat")), [OF_A]) == [
        "a photo of a tabby",
        "a photo of a tabby cat",
    ]


def test_whole_prompts_stand_in_place_of_the_templates() -> None:
    assert prompts_for(Label("cat", prompts=("Meow!",)), [OF_A]) == ["Meow!"]


def test_names_and_whole_prompts_make_one_ensemble() -> None:
    assert prompts_for(Label("cat", ("tabby",), ("Meow!",)), [OF_A]) == ["a photo of a tabby", "Meow!"]


def test_a_prompt_that_comes_about_twice_counts_once() -> None:
    label = Label("cat", ("tabby", "tabby"), ("tabby", "a cat"))
    assert prompts_for(label, [PLAIN]) == ["tabby", "a cat"]


def test_a_prompt_of_ones_own_with_a_place_for_the_label_is_filled() -> None:
    (cat,) = parse_csv("label,prompt\ncat,a blurry photo of a/an {label}\n")
    assert prompts_for(cat, [OF_A]) == ["a blurry photo of a cat"]
    (owl,) = parse_json('{"owl": {"names": ["eagle owl", "barn owl"], "prompts": ["a {} at night"]}}')
    assert prompts_for(owl, [PLAIN]) == ["eagle owl", "barn owl", "a eagle owl at night", "a barn owl at night"]


def test_a_short_text_with_a_place_for_the_label_is_a_prompt_and_no_name() -> None:
    (cat,) = parse_json('{"cat": ["my {label}", "tabby"]}')
    assert cat == Label("cat", names=("tabby",), prompts=("my {label}",))
    assert prompts_for(cat, [OF_A]) == ["a photo of a tabby", "my tabby"]


def test_braces_around_more_than_a_word_are_part_of_a_prompt() -> None:
    (label,) = parse_csv('label,prompt\nset,"the set {1, 2}"\n')
    assert prompts_for(label, [OF_A]) == ["the set {1, 2}"]


# --- one rule for all sources -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ([], "no labels"),
        (["cat", " "], "label 2: the label is empty"),
        (["cat", "dog", "cat "], "duplicate label 'cat' (labels 1 and 3)"),
        ([Label("cat"), "cat"], "duplicate label 'cat' (labels 1 and 2)"),
        ([Label(" ")], "label 1: the label is empty"),
        (["\ud800"], "is not valid Unicode text"),
        ([Label("cat", names=("\udfff",))], "is not valid Unicode text"),
        ([Label("cat", prompts=("a cat", ""))], "one of its prompts is empty"),
        ([Label("cat", names=(" ",))], "one of its names is empty"),
        ([Label("cat", prompts=("a {lable}",))], "unknown placeholder in "),
        ([Label("cat", names="kitten")], "its names must be a list of texts, not str"),  # type: ignore[arg-type]
        ([Label("cat", prompts={"a cat"})], "its prompts must be a list of texts, not set"),  # type: ignore[arg-type]
        ([Label("cat", names=(3,))], "one of its names must be text, not int"),  # type: ignore[arg-type]
        ([Label("cat", group=3)], "its group must be text, not int"),  # type: ignore[arg-type]
        ([Label("cat", folder=" ")], "its folder is empty"),
        ([Label(None)], "the label must be text, not NoneType"),  # type: ignore[arg-type]
        (["cat", 3], "label 2: expected a text or a Label, not int"),
        ([None], "label 1: expected a text or a Label, not NoneType"),
        ([b"cat"], "label 1: expected a text or a Label, not bytes"),
    ],
)
def test_labels_given_in_python_obey_the_same_rules(labels: list[object], complaint: str) -> None:
    with pytest.raises(LabelError) as caught:
        check_labels(labels)
    assert complaint in str(caught.value)


@given(st.lists(ANY_TEXT))
def test_python_accepts_exactly_the_labels_that_the_command_line_accepts(texts: list[str]) -> None:
    outcomes = []
    for read in (labels_from, lambda given: load_labels(None, given)):
        try:
            outcomes.append(names(read(texts)))
        except LabelError:
            outcomes.append(["refused"])
    assert outcomes[0] == outcomes[1]


@given(st.lists(TRIMMED, min_size=1, unique_by=label_key))
def test_labels_that_were_checked_pass_again_unchanged(texts: list[str]) -> None:
    labels = check_labels([f" {text}\n" for text in texts])
    assert check_labels(labels) == labels


# --- thresholds and phrases that compete ------------------------------------------------------------


def test_a_table_gives_labels_thresholds_and_phrases_that_compete() -> None:
    text = "label,threshold,not\ndog,0.7,wolf | fox\ncat,,\n"
    assert parse_csv(text) == [Label("dog", threshold=0.7, negatives=("wolf", "fox")), Label("cat")]


def test_phrases_that_compete_can_be_in_several_rows() -> None:
    assert parse_csv("label,not\ndog,wolf\ndog,fox\n") == [Label("dog", negatives=("wolf", "fox"))]
    both = parse_csv("label,prompt,not\ndog,a dog,wolf\ndog,a puppy,wolf\n")
    assert both == [Label("dog", prompts=("a dog", "a puppy"), negatives=("wolf",))]


def test_a_threshold_can_have_a_decimal_comma() -> None:
    assert parse_csv("label;threshold\ndog;0,25\n") == [Label("dog", threshold=0.25)]


def test_json_gives_labels_thresholds_and_phrases_that_compete() -> None:
    text = '{"dog": {"threshold": 1, "not": ["wolf", "fox"]}, "cat": {"not": "lynx"}}'
    dog, cat = parse_json(text)
    assert (dog.threshold, dog.negatives, cat.negatives) == (1.0, ("wolf", "fox"), ("lynx",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("label,threshold\ndog,1.5\n", "labels: line 2: its threshold '1.5' is not a number from 0 to 1"),
        ("label,threshold\ndog,nan\n", "its threshold 'nan' is not a number from 0 to 1"),
        ("label,threshold\ndog,high\n", "labels: line 2: its threshold 'high' is not a number from 0 to 1"),
        ("label,prompt,threshold\ndog,a,0.5\ndog,b,0.6\n", "two thresholds: 0.5 (line 2) and 0.6 (line 3)"),
        ("label,not\ndog,wolf\ndog,wolf\n", "duplicate label 'dog' (lines 2 and 3)"),
        ("label,not\ndog,a {label}\n", "cannot have a placeholder"),
    ],
)
def test_wrong_thresholds_and_phrases_in_a_table_are_one_line(text: str, reason: str) -> None:
    with pytest.raises(LabelError, match=re.escape(reason)):
        parse_csv(text)


@pytest.mark.parametrize("value", ["0.5", True, -0.1, [0.5], {}])
def test_a_threshold_in_json_is_a_number_from_0_to_1(value: object) -> None:
    with pytest.raises(LabelError, match=r"its threshold .* is not a number from 0 to 1"):
        parse_json(json.dumps({"dog": {"threshold": value}}))


def test_labels_can_come_from_a_pipe_as_of_process_substitution() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as file:
        file.write("cat\ndog\n")
    try:
        assert [label.name for label in read_labels(Path(f"/dev/fd/{reading}"))] == ["cat", "dog"]
    finally:
        os.close(reading)
