"""Scores and rankings are what the formulas say, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from clipcli.scoring.ensemble import ensemble
from clipcli.scoring.thresholds import UNKNOWN, Thresholds
from clipcli.scoring.zeroshot import (
    Score,
    cosine_similarities,
    group_probabilities,
    normalise,
    probabilities,
    rank,
)

COSINES = st.floats(-1, 1)
SCALES = st.floats(0.01, 1000)
ABC = ("a", "b", "c")


@st.composite
def matrices(draw: st.DrawFn, elements: st.SearchStrategy[float], max_rows: int = 5) -> NDArray[np.float64]:
    rows, columns = draw(st.integers(1, max_rows)), draw(st.integers(1, 6))
    values = draw(st.lists(elements, min_size=rows * columns, max_size=rows * columns))
    return np.array(values, dtype=np.float64).reshape(rows, columns)


@st.composite
def ensembles(draw: st.DrawFn) -> tuple[NDArray[np.float32], list[int]]:
    counts = draw(st.lists(st.integers(1, 7), min_size=1, max_size=6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    return generator.normal(size=(sum(counts), draw(st.integers(2, 16)))).astype(np.float32), counts


# --- embeddings -------------------------------------------------------------------------------------


@given(matrices(st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-3)))
def test_normalised_rows_have_length_one_and_keep_their_direction(vectors: NDArray[np.float64]) -> None:
    unit = normalise(vectors.astype(np.float32))
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), lengths > 0, atol=1e-6)
    np.testing.assert_allclose(unit * lengths[:, None], vectors, atol=1e-3)


def test_a_row_of_zeros_stays_zero() -> None:
    np.testing.assert_array_equal(normalise(np.zeros((2, 3), dtype=np.float32)), np.zeros((2, 3)))


@given(ensembles())
def test_an_ensemble_equals_a_plain_loop(case: tuple[NDArray[np.float32], list[int]]) -> None:
    vectors, counts = case
    remaining = list(vectors.astype(np.float64))
    expected = []
    for count in counts:
        members = [remaining.pop(0) for _ in range(count)]
        mean = np.mean([member / np.linalg.norm(member) for member in members], axis=0)
        assume(np.linalg.norm(mean) > 0.01)  # members that cancel out leave nothing but rounding
        expected.append(mean / np.linalg.norm(mean))
    np.testing.assert_allclose(ensemble(vectors, counts), expected, atol=1e-4)


@given(ensembles())
def test_an_ensemble_of_one_is_the_normalised_prompt(case: tuple[NDArray[np.float32], list[int]]) -> None:
    vectors = case[0]
    np.testing.assert_allclose(ensemble(vectors, [1] * len(vectors)), normalise(vectors), atol=1e-6)


def test_a_loud_prompt_counts_no_more_than_a_quiet_one() -> None:
    vectors = np.array([[100, 0], [0, 0.01]], dtype=np.float32)
    np.testing.assert_allclose(ensemble(vectors, [2]), [[0.5**0.5, 0.5**0.5]], atol=1e-6)


@given(ensembles(), st.integers(0, 2**32))
def test_similarities_are_cosines(case: tuple[NDArray[np.float32], list[int]], seed: int) -> None:
    classes = normalise(case[0])
    images = normalise(np.random.default_rng(seed).normal(size=(3, classes.shape[1])).astype(np.float32))
    expected = [[float(np.dot(image, label)) for label in classes] for image in images]
    found = cosine_similarities(images, classes)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-6)


# --- probabilities ----------------------------------------------------------------------------------


@given(matrices(COSINES), SCALES)
def test_softmax_rows_sum_to_one(similarities: NDArray[np.float64], scale: float) -> None:
    found = probabilities(similarities, scale)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


@given(matrices(COSINES), st.floats(0.01, 100))
def test_softmax_is_the_formula(similarities: NDArray[np.float64], scale: float) -> None:
    odds = np.exp(scale * similarities)
    np.testing.assert_allclose(probabilities(similarities, scale), odds / odds.sum(axis=1, keepdims=True), rtol=1e-9)


@given(matrices(COSINES), st.floats(0.01, 100), st.floats(-20, 20))
def test_a_sigmoid_model_scores_each_label_by_itself(
    similarities: NDArray[np.float64], scale: float, bias: float
) -> None:
    expected = 1 / (1 + np.exp(-(scale * similarities + bias)))
    np.testing.assert_allclose(probabilities(similarities, scale, bias), expected, rtol=1e-7, atol=1e-15)


def test_a_bias_of_zero_is_a_sigmoid_still() -> None:
    np.testing.assert_allclose(probabilities(np.zeros((1, 4)), 10.0, 0.0), [[0.5] * 4])


def test_neither_form_overflows() -> None:
    extreme = np.array([[-1.0, 1.0]])
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_allclose(probabilities(extreme, 1e6), [[0, 1]], atol=1e-12)
        np.testing.assert_allclose(probabilities(extreme, 1e6, -10.0), [[0, 1]], atol=1e-12)


# --- ranking ----------------------------------------------------------------------------------------


@given(st.lists(COSINES, min_size=1, max_size=12), st.integers(1, 15), SCALES)
def test_a_ranking_agrees_with_numpy(cosines: list[float], top_k: int, scale: float) -> None:
    similarity = np.array(cosines)
    probability = probabilities(similarity[None], scale)[0]
    labels = [f"label {index}" for index in range(len(cosines))]
    ranking = rank(labels, probability, similarity, top_k)
    order = np.argsort(-similarity, kind="stable")[:top_k]
    assert ranking.top == tuple(Score(labels[i], probability[i], similarity[i]) for i in order)
    assert ranking.label == labels[int(np.argmax(similarity))]


def test_labels_that_tie_keep_their_order() -> None:
    ranking = rank(ABC, np.array([0.3, 0.4, 0.3]), np.array([0.1, 0.2, 0.1]), 3)
    assert [score.label for score in ranking.top] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("thresholds", "named"),
    [
        (Thresholds(), True),
        (Thresholds(probability=0.6), True),
        (Thresholds(probability=0.61), False),
        (Thresholds(similarity=0.25), True),
        (Thresholds(similarity=0.26), False),
        (Thresholds(margin=0.25), True),
        (Thresholds(margin=0.4), False),
        (Thresholds(probability=0.1, similarity=0.1, margin=0.9), False),
    ],
)
@pytest.mark.parametrize("top_k", [1, 3])
def test_a_label_is_named_only_where_it_reaches_every_threshold(
    thresholds: Thresholds, named: bool, top_k: int
) -> None:
    ranking = rank(ABC, np.array([0.1, 0.6, 0.3]), np.array([0.1, 0.25, 0.2]), top_k, thresholds)
    assert ranking.label == ("b" if named else UNKNOWN)


def test_an_image_that_is_not_named_keeps_its_scores() -> None:
    ranking = rank(ABC, np.array([0.1, 0.6, 0.3]), np.array([0.1, 0.25, 0.2]), 2, Thresholds(probability=0.9))
    assert ranking.top == (Score("b", 0.6, 0.25), Score("c", 0.3, 0.2))


def test_a_single_label_leads_by_all_its_probability() -> None:
    assert rank(["a"], np.array([1.0]), np.array([0.2]), 5, Thresholds(margin=1.0)).label == "a"


# --- groups -----------------------------------------------------------------------------------------


def test_a_group_sums_its_labels_and_the_best_comes_first() -> None:
    found = group_probabilities(["pets", "wild", None, "wild"], np.array([0.3, 0.25, 0.2, 0.25]))
    assert list(found.items()) == [("wild", 0.5), ("pets", 0.3)]


def test_labels_without_groups_have_none() -> None:
    assert group_probabilities([None, None], np.array([0.4, 0.6])) == {}


def test_a_sum_of_sigmoids_is_no_more_than_certain() -> None:
    assert group_probabilities(["g", "g"], np.array([0.9, 0.8])) == {"g": 1.0}


@given(st.lists(st.tuples(st.none() | st.sampled_from("xyz"), COSINES), min_size=1))
def test_groups_that_cover_all_labels_share_out_all_probability(rows: list[tuple[str | None, float]]) -> None:
    probability = probabilities(np.array([[cosine for _, cosine in rows]]), 20.0)[0]
    found = group_probabilities([group or "rest" for group, _ in rows], probability)
    assert sum(found.values()) == pytest.approx(1)
    assert list(found.values()) == sorted(found.values(), reverse=True)
