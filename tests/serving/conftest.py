"""A server as users start it, with the built-in model, for the tests of a module."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import clean_environment, clipcli_command

LABELS = ["cat", "a cup of coffee", "rocket"]


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    url: str
    folder: Path

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)  # type: ignore[arg-type]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Stop it, and return its exit code and what it wrote to stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


Start = Callable[..., Served]


def started(folder: Path, *arguments: object, **variables: str) -> Served:
    environment = clean_environment(folder) | variables
    line = [
        *clipcli_command(environment),
        "serve",
        *(() if "--port" in arguments else ("--port", "0")),
        *map(str, arguments),
    ]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment
    )
    assert process.stderr is not None
    lines = []
    for text in process.stderr:
        lines.append(text)
        if found := re.search(r"serving on (http://\S+)", text):
            return Served(process, found[1], folder)
    raise AssertionError(f"the server did not start: {''.join(lines)}")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]) -> Iterator[Served]:
    """A server with three labels, and a folder of photographs that can be searched."""
    folder = tmp_path_factory.mktemp("served")
    root = folder / "photos"
    (root / "below").mkdir(parents=True)
    for name in ("cat", "coffee"):
        (root / f"{name}.png").write_bytes(photos[name].read_bytes())
    (root / "below" / "rocket.jpg").write_bytes(photos["rocket"].read_bytes())
    (folder / "secret.png").write_bytes(photos["cat"].read_bytes())
    (root / "out.png").symlink_to(folder / "secret.png")
    labels = [word for label in LABELS for word in ("-l", label)]
    server = started(folder, "--model", "pocket", "--root", root, *labels)
    yield server
    code, errors = server.stop()
    assert (code, "Traceback" in errors) == (0, False), errors


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as opened:
        yield opened


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers that end with the test."""
    running: list[Served] = []

    def begin(*arguments: object, **variables: str) -> Served:
        running.append(started(tmp_path, *arguments, **variables))
        return running[-1]

    yield begin
    for server in running:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()
