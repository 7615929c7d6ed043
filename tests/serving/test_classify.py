"""``POST /v1/classify`` over real connections."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.conftest import Run
from tests.serving.conftest import LABELS, Served


def test_a_raw_image_is_classified_with_the_labels_of_the_server(client: httpx.Client, photos: dict[str, Path]) -> None:
    answer = client.post(
        "/v1/classify?name=a.png", content=photos["cat"].read_bytes(), headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 200
    (record,) = answer.json()["records"]
    assert (record["path"], record["label"]) == ("a.png", "cat")
    assert {score["label"] for score in record["top"]} == set(LABELS)


def test_options_may_be_in_the_query_string(client: httpx.Client, photos: dict[str, Path]) -> None:
    answer = client.post(
        "/v1/classify",
        params={"label": ["owl", "kitten"], "top_k": 1, "min_probability": 0.999999},
        content=photos["cat"].read_bytes(),
        headers={"Content-Type": "application/octet-stream"},
    )
    (record,) = answer.json()["records"]
    assert (record["label"], [score["label"] for score in record["top"]]) == ("unknown", ["kitten"])
    assert answer.json()["layout"] == {
        "top_k": 1, "grouped": False, "with_unknown": True, "tagged": False, "in_tree": False
    }  # fmt: skip


def test_records_are_those_of_the_command(served: Served, photos: dict[str, Path], run_once: Run) -> None:
    files = [photos[name] for name in ("cat", "coffee", "rocket", "astronaut")]
    labels = [word for label in LABELS for word in ("-l", label)]
    lines = run_once("classify", *files, *labels, "--model", "pocket", "-f", "jsonl").stdout.splitlines()
    with served.client() as client:
        form = [("image", (str(path), path.read_bytes(), "image/png")) for path in files]
        answer = client.post("/v1/classify", files=form).json()
    assert answer["records"] == [json.loads(line) for line in lines]


def test_a_bad_image_among_many_is_one_record(client: httpx.Client, photos: dict[str, Path]) -> None:
    good = photos["rocket"].read_bytes()
    form = [
        ("image", (name, data, "image/jpeg"))
        for name, data in (("a", good), ("b", b"GIF89a nothing"), ("c", b""), ("d", good))
    ]
    answer = client.post("/v1/classify", files=form)
    assert answer.status_code == 200
    records, ids = answer.json()["records"], answer.json()["ids"]
    assert [record["path"] for record in records] == ["a", "b", "c", "d"]
    assert [record.get("error", {}).get("type") for record in records] == [None, "unreadable", "empty", None]
    assert ids == [sha256(good).hexdigest(), None, None, sha256(good).hexdigest()]


def test_labels_are_changed_without_sending_the_image_again(client: httpx.Client, photos: dict[str, Path]) -> None:
    data = photos["coffee"].read_bytes()
    sent = {"images": [{"name": "a", "data": base64.b64encode(data).decode()}]}
    name = client.post("/v1/classify", json=sent).json()["ids"][0]
    named = {"images": [{"name": "a", "id": name}], "labels": ["tea", {"name": "espresso", "group": "drink"}]}
    encoded = _counter(client, "clipcli_images_encoded_total")
    (record,) = client.post("/v1/classify", json=named).json()["records"]
    assert record["label"] == "espresso"
    assert record["groups"][0]["group"] == "drink"
    assert _counter(client, "clipcli_images_encoded_total") == encoded


def _counter(client: httpx.Client, name: str) -> float:
    lines = [line for line in client.get("/v1/metrics").text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_an_id_that_is_not_kept_is_one_record(client: httpx.Client) -> None:
    answer = client.post("/v1/classify", json={"images": [{"name": "a", "id": "0" * 64}]})
    assert answer.json()["ids"] == [None]
    assert answer.json()["records"][0]["error"]["type"] == "not_found"


def test_a_request_without_images_checks_the_labels(client: httpx.Client) -> None:
    answer = client.post("/v1/classify", json={"images": [], "labels": ["a", "b"], "templates": ["a {label}"]})
    assert answer.json()["records"] == []
    assert answer.json()["settings"]["prompts"] == ["a a", "a b"]


def test_tags_and_a_file_below_the_root(client: httpx.Client) -> None:
    options = {"images": [{"path": "below/rocket.jpg"}], "tags": True, "threshold": 0.3}
    (record,) = client.post("/v1/classify", json=options).json()["records"]
    assert record["path"] == "below/rocket.jpg"
    assert [score["label"] for score in record["labels"]] == ["rocket"]


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"labels": ["cat", "cat"]}, 422, "duplicate label 'cat'"),
        ({"labels": []}, 422, "no labels"),
        ({"labels": ["cat", 3]}, 400, "labels: entry 2: expected text or an object"),
        ({"labels": ["cat", "dog"], "templates": ["no place"]}, 422, "no placeholder"),
        ({"labels": ["cat", "dog"], "prompts": ["/etc/passwd"]}, 400, "prompts: entry 1: unknown value"),
        ({"label": ["cat"]}, 400, "unknown name 'label' (did you mean labels"),
        ({"top_k": 0}, 400, "top_k: 0 is not from 1"),
        ({"top_k": True}, 400, "top_k: expected a whole number or null, not true or false"),
        ({"model": "other"}, 422, "unknown model 'other' (use pocket)"),
        ({"score": "softmax"}, 422, "score"),
        ({"images": [{"id": "x"}]}, 400, "64 hexadecimal digits"),
        ({"images": [{"data": "AA==", "id": "0" * 64}]}, 400, "give one of data, id and path"),
        ({"images": [{"data": "?"}]}, 400, "not valid base64"),
        ({"images": [{"path": "../secret.png"}]}, 403, "not below the root folder"),
        ({"images": [{"path": "out.png"}]}, 403, "not below the root folder"),
        ({"images": [{"id": "0" * 64}] * 65}, 413, "65 entries, over the limit of 64"),
        ({"labels": ["x"] * 100_000}, 413, "100,000 entries, over the limit of 10,000"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(client: httpx.Client, body: object, status: int, part: str) -> None:
    answer = client.post("/v1/classify", json=body)
    assert answer.status_code == status
    assert part in answer.json()["error"]["message"]
    assert "--" not in answer.json()["error"]["message"]
