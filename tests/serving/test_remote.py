"""``clipcli classify --server``: the same output as without it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.serving.conftest import Served, Start

TOKEN = "0123456789abcdef0123456789"  # noqa: S105


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]) -> Path:
    """Photographs in several folders, and files that cannot be read."""
    folder = tmp_path_factory.mktemp("album")
    for number in range(3):  # more than one request holds
        (folder / str(number)).mkdir()
        for name, path in photos.items():
            (folder / str(number) / f"{name}{path.suffix}").write_bytes(path.read_bytes() + bytes(number))
    (folder / "0" / "empty.jpg").touch()
    (folder / "1" / "damaged.jpg").write_bytes(photos["rocket"].read_bytes()[:3000])
    rows = ["label,group,prompt", "cat,animal/pet,", "coffee,drink,a photo of a cup of coffee", "rocket,,"]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["-L", "labels.csv", "-f", "jsonl"],
        ["-L", "labels.csv", "-f", "csv", "-k", "2", "--min-probability", "0.9"],
        ["-l", "cat", "-l", "a rocket", "-t", "a photo of {label}", "-t", "{label} at night", "-f", "json"],
        ["-l", "cat", "-l", "temple", "--tags", "--threshold", "0.4", "-f", "tsv"],
        ["-l", "cat", "-l", "flower", "-p", "photo", "-f", "tsv", "--compact"],
    ],
)
def test_the_output_is_the_same_with_a_server(served: Served, album: Path, run_once: Run, arguments: list[str]) -> None:
    line = ["classify", album, album / "missing.jpg", "-m", "pocket", *arguments]
    line = [album / each if each == "labels.csv" else each for each in line]
    alone = run_once(*line)
    remote = run_once(*line, CLIPCLI_SERVER=served.url)
    assert (remote.stdout, remote.stderr, remote.returncode) == (alone.stdout, alone.stderr, 1)
    assert alone.stdout.count("rocket.jpg") >= 3


def test_the_labels_of_the_server_are_used_without_others(served: Served, album: Path, run: Run) -> None:
    done = run("classify", album / "0" / "cat.png", "--server", served.url, "-v", "-k", "1")
    assert "cat.png\tcat\t" in done.stdout
    assert f"1 sent to {served.url}" in done.stderr


def test_a_run_is_resumed_with_and_without_a_server(served: Served, album: Path, run: Run, tmp_path: Path) -> None:
    line = ["classify", album / "0", "-m", "pocket", "-l", "cat", "-l", "dog"]
    run(*line, "-o", "parts/", "--part-size", "3", "-f", "jsonl")
    parts = sorted((tmp_path / "parts").glob("*.jsonl"))
    before = [part.read_bytes() for part in parts]
    parts[0].unlink()
    done = run(*line, "-o", "parts/", "--part-size", "3", "-f", "jsonl", "--resume", "--server", served.url)
    assert (done.returncode, [part.read_bytes() for part in parts]) == (1, before)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--server", "http://127.0.0.1:9"], "cannot reach the server at http://127.0.0.1:9: Connection refused"),
        (["--server", "127.0.0.1:9"], "cannot use --server 127.0.0.1:9: not a URL"),
        (["--server", "http://user:secret@127.0.0.1:9"], "more than a host and a path"),
        (["--server", "http://example.org", "--offline"], "another machine is not allowed with --offline"),
        (["--server", "http://127.0.0.1:9", "--device", "cpu"], "--device only works without --server"),
        (["--token-file", "x"], "--token-file only works with --server"),
    ],
)
def test_a_server_that_cannot_be_used_is_named(run: Run, album: Path, arguments: list[str], reason: str) -> None:
    done = run("classify", album / "0" / "cat.png", "-l", "cat", "-l", "dog", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert reason in done.stderr
    assert "secret" not in done.stderr


def test_errors_of_the_server_are_one_line(served: Served, run: Run, album: Path) -> None:
    done = run("classify", album / "0" / "cat.png", "-l", "cat", "-l", "dog", "-m", "other", "--server", served.url)
    assert done.returncode == 2
    assert done.stderr == f"error: cannot use the server at {served.url}: unknown model 'other' (use pocket)\n"


def test_the_token_is_sent(start: Start, run: Run, album: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    server = start("-m", "pocket", "-l", "cat", "-l", "dog", CLIPCLI_TOKEN=TOKEN)
    line = ["classify", album / "0" / "cat.png", "--server", server.url]
    assert "the token is missing or wrong" in run(*line).stderr
    assert run(*line, "--token-file", "token").returncode == 0
    assert run(*line, CLIPCLI_TOKEN=TOKEN).returncode == 0


@pytest.fixture
def stranger() -> Iterator[str]:
    """A web server of another kind."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"records": "?", "warnings": []}')

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_of_another_kind_is_recognised(stranger: str, run: Run, album: Path) -> None:
    done = run("classify", album / "0" / "cat.png", "-l", "cat", "-l", "dog", "--server", stranger)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "it answers in another form" in done.stderr
