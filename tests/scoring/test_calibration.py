"""Calibration makes probabilities honest, and thresholds keep what they promise on other images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_score

from clipcli.evaluation.metrics import expected_calibration_error
from clipcli.scoring.calibration import (
    NEVER,
    conformal_threshold,
    f1_threshold,
    fit_odds,
    precision_threshold,
    unknown_threshold,
)
from clipcli.scoring.odds import sigmoid

Column = NDArray[np.float64]


def overconfident(seed: int, count: int = 4000) -> tuple[Column, NDArray[np.bool_]]:
    """Log-odds three times too large, with a bias, and the truth."""
    generator = np.random.default_rng(seed)
    true_odds = generator.normal(-1, 1.5, size=(count, 2))
    return 3 * true_odds + 2, generator.random((count, 2)) < sigmoid(true_odds)


def test_scale_and_bias_are_those_of_a_logistic_regression_and_undo_what_was_wrong() -> None:
    odds, truth = overconfident(0)
    found = fit_odds(odds, truth)
    assert found is not None
    theirs = LogisticRegression(C=1e6, max_iter=1000).fit(odds.reshape(-1, 1), truth.ravel())
    assert (found.scale, found.bias) == (theirs.coef_[0, 0], theirs.intercept_[0])
    assert (found.scale, found.bias) == pytest.approx((1 / 3, -2 / 3), abs=0.05)
    others, right = overconfident(1)
    before, after = (
        expected_calibration_error(sigmoid(each).ravel(), right.ravel()) for each in (others, found.odds(others))
    )
    assert before > 0.05
    assert after < before / 5


@pytest.mark.parametrize("truth", [[[True]], [[False]], [[True, False]]])
def test_scores_that_say_nothing_have_no_calibration(truth: list[list[bool]]) -> None:
    odds = np.array([[-1.0, 1.0]])[:, : len(truth[0])]
    assert fit_odds(odds, np.array(truth)) is None


@pytest.mark.parametrize("precision", [0.5, 0.8, 0.9])
def test_a_threshold_for_a_precision_keeps_it_on_other_images(precision: float) -> None:
    (odds, truth), (others, right) = overconfident(2), overconfident(3)
    least = precision_threshold(sigmoid(odds[:, 0]), truth[:, 0], precision)
    assert precision_score(right[:, 0], sigmoid(others[:, 0]) >= least) == pytest.approx(precision, abs=0.05)
    lower = sigmoid(odds[:, 0]) >= least - 0.1
    assert precision_score(truth[:, 0], lower) < precision


def test_no_threshold_has_a_precision_that_a_label_never_has() -> None:
    assert precision_threshold(np.array([0.9, 0.8]), np.array([False, False]), 0.5) == NEVER
    assert f1_threshold(np.array([0.9, 0.8]), np.array([False, False])) == NEVER
    assert precision_threshold(np.array([0.9]), np.array([True]), 0.8) == NEVER  # one image is no evidence


def test_a_threshold_for_f1_is_the_best_of_all() -> None:
    odds, truth = overconfident(4, 300)
    probability = np.round(sigmoid(odds[:, 0]), 2)  # with ties
    found = f1_score(truth[:, 0], probability >= f1_threshold(probability, truth[:, 0]))
    every = [f1_score(truth[:, 0], probability >= each) for each in np.unique(probability)]
    assert found == pytest.approx(max(every))


def test_answers_above_the_threshold_for_unknown_are_wrong_as_often_as_wanted() -> None:
    (odds, truth), (others, right) = overconfident(5), overconfident(6)
    least = unknown_threshold(sigmoid(odds[:, 0]), truth[:, 0], 0.2)
    answered = sigmoid(others[:, 0]) >= least
    assert (~right[answered, 0]).mean() == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.99])
def test_sets_contain_the_right_label_as_often_as_wanted(coverage: float) -> None:
    generator = np.random.default_rng(7)
    logits = generator.normal(0, 2, size=(4000, 6))
    probability = softmax(logits, axis=1)
    truth = np.array([generator.choice(6, p=row) for row in probability])
    least = conformal_threshold(probability[:2000], truth[:2000], coverage)
    inside = probability[2000:] >= least
    assert inside[np.arange(2000), truth[2000:]].mean() == pytest.approx(coverage, abs=0.03)


def test_few_images_give_sets_of_all_labels() -> None:
    assert conformal_threshold(np.array([[0.9, 0.1]]), np.array([0]), 0.9) == 0.0
