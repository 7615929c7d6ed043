"""Log-odds are those of the probabilities that the formulas give, and keep the order where these are rounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, softmax

from clipcli.scoring.odds import log_odds, sigmoid
from clipcli.scoring.tags import rank_tags
from clipcli.scoring.thresholds import UNKNOWN

LOGITS = st.floats(-50, 50)


@st.composite
def rows(draw: st.DrawFn, least: int = 1) -> NDArray[np.float64]:
    count, width = draw(st.integers(1, 4)), draw(st.integers(least, 6))
    values = draw(st.lists(LOGITS, min_size=count * width, max_size=count * width))
    return np.array(values).reshape(count, width)


@given(rows(least=2))
def test_the_odds_of_a_softmax_are_those_of_its_probabilities(logits: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(sigmoid(log_odds("softmax", logits)), softmax(logits, axis=1), rtol=1e-9, atol=1e-15)


@given(rows(least=3))
def test_competitors_take_their_share_of_a_softmax(every: NDArray[np.float64]) -> None:
    found = sigmoid(log_odds("softmax", every[:, :-1], None, every[:, -1:], [()] * (every.shape[1] - 1)))
    np.testing.assert_allclose(found, softmax(every, axis=1)[:, :-1], rtol=1e-9, atol=1e-15)


@given(rows(), st.floats(-20, 5))
def test_a_sigmoid_without_competitors_is_that_of_the_logit_and_the_bias(
    logits: NDArray[np.float64], bias: float
) -> None:
    np.testing.assert_allclose(sigmoid(log_odds("sigmoid", logits, bias)), expit(logits + bias), atol=1e-15)


@given(rows(least=2))
def test_contrast_with_one_competitor_is_a_softmax_of_two(every: NDArray[np.float64]) -> None:
    labels, other = every[:, :-1], every[:, -1:]
    found = sigmoid(log_odds("contrast", labels, None, other, [(0,)] * labels.shape[1]))
    for place in range(labels.shape[1]):
        pair = np.column_stack([labels[:, place], other[:, 0]])
        np.testing.assert_allclose(found[:, place], softmax(pair, axis=1)[:, 0], rtol=1e-9, atol=1e-15)


@given(rows(least=2))
@pytest.mark.parametrize("score", ["sigmoid", "contrast"])
def test_a_further_competitor_never_makes_a_label_more_probable(score: str, every: NDArray[np.float64]) -> None:
    label, others = every[:, :1], every[:, 1:]
    fewer = log_odds(score, label, -3.0, others, [(0,)])
    more = log_odds(score, label, -3.0, others, [tuple(range(others.shape[1]))])
    assert (more <= fewer + 1e-9).all()


def test_only_the_label_that_a_phrase_competes_with_is_affected() -> None:
    logits, other = np.array([[1.0, 1.0]]), np.array([[3.0]])
    odds = log_odds("sigmoid", logits, 0.0, other, [(0,), ()])
    assert odds[0, 0] < odds[0, 1] == 1.0


def test_labels_keep_their_order_where_both_probabilities_are_one() -> None:
    odds = log_odds("contrast", np.array([[90.0, 80.0]]), None, np.array([[10.0]]), [(0,), (0,)])
    assert (sigmoid(odds) == 1.0).all()
    assert odds[0, 0] > odds[0, 1]


def test_the_odds_of_a_label_with_nearly_all_of_a_softmax_are_exact() -> None:
    assert log_odds("softmax", np.array([[100.0, 0.0]]))[0, 0] == pytest.approx(100.0)


# --- tags -------------------------------------------------------------------------------------------


def tags(probability: list[float], thresholds: list[float], top_k: int = 3) -> tuple[str, list[str], list[str]]:
    values = np.array(probability)
    found, labels = rank_tags(("a", "b", "c"), values, values, values, top_k, np.array(thresholds))
    return found.label, [score.label for score in found.top], [score.label for score in labels]


def test_an_image_gets_all_labels_that_reach_their_threshold_best_first() -> None:
    assert tags([0.6, 0.2, 0.9], [0.5, 0.5, 0.5]) == ("c", ["c", "a", "b"], ["c", "a"])


def test_an_image_can_have_no_label() -> None:
    assert tags([0.4, 0.2, 0.3], [0.5, 0.5, 0.5]) == (UNKNOWN, ["a", "c", "b"], [])


def test_labels_that_reach_their_own_threshold_come_before_better_ones_that_do_not() -> None:
    assert tags([0.6, 0.2, 0.9], [0.5, 0.1, 0.95]) == ("a", ["a", "b", "c"], ["a", "b"])


def test_a_probability_equal_to_the_threshold_reaches_it() -> None:
    assert tags([0.5, 0.0, 0.0], [0.5, 0.5, 0.5])[2] == ["a"]


def test_all_labels_of_an_image_are_known_whatever_the_length_of_the_ranking() -> None:
    assert tags([0.6, 0.7, 0.9], [0.5, 0.5, 0.5], top_k=1) == ("c", ["c"], ["c", "b", "a"])
