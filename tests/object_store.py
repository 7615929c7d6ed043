"""An object store on this machine: moto's server on loopback, and a way to it that drops connections."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
}  # fmt: skip


@dataclass
class Store:
    """A server that speaks S3."""

    address: str
    client: Any = field(repr=False)

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs to find it and be let in."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.address}

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def read(self, bucket: str, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return data


@contextmanager
def running_store(**variables: str) -> Iterator[Store]:
    """Start a server, in a process of its own, for the time of the block."""
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, **variables},
    )  # fmt: skip
    try:
        _wait_for(port)
        address = f"http://127.0.0.1:{port}"
        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        yield Store(address, client)
    finally:
        server.kill()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError("the server did not start")


class DroppingProxy:
    """Passes bytes on to a server, but hangs up in the middle of some answers.

    Parameters
    ----------
    times
        How often an answer about each object is cut off.
    about
        What the first line of a request must match for that.
    """

    def __init__(self, store: Store, about: str, times: int) -> None:
        self._target = int(store.address.rpartition(":")[2])
        self._about, self._times = re.compile(about.encode()), times
        self.dropped: dict[bytes, int] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Pass one request on, in a connection of its own."""
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(1 << 16)
            head, _, body = request.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if b"100-continue" in head.lower():
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                head = re.sub(rb"(?i)\r\nexpect: [^\r]*", b"", head)
            while length and len(body) < int(length[1]):
                body += client.recv(1 << 16)
            server.sendall(re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head) + b"\r\nConnection: close\r\n\r\n" + body)
            answer = b""
            while chunk := server.recv(1 << 16):
                answer += chunk
            line = head.split(b"\r\n")[0]
            if self._about.search(line) and self.dropped.get(line, 0) < self._times:
                self.dropped[line] = self.dropped.get(line, 0) + 1
                client.sendall(answer[: max(20, len(answer) * 2 // 3)])
            else:
                client.sendall(answer)
