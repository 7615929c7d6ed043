"""``teach`` from Python: a small model with random weights, from image files to classes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from clipcli import Classifier, Embedder, Label, evaluate, teach
from clipcli.errors import InputError, LabelError
from clipcli.evaluation.linear_probe import STRENGTH
from clipcli.runner import Outcome
from tests.conftest import predictions

CLASSES = {"animal": "cat", "machine": "motorcycle", "plant": "flower"}


@pytest.fixture
def examples(tmp_path: Path, photos: dict[str, Path]) -> Path:
    for label, name in CLASSES.items():
        (tmp_path / "examples" / label).mkdir(parents=True)
        shutil.copy(photos[name], tmp_path / "examples" / label)
    return tmp_path / "examples"


@pytest.fixture
def model(tiny_clip: Path, tmp_path: Path) -> dict[str, Any]:
    return {"model": f"local-dir:{tiny_clip}", "device": "cpu", "cache": tmp_path / "cache"}


def test_the_head_is_that_of_scikit_learn_on_the_same_embeddings(examples: Path, model: dict[str, Any]) -> None:
    lesson = teach(examples, method="logistic", **model)
    embedded = [vector for block in Embedder(**model).embed([examples]) for _, vector in block]
    vectors = np.stack([vector for vector in embedded if isinstance(vector, np.ndarray)])
    direct = LogisticRegression(C=STRENGTH, max_iter=1000, random_state=0).fit(vectors, [0, 1, 2])
    assert (lesson.outcome, lesson.trials) == (Outcome(3, 0), ())
    assert lesson.classes.head is not None
    np.testing.assert_array_equal(lesson.classes.head.weights, direct.coef_.astype(np.float32))
    np.testing.assert_array_equal(lesson.classes.head.bias, direct.intercept_)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_classes_in_memory_and_in_a_file_give_the_same_answers(
    suffix: str, examples: Path, model: dict[str, Any], photos: dict[str, Path], tmp_path: Path
) -> None:
    lesson = teach(examples, [*map(Label, CLASSES), Label("rocket", group="things")], method="prototypes", **model)
    lesson.save(tmp_path / f"classes{suffix}")
    for classes in (lesson.classes, tmp_path / f"classes{suffix}"):
        results = predictions(Classifier(classes=classes, **model).classify(list(photos.values())))
        given = predictions(Classifier(classes=lesson.classes, **model).classify(list(photos.values())))
        assert results == given
        assert len({score.label for score in results[0].top}) == 4


def test_taught_classes_are_compared_with_their_words(
    examples: Path, model: dict[str, Any], photos: dict[str, Path], tmp_path: Path, logged: list[str]
) -> None:
    lesson = teach(examples, **model)
    table = tmp_path / "truth.csv"
    rows = [f"{photos['rocket']},machine", f"{photos['cat']},animal"]
    table.write_text("path,label\n" + "\n".join(rows) + "\n", "utf-8")
    options = {name: value for name, value in model.items() if name != "model"}
    found = evaluate(table, [model["model"]], classes=lesson.classes, **options).evaluations
    assert [each.name.rpartition(", ")[2] for each in found] == ["words", "classes"]
    assert [each.paths for each in found] == [(str(photos["rocket"]),)] * 2
    assert any("1 of 2 images are examples that the classes were taught with" in text for text in logged)
    with pytest.raises(LabelError, match="give either labels and prompts, or classes"):
        evaluate(table, [model["model"]], ["a", "b"], classes=lesson.classes, **options)


def test_a_label_for_the_answer_unknown_is_left_out(examples: Path, model: dict[str, Any], logged: list[str]) -> None:
    shutil.copytree(examples / "animal", examples / "unknown")
    lesson = teach(examples, **model)
    assert lesson.classes.labels == tuple(CLASSES)
    assert any("1 images with the label 'unknown' are left out" in text for text in logged)


def test_an_image_with_several_labels_is_no_example(examples: Path, model: dict[str, Any], tmp_path: Path) -> None:
    table = tmp_path / "tagged.csv"
    rows = [f"{path},{'cat|pet' if at else 'animal'}" for at, path in enumerate(sorted(examples.rglob("*.*")))]
    table.write_text("path,label\n" + "\n".join(rows) + "\n", "utf-8")
    with pytest.raises(InputError, match=r"has several labels, 'cat\|pet'"):
        teach(table, **model)
    assert "cat|pet" in teach(table, ["animal", "cat|pet"], **model).classes.labels


def test_few_examples_of_some_classes_beside_words_are_warned_of(
    examples: Path, model: dict[str, Any], logged: list[str]
) -> None:
    teach(examples, **model)
    assert not any("fewer than" in text for text in logged)
    teach(examples, [*CLASSES, "house"], **model)
    assert any(text.startswith("'animal' has fewer than 4 examples, and other classes have none") for text in logged)


def test_a_method_that_does_not_exist_is_refused(examples: Path, model: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="cannot use method 'magic': unknown"):
        teach(examples, method="magic", **model)
