"""Labels are scored each for itself, or with phrases that compete, and without either as before."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from clipcli.cache.embeddings import ModelFacts
from clipcli.errors import LabelError
from clipcli.inputs.discover import FileInput
from clipcli.pipeline.class_embeddings import ClassEmbeddings, Competitors
from clipcli.pipeline.predictions import Prediction
from clipcli.pipeline.rank import Ranker
from clipcli.pipeline.scorer import Tagging, TagOptions, score_labels, tag_options, with_background
from clipcli.scoring.thresholds import UNKNOWN, Thresholds
from clipcli.scoring.zeroshot import normalise, probabilities

AXES = np.eye(4, dtype=np.float32)
CLIP, SIGLIP = ModelFacts("axes", None, 4, 10.0, None), ModelFacts("axes", None, 4, 10.0, -5.0)


def classes_of(facts: ModelFacts = CLIP, **more: object) -> ClassEmbeddings:
    """Two labels on axes of their own; axis 2 is a wolf, axis 3 nothing in particular."""
    return replace(
        ClassEmbeddings(("dog", "cat"), (None, None), (("dog",), ("cat",)), AXES[:2], "0", facts),
        **more,  # type: ignore[arg-type]
    )


WOLF = Competitors(("wolf",), (("wolf",),), AXES[2:3], ((0,), ()))
BACKGROUND = Competitors(("a photo",), (("a photo",),), AXES[3:], ())


def image(*weights: float) -> np.ndarray:  # type: ignore[type-arg]
    return normalise(np.array([weights], dtype=np.float32))


def predicted(ranker: Ranker, vector: np.ndarray) -> Prediction:  # type: ignore[type-arg]
    (result,) = ranker.results([(FileInput("a.png", "a.png"), vector[0])])
    assert isinstance(result, Prediction)
    return result


def ranker(classes: ClassEmbeddings, tagging: Tagging | None = None, thresholds: Thresholds = Thresholds()) -> Ranker:  # noqa: B008
    return Ranker(classes, 5, thresholds, "axes", None, "fp32", tagging)


@pytest.mark.parametrize("facts", [CLIP, SIGLIP])
def test_without_tags_and_competitors_every_digit_is_that_of_the_plain_formula(facts: ModelFacts) -> None:
    vectors = normalise(np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32))
    scores = score_labels(vectors, classes_of(facts))
    expected = probabilities(scores.similarity, facts.logit_scale, facts.logit_bias)
    assert (scores.probability == expected).all()
    assert (scores.order == scores.similarity).all()


def test_an_image_that_fits_a_competing_phrase_best_is_unknown() -> None:
    with_wolf = ranker(classes_of(competitors=WOLF))
    assert predicted(with_wolf, image(0.5, 0, 0.8, 0)).label == UNKNOWN
    assert predicted(with_wolf, image(0.9, 0, 0.2, 0)).label == "dog"
    assert predicted(ranker(classes_of()), image(0.5, 0, 0.8, 0)).label == "dog"


def test_a_label_with_a_threshold_of_its_own_is_not_given_below_it() -> None:
    unsure = image(0.6, 0.55, 0, 0)
    assert predicted(ranker(classes_of()), unsure).label == "dog"
    assert predicted(ranker(classes_of(thresholds=(0.9, None))), unsure).label == UNKNOWN
    strict = Thresholds(probability=0.99)
    assert predicted(ranker(classes_of(thresholds=(0.1, None)), thresholds=strict), unsure).label == "dog"


def test_with_contrast_an_image_can_have_both_labels_or_none() -> None:
    both, contrast = with_background(classes_of(), BACKGROUND), Tagging("contrast")
    found = predicted(ranker(both, contrast), image(0.6, 0.7, 0, 0.1))
    assert [score.label for score in found.labels or ()] == ["cat", "dog"]
    assert predicted(ranker(both, contrast), image(0.1, 0.1, 0, 0.9)).labels == ()


def test_a_label_with_phrases_of_its_own_is_compared_with_them_and_others_with_the_background() -> None:
    classes = with_background(classes_of(competitors=WOLF), BACKGROUND)
    assert classes.competitors is not None
    assert classes.competitors.rivals == ((0,), (1,))
    found = predicted(ranker(classes, Tagging("contrast")), image(0.5, 0.5, 0.9, 0.1))
    assert [score.label for score in found.labels or ()] == ["cat"]


def test_a_threshold_of_a_label_takes_the_place_of_that_of_the_run() -> None:
    classes = with_background(classes_of(thresholds=(0.99, None)), BACKGROUND)
    found = predicted(ranker(classes, Tagging("contrast", 0.6)), image(0.5, 0.4, 0, 0.3))
    assert found.label == "cat"
    assert [score.label for score in found.labels or ()] == ["cat"]
    assert [score.label for score in found.top] == ["cat", "dog"]


def test_the_usual_score_is_that_of_the_model() -> None:
    assert TagOptions().tagging(classes_of(CLIP)).score == "contrast"
    assert TagOptions().tagging(classes_of(SIGLIP)).score == "sigmoid"


def test_a_ranker_that_was_sent_to_another_machine_gives_the_same_tags() -> None:
    here = ranker(with_background(classes_of(competitors=WOLF), BACKGROUND), Tagging("contrast", 0.3))
    there = pickle.loads(pickle.dumps(here))
    some = image(0.5, 0.4, 0.3, 0.2)
    assert predicted(there, some) == predicted(here, some)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"score": "cosine"}, "cannot use --score 'cosine': unknown (use softmax, sigmoid, contrast)"),
        ({"threshold": 1.5}, "cannot use --threshold 1.5"),
        ({"threshold": float("nan")}, "cannot use --threshold nan"),
    ],
)
def test_wrong_values_are_one_line(options: dict[str, object], reason: str) -> None:
    with pytest.raises(LabelError) as caught:
        TagOptions(**options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(reason)


def test_a_model_without_a_bias_has_no_sigmoid() -> None:
    with pytest.raises(LabelError, match="cannot use --score sigmoid with axes: it has no bias"):
        TagOptions("sigmoid").tagging(classes_of())


def test_a_label_cannot_contain_what_separates_labels() -> None:
    classes = replace(classes_of(), labels=("dog|wolf", "cat"))
    with pytest.raises(LabelError, match=r"cannot use label 'dog\|wolf' with --tags"):
        TagOptions().tagging(classes)


def test_values_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(LabelError, match="cannot use --score without --tags"):
        tag_options(False, "contrast", 0.5, Thresholds())
    with pytest.raises(LabelError, match="cannot use thresholds with --tags"):
        tag_options(True, None, 0.5, Thresholds(margin=0.1))
