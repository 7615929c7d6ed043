"""``teach`` and what takes its classes files: the loop of classify, correct, teach and classify."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from clipcli.outputs.class_embeddings import load_class_embeddings
from tests.conftest import Run, RunHere

POCKET = ("-m", "pocket", "--precision", "fp32")
NAMES = ("cat", "coffee", "rocket")


@pytest.fixture(scope="module")
def album(photos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of crops: four examples of each of three photos, and two others to classify."""
    folder = tmp_path_factory.mktemp("album")
    for name in NAMES:
        with Image.open(photos[name]) as image:
            width, height = image.size
            for number in range(6):
                left, top = width * number // 16, height * (5 - number) // 16
                crop = image.convert("RGB").crop((left, top, left + width * 2 // 3, top + height * 2 // 3))
                file = folder / ("examples" if number < 4 else "others") / name / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                crop.resize((160, 160)).save(file)
    return folder


@pytest.fixture(scope="module")
def taught(album: Path, run_once: Run) -> Path:
    """A classes file that was taught."""
    done = run_once("teach", album / "examples", "-o", album / "classes.safetensors", *POCKET)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("3 classes, 12 examples (4 per class)\n")
    assert done.stderr.count("chosen") == 1
    assert all(f"\n{method}" in done.stderr for method in ("text", "mixed", "prototypes", "logistic"))
    return album / "classes.safetensors"


def test_taught_classes_classify_other_images(album: Path, taught: Path, run_once: Run) -> None:
    done = run_once("classify", album / "others", "--classes", taught, *POCKET, "-f", "csv")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["label"] for row in rows] == [Path(row["path"]).parent.name for row in rows]
    assert len(rows) == 6


def test_a_second_run_opens_no_model(album: Path, taught: Path, run_once: Run) -> None:
    done = run_once("teach", album / "examples", "-o", album / "again.json", *POCKET, "-v")
    assert "images: 12 from the cache, 0 encoded" in done.stderr
    found, first = load_class_embeddings(album / "again.json"), load_class_embeddings(taught)
    assert found.labels == first.labels
    assert (found.vectors == first.vectors).all()
    assert found.scale == first.scale


def test_evaluate_compares_words_with_taught_classes(album: Path, taught: Path, run_once: Run) -> None:
    done = run_once("evaluate", album / "others", "--classes", taught, *POCKET)
    figures = [line.split("\t")[:3] for line in done.stdout.splitlines()]
    assert ["pocket, words", "images", "6"] in figures
    assert ["pocket, classes.safetensors", "top1", "1"] in figures
    assert ["pocket, classes.safetensors", "top1_more_than_first"] in [line[:2] for line in figures]


def test_examples_are_left_out_of_an_evaluation(album: Path, taught: Path, run_once: Run) -> None:
    done = run_once("evaluate", album / "examples", "--classes", taught, *POCKET)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the classes were taught with all of these images" in done.stderr
    rows = [f"{album / kind / name / number}.png,{name}" for name in NAMES
            for kind, number in (("examples", "0"), ("others", "5"))]  # fmt: skip
    (album / "truth.csv").write_text("path,label\n" + "\n".join(rows) + "\n", "utf-8")
    done = run_once("evaluate", album / "truth.csv", "--classes", taught, *POCKET)
    assert "3 of 6 images are examples that the classes were taught with, and are left out" in done.stderr
    assert "pocket, words\timages\t3" in done.stdout


def test_the_columns_of_a_matrix_are_the_classes(album: Path, taught: Path, run_once: Run) -> None:
    done = run_once("matrix", album / "others" / "cat" / "4.png", "--classes", taught, *POCKET, "--logits")
    header, row = (line.split("\t") for line in done.stdout.splitlines())
    assert header == ["path", *NAMES]
    assert max(range(1, 4), key=lambda column: float(row[column])) == 1


def test_labels_without_examples_stay_classes_by_words(album: Path, run_once: Run) -> None:
    labels = [text for name in (*NAMES, "an astronaut", "a temple") for text in ("-l", name)]
    done = run_once("teach", album / "examples", *labels, "-o", album / "more.json", *POCKET)
    assert done.stderr.startswith("3 classes, 12 examples (4 per class); 2 more by words\n")
    classes = load_class_embeddings(album / "more.json")
    assert classes.taught is not None
    assert classes.taught.counts.tolist() == [4, 4, 4, 0, 0]
    assert (classes.vectors[3:] == classes.taught.text[3:]).all()


def test_tags_of_taught_classes_warn_that_they_exclude_each_other(album: Path, taught: Path, run_once: Run) -> None:
    line = ("classify", album / "others" / "cat" / "4.png", "--classes", taught, *POCKET, "--tags", "-f", "csv")
    usual, asked = run_once(*line), run_once(*line, "--score", "softmax")
    assert usual.stdout == asked.stdout
    assert usual.stderr.count("taught classes are compared with each other as tags") == 1
    assert asked.stderr == ""


def test_a_model_that_did_not_teach_the_classes_is_refused(
    album: Path, taught: Path, tiny_clip: Path, run_once: Run
) -> None:
    line = ("classify", album / "others", "--classes", taught, "-m", f"local-dir:{tiny_clip}")
    done = run_once(*line)
    assert (done.returncode, done.stdout) == (2, "")
    assert "made by pocket" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_results_of_other_classes_are_not_resumed(album: Path, taught: Path, run_once: Run) -> None:
    words, mixed = album / "words.json", album / "mixed.json"
    for method, file in (("text", words), ("prototypes", mixed)):
        run_once("teach", album / "examples", "--method", method, "-o", file, *POCKET)
    line = ("classify", album / "others", *POCKET, "-o", album / "results.csv", "--classes")
    assert run_once(*line, words).returncode == 0
    done = run_once(*line, mixed, "--resume")
    assert "cannot resume" in done.stderr
    assert "set of taught classes" in done.stderr


REFUSED = {
    "one image": (("lone", "-l", "cat", "-l", "dog"), "cannot teach 'cat' by one image when no other class has"),
    "one class": (("lone",), "cannot teach: 'cat' is the only class"),
    "logistic": (("two", "-l", "cat", "-l", "coffee", "-l", "owl", "--method", "logistic"), "'owl' has no examples"),
    "two classes of an image": (("doubled",), "are the same image, as"),
    "no folders": (("empty",), "empty: no images found"),
    "an extension": (("two", "-o", "classes.csv"), "cannot hold taught classes (use .safetensors or .json)"),
    "a class without label": (("two", "-l", "cat", "-l", "dog"), "cannot match classes of the ground truth to labels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taught_is_said_in_one_line(
    case: str, photos: dict[str, Path], tiny_clip: Path, tmp_path: Path, run_here: RunHere
) -> None:
    folders = {"lone": ["cat"], "two": ["cat", "coffee"], "doubled": ["cat", "cat"], "empty": []}
    for folder, names in folders.items():
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names):
            place = tmp_path / folder / (name if folder != "doubled" else f"kind {number}")
            place.mkdir()
            (place / "a.png").write_bytes(photos[name].read_bytes())
    arguments, told = REFUSED[case]
    output = () if "-o" in arguments else ("-o", "classes.json")
    (done,) = run_here(("teach", *arguments, *output, "-m", f"local-dir:{tiny_clip}", "--device", "cpu"))
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("classes.*"))


def test_an_image_that_cannot_be_read_is_named_and_left_out(
    album: Path, tiny_clip: Path, tmp_path: Path, run_here: RunHere
) -> None:
    for file in (album / "examples").rglob("[01].png"):
        copy = tmp_path / "examples" / file.parent.name / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    (tmp_path / "examples" / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    line = ("teach", "examples", "-o", "classes.json", "-m", f"local-dir:{tiny_clip}", "--device", "cpu")
    done, again, replaced = run_here(line, line, (*line, "--overwrite"))
    assert done.returncode == replaced.returncode == 1
    assert "error: examples/cat/broken.png: " in done.stderr
    assert "3 classes, 6 examples (2 per class)" in done.stderr
    assert json.loads((tmp_path / "classes.json").read_text("utf-8"))["taught"]["method"] in done.stderr
    assert again.returncode == 2
    assert "--overwrite" in again.stderr


def test_a_classes_file_knows_the_names_of_its_classes_in_the_ground_truth(
    album: Path, run_once: Run, tmp_path: Path
) -> None:
    rows = "a photo of Chelsea,cat\nespresso,coffee\nrocket,\n"
    (tmp_path / "named.csv").write_text(f"label,folder\n{rows}", "utf-8")
    named = (album / "examples", "--labels", tmp_path / "named.csv", "-o", tmp_path / "named.json")
    assert run_once("teach", *named, "--method", "mixed", *POCKET).returncode == 0
    done = run_once("evaluate", album / "others", "--classes", tmp_path / "named.json", *POCKET)
    assert (done.returncode, "pocket, named.json\ttop1\t1\t" in done.stdout) == (0, True), done.stderr
