"""Figures of tags are those of scikit-learn, to the last digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from clipcli.cache.embeddings import ModelFacts
from clipcli.errors import InputError
from clipcli.evaluation.compare import evaluate, evaluate_results
from clipcli.evaluation.evaluate import Embedded
from clipcli.evaluation.plain_values import tags_as_json
from clipcli.evaluation.tag_intervals import tag_intervals, weighted_average_precision
from clipcli.evaluation.tags import (
    TagEvaluation,
    evaluate_tag_records,
    evaluate_tags,
    make_tag_evaluation,
    tag_truth,
)
from clipcli.labels.label import Label
from clipcli.outputs.readers import ReadRecord
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.scorer import Tagging
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.zeroshot import Score, normalise

NAMES = ("cat", "indoor", "outdoor", "sun", "never")


def many(seed: int = 0, count: int = 300) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Scores that know something of the truth; the last label never occurs."""
    generator = np.random.default_rng(seed)
    truth = generator.random((count, len(NAMES))) < 0.3
    truth[:, -1] = False
    return truth, np.round(truth + generator.normal(scale=0.8, size=truth.shape), 2)  # rounded, so that there are ties


def test_every_figure_is_that_of_scikit_learn() -> None:
    truth, scores = many()
    predicted, occurs = scores >= 0.5, truth.any(axis=0)
    found = make_tag_evaluation("x", NAMES, [str(row) for row in range(len(truth))], truth, predicted, scores)
    assert found.mean_average_precision == average_precision_score(truth[:, occurs], scores[:, occurs], average="macro")
    assert found.micro_average_precision == average_precision_score(
        truth[:, occurs], scores[:, occurs], average="micro"
    )
    columns = precision_recall_fscore_support(truth, predicted, average=None, zero_division=np.nan)
    for report, *values in zip(found.reports, *columns, strict=True):
        figures = np.array([report.precision, report.recall, report.f1, report.support], dtype=float)
        np.testing.assert_array_equal(figures, values)
        if report.support:
            place = NAMES.index(report.label)
            assert report.average_precision == average_precision_score(truth[:, place], scores[:, place])
    micro = precision_recall_fscore_support(truth, predicted, average="micro")
    assert (found.micro.precision, found.micro.recall, found.micro.f1) == micro[:3]
    macro = precision_recall_fscore_support(truth[:, occurs], predicted[:, occurs], average="macro")
    assert (found.macro.precision, found.macro.recall, found.macro.f1) == macro[:3]
    assert found.reports[-1].average_precision is None


def classes_and_images() -> tuple[ClassEmbeddings, Embedded]:
    axes = np.eye(4, dtype=np.float32)
    classes = ClassEmbeddings(
        NAMES[:3], (None,) * 3, (("",),) * 3, axes[:3], "0", ModelFacts("axes", None, 4, 8.0, -4.0)
    )
    vectors = normalise(np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float32))
    return classes, Embedded(("a", "b", "c"), ("Cat|indoor", "outdoor|sun", UNKNOWN), vectors)


def test_images_are_judged_by_their_embeddings_and_other_classes_are_left_out(logged: list[str]) -> None:
    classes, images = classes_and_images()
    found = evaluate_tags("x", images, list(map(Label, NAMES[:3])), classes, Tagging("sigmoid", 0.5))
    assert found.truth.tolist() == [[True, True, False], [False, False, True], [False, False, False]]
    assert (found.predicted == found.truth).all()
    assert (found.mean_average_precision, found.micro.f1, found.macro.f1) == (1.0, 1.0, 1.0)
    assert [report.threshold for report in found.reports] == [0.5] * 3


def test_no_class_that_is_a_label_is_an_error() -> None:
    _, images = classes_and_images()
    with pytest.raises(InputError, match=r"none of the classes of the ground truth .* is a label"):
        evaluate_tag_records("r.csv", [(ReadRecord("a", "x", 1.0, None, labels=("x",)), "cat|dog")], None, ["x"])
    assert tag_truth(images.labels, [Label("sun")]).tolist() == [[False], [True], [False]]


def record(path: str, *labels: str, top: tuple[tuple[str, float], ...] = ()) -> ReadRecord:
    scores = tuple(Score(label, probability, 0.2) for label, probability in top)
    return ReadRecord(path, labels[0] if labels else UNKNOWN, 0.5, None, scores, labels=labels)


FULL = (("cat", 0.9), ("sun", 0.2))


def test_results_that_list_all_labels_have_an_average_precision(logged: list[str]) -> None:
    matched = [(record("a", "cat", top=FULL), "cat"), (record("b", top=(("sun", 0.4), ("cat", 0.1))), "sun")]
    found = evaluate_tag_records("r", matched, None, ["cat", "sun"])
    assert (found.mean_average_precision, found.micro.recall, logged) == (1.0, 0.5, [])


def test_results_that_list_some_labels_have_the_other_figures_and_say_why(logged: list[str]) -> None:
    matched = [(record("a", "cat", top=FULL[:1]), "cat|sun"), (ReadRecord("b", None, None, "broken"), "cat")]
    found = evaluate_tag_records("r", matched, None, ["cat", "sun"])
    assert (found.mean_average_precision, found.micro.recall, len(found.paths)) == (None, 0.5, 1)
    assert logged == ["r: no average precision, because not all labels are listed (use --top-k 2)"]
    assert tags_as_json(found)["labels"][1] == {
        "label": "sun", "support": 1, "average_precision": None, "precision": None, "recall": 0.0, "f1": 0.0,
        "threshold": None, "precision_interval": None, "recall_interval": (0.0, pytest.approx(0.793, abs=1e-3)),
    }  # fmt: skip


def test_images_and_the_results_of_a_run_have_the_same_figures(
    tiny_siglip: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    from clipcli import Classifier

    rows = "".join(f"{photos[name]},{text}\n" for name, text in (("cat", "cat"), ("coffee", "cup|spoon")))
    (tmp_path / "truth.csv").write_text("path,label\n" + rows, "utf-8")
    given: dict[str, Any] = {"cache": False, "engine": "torch", "threshold": 1e-5}
    model = f"local-dir:{tiny_siglip}"
    (images,) = evaluate(tmp_path / "truth.csv", model, tags=True, **given).tags
    with Classifier(model, ["cat", "cup", "spoon"], tags=True, **given) as classifier:
        classifier.classify_to(tmp_path / "r.csv", [photos["cat"], photos["coffee"]])
    (results,) = evaluate_results(tmp_path / "r.csv", tmp_path / "truth.csv").tags
    assert isinstance(images, TagEvaluation)
    assert results.mean_average_precision == pytest.approx(images.mean_average_precision)
    assert results.micro == images.micro


# --- intervals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_average_precision_of_a_resample_is_scikit_learns(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 12, 60) / 12.0  # with ties
    truth = random.random(60) < 0.3
    weights = random.multinomial(60, np.full(60, 1 / 60), 8)
    found = weighted_average_precision(truth, scores, weights)
    expected = [average_precision_score(truth, scores, sample_weight=each) for each in weights]
    assert found == pytest.approx(expected)


def test_an_interval_is_about_its_figure_and_narrower_with_more_images() -> None:
    widths = []
    for count in (40, 640):
        random = np.random.default_rng(5)
        truth = random.random((count, 4)) < 0.4
        scores = truth + random.normal(0, 0.8, truth.shape)
        found = tag_intervals(truth, scores > 0.5, scores)
        again = tag_intervals(truth, scores > 0.5, scores)
        assert found == again
        mean = found.mean_average_precision
        assert mean is not None
        assert mean.value == pytest.approx(average_precision_score(truth, scores, average="macro"))
        expected = precision_recall_fscore_support(truth, scores > 0.5, average="micro")[:3]
        assert (found.precision.value, found.recall.value, found.f1.value) == pytest.approx(expected)
        for each in (mean, found.precision, found.recall, found.f1):
            assert each.low < each.value < each.high
        widths.append(mean.high - mean.low)
    assert widths[0] > 2.5 * widths[1]


def test_an_interval_holds_the_true_figure_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    inside = 0
    for seed in range(60):
        truth = random.random((80, 3)) < 0.5
        predicted = np.where(random.random(truth.shape) < 0.8, truth, ~truth)  # precision and recall are 0.8
        found = tag_intervals(truth, predicted, None, seed).precision
        inside += found.low <= 0.8 <= found.high
    assert inside >= 52
