"""Evaluations of embeddings and of written results; linear probes beside zero-shot classification."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, top_k_accuracy_score

from clipcli.cache.embeddings import ModelFacts
from clipcli.errors import InputError
from clipcli.evaluation.by_embeddings import evaluate_embeddings
from clipcli.evaluation.evaluate import (
    Embedded,
    Evaluation,
    compare,
    confusion_table,
)
from clipcli.evaluation.linear_probe import STRENGTH, few_shot_split, linear_probe, probe
from clipcli.evaluation.plain_values import as_json
from clipcli.evaluation.records import evaluate_records
from clipcli.labels.files import Label
from clipcli.outputs.readers import ReadRecord
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.scoring.zeroshot import Score, normalise

DIGITS = [str(digit) for digit in range(10)]


def embedded_digits() -> Embedded:
    """Real images in a space of their own: scikit-learn's digits, centred and normalised."""
    digits = load_digits()
    vectors = normalise((digits.data - digits.data.mean(axis=0)).astype(np.float32))
    labels = tuple(str(target) for target in digits.target)
    return Embedded(tuple(f"{number}.png" for number in range(len(labels))), labels, vectors)


def nearest_mean(images: Embedded, seed: int | None = None) -> ClassEmbeddings:
    """Class embeddings that know what the digits look like, or guess."""
    truth = np.array(images.labels)
    if seed is None:
        rows = normalise(np.stack([images.vectors[truth == digit].mean(axis=0) for digit in DIGITS]))
    else:
        rows = normalise(np.random.default_rng(seed).normal(size=(10, images.vectors.shape[1])).astype(np.float32))
    facts = ModelFacts("digits", None, rows.shape[1], 20.0, None)
    return ClassEmbeddings(tuple(DIGITS), (None,) * 10, tuple((digit,) for digit in DIGITS), rows, "0", facts)


LABELS = [Label(digit) for digit in DIGITS]


@pytest.fixture(scope="module")
def images() -> Embedded:
    return embedded_digits()


@pytest.fixture(scope="module")
def evaluation(images: Embedded) -> Evaluation:
    return evaluate_embeddings("digits", images, LABELS, nearest_mean(images))


# --- embeddings -------------------------------------------------------------------------------------


def test_an_evaluation_agrees_with_scikit_learn_to_the_last_digit(images: Embedded, evaluation: Evaluation) -> None:
    classes = nearest_mean(images)
    similarity = images.vectors.astype(float) @ classes.vectors.T.astype(float)
    truth = np.array(images.labels).astype(int)
    predicted = similarity.argmax(axis=1)
    assert evaluation.top1.value == accuracy_score(truth, predicted)
    assert evaluation.top5 is not None
    assert evaluation.top5.value == top_k_accuracy_score(truth, similarity, k=5)
    assert (confusion_table(evaluation) == confusion_matrix(truth, predicted)).all()
    assert 0.8 < evaluation.top1.value < 1.0


def test_the_order_of_the_labels_changes_nothing(images: Embedded, evaluation: Evaluation) -> None:
    classes = nearest_mean(images)
    turned = ClassEmbeddings(
        classes.labels[::-1], classes.groups, classes.prompts[::-1], classes.vectors[::-1], "0", classes.facts
    )
    other = evaluate_embeddings("turned", images, LABELS[::-1], turned)
    assert other.top1 == evaluation.top1
    assert other.top5 == evaluation.top5
    assert other.mean_per_class.value == pytest.approx(evaluation.mean_per_class.value)
    assert other.calibration.temperature == pytest.approx(evaluation.calibration.temperature)


def test_five_labels_have_no_top_five(images: Embedded) -> None:
    few = np.flatnonzero(np.isin(images.labels, DIGITS[:5]))
    some = Embedded(tuple(images.paths[i] for i in few), tuple(images.labels[i] for i in few), images.vectors[few])
    classes = nearest_mean(images)
    first = ClassEmbeddings(
        classes.labels[:5], classes.groups[:5], classes.prompts[:5], classes.vectors[:5], "0", classes.facts
    )
    assert evaluate_embeddings("few", some, LABELS[:5], first).top5 is None


def test_knowing_is_more_than_guessing_and_says_so(images: Embedded, evaluation: Evaluation) -> None:
    guessed = evaluate_embeddings("guessed", images, LABELS, nearest_mean(images, seed=0))
    gain = compare(guessed, evaluation)
    assert gain is not None
    assert gain.value == pytest.approx(evaluation.top1.value - guessed.top1.value)
    assert gain.is_beyond_noise
    assert [entry["top1_more_than_first"] is None for entry in as_json([guessed, evaluation])] == [True, False]


def test_the_answer_by_group_is_the_group_with_the_highest_sum(images: Embedded) -> None:
    labels = [Label(digit, group="odd" if int(digit) % 2 else "even") for digit in DIGITS]
    said = tuple(digit if int(digit) > 4 else ("odd" if int(digit) % 2 else "even") for digit in images.labels)
    classes = nearest_mean(images)
    found = evaluate_embeddings("digits", Embedded(images.paths, said, images.vectors), labels, classes, by_group=True)
    logits = 20.0 * images.vectors.astype(float) @ classes.vectors.T.astype(float)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    odd = shares[:, 1::2].sum(axis=1)
    assert found.labels == ("even", "odd")
    assert found.top1.value == np.mean((odd > 0.5) == (np.array(images.labels).astype(int) % 2 == 1))
    assert found.probability == pytest.approx(np.maximum(odd, 1 - odd))
    assert (found.top5, found.calibration.temperature) == (None, None)


# --- results ----------------------------------------------------------------------------------------


def result(path: str, *ranking: str, label: str | None = None) -> ReadRecord:
    scores = tuple(Score(name, 0.5 / place, 0.3 / place) for place, name in enumerate(ranking, start=1))
    return ReadRecord(path, label or ranking[0], scores[0].probability, None, scores)


def test_results_are_evaluated_as_they_were_written() -> None:
    matched = [
        (result("a", "cat", "dog"), "cat"),
        (result("b", "dog", "cat"), "cat"),
        (result("c", "dog", "cat"), "dog"),
    ]
    found = evaluate_records("results", matched)
    assert found.labels == ("cat", "dog")
    assert found.top1.value == pytest.approx(2 / 3)
    assert found.mean_per_class.value == pytest.approx(0.75)
    assert found.top5 is None
    assert confusion_table(found).tolist() == [[1, 1], [0, 1]]


def test_the_mean_f1_of_the_classes_is_scikit_learns() -> None:
    matched = [
        (result(str(place), got, "ox"), said) for place, (said, got) in enumerate(zip("aabbc", "abbca", strict=True))
    ]
    found = evaluate_records("results", matched)
    assert found.macro_f1 == f1_score(list("aabbc"), list("abbca"), average="macro")


def test_results_of_two_labels_per_image_say_why_there_is_no_top_5(logged: list[str]) -> None:
    records = [(result("a", "cat", "dog"), "cat")]
    assert evaluate_records("r.csv", records, None, [*"abcde", "cat", "dog"]).top5 is None
    assert "r.csv: no top-5 accuracy, because it lists fewer than five labels per image (use --top-k 5)" in logged


def test_an_image_that_nothing_was_said_of_counts_as_wrong() -> None:
    matched = [(result("a", "cat", "dog", label="unknown"), "cat"), (result("b", "dog", "cat"), "dog")]
    found = evaluate_records("results", matched)
    assert found.labels == ("cat", "dog", "unknown")
    assert found.top1.value == 0.5


def test_results_with_five_labels_each_have_a_top_five() -> None:
    names = [f"label {number}" for number in range(7)]
    matched = [(result("a", *names[:5]), names[4]), (result("b", *names[2:]), names[0])]
    found = evaluate_records("results", matched)
    assert found.top5 is not None
    assert found.top5.value == 0.5


def test_the_truth_may_call_labels_by_their_folders() -> None:
    found = evaluate_records(
        "results", [(result("a", "cat", "dog"), "n01")], [Label("cat", folder="n01"), Label("dog")]
    )
    assert found.top1.value == 1.0


def test_failures_alone_are_nothing_to_evaluate() -> None:
    with pytest.raises(InputError, match="all results are failures"):
        evaluate_records("results", [(ReadRecord("a", None, None, "empty"), "cat")])


# --- linear probes ----------------------------------------------------------------------------------


def test_a_linear_probe_is_scikit_learns_logistic_regression(images: Embedded) -> None:
    truth = np.array(images.labels).astype(np.intp)
    fitted, tested = few_shot_split(truth, 8, 0, DIGITS)
    ours = linear_probe(images.vectors, truth, fitted, tested)
    theirs = LogisticRegression(C=STRENGTH, max_iter=1000, random_state=0).fit(images.vectors[fitted], truth[fitted])
    assert (ours == theirs.predict(images.vectors[tested])).all()
    assert (ours == truth[tested]).mean() > 0.85


def test_few_shots_are_drawn_evenly_and_never_tested_on(images: Embedded) -> None:
    truth = np.array(images.labels).astype(np.intp)
    fitted, tested = few_shot_split(truth, 3, 1, DIGITS)
    assert np.bincount(truth[fitted]).tolist() == [3] * 10
    assert not set(fitted) & set(tested)
    assert len(fitted) + len(tested) == len(truth)
    assert set(fitted) != set(few_shot_split(truth, 3, 2, DIGITS)[0])


def test_a_probe_is_compared_on_the_images_it_did_not_see(images: Embedded) -> None:
    guessed = evaluate_embeddings("guessed", images, LABELS, nearest_mean(images, seed=0))
    found = probe("digits", images.vectors, guessed, 4, STRENGTH, seed=0)
    assert found.tested == len(images.paths) - 40
    assert found.gain.is_beyond_noise
    assert found.gain.value == pytest.approx(found.accuracy.value - found.zero_shot.value)


def test_a_class_with_too_few_images_is_named() -> None:
    with pytest.raises(
        InputError, match="cannot use --few-shot 2: it needs at least 3 images per class; too few of 'b'"
    ):
        few_shot_split(np.array([0, 0, 0, 1, 1]), 2, 0, ["a", "b"])
