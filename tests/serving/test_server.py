"""The server as a whole: who may use it, how it starts and how it stops."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import Run
from tests.serving.conftest import LABELS, Served, Start

TOKEN = "0123456789abcdef0123456789"  # noqa: S105
EVERYWHERE = "0.0.0.0"  # noqa: S104


def test_health_labels_and_models_are_told(client: httpx.Client) -> None:
    assert client.get("/v1/health").json()["status"] == "ok"
    assert [label["name"] for label in client.get("/v1/labels").json()["labels"]] == LABELS
    about = client.get("/v1/models").json()
    assert about["models"] == [{"name": "pocket", "default": True, "loaded": True}]
    assert about["search"] is True


def test_unknown_paths_and_methods_are_answered_in_json(client: httpx.Client) -> None:
    assert client.get("/v2/nothing").json()["error"]["type"] == "not_found"
    assert client.get("/v1/classify").json()["error"]["type"] == "method_not_allowed"
    assert client.post("/v1/classify", content=b"x", headers={"Content-Type": "text/html"}).status_code == 415


def test_answers_say_that_a_browser_must_load_nothing_else(client: httpx.Client) -> None:
    for path in ("/docs", "/v1/health", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8765"},
        {"Host": ""},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_pages_of_other_sites_are_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.get("/v1/labels", headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "forbidden")


def test_the_own_page_may_ask(served: Served, client: httpx.Client) -> None:
    headers = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    assert client.get("/v1/labels", headers=headers).status_code == 200


def test_a_token_is_asked_for(start: Start, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    server = start("-m", "pocket", "-l", "a", "-l", "b", "--host", EVERYWHERE, "--token-file", "token")
    with httpx.Client(base_url=server.url.replace(EVERYWHERE, "127.0.0.1")) as client:
        assert client.get("/v1/health").json()["token"] is True
        for wrong in ({}, {"Authorization": "Bearer " + TOKEN[:-1]}, {"Authorization": TOKEN}):
            answer = client.get("/v1/labels", headers=wrong)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/v1/labels", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    code, errors = server.stop()
    assert (code, TOKEN in errors) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--host", EVERYWHERE], "cannot listen on 0.0.0.0 without a token"),
        (["--token", "short"], "it has fewer than 16 characters"),
        (["--idle", "soon"], "cannot read --idle 'soon': not a time above zero"),
        (["--root", "nowhere"], "cannot use --root nowhere: it is not a folder"),
        (["--host", "256.1.1.1", "--insecure"], "cannot listen on 256.1.1.1:"),
        (["-m", "pocket", "-m", "pocket"], "cannot use --model pocket twice"),
        (["-l", "cat", "-l", "cat"], "duplicate --label 'cat'"),
    ],
)
def test_a_server_that_cannot_start_says_why(run: Run, arguments: list[str], reason: str) -> None:
    ended = run("serve", "--port", "0", *arguments)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert reason in ended.stderr


def test_a_port_in_use_is_named(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "-m", "pocket", "--port", port)
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr


def test_a_stopped_server_answers_what_it_accepted(start: Start, photos: dict[str, Path]) -> None:
    server = start("-m", "pocket", "-l", "cat", "-l", "dog")
    data, codes = photos["astronaut"].read_bytes(), []
    begun = threading.Barrier(9)

    def ask(number: int) -> None:
        with server.client() as client:
            client.get("/v1/health")
            begun.wait()
            form = [("image", (f"{each}", data + bytes([number, each]), "image/png")) for each in range(8)]
            codes.append(client.post("/v1/classify", files=form).status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    begun.wait()
    time.sleep(0.5)
    code, errors = server.stop()
    for thread in threads:
        thread.join()
    assert (code, errors) == (0, "")
    assert codes == [200] * 8
    with pytest.raises(httpx.ConnectError):
        server.client().get("/v1/health")


def test_ctrl_c_stops_the_server(start: Start) -> None:
    assert start("-m", "pocket").stop(signal.SIGINT)[0] == 0


def test_an_idle_model_is_closed_and_opened_again(start: Start, photos: dict[str, Path]) -> None:
    server = start("-m", "pocket", "-l", "a", "-l", "b", "--idle", "0.3s")
    with server.client() as client:
        while client.get("/v1/models").json()["models"][0]["loaded"]:
            time.sleep(0.1)
        answer = client.post("/v1/classify", content=photos["cat"].read_bytes(), headers={"Content-Type": "image/png"})
        assert answer.json()["records"][0]["model"] == "pocket"


def test_a_full_queue_is_answered_with_429(start: Start, photos: dict[str, Path]) -> None:
    server = start("-m", "pocket", "-l", "a", "-l", "b", "--queue", "64")
    data, answers = photos["astronaut"].read_bytes(), []

    def ask(number: int) -> None:
        with server.client() as client:
            form = [("image", ("a", data + bytes([number, each]), "image/png")) for each in range(40)]
            answers.append(client.post("/v1/classify", files=form))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert all(answer.headers["retry-after"] == "1" for answer in refused)


def test_uploads_never_touch_the_disk(start: Start, photos: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    server = start("-m", "pocket", "-l", "a", "-l", "b", TMPDIR=str(tmp_path / "temporary"))
    (tmp_path / "temporary").chmod(0o500)
    with server.client() as client:
        size = _size(tmp_path)
        form = [("image", (f"{each}.png", photos["astronaut"].read_bytes() * 4, "image/png")) for each in range(8)]
        assert client.post("/v1/classify", files=form).status_code == 200
        assert _size(tmp_path) == size


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
