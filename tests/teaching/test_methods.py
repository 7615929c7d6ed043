"""Classifiers from words and examples, on scikit-learn's digits in a space of their own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from clipcli.evaluation.linear_probe import STRENGTH
from clipcli.evaluation.metrics import expected_calibration_error
from clipcli.scoring.scores import score
from clipcli.scoring.zeroshot import normalise
from clipcli.teaching.methods import Candidate, Fitted, Material, fit, prototypes
from clipcli.teaching.selection import choose, folds_of


def digits() -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return embeddings of digits that have a direction in common, as those of images have in CLIP's space."""
    found = load_digits()
    content = normalise((found.data - found.data.mean(axis=0)).astype(np.float32))
    common = np.tile(np.array([1.0, 0.0], np.float32), (len(content), 1))
    return normalise(np.concatenate([content, common], axis=1)), found.target.astype(np.intp)


VECTORS, TRUTH = digits()
MEANS = np.stack([VECTORS[digit == TRUTH, :64].mean(axis=0) for digit in range(10)])


def words() -> NDArray[np.float32]:
    """Return class embeddings that know something of the digits, and have another direction in common, as texts do."""
    content = normalise((MEANS + 0.11 * np.random.default_rng(1).normal(size=MEANS.shape)).astype(np.float32))
    common = np.tile(np.array([0.0, 1.0], np.float32), (len(content), 1))
    return normalise(np.concatenate([content, common], axis=1))


def drawn(shots: int, seed: int = 0, classes: int = 10, bias: float | None = None) -> tuple[Material, NDArray[np.intp]]:
    """Return some examples of the first classes, and the other images."""
    random = np.random.default_rng(seed)
    rows = np.concatenate([random.permutation(np.flatnonzero(digit == TRUTH))[:shots] for digit in range(classes)])
    return Material(words(), VECTORS[rows], TRUTH[rows], 50.0, bias), np.setdiff1d(np.arange(len(TRUTH)), rows)


def accuracy(fitted: Fitted, rows: NDArray[np.intp]) -> float:
    return float((fitted.logits(VECTORS[rows]).argmax(axis=1) == TRUTH[rows]).mean())


# --- methods ----------------------------------------------------------------------------------------


def test_the_logistic_method_is_that_of_scikit_learn_to_the_last_digit() -> None:
    material, others = drawn(4)
    fitted = fit(material, Candidate("logistic", 1.0), STRENGTH)
    direct = LogisticRegression(C=STRENGTH, max_iter=1000, random_state=0).fit(material.vectors, material.truth)
    assert fitted.head is not None
    np.testing.assert_array_equal(fitted.head.weights, direct.coef_.astype(np.float32))
    np.testing.assert_array_equal(fitted.head.bias, direct.intercept_)
    found = fitted.logits(VECTORS[others]).argmax(axis=1)
    np.testing.assert_array_equal(found, direct.predict(VECTORS[others]))


def test_two_classes_have_the_probabilities_of_scikit_learn() -> None:
    material, _ = drawn(8, classes=2)
    two = Material(material.text[:2], material.vectors, material.truth, 50.0)
    fitted = fit(two, Candidate("logistic", 1.0), STRENGTH)
    direct = LogisticRegression(C=STRENGTH, max_iter=1000, random_state=0).fit(two.vectors, two.truth)
    some = VECTORS[TRUTH < 2]
    found = score(some, fitted.vectors, fitted.scale, None, fitted.head).probability
    np.testing.assert_allclose(found, direct.predict_proba(some), atol=1e-5)


def test_prototypes_are_the_normalised_centroids_of_scikit_learn() -> None:
    material, _ = drawn(5)
    centroids = NearestCentroid().fit(material.vectors, material.truth).centroids_
    np.testing.assert_allclose(prototypes(material), normalise(centroids), atol=1e-6)


def test_words_alone_are_the_classes_of_the_words() -> None:
    material, _ = drawn(3)
    fitted = fit(material, Candidate("text", 0.0), STRENGTH)
    assert (fitted.head, fitted.scale) == (None, 50.0)
    np.testing.assert_array_equal(fitted.vectors, material.text)


@pytest.mark.parametrize(("classes", "shots"), [(1, 4), (1, 8), (2, 4)])
def test_classes_that_words_do_not_capture_are_taught_among_words(classes: int, shots: int) -> None:
    material, others = drawn(shots, classes=classes)
    text, random = material.text.copy(), np.random.default_rng(5)
    text[:classes, :64] = normalise(random.normal(size=(classes, 64)).astype(np.float32)) / np.sqrt(2)
    material = Material(text, material.vectors, material.truth, 50.0)
    before, after = (choose(material, method).fitted for method in ("text", "auto"))
    named, other = others[TRUTH[others] < classes], others[TRUTH[others] >= classes]
    assert accuracy(after, named) > accuracy(before, named) + 0.05
    assert accuracy(after, other) > accuracy(before, other) - 0.1
    assert accuracy(after, others) > accuracy(before, others) + 0.02


@pytest.mark.parametrize("classes", [1, 2])
def test_good_words_stay_good_beside_classes_with_examples(classes: int) -> None:
    material, others = drawn(4, classes=classes)
    before, after = (choose(material, method).fitted for method in ("text", "auto"))
    assert accuracy(after, others) > accuracy(before, others) - 0.02


# --- the choice -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shots", [1, 2, 4, 8])
def test_words_and_examples_are_no_worse_than_the_better_of_both(shots: int) -> None:
    found: dict[str, list[float]] = {"text": [], "prototypes": [], "auto": []}
    for seed in range(3):
        material, others = drawn(shots, seed)
        for method, values in found.items():
            values.append(accuracy(choose(material, method).fitted, others))
    means = {method: np.mean(values) for method, values in found.items()}
    assert means["auto"] > max(means["text"], means["prototypes"]) - 0.01


def test_probabilities_are_honest_on_other_images() -> None:
    material, others = drawn(16)
    raw = fit(material, choose(material).candidate, STRENGTH)
    fitted = choose(material).fitted

    def error(each: Fitted) -> float:
        found = score(VECTORS[others], each.vectors, each.scale, None, each.head)
        return expected_calibration_error(found.probability.max(axis=1), found.ranked.argmax(axis=1) == TRUTH[others])

    assert error(fitted) < 0.05
    assert error(fitted) <= error(raw) + 0.01


def test_the_classes_of_a_sigmoid_model_have_probabilities_one_by_one() -> None:
    material, others = drawn(8, bias=-20.0)
    fitted = choose(material).fitted
    found = score(VECTORS[others], fitted.vectors, fitted.scale, -20.0, fitted.head).probability
    right = TRUTH[others][:, None] == np.arange(10)
    assert abs(float(found.mean()) - float(right.mean())) < 0.02
    assert expected_calibration_error(found.ravel(), right.ravel()) < 0.03


def test_the_choice_is_the_same_each_time() -> None:
    material, _ = drawn(4)
    assert choose(material).candidate == choose(material).candidate
    np.testing.assert_array_equal(choose(material).fitted.vectors, choose(material).fitted.vectors)


def test_the_only_example_of_a_class_is_never_left_out() -> None:
    truth = np.array([0, 0, 0, 1, 2, 2, 2, 2])
    splits = list(folds_of(truth, 5, 0))
    assert len(splits) == 3
    for fitted, left_out in splits:
        assert 3 in fitted
        assert sorted([*fitted, *left_out]) == list(range(8))
        assert set(truth[fitted]) == {0, 1, 2}
    assert sorted(row for _, left_out in splits for row in left_out) == [0, 1, 2, 4, 5, 6, 7]


def test_one_example_each_is_mixed_with_the_words_without_comparison() -> None:
    material, _ = drawn(1)
    choice = choose(material)
    assert (choice.candidate.method, choice.trials, choice.accuracy) == ("mixed", (), None)
