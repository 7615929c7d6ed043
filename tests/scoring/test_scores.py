"""Scores of classes with and without a linear head."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from clipcli.scoring.scores import LinearHead, score
from clipcli.scoring.zeroshot import cosine_similarities, normalise, probabilities

RANDOM = np.random.default_rng(0)
IMAGES = normalise(RANDOM.normal(size=(7, 16)).astype(np.float32))
CLASSES = normalise(RANDOM.normal(size=(5, 16)).astype(np.float32))
HEAD = LinearHead(RANDOM.normal(size=(5, 16)).astype(np.float32), RANDOM.normal(size=5))


@pytest.mark.parametrize("bias", [None, -12.9], ids=["softmax", "sigmoid"])
def test_without_a_head_scores_are_those_of_cosines_to_the_last_digit(bias: float | None) -> None:
    found, cosines = score(IMAGES, CLASSES, 100.0, bias), cosine_similarities(IMAGES, CLASSES)
    np.testing.assert_array_equal(found.similarity, cosines)
    np.testing.assert_array_equal(found.ranked, cosines)
    np.testing.assert_array_equal(found.probability, probabilities(cosines, 100.0, bias))
    np.testing.assert_array_equal(found.logits, 100.0 * cosines)
    assert found.bias == bias


def test_a_head_gives_logits_and_their_softmax() -> None:
    found = score(IMAGES, CLASSES, 100.0, None, HEAD)
    logits = IMAGES.astype(float) @ HEAD.weights.T.astype(float) + HEAD.bias
    np.testing.assert_array_equal(found.ranked, logits)
    np.testing.assert_allclose(found.probability, softmax(logits, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(found.similarity, cosine_similarities(IMAGES, CLASSES))


def test_a_head_of_a_sigmoid_model_has_the_bias_in_it() -> None:
    found = score(IMAGES, CLASSES, 100.0, -12.9, HEAD)
    np.testing.assert_allclose(found.probability, expit(found.logits), rtol=1e-12)
    np.testing.assert_array_equal(found.logits, HEAD.logits(IMAGES))
    assert found.bias == 0.0
