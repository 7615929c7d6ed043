"""Answers in a tree of groups: of real arithmetic on embeddings made for the case."""

from __future__ import annotations

import numpy as np

from clipcli.cache.embeddings import ModelFacts
from clipcli.inputs.items import FileInput
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.predictions import Prediction
from clipcli.pipeline.rank import Ranker
from clipcli.scoring.thresholds import Thresholds

LABELS = {"dog": "animal", "owl": "animal/bird", "hawk": "animal/bird", "car": "machine"}


def answer(*cosines: float, level: int | None = None) -> Prediction:
    """The answer for an image with these cosines to the labels, with a scale of 10."""
    vectors = np.eye(4, 5, dtype=np.float32)
    facts = ModelFacts("made", None, 5, 10.0, None)
    prompts = tuple((label,) for label in LABELS)
    classes = ClassEmbeddings(tuple(LABELS), tuple(LABELS.values()), prompts, vectors, "0", facts)
    ranker = Ranker(classes, 4, Thresholds(probability=0.5), "made", None, "fp32", level=level)
    image = np.array([*cosines, np.sqrt(1 - np.square(cosines).sum())], dtype=np.float32)
    (found,) = ranker.results([(FileInput("a.png", "a.png"), image)])
    assert isinstance(found, Prediction)
    return found


def test_a_label_next_to_a_group_is_not_answered_by_that_group() -> None:
    found = answer(0.6, 0.2, 0.2, 0.0)
    assert (found.label, found.node, found.group) == ("dog", "animal/dog", "animal")
    assert answer(0.6, 0.2, 0.2, 0.0, level=2).node == "animal"


def test_labels_that_tie_are_answered_by_their_group() -> None:
    found = answer(0.0, 0.5, 0.5, 0.0)
    assert (found.label, found.node, found.group) == ("unknown", "animal/bird", "unknown")
