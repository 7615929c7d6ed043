"""Evaluations from Python: the figures of the command, as values."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from clipcli import Classifier, Comparison, evaluate, evaluate_results
from clipcli.errors import InputError, LabelError
from clipcli.runner import Outcome, SilentReporter


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]) -> Path:
    """Two classes of three images each, and a broken image in the second."""
    folder = tmp_path_factory.mktemp("truth")
    for label, names in (("animal", ("cat", "flower", "astronaut")), ("thing", ("rocket", "coffee", "motorcycle"))):
        (folder / label).mkdir()
        for name in names:
            shutil.copy(photos[name], folder / label / photos[name].name)
    (folder / "thing" / "broken.jpg").write_bytes(photos["rocket"].read_bytes()[:5000])
    return folder


class Noted(SilentReporter):
    def __init__(self) -> None:
        self.failures: list[str] = []

    def failed(self, path: str, reason: str) -> None:
        self.failures.append(f"{Path(path).name}: {reason}")


def compared(truth: Path, tiny_clip: Path, cache: Path, **options: object) -> Comparison:
    model = f"local-dir:{tiny_clip}"
    return evaluate(truth, [model], device="cpu", cache=cache, **options)  # type: ignore[arg-type]


def test_every_set_of_templates_is_evaluated_on_the_images_that_can_be_read(
    truth: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    noted = Noted()
    found = compared(truth, tiny_clip, tmp_path, templates=["a {}"], prompts=["photo"], few_shot=[1], reporter=noted)
    assert [each.name.rpartition(", ")[2] for each in found.evaluations] == ["a {}", "photo"]
    assert [len(each.paths) for each in found.evaluations] == [6, 6]
    assert [(each.shots, each.tested) for each in found.probes] == [(1, 4)]
    assert found.outcome == Outcome(7, 1)
    assert [Path(path).name for path in found.failed] == ["broken.jpg"]
    assert len(noted.failures) == 1
    assert noted.failures[0].startswith("broken.jpg: damaged image")
    assert json.loads(json.dumps(found.as_json))["failed"] == list(found.failed)


def test_the_results_of_a_run_have_the_same_accuracy(truth: Path, tiny_clip: Path, tmp_path: Path) -> None:
    classifier = Classifier(f"local-dir:{tiny_clip}", ["animal", "thing"], device="cpu", cache=tmp_path / "cache")
    classifier.classify_to(tmp_path / "r.csv", truth)
    found, noted = compared(truth, tiny_clip, tmp_path / "cache"), Noted()
    again = evaluate_results(tmp_path / "r.csv", truth, reporter=noted)
    assert again.evaluations[0].top1.value == found.evaluations[0].top1.value
    assert (again.outcome, len(noted.failures)) == (Outcome(7, 1), 1)


def test_a_class_without_label_is_found_before_an_image_is_read(truth: Path, tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cannot match classes of the ground truth to labels: 'animal', 'thing'"):
        compared(truth, tiny_clip, tmp_path, labels=["cat", "dog"])


def test_results_without_a_known_image_are_refused(truth: Path, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(
        "path,label,probability,similarity,model,pretrained,precision,error_type,error_message\n"
        "elsewhere.png,animal,0.9,0.3,m,,fp32,,\n"
    )
    with pytest.raises(InputError, match="they have no paths in common"):
        evaluate_results(tmp_path / "r.csv", truth)
