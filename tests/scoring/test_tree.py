"""In a tree of groups, a parent is never less probable than a child, and ties are answered by the parent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from clipcli.cache.embeddings import ModelFacts
from clipcli.errors import LabelError
from clipcli.inputs.discover import FileInput
from clipcli.labels.files import parse_csv
from clipcli.outputs.records import Layout, as_record, flat_columns, flat_values
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.predictions import Prediction
from clipcli.pipeline.rank import Ranker
from clipcli.scoring.thresholds import UNKNOWN, Thresholds
from clipcli.scoring.tree import deepest_node, is_tree, nodes_of
from clipcli.scoring.zeroshot import group_probabilities, normalise

PARTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
GROUPS = st.lists(st.none() | PARTS, min_size=1, max_size=8)


@given(GROUPS, st.integers(0, 2**32), st.sampled_from(["softmax", "sigmoid"]))
@pytest.mark.parametrize("is_exclusive", [True, False])
def test_a_parent_is_never_less_probable_than_a_node_or_label_below_it(
    is_exclusive: bool, groups: list[str | None], seed: int, score: str
) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, len(groups))
    probability = softmax(logits) if score == "softmax" else 1 / (1 + np.exp(-logits))
    nodes = group_probabilities(groups, probability, is_exclusive=is_exclusive)
    for name in nodes:
        for parent in nodes_of(name)[:-1]:
            assert nodes[parent] >= nodes[name] - 1e-12
    for group, value in zip(groups, probability, strict=True):
        if group is not None:
            assert min(nodes[node] for node in nodes_of(group)) >= value - 1e-12
    assert all(0 <= value <= 1 for value in nodes.values())


def test_the_deepest_node_is_found_from_the_top() -> None:
    nodes = {"animal": 0.9, "animal/bird": 0.8, "animal/cat": 0.1, "thing": 0.1}
    assert deepest_node(nodes) == "animal/bird"
    assert deepest_node(nodes, 0.85) == "animal"
    assert deepest_node(nodes, 0.95) is None
    assert deepest_node(nodes, level=1) == "animal"
    assert (is_tree(nodes), is_tree(["animal", None])) == (True, False)


AXES = np.eye(3, dtype=np.float32)
FACTS = ModelFacts("axes", None, 3, 10.0, None)
BIRDS = ClassEmbeddings(
    ("owl", "hawk", "rose"), ("animal/bird", "animal/bird", "plant"), (("owl",), ("hawk",), ("rose",)), AXES, "0", FACTS
)


def predicted(*weights: float, least: float | None = None, level: int | None = None) -> Prediction:
    ranker = Ranker(BIRDS, 3, Thresholds(least), "axes", None, "fp32", level=level)
    vector = normalise(np.array([weights], dtype=np.float32))[0]
    (found,) = ranker.results([(FileInput("a.png", "a.png"), vector)])
    assert isinstance(found, Prediction)
    return found


def test_two_children_that_tie_are_answered_by_their_parent() -> None:
    tie = predicted(1.0, 0.99, 0.0, least=0.8)
    assert (tie.label, tie.node, tie.group) == (UNKNOWN, "animal/bird", UNKNOWN)
    sure = predicted(1.0, 0.1, 0.0, least=0.8)
    assert (sure.label, sure.node) == ("owl", "animal/bird/owl")
    nothing = predicted(1.0, 0.0, 1.0, least=0.8)
    assert (nothing.label, nothing.node) == (UNKNOWN, UNKNOWN)


def test_a_level_is_the_deepest_that_is_answered() -> None:
    assert predicted(1.0, 0.1, 0.0, level=1).node == "animal"
    assert predicted(1.0, 0.1, 0.0, level=9).node == "animal/bird"


def test_a_record_has_the_node_and_the_probability_of_each_node() -> None:
    found = predicted(1.0, 0.99, 0.0, least=0.8)
    record = as_record(found)
    assert (record["node"], record["group"], record["group_1"]) == ("animal/bird", UNKNOWN, "animal/bird")
    assert {each["group"] for each in record["groups"]} == {"animal", "animal/bird", "plant"}
    layout = Layout("csv", 3, grouped=True, with_unknown=True, in_tree=True)
    assert set(flat_values(found)) <= set(flat_columns(layout))
    assert flat_values(found)["group_probability"] == pytest.approx(found.groups["animal/bird"], rel=1e-5)


def test_the_group_of_an_unknown_image_is_the_node_and_the_best_group_is_kept() -> None:
    found = predicted(1.0, 0.99, 0.0, least=0.99999)
    assert (found.label, found.node) == (UNKNOWN, UNKNOWN)
    values = flat_values(found)
    assert (found.group, values["group"], values["group_1"]) == (UNKNOWN, UNKNOWN, "animal/bird")
    assert as_record(found)["group"] == UNKNOWN


def test_groups_of_one_level_have_no_node() -> None:
    classes = replace(BIRDS, groups=("animal", "animal", None))
    ranker = Ranker(classes, 3, Thresholds(), "axes", None, "fp32")
    (found,) = ranker.results([(FileInput("a.png", "a.png"), AXES[0])])
    assert isinstance(found, Prediction)
    assert (found.node, found.group) == (None, "animal")
    assert "node" not in as_record(found)


@pytest.mark.parametrize("group", ["animal//bird", "/bird", "animal/", "/"])
def test_a_group_with_an_empty_level_is_refused(group: str) -> None:
    with pytest.raises(LabelError, match="has an empty level"):
        parse_csv(f"label,group\nowl,{group}\n")
