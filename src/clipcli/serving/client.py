"""Ask a running server: requests over one connection per thread, repeated while the server is busy."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from clipcli.errors import InputError, ServerError
from clipcli.serving.security import is_loopback
from clipcli.storage.network_policy import is_forbidden
from clipcli.text import one_line

__all__ = ["ServerClient", "form_of"]

_PATIENCE = 120.0  # seconds that a server may be busy
_LONGEST_PAUSE = 10.0
_TIMEOUT = 180.0
_LARGEST_ANSWER = 256 << 20
_BUSY = (429, 503)


def form_of(images: Sequence[bytes], options: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return the body of a form with images and options, and its media type; the images are named by their number."""
    boundary = secrets.token_hex(16)
    parts = [_part(boundary, 'name="options"', json.dumps(options).encode())]
    parts += [_part(boundary, f'name="image"; filename="{number}"', data) for number, data in enumerate(images)]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _part(boundary: str, named: str, data: bytes) -> bytes:
    return b"".join([f"--{boundary}\r\nContent-Disposition: form-data; {named}\r\n\r\n".encode(), data, b"\r\n"])


class ServerClient:
    """A client of one server.

    Parameters
    ----------
    url
        The URL of the server, such as ``http://127.0.0.1:8765``.
    token
        The token of the server, if it has one.

    Raises
    ------
    InputError
        If the URL cannot be used, or the network is forbidden and it is another machine.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        try:
            parts = urlsplit(url)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            parts, self._host = None, ""
        if parts is None or parts.scheme not in ("http", "https") or not self._host:
            raise InputError(f"cannot use --server {url}: not a URL (write it like http://127.0.0.1:8765)")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InputError(
                "cannot use --server: its URL has more than a host and a path (use --token-file for a token)"
            )
        if is_forbidden() and not is_loopback(self._host):
            raise InputError(f"cannot use --server {url}: another machine is not allowed with --offline")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._is_secure, self._path = parts.scheme == "https", parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._connections = threading.local()

    def get(self, path: str) -> Any:
        """Return what the server answers; the errors are those of :meth:`post`."""
        return self._answered("GET", path, None, {})

    def post(self, path: str, body: bytes, kind: str) -> Any:
        """Send a body and return the JSON that the server answers.

        Raises
        ------
        ServerError
            If the server cannot be reached, stays busy, or answers with an error; the message has the reason.
        """
        return self._answered("POST", path, body, {"Content-Type": kind})

    def _answered(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        until = time.monotonic() + _PATIENCE
        while True:
            status, retry_after, data = self._asked(method, path, body, headers)
            if status not in _BUSY or time.monotonic() > until:
                break
            time.sleep(min(_LONGEST_PAUSE, _seconds(retry_after)))
        try:
            answer = json.loads(data)
            if status == 200:
                return answer
            message = str(answer["error"]["message"])
        except (ValueError, LookupError, TypeError, RecursionError):
            raise self._error(f"status {status}, and not an answer of clipcli serve") from None
        raise ServerError(f"cannot use the server at {self.url}: {one_line(message)}")

    def _asked(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str | None, bytes]:
        """Send a request; once more if the server closed the connection that was idle."""
        for is_last in (False, True):
            connection = self._connection()
            was_open = connection.sock is not None
            try:
                connection.request(method, self._path + path, body, {**self._headers, **headers})
                answer = connection.getresponse()
                data = answer.read(_LARGEST_ANSWER)
                return answer.status, answer.getheader("Retry-After"), data
            except (http.client.HTTPException, OSError, ValueError) as problem:
                connection.close()
                if is_last or not was_open:
                    raise self._error(_reason(problem)) from None
        raise AssertionError  # the second attempt returns or raises

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._connections, "open", None)
        if found is None:
            kind = http.client.HTTPSConnection if self._is_secure else http.client.HTTPConnection
            found = self._connections.open = kind(self._host, self._port, timeout=_TIMEOUT)
        return found

    def _error(self, reason: str) -> ServerError:
        return ServerError(
            f"cannot reach the server at {self.url}: {reason} (start it with clipcli serve, or leave out --server)"
        )


def _reason(problem: Exception) -> str:
    if isinstance(problem, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return "it closed the connection"
    return getattr(problem, "strerror", None) or " ".join(str(problem).split()) or type(problem).__name__


def _seconds(header: str | None) -> float:
    with suppress(ValueError):
        return max(0.05, float(header or 1))
    return 1.0
