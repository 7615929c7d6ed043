"""``clipcli classify --tags`` from end to end: real photos, the built-in model."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from clipcli import Classifier, Label, Prediction
from tests.conftest import RunHere, lines_of

POCKET = ("--model", "pocket", "--engine", "torch", "--precision", "fp32")
NAMES = ("person", "astronaut", "flag", "cat", "cup of coffee", "spoon", "table", "bicycle")
LABELS = tuple(part for name in NAMES for part in ("-l", name))


def tags_in(stdout: str) -> list[list[str]]:
    return [[score["label"] for score in json.loads(line)["labels"]] for line in lines_of(stdout)]


def test_an_image_gets_several_labels_best_first_and_all_reach_the_threshold(
    run_here: RunHere, photos: dict[str, Path]
) -> None:
    line = ("classify", photos["astronaut"], photos["coffee"], *LABELS, *POCKET, "--tags", "--format", "jsonl")
    done, strict = run_here((*line, "--threshold", 0.3), (*line, "--threshold", 1))
    assert (done.returncode, done.stderr) == (0, "")
    astronaut, coffee = tags_in(done.stdout)
    assert astronaut == ["astronaut", "person"]
    assert coffee[0] == "cup of coffee"
    assert "cat" not in (*astronaut, *coffee)
    for record in map(json.loads, lines_of(done.stdout)):
        values = [score["probability"] for score in record["labels"]]
        assert values == sorted(values, reverse=True)
        assert min(values) >= 0.3
        assert record["label"] == record["labels"][0]["label"] == record["top"][0]["label"]
    assert tags_in(strict.stdout) == [[], []]
    assert {json.loads(line)["label"] for line in lines_of(strict.stdout)} == {"unknown"}


def test_a_label_that_reads_like_no_label_is_warned_of(run_here: RunHere, photos: dict[str, Path]) -> None:
    line = ("classify", photos["cat"], "-l", "cat", *POCKET, "--format", "tsv")
    named, without = run_here((*line, "-l", "Unknown"), (*line, "-l", "not known"))
    assert "'Unknown' is a label, and also the answer for an image that no label fits" in named.stderr
    assert without.stderr == ""


def test_tables_have_the_labels_in_one_column(run_here: RunHere, photos: dict[str, Path]) -> None:
    line = ("classify", photos["coffee"], *LABELS, *POCKET, "--tags", "--threshold", 0.01, "--format")
    as_csv, as_json = run_here((*line, "csv"), (*line, "jsonl"))
    (row,) = csv.DictReader(io.StringIO(as_csv.stdout))
    (labels,) = tags_in(as_json.stdout)
    assert len(labels) > 1
    assert row["labels"] == "|".join(labels)
    assert (row["label"], row["label_1"]) == (labels[0], labels[0])


@pytest.mark.parametrize("score", ["softmax", "contrast"])
def test_each_kind_of_score_finds_what_is_in_the_image(score: str, run_here: RunHere, photos: dict[str, Path]) -> None:
    line = ("classify", photos["cat"], *LABELS, *POCKET, "--tags", "--score", score, "--format", "jsonl")
    (done,) = run_here(line)
    assert "cat" in tags_in(done.stdout)[0]


def test_the_kind_of_score_without_a_bias_is_refused(run_here: RunHere, photos: dict[str, Path]) -> None:
    (done,) = run_here(("classify", photos["cat"], *LABELS, *POCKET, "--tags", "--score", "sigmoid"))
    assert (done.returncode, done.stdout) == (2, "")
    assert lines_of(done.stderr) == ["error: cannot use --score sigmoid with pocket: it has no bias (use contrast)"]


def test_a_model_with_a_bias_gives_probabilities_of_its_own(tiny_siglip: Path, photos: dict[str, Path]) -> None:
    plain = Classifier(f"local-dir:{tiny_siglip}", ["cat", "dog"], cache=False, engine="torch")
    tags = Classifier(f"local-dir:{tiny_siglip}", ["cat", "dog"], tags=True, threshold=0, cache=False, engine="torch")
    (first,), (second,) = plain.classify(photos["cat"]), tags.classify(photos["cat"])
    assert isinstance(first, Prediction)
    assert isinstance(second, Prediction)
    assert {score.label: score.probability for score in second.labels or ()} == pytest.approx(
        {score.label: score.probability for score in first.top}
    )


def test_one_label_alone_can_be_a_tag(run_here: RunHere, photos: dict[str, Path]) -> None:
    line = ("classify", photos["cat"], photos["rocket"], "-l", "cat", *POCKET, "--tags", "--format", "jsonl")
    (done,) = run_here(line)
    assert (done.returncode, done.stderr) == (0, "")
    assert tags_in(done.stdout) == [["cat"], []]


def test_a_run_is_resumed_with_the_same_tags_only(run_here: RunHere, photos: dict[str, Path]) -> None:
    line = ("classify", photos["cat"], *LABELS, *POCKET, "-o", "r.jsonl", "--tags")
    first, same, other, without, kind = run_here(
        line, (*line, "--resume"), (*line, "--resume", "--threshold", 0.4), (*line[:-1], "--resume"),
        (*line, "--resume", "--score", "softmax"),
    )  # fmt: skip
    assert (first.returncode, same.returncode) == (0, 0), first.stderr + same.stderr
    assert "a different threshold: 0.5, now 0.4" in other.stderr
    assert [done.returncode for done in (other, without, kind)] == [2, 2, 2]


def test_a_label_file_gives_thresholds_and_phrases_that_compete(
    run_here: RunHere, photos: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "plain.csv").write_text("label\nastronaut\nperson\n", "utf-8")
    (tmp_path / "strict.csv").write_text("label,threshold,not\nastronaut,1,\nperson,,astronaut\n", "utf-8")
    line = ("classify", photos["astronaut"], *POCKET, "--tags", "--threshold", 0.36, "--format", "jsonl", "--labels")
    plain, strict = run_here((*line, "plain.csv"), (*line, "strict.csv"))
    assert tags_in(plain.stdout) == [["astronaut", "person"]]
    assert tags_in(strict.stdout) == [[]], strict.stderr


def test_what_competes_in_a_run_with_one_label_per_image_makes_it_unknown(photos: dict[str, Path]) -> None:
    labels = [Label("dog", negatives=("cat",)), Label("rocket")]
    given: dict[str, object] = {"cache": False, "engine": "torch", "precision": "fp32"}
    with Classifier("pocket", labels, **given) as classifier:  # type: ignore[arg-type]
        cat, rocket = classifier.classify([photos["cat"], photos["rocket"]])
    assert isinstance(cat, Prediction)
    assert isinstance(rocket, Prediction)
    assert (cat.label, cat.top[0].label, rocket.label) == ("unknown", "dog", "rocket")
    assert sum(score.probability for score in cat.top) < 0.5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--threshold", "0.4"), "--threshold only works with --tags"),
        (("--score", "contrast"), "--score only works with --tags"),
        (("--tags", "--min-probability", "0.4"), "--min-probability only works without --tags"),
    ],
)
def test_options_that_would_be_ignored_are_refused(
    options: tuple[str, ...], reason: str, run_here: RunHere, photos: dict[str, Path]
) -> None:
    (done,) = run_here(("classify", photos["cat"], *LABELS, *POCKET, *options))
    assert done.returncode == 2
    assert reason in done.stderr


def test_results_with_tags_have_a_page_with_figures_and_charts(
    run_here: RunHere, photos: dict[str, Path], tmp_path: Path
) -> None:
    rows = f"{photos['astronaut']},astronaut|person\n{photos['cat']},cat\n{photos['rocket']},unknown\n"
    (tmp_path / "truth.csv").write_text(f"path,label\n{rows}", "utf-8")
    images = [photos[name] for name in ("astronaut", "cat", "rocket")]
    line = ("classify", *images, *LABELS, *POCKET, "--tags", "--top-k", len(NAMES), "-o", "r.jsonl")
    evaluate = ("evaluate", "r.jsonl", "--truth", "truth.csv")
    made, page, charts, figures = run_here(
        line, ("report", "r.jsonl", "--truth", "truth.csv", "-o", "p.html"), (*evaluate, "--plots", "charts"),
        (*evaluate, "--json", "f.json"),
    )  # fmt: skip
    assert (made.returncode, page.returncode, charts.returncode) == (0, 0, 0), page.stderr + charts.stderr
    text = (tmp_path / "p.html").read_text("utf-8")
    assert "of the labels given are right" in text
    assert "mean average precision" in text
    assert text.count("data:image/svg+xml;base64,") + text.count("data:image/png;base64,") == 2
    names = {"classes.png", "classes.svg", "reliability.png", "reliability.svg"}
    assert {each.name for each in (tmp_path / "charts").iterdir()} == names
    header, *lines = (each.split("\t") for each in lines_of(figures.stdout))
    assert header == ["name", "metric", "label", "value", "low", "high"]
    average = next(each for each in lines if each[1] == "mAP")
    assert float(average[4]) <= float(average[3]) <= float(average[5])
    intervals = json.loads((tmp_path / "f.json").read_text("utf-8"))["tags"][0]["intervals"]
    assert intervals["mean_average_precision"]["value"] == pytest.approx(float(average[3]), abs=1e-5)
