"""Classes of a ground truth meet labels whatever the spelling, and never lower a figure without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipcli.errors import InputError, LabelError
from clipcli.evaluation.evaluate import Evaluation
from clipcli.evaluation.grouping import classes_as_groups, group_names
from clipcli.evaluation.records import evaluate_records
from clipcli.evaluation.vocabulary import distinct_names, indices_of, match_names
from clipcli.labels.files import Label
from clipcli.outputs.readers import ReadRecord
from clipcli.scoring.zeroshot import Score

OTHERS = ["Sea Lion", "sea_lion", " sea  lion", "SEA_LION", "sea lion\u200b", "ſea lion"]
"""Spellings of ``sea lion``; the last begins with a long s, which Unicode composes differently."""


def run(*answers: tuple[str, str], vocabulary: tuple[str, ...] = (), path: str = "r.csv") -> Evaluation:
    """Evaluate the given answers, each with its true class."""
    records = [
        (
            ReadRecord(f"{number}.png", label, 0.75, None, (Score("cat" if label == "unknown" else label, 0.75, 0.3),)),
            said,
        )
        for number, (label, said) in enumerate(answers)
    ]
    return evaluate_records(path, records, None, vocabulary)


@pytest.mark.parametrize("spelling", OTHERS)
def test_a_class_in_another_spelling_is_the_label_in_both_forms(spelling: str, logged: list[str]) -> None:
    found = run(("sea lion", spelling), ("cat", "cat"), vocabulary=("sea lion", "cat"))
    assert (found.top1.value, found.labels, found.not_labels) == (1.0, ("cat", "sea lion"), ())
    assert logged == [
        "r.csv: some classes and labels differ only in case, spaces, underscores or Unicode form, and are taken as the "
        f"same: {spelling!r} is 'sea lion'"
    ]
    assert indices_of([spelling, "cat"], [Label("cat"), Label("sea lion")]) == [1, 0]
    assert indices_of([spelling], [Label("cat"), Label("otary", folder="sea lion")]) == [1]


def test_the_same_name_takes_precedence_over_another_spelling() -> None:
    assert match_names(["a b", "a_b", "A B"], ["a_b", "a b"]) == ["a b", "a_b", "a_b"]
    assert indices_of(["Cat"], [Label("cat"), Label("lion", folder="Cat")]) == [1]


def test_spellings_that_two_folders_share_are_no_match() -> None:
    labels = [Label("tabby", folder="Cat"), Label("lion", folder="CAT")]
    assert indices_of(["Cat", "CAT"], labels) == [0, 1]
    with pytest.raises(LabelError, match="'cat'"):
        indices_of(["cat"], labels)


def test_two_spellings_of_a_class_are_one_in_the_more_frequent() -> None:
    assert distinct_names(["Dog", "dog", "dog", "cat"]) == ["cat", "dog"]
    assert distinct_names(["Dog", "Dog", "dog", "cat"]) == ["Dog", "cat"]


def test_classes_that_are_no_label_are_counted_apart() -> None:
    found = run(
        ("cat", "cat"), ("dog", "dog"), ("dog", "cat"), ("cat", "wolf"), ("cat", "Wolf"), vocabulary=("cat", "dog")
    )
    assert (found.not_labels, found.label_count, found.has_label.sum()) == (("Wolf",), 2, 3)
    assert found.top1.value == 0.4
    assert found.top1_of_labels is not None
    assert found.top1_of_labels.value == pytest.approx(2 / 3)


def test_labels_that_never_occur_are_among_the_labels_and_unknown_is_not() -> None:
    found = run(("cat", "cat"), ("unknown", "cat"), ("cat", "dog"), vocabulary=("cat", "dog", "cow"))
    assert (found.label_count, found.top5, found.not_labels) == (3, None, ())


def test_answers_below_a_threshold_are_counted_apart_and_calibration_is_of_the_best_labels() -> None:
    found = run(("cat", "cat"), ("dog", "cat"), ("unknown", "cat"), ("unknown", "cat"), vocabulary=("cat", "dog"))
    assert (found.top1.value, found.answered.mean()) == (0.25, 0.5)
    assert found.top1_of_answers is not None
    assert found.top1_of_answers.value == 0.5
    assert found.calibration.error == 0.0  # three of four best labels are right, at 75 % each


def test_answers_without_thresholds_have_no_share() -> None:
    found = run(("cat", "cat"), ("dog", "cat"))
    assert found.top1_of_answers is None
    assert found.top1_of_labels is None


# --- groups -----------------------------------------------------------------------------------------

LABELS = [
    Label("cat", group="pet"),
    Label("dog", group="pet"),
    Label("rocket", folder="n1", group="machine"),
    Label("x"),
]


def grouped(label: str, group: str | None, said: str) -> tuple[ReadRecord, str]:
    groups = (("pet" if group == "unknown" else group, 0.8),) if group else ()
    return ReadRecord(f"{said}.png", label, 0.5, None, (Score(label, 0.5, 0.3),), group, groups=groups), said


def test_classes_are_groups_labels_or_folders() -> None:
    assert classes_as_groups(["Pet", "cat", "n1", "machine"], LABELS) == ["pet", "pet", "machine", "machine"]
    assert classes_as_groups(["house"], LABELS, is_strict=False) == ["house"]
    assert group_names(LABELS) == ["machine", "pet"]


@pytest.mark.parametrize(
    ("names", "labels", "says"),
    [
        (["house"], LABELS, "'house'"),
        (["x"], LABELS, "label 'x' has no group"),
        (["x"], LABELS[3:], "'x' has no group"),
    ],
)
def test_a_class_without_group_is_refused(names: list[str], labels: list[Label], says: str) -> None:
    with pytest.raises(LabelError, match=says):
        classes_as_groups(names, labels)


def test_labels_without_groups_are_refused() -> None:
    with pytest.raises(LabelError, match="the labels have no groups"):
        group_names([Label("cat")])


def test_results_are_evaluated_by_group() -> None:
    groups = {"cat": "pet", "dog": "pet", "rocket": "machine"}
    records = [grouped("cat", "pet", "dog"), grouped("rocket", "machine", "pet"), grouped("unknown", "unknown", "cat")]
    found = evaluate_records("r.csv", records, None, ["cat", "dog", "rocket"], groups)
    assert (found.labels, found.label_count) == (("machine", "pet", "unknown"), 2)
    assert found.top1.value == pytest.approx(1 / 3)
    assert found.probability.tolist() == [0.8] * 3


def test_results_without_groups_are_refused() -> None:
    with pytest.raises(InputError, match=r"the result of cat.png has no group"):
        evaluate_records("r.csv", [grouped("cat", None, "cat")], None, [], {})


def test_groups_in_place_of_labels_are_refused_with_the_option(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--by group"):
        run(("cat", "pet"), path=str(tmp_path / "r.csv"))


def test_several_labels_of_an_image_are_not_taken_for_one_unknown_class() -> None:
    with pytest.raises(LabelError, match=r"'child\|ball' \(if \| separates several labels of an image, use --tags\)"):
        indices_of(["child|ball", "ball"], [Label("child"), Label("ball")])
