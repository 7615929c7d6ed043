"""Templates have exactly one place for the label; filling them is plain text, in good English."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clipcli.errors import TemplateError
from clipcli.labels.articles import article_for
from clipcli.labels.templates import (
    DEFAULT_TEMPLATE,
    Template,
    builtin_set_names,
    builtin_set_path,
    load_templates,
    parse_template,
    parse_template_file,
    resolve_templates,
)

ANY_TEXT = st.text(st.characters(codec=None))
BRACELESS = st.text(st.characters(codec="utf-8", exclude_characters="{}")).filter(
    lambda text: "a/an" not in text.lower()
)
BRACED = st.lists(ANY_TEXT | st.sampled_from(["{}", "{label}", "{", "}", "a/an ", "{0.__class__}", "\\1"])).map("".join)


# --- one template -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a photo of a {}", "a photo of a {label}", "  a photo of a {}\n"])
def test_either_mark_is_the_place_for_the_label(text: str) -> None:
    assert parse_template(text).fill("cat") == "a photo of a cat"


def test_a_template_may_be_the_place_alone() -> None:
    assert parse_template("{}").fill("кошка") == "кошка"


@pytest.mark.parametrize(
    "text",
    ["{0.__class__}", "{label.x}", "{label!r}", "{label:>9}", "{0}", "{ }", "{name}", "{{}}", "{}{", "}{label}"],
)  # fmt: skip
def test_nothing_else_may_stand_in_braces(text: str) -> None:
    with pytest.raises(TemplateError, match=r"unknown placeholder in "):
        parse_template(text)


@pytest.mark.parametrize("text", ["{} and {}", "{label} or {}", "{}{label}{}"])
def test_two_places_are_refused(text: str) -> None:
    with pytest.raises(TemplateError, match=r"[23] placeholders for the label"):
        parse_template(text)


@pytest.mark.parametrize("text", ["", " ", "a photo of a cat", "label"])
def test_a_template_without_a_place_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="--template: no placeholder for the label"):
        parse_template(text, "--template")


@given(BRACED)
@example("\ud800 {}")
def test_any_text_yields_a_template_or_a_template_error(text: str) -> None:
    try:
        template = parse_template(text)
    except TemplateError:
        return
    assert template == Template(text.strip())
    assert template.text.encode("utf-8")


@given(before=BRACELESS, place=st.sampled_from(["{}", "{label}"]), after=BRACELESS, label=ANY_TEXT)
@example(before="a photo of", place="{label}", after="", label="{label} {} \\1 \\g<0> %s")
def test_a_filled_template_holds_the_label_as_it_is(before: str, place: str, after: str, label: str) -> None:
    template = parse_template(f"({before}{place}{after})")
    assert template.fill(label) == f"({before}{label}{after})"


@given(label=ANY_TEXT)
@example(label="{label} {} \\1 \\g<0> %s")
def test_a_chosen_article_leaves_the_label_as_it_is(label: str) -> None:
    assert parse_template("see a/an {label}.").fill(label) in {
        f"see {article}{label}." for article in ("a ", "an ", "")
    }


# --- a or an ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phrase",
    ["owl", "apple pie", "umbrella", "unopened letter", "unidentified object", "uninhabited island", "hour hand",
     "heirloom", "honest face", "8-ball", "11th hour", "18-wheeler", "MRI scan", "X-ray", "x-ray", "SUV", "LED lamp",
     "F-16", "'80s car", '"open" sign', "étoile", "Ox", "usher"],
)  # fmt: skip
def test_an_stands_before_a_vowel_sound(phrase: str) -> None:
    assert article_for(phrase) == "an"


@pytest.mark.parametrize(
    "phrase",
    ["cat", "unicorn", "uniform", "university", "European robin", "user interface", "utensil", "ukulele", "one-way",
     "hotel", "1984 car", "USB stick", "UFO", "Ukrainian flag", "Ugandan flag", "Uruguayan flag", "u-turn", "t-shirt",
     "NASA car", "UK passport", "кошка", "犬", "herbivore", "(cat)"],
)  # fmt: skip
def test_a_stands_before_a_consonant_sound(phrase: str) -> None:
    assert article_for(phrase) == "a"


@pytest.mark.parametrize("phrase", ["the Eiffel Tower", "a cup of coffee", "An owl", "my cat", "these people", "", " "])
def test_a_label_with_a_determiner_of_its_own_takes_no_article(phrase: str) -> None:
    assert article_for(phrase) == ""


@pytest.mark.parametrize(
    ("label", "prompt"),
    [
        ("owl", "a photo of an owl."),
        ("cat", "a photo of a cat."),
        ("the moon", "a photo of the moon."),
    ],
)
def test_a_template_writes_the_article_that_the_label_needs(label: str, prompt: str) -> None:
    assert parse_template("a photo of a/an {label}.").fill(label) == prompt


def test_a_capital_article_stays_a_capital() -> None:
    template = parse_template("A/an {}, seen from above")
    assert [template.fill(label) for label in ("owl", "cat", "the moon")] == [
        "An owl, seen from above",
        "A cat, seen from above",
        "the moon, seen from above",
    ]


@given(ANY_TEXT)
def test_any_phrase_has_an_article_or_none(phrase: str) -> None:
    assert article_for(phrase) in ("a", "an", "")


# --- sets -------------------------------------------------------------------------------------------


def test_a_set_has_one_template_a_line_with_comments_and_without_repeats() -> None:
    text = "# photos\na photo of {}\n\n  {label}  \r\na photo of {}\n"
    assert parse_template_file(text, "set.txt") == [Template("a photo of {}"), Template("{label}")]


def test_a_bad_line_of_a_set_is_named() -> None:
    with pytest.raises(TemplateError, match=r"set.txt:3: no placeholder for the label"):
        parse_template_file("# photos\n{}\na photo\n", "set.txt")


def test_a_set_without_templates_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"set.txt: it has no templates"):
        parse_template_file("# nothing\n", "set.txt")


@pytest.mark.parametrize("name", builtin_set_names())
def test_a_builtin_set_opens_with_a_comment_that_says_what_it_is_for(name: str) -> None:
    first = builtin_set_path(name).read_text("utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")


@pytest.mark.parametrize("name", builtin_set_names())
def test_a_builtin_set_loads_by_name(name: str) -> None:
    assert len(load_templates(name)) >= 2


def test_a_mistyped_set_is_answered_with_its_neighbour() -> None:
    with pytest.raises(TemplateError, match=r"no template set or file 'foto' \(did you mean photo"):
        load_templates("foto")


def test_a_file_of_ones_own_is_a_set(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("ein Foto von {}\n", "utf-8-sig")
    assert load_templates(str(path)) == [Template("ein Foto von {}")]


def test_a_builtin_name_wins_over_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo").write_text("mine {}\n")
    assert Template("mine {}") not in load_templates("photo")
    assert load_templates("./photo") == [Template("mine {}")]


def test_a_template_where_a_set_belongs_is_refused_however_long(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no template set or file"):
        load_templates("a very long photo of a {} " * 40)


def test_templates_and_sets_are_gathered_in_order_without_repeats(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("three {}\none {}\n")
    gathered = resolve_templates(["one {}", "two {}"], [str(path)])
    assert [template.text for template in gathered] == ["one {}", "two {}", "three {}"]


def test_the_default_template_is_used_where_none_is_given() -> None:
    assert resolve_templates() == [Template(DEFAULT_TEMPLATE)]
    assert resolve_templates()[0].fill("owl") == "a photo of an owl"


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        ("a photo of a/an old {label}", "a photo of an old owl"),
        ("a photo of a/an big {}", "a photo of a big owl"),
        ("a/an {} on a/an unusual branch", "an owl on an unusual branch"),
    ],
)
def test_an_article_fits_the_word_behind_it(template: str, prompt: str) -> None:
    assert parse_template(template).fill("owl") == prompt
