"""With --offline no command opens a socket, whatever names a URL: one check at the doors, not one in each command."""

from __future__ import annotations

import io
import json
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from clipcli import Classifier
from clipcli.embedder import Embedder
from clipcli.errors import HubUnreachableError, ImageError, InputError
from clipcli.inputs.discover import Source, discover
from clipcli.inputs.items import FileInput
from clipcli.models.hub import fetch_file, reachable
from clipcli.storage import network_policy as policy
from clipcli.storage.remote import filesystem, open_url, read_url
from tests.conftest import RunHere

URL = "https://example.invalid/a.jpg"
ANSWER = ("-m", "pocket", "-l", "cat", "-l", "dog", "--no-cache")
TOLD = "remote URL not allowed with --offline (copy it to this machine, or leave --offline out)\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Refuse every connection and every look-up of a name, and note them."""
    import s3fs  # noqa: F401 - urllib3 tries IPv6 on this machine when it is imported

    noted: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        noted.append(arguments[-1])
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr("clipcli.storage.remote._PAUSES", ())
    return noted


@pytest.fixture
def files(tmp_path: Path, photos: dict[str, Path]) -> Path:
    """Tables that name URLs, in every form, and one photograph on disk."""
    (tmp_path / "t.csv").write_text(f"path,label,caption\n{URL},cat,a cat\n{photos['cat']},cat,a cat\n", "utf-8")
    (tmp_path / "t.jsonl").write_text(json.dumps({"path": URL, "caption": "a cat"}) + "\n", "utf-8")
    pyarrow.parquet.write_table(pa.table({"path": [URL]}), tmp_path / "t.parquet")
    (tmp_path / "r.jsonl").write_text(json.dumps({"path": URL, "label": "cat", "probability": 0.5}) + "\n", "utf-8")
    (tmp_path / "photo.png").write_bytes(photos["cat"].read_bytes())
    return tmp_path


REFUSED: dict[str, tuple[str, ...]] = {
    "an image": ("classify", URL, *ANSWER),
    "after an image on disk": ("classify", "photo.png", URL, *ANSWER),
    "an object": ("classify", "s3://bucket/a.jpg", *ANSWER),
    "objects": ("classify", "gs://bucket/folder/", *ANSWER),
    "a pattern of objects": ("classify", "s3://bucket/*.jpg", *ANSWER),
    "an archive": ("classify", "https://example.invalid/a.tar?v=1", *ANSWER),
    "a table": ("classify", "https://example.invalid/t.csv", "--path-column", "path", *ANSWER),
    "a table of images": ("classify", "s3://bucket/t.parquet", *ANSWER),
    "a column of a CSV": ("classify", "t.csv", "--path-column", "path", *ANSWER),
    "a column of JSON Lines": ("classify", "t.jsonl", "--path-column", "path", *ANSWER),
    "a column of a Parquet file": ("classify", "t.parquet", "--path-column", "path", *ANSWER),
    "a list on stdin": ("classify", "-", *ANSWER),
    "results": ("classify", "photo.png", *ANSWER, "-o", "s3://bucket/out/"),
    "parts in a file's place": ("classify", "photo.png", *ANSWER, "-o", "https://example.invalid/r.csv"),
    "embeddings of": ("export", "images", URL, "-m", "pocket", "-o", "e.npz"),
    "embeddings into": ("export", "images", "photo.png", "-m", "pocket", "-o", "s3://bucket/out/"),
    "a matrix of": ("matrix", URL, "-m", "pocket", "-x", "a cat"),
    "a matrix of a table": ("matrix", "t.csv", "--path-column", "path", "-m", "pocket", "-x", "a cat"),
    "an evaluation of": ("evaluate", "t.csv", "-m", "pocket"),
    "an evaluation against": ("evaluate", "r.jsonl", "--truth", "t.csv"),
}


@pytest.mark.parametrize("line", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_behind_a_url_is_refused_with_offline(
    line: tuple[str, ...], files: Path, asked: list[Any], run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{URL}\n".encode())))
    (done,) = run_here((*line, "--offline"))
    assert (done.returncode, asked, "error" in done.stdout.partition("\n")[2]) == (2, [], False)
    assert done.stderr.startswith("error: cannot use ")
    assert done.stderr.endswith(TOLD)


QUIET: dict[str, tuple[str, ...]] = {
    "labels": ("classify", "photo.png", "-m", "pocket", "--labels", URL),
    "prompts": ("classify", "photo.png", *ANSWER, "-p", URL),
    "texts": ("matrix", "photo.png", "-m", "pocket", "--texts", URL),
    "exported labels": ("classify", "photo.png", "-m", "pocket", "--classes", URL),
    "ground truth": ("evaluate", URL, "-m", "pocket"),
    "pairs": ("train", URL, "-o", "model"),
    "pairs of a table": ("train", "t.jsonl", "-o", "model", "--model", "pocket"),
    "a model's URL": ("classify", "photo.png", "-l", "cat", "-m", URL),
    "a model's weights": ("classify", "photo.png", "-l", "cat", "-m", "ViT-B-32", "--pretrained", URL),
    "a model of the hub": ("classify", "photo.png", "-l", "cat", "-m", "hf-hub:org/repo"),
    "weights of the hub": ("classify", "photo.png", "-l", "cat", "-m", "ViT-B-32"),
    "another model": ("evaluate", "t.csv", "-m", "hf-hub:org/repo"),
    "a start": ("train", "t.csv", "-o", "model", "--model", "hf-hub:org/repo"),
    "an architecture's tokenizer": ("train", "t.csv", "-o", "model", "--from-scratch", "ViT-B-16-SigLIP"),
    "a text's model": ("export", "text", "-l", "cat", "-m", "hf-hub:org/repo", "-o", "t.npz"),
    "a download": ("models", "download", "hf-hub:org/repo"),
}


@pytest.mark.parametrize("line", QUIET.values(), ids=QUIET.keys())
def test_nothing_else_that_names_a_url_or_the_hub_opens_a_socket(
    line: tuple[str, ...], files: Path, asked: list[Any], run_here: RunHere
) -> None:
    (done,) = run_here((*line, "--offline"))
    assert (done.returncode, done.stdout, asked) == (2, "", [])
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_commands_without_the_option_never_ask_for_what_results_name(
    files: Path, asked: list[Any], run_here: RunHere
) -> None:
    report, sort, listed = run_here(
        ("report", "r.jsonl", "-o", "page.html"), ("sort", "r.jsonl", "--into", "sorted"), ("models", "list"),
    )  # fmt: skip
    assert ([report.returncode, sort.returncode, listed.returncode], asked) == ([0, 1, 0], [])


def test_the_variable_forbids_as_the_option_does(files: Path, asked: list[Any], run_here: RunHere) -> None:
    (done,) = run_here(("matrix", URL, "-m", "pocket", "-x", "a cat"), CLIPCLI_OFFLINE="1")
    assert (done.returncode, asked) == (2, [])


def test_one_command_line_leaves_the_next_its_network(files: Path, asked: list[Any], run_here: RunHere) -> None:
    run_here(("classify", URL, *ANSWER, "--offline"))
    assert not policy.is_forbidden()
    (done,) = run_here(("classify", URL, *ANSWER))
    assert done.returncode == 1
    assert asked


@pytest.mark.parametrize(
    "images", [URL, [URL], [FileInput("a", URL)], "s3://bucket/folder/"], ids=["a URL", "URLs", "an input", "a folder"]
)
def test_an_embedder_that_is_offline_refuses_urls_and_leaves_others_their_network(
    images: Any, asked: list[Any], photos: dict[str, Path]
) -> None:
    offline, online = (Embedder("pocket", cache=False, offline=flag) for flag in (True, False))
    stream = offline.embed([str(photos["cat"]), *(images if isinstance(images, list) else [images])])
    with pytest.raises(InputError, match="remote URL not allowed"):
        list(stream)
    assert asked == []
    ((_, answer),) = next(online.embed(FileInput("a", URL)))
    assert isinstance(answer, ImageError)
    assert asked


def test_a_classifier_that_is_offline_refuses_urls(asked: list[Any]) -> None:
    with pytest.raises(InputError, match="remote URL not allowed"):
        list(Classifier("pocket", ["cat", "dog"], cache=False, offline=True).classify(URL))
    assert asked == []


DOORS: dict[str, Callable[[], Any]] = {
    "reading": lambda: read_url(URL),
    "opening": lambda: open_url("s3://b/a.tar"),
    "a file system": lambda: filesystem("gs://b"),
    "finding": lambda: list(discover(Source((URL,)))),
    "the hub": lambda: fetch_file("org/repo", ["config.json"], offline=False, what="x"),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
@pytest.mark.parametrize("in_thread", [False, True], ids=["here", "in a thread"])
def test_every_door_is_shut_in_a_process_that_is_forbidden_the_network(
    door: Callable[[], Any], in_thread: bool, asked: list[Any]
) -> None:
    problems: list[BaseException] = []

    def knock() -> None:
        try:
            door()
        except (InputError, HubUnreachableError) as problem:
            problems.append(problem)

    with policy.process_policy():
        policy.forbid_in_process()
        if in_thread:
            thread = threading.Thread(target=knock)
            thread.start()
            thread.join()
        else:
            knock()
        assert not reachable("org/repo", "config.json")
    assert (len(problems), asked) == (1, [])


def test_a_stream_is_forbidden_the_network_only_while_it_takes_its_steps() -> None:
    seen: list[bool] = []

    def steps() -> Any:
        for _ in range(2):
            seen.append(policy.is_forbidden())
            yield policy.is_forbidden()

    outside = [policy.is_forbidden() for _ in policy.steps_without_network(steps(), forbidden=True)]
    assert (seen, outside) == ([True, True], [False, False])
