"""``clipcli evaluate`` as users run it, with the built-in model on real photographs."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Done = subprocess.CompletedProcess[str]
RunTogether = Callable[..., list[Done]]

KINDS = ("cat", "coffee", "rocket", "flower")
PARTS = 4


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]) -> Path:
    """Four class folders, each with four parts of one photograph, and a file that is no image."""
    root = tmp_path_factory.mktemp("labelled")
    for kind in KINDS:
        (root / kind).mkdir()
        whole = Image.open(photos[kind]).convert("RGB")
        for number in range(PARTS):
            edge = number * min(whole.size) // 24
            whole.crop((edge, edge, whole.width - edge, whole.height - edge)).save(root / kind / f"{number}.jpg")
    (root / "cat" / "broken.jpg").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def ran(run_together: RunTogether, classes: Path) -> dict[str, Done]:
    """Run all commands of this file in one process."""
    folder = classes.parent
    truth, results = folder / "truth.csv", folder / "results.jsonl"
    rows = [[f"{classes.name}/{kind}/{number}.jpg", kind] for kind in KINDS for number in range(PARTS)]
    with truth.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label"], *rows])
    names = folder / "names.csv"
    names.write_text("label,folder\nkitten,cat\ncup of coffee,coffee\nrocket,\nflower,\n")
    kinds = folder / "kinds.csv"
    kinds.write_text("label;group\ncat;Nature\ncoffee;made\nrocket;made\nflower;Nature\n")
    by_kind = folder / "by_kind.csv"
    sides = {"cat": "nature", "coffee": "Made", "rocket": "rocket", "flower": "nature"}
    with by_kind.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label"], *([path, sides[kind]] for path, kind in rows)])
    commands: dict[str, list[object]] = {
        "groups": [by_kind, "--labels", kinds, "--by", "group"],
        "groups of results": [results, "--truth", by_kind, "--labels", kinds, "--by", "group"],
        "several": [results, results, "--truth", truth],
        "sources": [truth, results],
        "folder": [classes, "--json", folder / "figures.json", "--plots", folder / "plots"],
        "table": [truth, "-p", "photo", "-p", "sketch", "-t", "a {label}", "--few-shot", "1", "-v"],
        "named": [truth, "--labels", names],
        "models": [truth, "--compare-model", "pocket"],
        "missing": [truth, "-l", "cat", "-l", "dog"],
        "results": [results, "--truth", truth],
        "both": [results, "--truth", truth, "-p", "photo"],
        "nothing": [folder / "none"],
        "shots": [truth, "--few-shot", "4"],
        "model": [truth, "--compare-model", "nosuch"],
        "plots": [truth, "--plots", truth],
    }
    lines = [[*("classify", classes), "-o", results, *(part for kind in KINDS for part in ("-l", kind)), "-k", "4"]]
    lines += [["evaluate", *arguments] for arguments in commands.values()]
    done = run_together(*lines, CLIPCLI_MODEL="pocket")
    return dict(zip(commands, done[1:], strict=True))


ALL_OF_16 = ["1", "0.806392", "1"]  # 16 / (16 + 1.96²), Wilson's interval
NO_DIFFERENCE_OF_16 = ["0", "-0.108887", "0.108887"]  # 1.96 / 18, Agresti and Min's


def figures(done: Done) -> dict[tuple[str, str], list[str]]:
    header, *rows = (line.split("\t") for line in done.stdout.splitlines())
    assert header == ["name", "metric", "value", "low", "high"]
    return {(row[0], row[1]): row[2:] for row in rows}


def test_a_folder_of_class_folders_is_evaluated_with_their_names_as_labels(ran: dict[str, Done]) -> None:
    found = figures(ran["folder"])
    assert found["pocket, default prompt", "images"] == ["16", "", ""]
    assert found["pocket, default prompt", "top1"] == ALL_OF_16
    assert float(found["pocket, default prompt", "calibration_error"][0]) < 0.2


def test_a_broken_image_is_named_and_the_others_are_evaluated(ran: dict[str, Done], classes: Path) -> None:
    assert ran["folder"].returncode == 1
    assert f"error: {classes / 'cat' / 'broken.jpg'}: " in ran["folder"].stderr
    assert ran["folder"].stderr.endswith("warning: 1 of 17 images failed\n")


def test_the_json_file_has_all_figures(ran: dict[str, Done], classes: Path) -> None:
    assert ran["folder"].stderr.count("\n") == 2
    found = json.loads((classes.parent / "figures.json").read_text("utf-8"))
    (evaluation,) = found["evaluations"]
    assert evaluation["labels"] == sorted(KINDS)
    assert evaluation["confusion_matrix"] == [[4 * (row == column) for column in range(4)] for row in range(4)]
    assert [each["support"] for each in evaluation["classes"]] == [4] * 4
    assert found["failed"] == [str(classes / "cat" / "broken.jpg")]


def test_charts_are_drawn_as_png_and_svg(ran: dict[str, Done], classes: Path) -> None:
    assert ran["folder"].returncode == 1
    names = sorted(path.name for path in (classes.parent / "plots").iterdir())
    stems = ("classes", "confusion", "reliability")
    assert names == [f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg")]
    with Image.open(classes.parent / "plots" / "confusion.png") as drawn:
        assert min(drawn.size) > 600


def test_template_sets_are_compared_on_the_same_images_which_are_encoded_once(ran: dict[str, Done]) -> None:
    found = figures(ran["table"])
    names = ["pocket, a {label}", "pocket, photo", "pocket, sketch"]
    assert [name for name, metric in found if metric == "top1"] == [*names, "pocket, linear probe on 1"]
    assert len(found["pocket, sketch", "top1_more_than_first"]) == 3
    assert "images: 16 from the cache, 0 encoded" in ran["table"].stderr
    assert ran["table"].returncode == 0


def test_a_linear_probe_is_fitted_on_some_images_and_tested_on_the_others(ran: dict[str, Done]) -> None:
    found = figures(ran["table"])
    assert found["pocket, linear probe on 1", "images"][0] == "12"
    assert float(found["pocket, linear probe on 1", "top1"][0]) > 0.9


def test_a_label_file_gives_class_folders_better_names(ran: dict[str, Done]) -> None:
    assert figures(ran["named"])["pocket, default prompt", "images"] == ["16", "", ""]
    assert ran["named"].returncode == 0


def test_a_model_compared_with_itself_is_no_better(ran: dict[str, Done]) -> None:
    assert ran["models"].returncode == 0
    rows = [line.split("\t") for line in ran["models"].stdout.splitlines() if "top1_more_than_first" in line]
    assert [row[2:] for row in rows] == [NO_DIFFERENCE_OF_16]


def test_written_results_are_evaluated_without_a_model(ran: dict[str, Done], classes: Path) -> None:
    found = figures(ran["results"])
    assert found[str(classes.parent / "results.jsonl"), "top1"] == ALL_OF_16
    assert "1 of 17 results have no ground truth" in ran["results"].stderr


def test_groups_of_labels_are_evaluated_and_classes_are_groups_or_labels(ran: dict[str, Done]) -> None:
    assert ran["groups"].returncode == 0
    found = figures(ran["groups"])
    assert found["pocket, default prompt", "images"] == ["16", "", ""]
    assert found["pocket, default prompt", "top1"] == ALL_OF_16
    assert "taken as the same: 'Made' is 'made', 'nature' is 'Nature'" in ran["groups"].stderr


def test_results_without_groups_are_refused(ran: dict[str, Done]) -> None:
    assert (ran["groups of results"].returncode, ran["groups of results"].stdout) == (2, "")
    assert "has no group (classify with a label file" in ran["groups of results"].stderr.splitlines()[-1]


def test_several_results_are_compared_on_the_same_images(ran: dict[str, Done], classes: Path) -> None:
    assert ran["several"].returncode == 0
    rows = [line.split("\t") for line in ran["several"].stdout.splitlines() if "top1_more_than_first" in line]
    assert [row[2:] for row in rows] == [NO_DIFFERENCE_OF_16]
    assert [row[0] for row in rows] == [f"{classes.parent / 'results.jsonl'} (2)"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sources", "cannot evaluate several sources without --truth"),
        ("missing", "cannot match classes of the ground truth to labels: 'coffee', 'flower', 'rocket'"),
        ("both", "cannot use --truth with --template, --prompts, --compare-model or --few-shot"),
        ("nothing", "none: no such file or folder"),
        ("model", "no model 'nosuch'"),
        ("plots", "truth.csv: it is a file (name a folder)"),
        ("shots", "cannot use --few-shot 4: it needs at least 5 images per class; too few of 'cat' and 3 more"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_one_line(name: str, says: str, ran: dict[str, Done]) -> None:
    assert ran[name].returncode == 2
    assert says in ran[name].stderr
    assert ran[name].stderr.count("\n") == 1
    assert ran[name].stdout == ""
