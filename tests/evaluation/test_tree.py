"""Figures of answers in a tree: accuracy at each level, hierarchical precision, recall and F1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.preprocessing import MultiLabelBinarizer

from clipcli.evaluation.by_embeddings import evaluate_embeddings
from clipcli.evaluation.plain_values import as_json
from clipcli.evaluation.records import evaluate_records
from clipcli.evaluation.tree import Descent, groups_by_name, path_of, tree_figures
from clipcli.labels.label import Label
from clipcli.outputs.readers import ReadRecord
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.tree import deepest_node, labels_next_to_groups
from clipcli.scoring.zeroshot import group_probabilities
from tests.evaluation.test_evaluate import DIGITS, embedded_digits, nearest_mean

TREE = {
    "owl": "animal/bird", "hawk": "animal/bird", "dog": "animal", "cat": "animal", "car": "machine/road",
    "rocket": "machine", "soup": None,
}  # fmt: skip
GROUPS = groups_by_name(TREE.items())
NAMES = [*TREE]


def ancestors(name: str) -> set[tuple[str, ...]]:
    path = path_of(name, GROUPS)
    return {path[:length] for length in range(1, len(path) + 1)}


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([*NAMES, UNKNOWN])), min_size=1, max_size=30))
def test_hierarchical_figures_are_those_of_scikit_learn_on_sets_of_ancestors(pairs: list[tuple[str, str]]) -> None:
    truth, answers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    deepest = [GROUPS.get(answer) or "" for answer in answers]
    found = tree_figures(truth, [path_of(answer, GROUPS) for answer in answers], deepest, GROUPS)
    if all(TREE[name] is None for name in truth):
        assert found is None
        return
    assert found is not None
    binary = MultiLabelBinarizer().fit([ancestors(name) for name in NAMES])
    sets = (binary.transform([ancestors(name) for name in names]) for names in (truth, answers))
    expected = precision_recall_fscore_support(*sets, average="micro", zero_division=0)[:3]
    assert (found.precision, found.recall, found.f1) == pytest.approx(expected)
    for figures in found.levels:
        rows = [row for row, name in enumerate(truth) if len(path_of(name, GROUPS)) > figures.level]
        cut = [["/".join((names[row] or "").split("/")[: figures.level]) for row in rows]
               for names in ([GROUPS[name] for name in truth], deepest)]  # fmt: skip
        assert (figures.images, figures.accuracy.value) == (len(rows), accuracy_score(*cut))


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=20))
def test_right_answers_are_right_at_every_level(names: list[str]) -> None:
    deepest = [GROUPS[name] or "" for name in names]
    found = tree_figures(names, [path_of(name, GROUPS) for name in names], deepest, GROUPS)
    if found is not None:
        assert {each.accuracy.value for each in found.levels} == {1.0}
        assert (found.precision, found.recall, found.f1) == (1.0, 1.0, 1.0)


def test_a_mistake_among_neighbours_costs_less_than_one_far_away() -> None:
    near, far, silent = (
        tree_figures(["owl"], [path_of(answer, GROUPS)], [GROUPS.get(answer) or ""], GROUPS)
        for answer in ("hawk", "car", UNKNOWN)
    )
    assert near and far and silent
    assert [round(each.f1, 4) for each in (near, far, silent)] == [round(2 / 3, 4), 0.0, 0.0]
    assert [each.accuracy.value for each in near.levels] == [1.0, 1.0]


SHARES = st.lists(st.floats(0, 1), min_size=len(NAMES), max_size=len(NAMES))


@given(st.lists(SHARES, min_size=1, max_size=6))
def test_the_deepest_groups_of_an_evaluation_are_those_of_classify(rows: list[list[float]]) -> None:
    probability = np.array(rows) / max(1.0, *map(sum, rows))
    groups = list(TREE.values())
    expected = [
        deepest_node(group_probabilities(groups, row), own={node: float(row[at].max()) for node, at in NEXT_TO.items()})
        for row in probability
    ]
    found = Descent(groups).answers(probability)
    for row, first, second in zip(probability, found, expected, strict=True):
        sums = group_probabilities(groups, row)
        assert first == second or sums[first] == pytest.approx(sums[str(second)], abs=1e-9)  # a tie


NEXT_TO = labels_next_to_groups(list(TREE.values()))


def test_a_label_next_to_further_groups_ends_the_way_down() -> None:
    assert NEXT_TO == {"animal": [2, 3], "machine": [5]}
    nodes = {"animal": 0.9, "animal/bird": 0.3, "machine": 0.1, "machine/road": 0.05}
    assert deepest_node(nodes, own={"animal": 0.6, "machine": 0.05}) == "animal"
    assert deepest_node(nodes, own={"animal": 0.2, "machine": 0.05}) == "animal/bird"


def test_embeddings_and_records_have_the_same_figures() -> None:
    images = embedded_digits()
    labels = [Label(digit, group=f"{'even' if int(digit) % 2 == 0 else 'odd'}/{int(digit) > 4}") for digit in DIGITS]
    classes = nearest_mean(images)
    classes = type(classes)(**{**vars(classes), "groups": tuple(label.group for label in labels)})
    evaluation = evaluate_embeddings("digits", images, labels, classes)
    figures = evaluation.tree
    assert figures is not None
    probability = classes.score(images.vectors).probability
    deepest = Descent(classes.groups).answers(probability)
    parity = [str(group).split("/")[0] for group in deepest]
    assert figures.levels[0].accuracy.value == np.mean(
        [one == ("even" if int(digit) % 2 == 0 else "odd") for one, digit in zip(parity, images.labels, strict=True)]
    )
    assert figures.levels[0].accuracy.value >= figures.levels[1].accuracy.value >= evaluation.top1.value - 0.02
    assert evaluation.top1.value < figures.f1 < 1.0
    answers = [DIGITS[place] for place in evaluation.predicted]
    matched = [
        (ReadRecord(path, answer, 0.9, None, group=group, node=f"{labels[int(answer)].group}/{answer}"), digit)
        for path, answer, group, digit in zip(images.paths, answers, deepest, images.labels, strict=True)
    ]
    assert evaluate_records("r.csv", matched).tree == figures
    assert as_json([evaluation])[0]["tree"]["f1"] == figures.f1


def test_labels_without_groups_have_no_figures_of_levels() -> None:
    images = embedded_digits()
    evaluation = evaluate_embeddings("digits", images, list(map(Label, DIGITS)), nearest_mean(images))
    assert evaluation.tree is None


def test_an_image_that_backs_off_to_a_right_group_is_half_right() -> None:
    record = ReadRecord("a.png", UNKNOWN, 0.5, None, group="animal/bird", node="animal/bird")
    found = evaluate_records("r.csv", [(record, "owl")], vocabulary=["owl", "hawk"], tree={"owl": "animal/bird"}).tree
    assert found is not None
    assert (found.precision, round(found.recall, 3)) == (1.0, 0.667)
    assert [each.accuracy.value for each in found.levels] == [1.0, 1.0]
