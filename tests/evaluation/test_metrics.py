"""Figures agree with scikit-learn to the last digit, and calibration with examples worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from clipcli.evaluation.metrics import (
    accuracy_interval,
    best_first,
    calibrate,
    class_reports,
    confusions,
    difference_interval,
    expected_calibration_error,
    fit_temperature,
    hits_within,
    mean_per_class_interval,
    reliability,
)


def scored(seed: int, images: int = 200, classes: int = 12) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the truth of some images, not of every class, and similarities that lean towards it."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes - 2, images).astype(np.intp)
    scores = random.normal(size=(images, classes))
    scores[np.arange(images), truth] += 1.0
    return truth, scores


# --- accuracies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_accuracies_are_scikit_learns(seed: int) -> None:
    truth, scores = scored(seed)
    ranking = best_first(scores)
    predicted = ranking[:, 0]
    assert accuracy_interval(predicted == truth).value == accuracy_score(truth, predicted)
    every = range(scores.shape[1])
    for k in (1, 2, 5):
        assert hits_within(ranking, truth, k).mean() == top_k_accuracy_score(truth, scores, k=k, labels=every)
    assert mean_per_class_interval(predicted == truth, truth).value == balanced_accuracy_score(truth, predicted)


def test_reports_of_classes_are_scikit_learns_and_undefined_figures_are_absent() -> None:
    truth, scores = scored(0)
    predicted = best_first(scores)[:, 0]
    predicted[predicted == 3] = 4
    labels = [f"class {number}" for number in range(12)]
    reports = class_reports(labels, truth, predicted)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(12), zero_division=np.nan
    )
    for figures, expected in (
        ([each.precision for each in reports], precision), ([each.recall for each in reports], recall),
        ([each.f1 for each in reports], f1),
    ):  # fmt: skip
        np.testing.assert_array_equal(np.array(figures, dtype=float), expected)
    assert [each.support for each in reports] == support.tolist()
    assert (reports[3].predicted, reports[3].precision, reports[3].precision_interval, reports[3].f1) == (
        0,
        None,
        None,
        0,
    )
    assert (reports[-1].support, reports[-1].recall, reports[-1].recall_interval) == (0, None, None)


def test_the_figures_of_a_class_have_the_interval_of_their_images() -> None:
    truth, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 0, 1])
    report = class_reports(["a", "b"], truth, predicted)[0]
    of_four = accuracy_interval(np.array([True, True, True, False]))  # three of four in both
    assert (report.precision, report.recall) == (0.75, 0.75)
    assert report.precision_interval == report.recall_interval == (of_four.low, of_four.high)


def test_equal_scores_keep_the_order_of_the_labels() -> None:
    assert best_first(np.array([[0.5, 0.9, 0.5, 0.9]])).tolist() == [[1, 3, 0, 2]]


# --- intervals --------------------------------------------------------------------------------------


def test_an_accuracys_interval_is_the_bootstraps_for_many_images() -> None:
    hits = np.arange(300) % 5 > 0
    ours = accuracy_interval(hits)
    theirs = bootstrap((hits,), np.mean, method="percentile", n_resamples=10_000, rng=1).confidence_interval
    assert ours.value == 0.8
    assert ours.low == pytest.approx(theirs.low, abs=0.006)
    assert ours.high == pytest.approx(theirs.high, abs=0.006)


def test_three_right_of_three_are_not_certain() -> None:
    """Wilson's interval, by hand: 3 / (3 + 1.96²) to 1."""
    ours = accuracy_interval(np.ones(3, bool))
    assert (ours.value, ours.high) == (1.0, 1.0)
    assert ours.low == pytest.approx(3 / (3 + 1.959964**2), abs=1e-6)


@pytest.mark.parametrize(("count", "changed", "significant"), [(552, 4, False), (552, 5, False), (552, 6, True)])
def test_a_difference_is_significant_only_if_the_exact_test_says_so(
    count: int, changed: int, significant: bool
) -> None:
    first = np.ones(count, bool)
    second = np.arange(count) >= changed
    assert bool(binomtest(0, changed).pvalue < 0.05) is significant
    for one, other in ((first, second), (second, first)):
        gain = difference_interval(one, other)
        assert gain.low <= gain.value <= gain.high
        assert gain.is_beyond_noise is significant


@given(
    outcomes=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60),
)
def test_a_differences_interval_contains_it_and_agrees_with_the_exact_test(outcomes: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(each) for each in zip(*outcomes, strict=True))
    gain, back = difference_interval(first, second), difference_interval(second, first)
    assert -1.0 <= gain.low <= gain.value <= gain.high <= 1.0
    assert (gain.low, gain.high) == pytest.approx((-back.high, -back.low))
    won, lost = int((second & ~first).sum()), int((first & ~second).sum())
    if gain.is_beyond_noise:
        assert binomtest(won, won + lost).pvalue < 0.05


def test_a_differences_interval_is_the_paired_bootstraps() -> None:
    random = np.random.default_rng(3)
    hard = random.random(400)
    first, second = hard < 0.7, (hard < 0.72) ^ (random.random(400) < 0.02)
    ours = difference_interval(first, second)
    gains = second.astype(float) - first
    theirs = bootstrap((gains,), np.mean, method="percentile", n_resamples=10_000, rng=1).confidence_interval
    assert ours.value == pytest.approx(gains.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.003)
    assert ours.high == pytest.approx(theirs.high, abs=0.003)


def test_the_mean_per_classes_interval_is_the_stratified_bootstraps_if_classes_are_large() -> None:
    random = np.random.default_rng(5)
    truth = np.repeat(np.arange(8), [400, 300, 100, 100, 60, 60, 60, 60])
    hits = random.random(len(truth)) < 0.5 + truth / 20
    ours = mean_per_class_interval(hits, truth)
    classes = [hits[truth == each] for each in range(8)]
    draws = [np.mean([random.choice(each, len(each)).mean() for each in classes]) for _ in range(2000)]
    assert ours.low == pytest.approx(np.quantile(draws, 0.025), abs=0.005)
    assert ours.high == pytest.approx(np.quantile(draws, 0.975), abs=0.005)


@pytest.mark.parametrize("images", [1, 2, 3])
def test_the_mean_per_classes_interval_covers_the_value_with_few_images_per_class(images: int) -> None:
    random = np.random.default_rng(7)
    truth = np.repeat(np.arange(30), images)
    chances = random.uniform(0.3, 1.0, 30)
    found = [mean_per_class_interval(random.random(len(truth)) < chances[truth], truth) for _ in range(400)]
    covered = np.mean([each.low <= chances.mean() <= each.high for each in found])
    assert 0.92 < covered <= 0.99


def test_the_order_of_the_classes_does_not_change_the_interval_of_their_mean() -> None:
    truth, scores = scored(1)
    hits = best_first(scores)[:, 0] == truth
    assert mean_per_class_interval(hits, truth) == mean_per_class_interval(hits, 11 - truth)


def test_one_image_of_each_class_leaves_the_mean_as_unsure_as_the_accuracy() -> None:
    hits = np.arange(200) % 5 > 0
    one_each = mean_per_class_interval(hits, np.arange(200, dtype=np.intp))
    assert one_each.low == pytest.approx(accuracy_interval(hits).low, abs=0.02)
    assert one_each.high == pytest.approx(accuracy_interval(hits).high, abs=0.02)


def test_nothing_is_won_by_the_same_answers() -> None:
    hits = np.arange(50) % 3 == 0
    gain = difference_interval(hits, hits)
    assert gain.value == 0.0
    assert gain.low == -gain.high < 0.0
    assert not gain.is_beyond_noise


def test_a_large_gain_is_beyond_noise() -> None:
    first = np.arange(200) % 2 == 0
    assert difference_interval(first, np.ones(200, bool)).is_beyond_noise
    assert difference_interval(np.ones(200, bool), first).is_beyond_noise


# --- calibration ------------------------------------------------------------------------------------


def test_the_calibration_error_of_a_hand_worked_example() -> None:
    """Four bins: 0.2 and 0.25 | 0.5 | 0.6 and 0.7 | 0.9, with one of two, none, one of two and one right.

    Gaps: |0.5 - 0.225|, |0 - 0.5|, |0.5 - 0.65|, |1 - 0.9|; weights 2, 1, 2 and 1 of 6.
    """
    probability = np.array([0.2, 0.25, 0.5, 0.6, 0.7, 0.9])
    hits = np.array([True, False, False, True, False, True])
    expected = (2 * 0.275 + 1 * 0.5 + 2 * 0.15 + 1 * 0.1) / 6
    assert expected_calibration_error(probability, hits, bins=4) == pytest.approx(expected, abs=1e-12)


def test_a_bin_ends_with_its_upper_bound() -> None:
    rows = reliability(np.array([0.5, 0.5000001, 1.0, 0.0]), np.array([True, False, True, False]), bins=2)
    assert [row[0] for row in rows] == [2, 2]


@given(st.floats(0.2, 5.0))
@settings(max_examples=20, deadline=None)
def test_the_temperature_that_logits_were_heated_with_is_found(heat: float) -> None:
    random = np.random.default_rng(0)
    logits = 3 * random.normal(size=(4000, 6))
    truth = (softmax(logits, axis=1).cumsum(axis=1) > random.random((4000, 1))).argmax(axis=1)
    assert fit_temperature(heat * logits, truth) == pytest.approx(heat, rel=0.08)


def test_a_temperature_mends_the_calibration_of_a_model_too_sure_of_itself() -> None:
    random = np.random.default_rng(1)
    logits = 2 * random.normal(size=(4000, 6))
    truth = (softmax(logits, axis=1).cumsum(axis=1) > random.random((4000, 1))).argmax(axis=1)
    found = calibrate(4 * logits, truth)
    assert found.temperature == pytest.approx(4, rel=0.1)
    assert found.error_after is not None
    assert found.error > 0.15
    assert found.error_after < 0.04


def test_images_that_are_all_right_give_no_temperature() -> None:
    found = calibrate(np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([1, 0]))
    assert (found.temperature, found.error_after) == (None, None)
    assert found.error > 0


def test_a_single_mistake_is_too_little_to_test_a_temperature_on() -> None:
    found = calibrate(np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 1.0]]), np.array([1, 0, 0]))
    assert found.temperature is not None
    assert found.error_after is None


# --- confusions -------------------------------------------------------------------------------------


def test_confusions_come_most_frequent_first_with_the_most_confident_mistakes() -> None:
    truth = np.array([0, 0, 0, 1, 2, 2], np.intp)
    predicted = np.array([1, 1, 0, 1, 0, 1], np.intp)
    probability = np.array([0.4, 0.9, 0.8, 0.8, 0.5, 0.6])
    found = confusions(["a", "b", "c"], truth, predicted, probability)
    assert [(each.truth, each.predicted, each.count, each.images) for each in found] == [
        ("a", "b", 2, (1, 0)),
        ("c", "a", 1, (4,)),
        ("c", "b", 1, (5,)),
    ]


def test_no_mistake_no_confusion() -> None:
    same = np.array([0, 1], np.intp)
    assert confusions(["a", "b"], same, same, np.ones(2)) == []
