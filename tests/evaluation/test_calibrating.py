"""A calibration is fitted, saved, applied, and refused where it does not belong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from clipcli.cache.embeddings import ModelFacts
from clipcli.errors import CalibrationError, EmbeddingFileError, InputError, OutputError
from clipcli.evaluation.by_embeddings import evaluate_embeddings
from clipcli.evaluation.calibrating import Goal, fit_calibration
from clipcli.evaluation.evaluate import Embedded
from clipcli.evaluation.tags import evaluate_tags
from clipcli.labels.label import Label
from clipcli.outputs.calibration_files import load_calibration, save_calibration
from clipcli.outputs.class_embeddings import load_class_embeddings, save_class_embeddings
from clipcli.pipeline.calibration import FittedCalibration
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.scorer import Tagging, score_labels
from clipcli.pipeline.taught import Taught
from clipcli.scoring.thresholds import Thresholds
from clipcli.scoring.zeroshot import normalise
from tests.conftest import RunHere

DIGITS = [str(digit) for digit in range(10)]
LABELS = list(map(Label, DIGITS))


@pytest.fixture(scope="module")
def images() -> Embedded:
    """Real images in a space of their own: scikit-learn's digits."""
    digits = load_digits()
    vectors = normalise((digits.data - digits.data.mean(axis=0)).astype(np.float32))
    labels = tuple(map(str, digits.target))
    return Embedded(tuple(f"{number}.png" for number in range(len(labels))), labels, vectors)


def classes_of(images: Embedded, bias: float | None = None) -> ClassEmbeddings:
    """Class embeddings with a scale that makes them far too sure."""
    truth = np.array(images.labels)
    rows = normalise(np.stack([images.vectors[truth == digit].mean(axis=0) for digit in DIGITS]))
    facts = ModelFacts("digits", None, rows.shape[1], 60.0, bias)
    return ClassEmbeddings(tuple(DIGITS), (None,) * 10, tuple((digit,) for digit in DIGITS), rows, "0", facts)


@pytest.mark.parametrize("bias", [None, -5.0])
def test_the_error_of_answers_halves_out_of_fold(bias: float | None, images: Embedded) -> None:
    figures = fit_calibration(images, LABELS, classes_of(images, bias), None, Goal()).figures
    assert figures["calibration_error"] > 0.05
    assert figures["calibration_error_after"] < figures["calibration_error"] / 2


def test_the_probabilities_of_left_out_images_are_honest(images: Embedded) -> None:
    half = np.random.default_rng(0).permutation(len(images.paths))
    first, second = (
        Embedded(tuple(images.paths[i] for i in some), tuple(images.labels[i] for i in some), images.vectors[some])
        for some in (half[:900], half[900:])
    )
    classes = classes_of(images)
    fitted = fit_calibration(first, LABELS, classes, None, Goal(error=0.02, coverage=0.95))
    scores = score_labels(second.vectors, classes, correction=fitted.correction).probability
    truth = np.array(second.labels).astype(int)
    assert fitted.unknown is not None
    assert fitted.set_threshold is not None
    answered = scores.max(axis=1) >= fitted.unknown
    assert (scores.argmax(axis=1) != truth)[answered].mean() < 0.04
    assert 0.4 < answered.mean() < 1
    inside = scores >= fitted.set_threshold
    assert inside[np.arange(len(truth)), truth].mean() == pytest.approx(0.95, abs=0.03)
    assert fitted.figures["coverage"] == pytest.approx(0.95, abs=0.03)


def test_tags_have_the_wanted_precision_out_of_fold(images: Embedded) -> None:
    classes, tagging = classes_of(images, -30.0), Tagging("sigmoid")
    for precision in (0.7, 0.9):
        fitted = fit_calibration(images, LABELS, classes, tagging, Goal(precision))
        assert fitted.figures["precision"] == pytest.approx(precision, abs=0.05)
        assert fitted.figures["calibration_error_after"] < fitted.figures["calibration_error"]
        assert len(fitted.thresholds) == 10


def test_without_a_precision_each_label_has_the_threshold_of_its_best_f1(images: Embedded) -> None:
    fitted = fit_calibration(images, LABELS, classes_of(images, -30.0), Tagging("sigmoid"), Goal())
    assert min(fitted.figures["precision"], fitted.figures["recall"]) > 0.6


@pytest.mark.parametrize("bias", [None, -5.0])
def test_where_every_answer_is_right_nothing_is_corrected(bias: float | None, images: Embedded) -> None:
    classes = classes_of(images, bias)
    rows = np.flatnonzero(
        score_labels(images.vectors, classes).order.argmax(axis=1) == np.array(images.labels).astype(int)
    )
    right = Embedded(tuple(images.paths[i] for i in rows), tuple(images.labels[i] for i in rows), images.vectors[rows])
    correction = fit_calibration(right, LABELS, classes, None, Goal()).correction
    assert (correction.scale, correction.bias) == (1.0, 0.0)


def test_a_few_images_are_too_few(images: Embedded) -> None:
    few = Embedded(images.paths[:5], images.labels[:5], images.vectors[:5])
    with pytest.raises(InputError, match="only 5 images can be read"):
        fit_calibration(few, LABELS, classes_of(images), None, Goal())


# --- the file ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(images: Embedded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FittedCalibration]:
    file = tmp_path_factory.mktemp("calibration") / "c.json"
    fitted = fit_calibration(images, LABELS, classes_of(images, -30.0), Tagging("sigmoid"), Goal(0.8))
    save_calibration(fitted, file)
    return file, fitted


def test_a_calibration_is_read_as_it_was_saved(saved: tuple[Path, FittedCalibration], images: Embedded) -> None:
    file, fitted = saved
    assert load_calibration(file, classes_of(images, -30.0), "sigmoid") == fitted


def test_it_is_refused_with_other_labels_prompts_or_models_or_another_score(
    saved: tuple[Path, FittedCalibration], images: Embedded
) -> None:
    file, classes = saved[0], classes_of(images, -30.0)
    others = [
        replace(classes, labels=("x", *DIGITS[1:])), replace(classes, prompts=(("a 0",), *classes.prompts[1:])),
        replace(classes, fingerprint="1"),
    ]  # fmt: skip
    for other in others:
        with pytest.raises(CalibrationError, match="made with other labels or prompts, or another model"):
            load_calibration(file, other, "sigmoid")
    with pytest.raises(CalibrationError, match="made for the score sigmoid, not one label per image"):
        load_calibration(file, classes, None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"more": 1}, "unknown key 'more'"),
        ({"kind": "recipe"}, "another kind or version"),
        ({"scale": 0}, "its scale is 0"),
        ({"scale": -1}, "its scale is out of range"),
        ({"bias": "1"}, "its bias is not a number"),
        ({"thresholds": [2.0] * 10}, "its threshold is out of range"),
        ({"thresholds": [0.5]}, "one threshold per label"),
        ({"labels": [1] * 10}, "a label or the digest is not text"),
        ({"score": "cosine"}, "unknown score"),
        ({"figures": []}, "not a list"),
    ],
)
def test_a_damaged_file_is_one_line(
    change: dict[str, Any], reason: str, saved: tuple[Path, FittedCalibration], images: Embedded, tmp_path: Path
) -> None:
    values = json.loads(saved[0].read_text("utf-8"))
    (tmp_path / "c.json").write_text(json.dumps(values | change), "utf-8")
    with pytest.raises(CalibrationError) as caught:
        load_calibration(tmp_path / "c.json", classes_of(images, -30.0), "sigmoid")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"clipcli": 1, "kind": "calibration"}', "NaN", "[" * 5000])
def test_any_other_json_is_one_line(text: str, images: Embedded, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text, "utf-8")
    with pytest.raises(CalibrationError, match="not a calibration of clipcli"):
        load_calibration(tmp_path / "c.json", classes_of(images), None)


def test_thresholds_of_the_label_file_and_of_the_run_take_precedence(images: Embedded) -> None:
    fitted = fit_calibration(images, LABELS, classes_of(images), None, Goal(error=0.05))
    assert fitted.with_unknown(Thresholds(margin=0.1)) == Thresholds(fitted.unknown, margin=0.1)
    assert fitted.with_unknown(Thresholds(0.2)) == Thresholds(0.2)
    with_limits = replace(fitted, thresholds=(0.3,) * 10)
    own = replace(classes_of(images), thresholds=(0.9, *[None] * 9))
    assert with_limits.with_thresholds(own).thresholds == (0.9, *[0.3] * 9)


# --- in a classes file --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".safetensors", ".json", ".npz", ".npy"])
def test_a_classes_file_holds_a_calibration(
    suffix: str, saved: tuple[Path, FittedCalibration], images: Embedded, tmp_path: Path
) -> None:
    save_class_embeddings(replace(classes_of(images, -30.0), calibration=saved[1]), tmp_path / f"c{suffix}")
    found = load_class_embeddings(tmp_path / f"c{suffix}")
    assert found.calibration == saved[1]
    found.calibration.check(found, "sigmoid", "c", "again")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_format_of_rows_cannot_hold_a_calibration(
    suffix: str, saved: tuple[Path, FittedCalibration], images: Embedded, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="or a calibration"):
        save_class_embeddings(replace(classes_of(images), calibration=saved[1]), tmp_path / f"c{suffix}")


@pytest.mark.parametrize("damage", [{"scale": 0}, {"more": 1}, {"thresholds": [2.0] * 10}, {"digest": None}])
def test_a_damaged_calibration_in_a_classes_file_is_refused(
    damage: dict[str, Any], saved: tuple[Path, FittedCalibration], images: Embedded, tmp_path: Path
) -> None:
    file = tmp_path / "c.json"
    save_class_embeddings(replace(classes_of(images, -30.0), calibration=saved[1]), file)
    values = json.loads(file.read_text("utf-8"))
    values["calibration"] |= damage
    file.write_text(json.dumps(values), "utf-8")
    with pytest.raises(EmbeddingFileError, match="not a file of class embeddings"):
        load_class_embeddings(file)


def test_the_words_of_taught_classes_have_no_calibration(
    saved: tuple[Path, FittedCalibration], images: Embedded
) -> None:
    classes = classes_of(images)
    taught = Taught(
        "prototypes", 1.0, classes.vectors, images.vectors[:1].astype(np.float16), np.zeros(1, np.int64), None
    )
    assert replace(classes, taught=taught, calibration=saved[1]).words.calibration is None


def test_figures_under_a_calibration(images: Embedded) -> None:
    half = np.random.default_rng(1).permutation(len(images.paths))
    first, second = (
        Embedded(tuple(images.paths[i] for i in some), tuple(images.labels[i] for i in some), images.vectors[some])
        for some in (half[:900], half[900:])
    )
    classes = classes_of(images)
    fitted = fit_calibration(first, LABELS, classes, None, Goal(error=0.02))
    before = evaluate_embeddings("before", second, LABELS, classes)
    after = evaluate_embeddings("after", second, LABELS, classes, calibration=fitted)
    assert after.calibration.error < before.calibration.error / 2
    assert (before.best == after.best).all()
    assert after.labels == (*DIGITS, "unknown")
    answered = after.top1_of_answers
    assert answered is not None
    assert answered.value > before.top1.value > after.top1.value
    tagging, biased = Tagging("sigmoid"), classes_of(images, -30.0)
    tags = fit_calibration(first, LABELS, biased, tagging, Goal(0.8))
    plain = evaluate_tags("before", second, LABELS, biased, tagging)
    better = evaluate_tags("after", second, LABELS, tags.with_thresholds(biased), tagging, tags.correction)
    assert plain.calibration_error is not None
    assert better.calibration_error is not None
    assert better.calibration_error < plain.calibration_error
    assert better.mean_average_precision == plain.mean_average_precision
    assert better.micro.precision == pytest.approx(0.8, abs=0.05)


# --- the commands -----------------------------------------------------------------------------------


def test_a_calibration_is_made_by_evaluate_and_used_by_classify(
    run_here: RunHere, tiny_clip: Path, tmp_path: Path
) -> None:
    from PIL import Image

    digits = load_digits()
    for number in range(60):
        file = tmp_path / "digits" / str(digits.target[number] % 3) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[number] * 15).astype(np.uint8)).resize((32, 32)).save(file)
    model = ("--model", f"local-dir:{tiny_clip}", "--engine", "torch", "--precision", "fp32")
    labels = ("-l", "0", "-l", "1", "-l", "2")
    fit = ("evaluate", "digits", *labels, *model, "--save-calibration")
    use = ("classify", "digits/0", *model, "--format", "jsonl", "--calibration")
    made, plain, sets, again, calibrated, in_sets, refused, untagged = run_here(
        (*fit, "c.json"), ("classify", "digits/0", *labels, *model, "--format", "jsonl"),
        (*fit, "s.json", "--conformal", 0.9), (*fit, "c.json"), (*use, "c.json", *labels),
        (*use, "s.json", *labels), (*use, "c.json", *labels, "-l", "3"), (*use, "c.json", *labels, "--tags"),
    )  # fmt: skip
    assert (made.returncode, sets.returncode) == (0, 0), made.stderr + sets.stderr
    assert "calibration on 60 images (measured out of fold): calibration error" in made.stderr
    assert "coverage" in sets.stderr
    assert (again.returncode, "c.json" in again.stderr, "--overwrite" in again.stderr) == (2, True, True)
    before, after = ([json.loads(line) for line in done.stdout.splitlines()] for done in (plain, calibrated))
    assert [each["label"] for each in before] == [each["label"] for each in after]
    assert [each["probability"] for each in before] != [each["probability"] for each in after]
    records = [json.loads(line) for line in in_sets.stdout.splitlines()]
    assert sum("0" in [score["label"] for score in each["labels"]] for each in records) >= 0.7 * len(records)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "made with other labels or prompts" in refused.stderr
    assert "made for the score one label per image, not contrast" in untagged.stderr


def test_a_calibration_is_kept_in_the_classes_file(run_here: RunHere, tiny_clip: Path, tmp_path: Path) -> None:
    from PIL import Image

    digits = load_digits()
    for number in range(60):
        file = tmp_path / "digits" / str(digits.target[number] % 3) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[number] * 15).astype(np.uint8)).resize((32, 32)).save(file)
    model = ("--model", f"local-dir:{tiny_clip}", "--engine", "torch", "--precision", "fp32")
    labels = ("-l", "0", "-l", "1", "-l", "2")
    lines = (*model, "--format", "jsonl")
    use = ("classify", "digits/0", "--classes", "c.safetensors", *lines)
    tag = ("--tags", "--score", "softmax")
    (answered,) = run_here(("classify", "digits", *labels, *lines))
    answers = [json.loads(line) for line in answered.stdout.splitlines()]
    rows = [f"{each['path']},{each['label'] if place % 4 else '1'}" for place, each in enumerate(answers)]
    (tmp_path / "tags.csv").write_text("path,label\n" + "\n".join(rows), "utf-8")  # right for most images
    (made, beside, plain, inside, given, without, tags, tags_made, tags_inside, evaluated, again, both, wrong, csv,
     warned) = run_here(
        ("evaluate", "digits", *labels, *model, "--save-classes", "c.safetensors"),
        ("evaluate", "digits", "--classes", "c.safetensors", *model, "--save-calibration", "c.json"),
        ("classify", "digits/0", *labels, *lines), use,
        ("classify", "digits/0", *labels, *lines, "--calibration", "c.json"),
        (*use, "--no-calibration"), (*use, *tag),
        ("evaluate", "tags.csv", *labels, *model, *tag, "--save-classes", "t.json", "--target-precision", 0.5),
        ("classify", "digits/0", "--classes", "t.json", *tag, *lines),
        ("evaluate", "digits", "--classes", "c.safetensors", *model),
        ("evaluate", "digits", *labels, *model, "--calibration", "c.json"),
        ("evaluate", "digits", *labels, *model, "--prompts", "photo", "--prompts", "sketch", "--calibration", "c.json"),
        ("evaluate", "digits", *labels, "-l", "3", *model, "--calibration", "c.json"),
        ("evaluate", "digits", *labels, *model, "--save-classes", "c.csv"),
        ("evaluate", "digits", "--classes", "t.json", *model),
    )  # fmt: skip
    assert (made.returncode, beside.returncode, tags_made.returncode) == (0, 0, 0), tags_made.stderr
    scores = [
        [json.loads(line)["probability"] for line in done.stdout.splitlines()]
        for done in (plain, inside, given, without)
    ]
    assert scores[0] == scores[3] != scores[1] == scores[2], inside.stderr
    assert (tags.returncode, tags.stdout) == (2, "")
    assert tags.stderr == (
        "error: cannot use the calibration in c.safetensors: made for the score one label per image, not softmax "
        "(calibrate again, or use --no-calibration)\n"
    )
    assert tags_inside.returncode == 0, tags_inside.stderr
    for done in (evaluated, again):
        errors = [line.split("\t") for line in done.stdout.splitlines() if "\tcalibration_error\t" in line]
        assert len(errors) == 2, done.stderr
        assert errors[1][0] == f"{errors[0][0]}, calibrated"
        assert float(errors[1][2]) < float(errors[0][2]) + 0.05
    assert (both.returncode, "several models or sets of prompts" in both.stderr) == (2, True)
    assert (wrong.returncode, "made with other labels or prompts" in wrong.stderr) == (2, True)
    assert (csv.returncode, "unknown extension '.csv' (use .safetensors, .json)" in csv.stderr) == (2, True)
    assert "cannot use the calibration in t.json: made for the score softmax" in warned.stderr
    assert warned.returncode == 0
