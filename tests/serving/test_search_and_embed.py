"""Embeddings and searches over real connections."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx
import numpy as np

from clipcli import Embedder, ImageSearch
from tests.serving.conftest import Served


def test_images_are_embedded_as_in_python(client: httpx.Client, photos: dict[str, Path]) -> None:
    names = ["cat", "rocket"]
    form = [("image", (name, photos[name].read_bytes(), "image/png")) for name in names]
    answer = client.post("/v1/embed/image", files=[*form, ("image", ("bad", b"no image", "image/png"))]).json()
    embedder = Embedder("pocket", cache=False)
    blocks = embedder.embed([photos[name] for name in names])
    expected = np.stack([np.asarray(vector) for block in blocks for _, vector in block])
    np.testing.assert_allclose([row["embedding"] for row in answer["embeddings"][:2]], expected, atol=1e-6)
    assert answer["embeddings"][2]["error"]["type"] == "not_an_image"
    assert (answer["model"], answer["dim"]) == ("pocket", len(expected[0]))


def test_texts_are_embedded_as_they_are_or_with_templates(client: httpx.Client) -> None:
    texts = ["a dog", "A dog", "a dog"]
    plain = client.post("/v1/embed/text", json={"texts": texts}).json()["embeddings"]
    assert [row["text"] for row in plain] == texts
    assert plain[0] == plain[2] != plain[1]
    filled = client.post("/v1/embed/text", json={"texts": ["dog"], "templates": ["a {label}"]}).json()["embeddings"]
    np.testing.assert_allclose(filled[0]["embedding"], plain[0]["embedding"], atol=1e-6)
    assert client.post("/v1/embed/text", json={"texts": []}).json()["embeddings"] == []


def test_the_folder_is_searched_by_text_as_by_the_command(served: Served, client: httpx.Client) -> None:
    answer = client.post("/v1/search", json={"text": "a rocket at night", "count": 2}).json()
    root = served.folder / "photos"
    hits = ImageSearch("a rocket at night", count=2, model="pocket", cache=False).search([root])
    assert [hit["path"] for hit in answer["hits"]] == [str(Path(hit.path).relative_to(root)) for hit in hits]
    found = [hit["similarity"] for hit in answer["hits"]]
    np.testing.assert_allclose(found, [hit.similarity for hit in hits], atol=1e-5)
    assert answer["hits"][0]["path"] == "below/rocket.jpg"


def test_the_folder_is_searched_by_an_image_and_its_id(client: httpx.Client, photos: dict[str, Path]) -> None:
    data = base64.b64encode(photos["cat"].read_bytes()).decode()
    hits = client.post("/v1/search", json={"images": [{"data": data}]}).json()["hits"]
    assert hits[0]["path"] == "cat.png"
    name = client.post("/v1/classify", json={"images": [{"data": data}]}).json()["ids"][0]
    assert client.post("/v1/search", json={"images": [{"id": name}]}).json()["hits"] == hits
    assert not [hit for hit in hits if "out" in hit["path"]]  # a link that leads out of the folder


def test_what_cannot_be_searched_is_refused(client: httpx.Client) -> None:
    for body, status in (
        ({"text": "a", "folder": "../"}, 403),
        ({"text": "a", "folder": "/etc"}, 403),
        ({"text": "a", "folder": "nowhere"}, 404),
        ({}, 422),
        ({"text": "a", "count": 0}, 400),
        ({"images": [{"id": "0" * 64}]}, 422),
    ):
        answer = client.post("/v1/search", json=body)
        assert answer.status_code == status, body
        assert "/tmp" not in answer.text  # noqa: S108


def test_metrics_are_in_the_format_of_prometheus(client: httpx.Client) -> None:
    client.get("/v1/health")
    client.get('/nothing/"quoted')
    text = client.get("/v1/metrics").text
    assert 'clipcli_requests_total{route="/v1/health",status="200"}' in text
    assert 'clipcli_requests_total{route="other",status="404"}' in text
    assert "quoted" not in text
    for line in text.splitlines():
        assert line.startswith("# ") or float(line.rpartition(" ")[2]) >= 0
    assert "clipcli_images_waiting 0" in text
    assert "clipcli_bytes_held 0" in text
