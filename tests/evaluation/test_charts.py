"""The charts of an evaluation, with few classes and with many."""

from __future__ import annotations

from typing import Any

import pytest

from clipcli.evaluation.charts import _classes, _confusion
from clipcli.evaluation.evaluate import Evaluation
from clipcli.evaluation.records import evaluate_records
from clipcli.outputs.readers import ReadRecord


def evaluation(classes: int, wrong: dict[int, int], images: int = 2) -> Evaluation:
    """Return an evaluation in which the first image of some classes is taken for another class."""
    matched = [
        (
            ReadRecord(f"{truth}-{image}.jpg", name(wrong.get(truth, truth) if image == 0 else truth), 0.8, None),
            name(truth),
        )
        for truth in range(classes)
        for image in range(images)
    ]
    return evaluate_records("results.csv", matched)


def name(number: int) -> str:
    return f"class {number:03}"


def words(ticks: Any) -> list[str]:
    return [tick.get_text() for tick in ticks]


def test_classes_without_an_error_are_never_among_the_worst() -> None:
    drawn = _classes(evaluation(50, {7: 8}))
    axes = drawn.axes[-1]
    assert [text.split(" (")[0] for text in words(axes.get_yticklabels())] == ["class 007", "class 008"]
    assert axes.get_title() == "the 2 that are not perfect"


def test_the_worst_of_many_are_forty() -> None:
    axes = _classes(evaluation(250, {number: number + 1 for number in range(0, 200, 2)})).axes[-1]
    assert (len(axes.get_yticks()), axes.get_title()) == (40, "the 40 worst")


def test_a_chart_of_perfect_classes_says_so() -> None:
    assert _classes(evaluation(60, {})).axes[-1].get_title() == "all classes are perfect; one of them"


def test_few_classes_are_all_shown() -> None:
    assert len(_classes(evaluation(5, {1: 2})).axes[-1].get_yticks()) == 5


@pytest.mark.parametrize("classes", [5, 50])
def test_a_confusion_matrix_names_all_of_few_classes(classes: int) -> None:
    axes, _bar = _confusion(evaluation(classes, {1: 2})).axes
    assert words(axes.get_yticklabels()) == [name(number) for number in range(classes)]


def test_of_many_classes_the_confused_ones_are_named_next_to_the_whole() -> None:
    block, whole, _bar = _confusion(evaluation(250, {1: 200, 30: 31})).axes
    assert words(block.get_yticklabels()) == ["class 001", "class 200", "class 030", "class 031"]
    assert block.get_title() == "the 4 labels with the most confusions"
    assert whole.get_title().startswith("all 250 labels")


def test_many_classes_without_confusions_are_drawn() -> None:
    assert _confusion(evaluation(100, {})).axes[0].get_title() == "no label is confused"


@pytest.mark.parametrize("classes", [5, 60])
def test_each_cell_of_a_confusion_matrix_has_its_number_of_images(classes: int) -> None:
    axes = _confusion(evaluation(classes, {1: 2}, images=120)).axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts}[1, 1] == "119"
    assert len(axes.texts) == classes + 1


def test_a_class_that_is_never_right_has_a_number_not_an_empty_line() -> None:
    axes = _classes(evaluation(5, {1: 2}, images=1)).axes[-1]
    texts = [text.get_text() for text in axes.texts]
    assert (texts.count("0%"), texts.count("–")) == (1, 1)  # no image got its label: the precision is undefined
