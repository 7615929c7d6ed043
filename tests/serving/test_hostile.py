"""Damaged and hostile requests get a clean answer, and the server still answers other requests."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.serving.conftest import Served, Start

NESTED = "[" * 100_000
HOSTILE: list[object] = [
    None, True, -1, 0, 10**400, 1e308, "", " ", "\0", "\ud800", "x" * 2000, "../../etc/passwd", "/etc/passwd",
    "file:///etc/passwd", "http://127.0.0.1:9/a.png", "{label.__class__}", "{0}", "%s%n", "<script>", "\u202e", [], {},
    [[]], [None], [{}], ["a", "A"], ["a"] * 3, {"name": "a"}, {"name": {"name": "a"}}, [{"data": "AAAA"}],
    [{"name": "a", "prompts": ["{x}"]}], [{"name": "a", "threshold": 2}], [{"path": "../secret.png"}],
    [{"id": "0" * 64, "path": "a"}],
]  # fmt: skip
NAMES = [
    "labels", "templates", "prompts", "model", "top_k", "min_probability", "min_similarity", "min_margin", "tags",
    "score", "threshold", "level", "images", "text", "texts", "folder", "count", "__class__", "\ud800", "x" * 5000,
]  # fmt: skip
PATHS = ["/v1/classify", "/v1/embed/image", "/v1/embed/text", "/v1/search"]
SECRETS = ("Traceback", 'File "', "site-packages", "/tmp/", "secret.png:")  # noqa: S108


def checked(answer: httpx.Response) -> None:
    """Check that an answer is a result, or says in one line what is wrong with the request."""
    assert answer.status_code == 200 or 400 <= answer.status_code < 500, answer.text[:500]
    assert not any(secret in answer.text for secret in SECRETS), answer.text[:500]
    if answer.status_code != 200:
        message = answer.json()["error"]["message"]
        assert message
        assert "\n" not in message


def bomb(width: int, height: int) -> bytes:
    """Make a small PNG file that claims to have many pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1 << 20))), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


Sent = tuple[str, bytes, str]  # the path, the body and its media type
JSON, FORM, PNG = "application/json", "multipart/form-data; boundary=x", "image/png"
PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


def hostile_json(dice: random.Random) -> list[Sent]:
    """Make bodies with unknown names and values of wrong kinds, and some that are not JSON."""
    bodies = [
        json.dumps({name: dice.choice(HOSTILE) for name in dice.sample(NAMES, dice.randint(1, 4))}) for _ in range(250)
    ]
    odd = [NESTED, '{"labels": ' + NESTED, '{"top_k": NaN}', '{"a": 1' + "0" * 10_000 + "}", "\xff", "", "null", "[]"]
    return [(PATHS[number % 4], text.encode("latin-1"), JSON) for number, text in enumerate([*bodies, *odd * 4])]


def hostile_forms(dice: random.Random, photo: bytes) -> list[Sent]:
    """Make forms that are damaged, cut off, nested, or have too many or too long parts."""
    form, made = PART + photo[:3000] + b"\r\n--x--\r\n", []
    kinds = [FORM, "multipart/form-data", "multipart/form-data; boundary=" + "y" * 500]
    for number in range(150):
        damaged = bytearray(form)
        for _ in range(dice.randint(1, 20)):
            damaged[dice.randrange(200)] = dice.randrange(256)
        content = bytes(damaged[: dice.randrange(1, len(damaged))] if number % 3 else damaged)
        made.append((PATHS[number % 2], content, dice.choice(kinds)))
    nested = b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n--y--\r\n--x--\r\n"
    many = (PART + b"\r\n") * 5000 + b"--x--\r\n"
    long = b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 100_000 + b"\r\n\r\n\r\n--x--\r\n"
    return [*made, *(("/v1/classify", content, FORM) for content in (nested, many, long))]


def hostile_others(photo: bytes) -> list[Sent]:
    """Make bombs, unknown media types, and paths and query strings that lead elsewhere."""
    bombs = [bomb(60_000, 60_000), bomb(13_000, 13_000), b"", b"\0" * 1000, photo[:5000], zlib.compress(bytes(9 << 20))]
    kinds = ["", "text/html", "application/json; charset=utf-7", "image", "\u00e9", "a" * 5000]
    paths = ["/page/../secret", "/page/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/v1/%00", "/page/index.html%00"]
    many = "label=" + "&label=".join(map(str, range(3000)))
    queries = ["top_k=1&top_k=2", "tags=maybe", many, "%ff=%00", "name=%00"]
    return [
        *(("/v1/classify", content, PNG) for content in bombs),
        *(("/v1/classify", b"x", kind) for kind in kinds),
        *((path, b"", PNG) for path in [*paths, "/" + "a" * 8000]),
        *((f"/v1/classify?{query}", photo[:3000], PNG) for query in queries),
    ]


def test_five_hundred_hostile_requests_are_answered_cleanly(served: Served, photos: dict[str, Path]) -> None:
    photo = photos["rocket"].read_bytes()
    dice = random.Random(19)
    made = [*hostile_json(dice), *hostile_forms(dice, photo), *hostile_others(photo)]
    assert len(made) > 450
    with served.client() as client:
        for path, content, kind in made:
            headers = {"Content-Type": kind.encode("latin-1")}
            checked(client.post(path, content=content, headers=headers))  # type: ignore[arg-type]
        for header in ("Host", "Origin", "Authorization", "Content-Length", "Sec-Fetch-Site", "Transfer-Encoding"):
            for value in ("evil.example", "127.0.0.1:1@evil.example", "[::1", "-1", "9" * 30, "x" * 3000, "\xff"):
                sent = f"GET /v1/labels HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}: {value}\r\n\r\n"
                assert b"Traceback" not in exchanged(served, sent.encode("latin-1"))
        assert client.get("/v1/health").status_code == 200
    assert served.process.poll() is None


def exchanged(served: Served, sent: bytes) -> bytes:
    """Send bytes over a connection of their own, and return what comes back at once."""
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:  # type: ignore[arg-type]
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(1 << 16)
        except OSError:
            return b""


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 5000,
        b"GET /" + b"a" * 100_000,
        b"POST /v1/classify",
    ],
)
def test_garbage_harms_no_other_client(served: Served, client: httpx.Client, garbage: bytes) -> None:
    assert b"Traceback" not in exchanged(served, garbage)
    assert client.get("/v1/health").status_code == 200


def test_slow_clients_and_those_that_hang_up_harm_no_other(start: Start, photos: dict[str, Path]) -> None:
    server = start("-m", "pocket", "-l", "cat", "-l", "dog")
    address = urlsplit(server.url)
    data = photos["cat"].read_bytes()
    head = (
        b"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
        % len(data)
    )
    slow = [socket.create_connection((address.hostname, address.port)) for _ in range(40)]  # type: ignore[arg-type]
    for number, connection in enumerate(slow):
        connection.sendall((head + data[:100], head + data, head[:30])[number % 3])
    for connection in slow[1::6]:
        connection.close()  # before the answer
    with server.client() as client:
        answer = client.post("/v1/classify", content=data, headers={"Content-Type": "image/png"})
        assert answer.json()["records"][0]["label"] == "cat"
        for connection in slow:
            connection.close()
        while "clipcli_images_waiting 0" not in (text := client.get("/v1/metrics").text):
            time.sleep(0.1)
        assert "clipcli_bytes_held 0" in text
    code, errors = server.stop()
    assert (code, errors) == (0, "")


def test_memory_stays_flat_over_many_requests(start: Start) -> None:
    server = start("-m", "pocket", "-l", "cat", "-l", "dog")

    def ask() -> None:
        with server.client() as client:
            for _ in range(400):
                assert client.post("/v1/classify", json={"images": [{"id": "0" * 64}]}).status_code == 200

    def resident() -> int:
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        status = Path(f"/proc/{server.process.pid}/statm")
        return int(status.read_text().split()[1]) * 4096

    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is read from /proc")
    first = resident()
    assert resident() - first < 8 << 20
