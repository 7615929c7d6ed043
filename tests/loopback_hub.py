"""A stand-in for the Hugging Face hub on the loopback interface, for the real client to talk to.

Serves ``root/organisation/name/file`` with the headers that the client reads, and can misbehave in the
ways a real hub does.
"""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LoopbackHub:
    """What the hub holds, how it misbehaves and what it was asked.

    Parameters
    ----------
    root
        The folder it serves.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = ""
        self.requests: list[str] = []
        self.gated: set[str] = set()
        self.status: int | None = None
        """Answer every request for a file with this status."""
        self.hang_on = ""
        """Never answer a request for a file of this name."""
        self.hang_up_after: int | None = None
        """Send so many bytes of a file, then hang up; refuse every later request for a file."""
        self.stall_after: int | None = None
        """Send so many bytes of a file, then nothing more."""
        self.broken = False
        self.stalled = threading.Event()
        self.finished = threading.Event()


@contextmanager
def serving(hub: LoopbackHub) -> Iterator[LoopbackHub]:
    """Serve on a free port, known as ``hub.url``, until the block ends."""

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.finished.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent_hub() -> Iterator[str]:
    """Accept connections, as the operating system does by itself, and never answer on any."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub, path = self.hub, self.path.partition("?")[0]
        hub.requests.append(f"{self.command} {path}")
        repository, found, rest = path.strip("/").partition("/resolve/")
        filename = rest.partition("/")[2]
        if not found:
            self._send(200 if path == "/" else 404)
        elif hub.broken:
            self.close_connection = True  # without a word, as when the line is dead
        elif hub.hang_on and filename == hub.hang_on:
            hub.finished.wait()
        elif hub.status is not None:
            self._send(hub.status)
        elif repository in hub.gated:
            self._send(401, X_Error_Code="GatedRepo", X_Error_Message=f"Access to {repository} is restricted.")
        elif not (hub.root / repository).is_dir():
            self._send(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        elif not (hub.root / repository / filename).is_file():
            self._send(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found", X_Repo_Commit=COMMIT)
        else:
            self._send_file(hub.root / repository / filename, body)

    def _send(self, status: int, **headers: Any) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": 0, **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def _send_file(self, file: Path, body: bool) -> None:
        """Send a file. Its tag is not made of its content, so that the first answer comes at once."""
        state = file.stat()
        tag = hashlib.sha256(f"{file} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()
        self._send(200, Content_Length=state.st_size, ETag=f'"{tag}"', X_Repo_Commit=COMMIT)
        if not body:
            return
        hub, content = self.hub, file.read_bytes()
        if hub.hang_up_after is not None and len(content) > hub.hang_up_after:
            self.wfile.write(content[: hub.hang_up_after])
            hub.broken = self.close_connection = True
        elif hub.stall_after is not None and len(content) > hub.stall_after:
            self.wfile.write(content[: hub.stall_after])
            self.wfile.flush()
            hub.stalled.set()
            hub.finished.wait()
        else:
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean."""
