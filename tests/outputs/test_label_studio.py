"""Results go to Label Studio as predictions, and the labels that people chose there come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from PIL import Image

from clipcli.errors import InputError
from clipcli.outputs.corrections import corrected, read_corrections, read_label_table
from clipcli.outputs.label_studio import config_for, labels_in, task_of
from clipcli.outputs.readers import ReadRecord, read_results
from tests.conftest import RunHere

NAMES = ["a b/1#.jpg", "ü.jpg", "3.jpg", "4.jpg"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "a b").mkdir()
    lines = []
    for name, label in zip(NAMES, ("cat", "unknown", "dog", "dog"), strict=True):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
        lines.append(json.dumps({"path": name, "label": label, "probability": 0.75, "model": "pocket"}) + "\n")
    lines.append(json.dumps({"path": "5.jpg", "error": {"type": "truncated", "message": "x"}}) + "\n")
    (tmp_path / "r.jsonl").write_text("".join(lines), "utf-8")
    return tmp_path / "r.jsonl"


def annotated(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Label Studio exports as JSON when people accept its predictions, correct the first and skip the last."""
    done = []
    for number, task in enumerate(tasks):
        result = (
            [dict(each, id="x", origin="prediction") for each in task["predictions"][0]["result"]]
            if task["predictions"]
            else []
        )
        annotations = [{"id": number, "completed_by": 1, "was_cancelled": number == 3, "result": result}]
        if number == 0:
            fixed = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["fox"]}}
            annotations.append({"id": 9, "was_cancelled": False, "result": [fixed]})
        done.append({"id": number, "annotations": annotations, "drafts": [], "data": task["data"], "meta": {}})
    return done


def test_predictions_have_the_documented_form_and_come_back_as_labels(
    results: Path, run_here: RunHere, tmp_path: Path
) -> None:
    (done,) = run_here(("export", "annotations", "r.jsonl", "-o", "tasks.json", "--config", "project.xml"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    tasks = json.loads((tmp_path / "tasks.json").read_text("utf-8"))
    assert [task["data"]["path"] for task in tasks] == NAMES
    assert (tmp_path / "project.xml").read_text("utf-8") == config_for(["cat", "dog"], several=False)
    assert tasks[0] == {
        "data": {"image": "/data/local-files/?d=a%20b/1%23.jpg", "path": "a b/1#.jpg"},
        "predictions": [{
            "model_version": "pocket", "score": 0.75,
            "result": [{"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["cat"]}}],
        }],
    }  # fmt: skip
    assert tasks[1]["predictions"] == []
    (tmp_path / "export.json").write_text(json.dumps(annotated(tasks)), "utf-8")
    assert read_label_table(tmp_path / "export.json").labels == {"a b/1#.jpg": "fox", "3.jpg": "dog"}
    corrections = read_corrections(tmp_path / "export.json")
    assert [each.label for each in corrected(read_results(results), corrections)] == [
        "fox",
        "unknown",
        "dog",
        "dog",
        None,
    ]
    (done,) = run_here(("sort", "r.jsonl", "--into", "sorted", "--checked", "export.json"))
    assert done.stdout == "dog\t2\nfox\t1\nunknown\t1\n"


def test_several_labels_and_the_short_form_of_an_export_are_read(tmp_path: Path) -> None:
    record = ReadRecord("https://host/a.jpg", "cat", 0.5, None, labels=("cat", "out"))
    task = task_of(record)
    assert task is not None
    assert task["data"]["image"] == "https://host/a.jpg"
    (tmp_path / "e.json").write_text(json.dumps([
        *annotated([{**task, "predictions": []}, task]),
        {"id": 1, "image": "/data/local-files/?d=a%20b.jpg", "label": "cat"},
        {"id": 2, "image": "c.jpg", "path": "c.jpg", "label": {"choices": ["cat", "out"]}},
        {"id": 3, "image": "d.jpg"},
    ]))  # fmt: skip
    assert [each[1:] for each in labels_in(tmp_path / "e.json")] == [
        ("https://host/a.jpg", "fox"), ("https://host/a.jpg", "cat|out"), ("a b.jpg", "cat"), ("c.jpg", "cat|out"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"data": {}}]', '[{"data": {"path": 3}}]', "[" * 100_000,
                                  '[{"data": {"path": "a"}, "annotations": [{"result": [{"type": "choices"}]}]}]',
                                  '[{"path": "a", "label": [3]}]', '[{"path": "a", "label": 3}]'])  # fmt: skip
def test_another_file_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(InputError, match="it is not an export of Label Studio") as caught:
        read_label_table(tmp_path / "e.json")
    assert "\n" not in str(caught.value)


def test_the_configuration_of_a_project_names_the_fields_of_the_tasks() -> None:
    root = etree.fromstring(config_for(["cat", 'say "&"'], several=True))
    choices = root.find("Choices")
    assert choices is not None
    assert (choices.get("name"), choices.get("toName"), choices.get("choice")) == ("label", "image", "multiple")
    assert [each.get("value") for each in choices] == ["cat", 'say "&"']
