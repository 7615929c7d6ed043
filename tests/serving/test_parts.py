"""The parts of the server that need neither a model nor a connection."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from clipcli.cli.serve import seconds_in
from clipcli.errors import InputError
from clipcli.serving.batching import Batcher, gather
from clipcli.serving.deadlines import deadline
from clipcli.serving.multipart import parse_multipart
from clipcli.serving.problems import RequestError
from clipcli.serving.recent import Recent
from clipcli.serving.security import Access, below, check_address, read_token
from tests.conftest import RunHere


def test_a_batch_takes_what_waits_up_to_its_size() -> None:
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(1, 6):
        waiting.put(number)
    assert gather(0, waiting, 4, 0.0) == [0, 1, 2, 3]
    assert gather(0, waiting, 9, 0.0) == [0, 4, 5]


def test_jobs_that_wait_while_the_encoder_works_share_a_batch() -> None:
    free, sizes = threading.Event(), []

    def work(jobs: list[int]) -> list[int]:
        sizes.append(len(jobs))
        free.wait()
        return [2 * job for job in jobs]

    batcher = Batcher(work, 8, 0.0)
    results: list[Future[int]] = [Future() for _ in range(6)]
    batcher.submit(0, results[0])
    while not sizes:
        pass
    for number in range(1, 6):
        batcher.submit(number, results[number])
    free.set()
    assert [result.result(10) for result in results] == [0, 2, 4, 6, 8, 10]
    assert sizes == [1, 5]
    batcher.close()


def test_the_error_of_a_batch_reaches_all_its_jobs_and_no_other() -> None:
    def work(jobs: list[int]) -> list[int]:
        return [1 // job for job in jobs]

    batcher = Batcher(work, 1, 0.0)
    bad, good = Future[int](), Future[int]()
    batcher.submit(0, bad)
    batcher.submit(1, good)
    assert isinstance(bad.exception(10), ZeroDivisionError)
    assert good.result(10) == 1
    batcher.close()


def test_the_least_recently_used_and_the_old_values_are_dropped() -> None:
    now = 0.0
    recent: Recent[str, int] = Recent(10, 60.0, lambda weight: weight, lambda: now)
    recent.put("a", 4)
    recent.put("b", 4)
    assert recent.get("a") == 4
    recent.put("c", 4)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (4, None, 4)
    now = 61.0
    assert (recent.get("a"), len(recent)) == (None, 0)


def test_what_takes_too_long_is_ended() -> None:
    async def wait() -> None:
        async with deadline(0.01, "overdue", "the answer was not ready"):
            await asyncio.sleep(10)

    with pytest.raises(RequestError, match=r"within 0\.01 seconds"):
        asyncio.run(wait())


def test_a_form_is_parsed_with_its_bytes_unchanged() -> None:
    data = bytes(range(256)) * 3 + b"\r\n--y\r\n"
    body = b'--x\r\nContent-Disposition: form-data; name="a"; filename="\xc3\xa9.png"\r\n\r\n' + data + b"\r\n--x--\r\n"
    (part,) = parse_multipart(body, "multipart/form-data; boundary=x", 1, 0)
    assert (part.name, part.filename, bytes(part.data)) == ("a", "\u00e9.png", data)
    with pytest.raises(RequestError, match="cut off"):
        parse_multipart(body[:-10], "multipart/form-data; boundary=x", 1, 0)
    with pytest.raises(RequestError, match="too many images"):
        parse_multipart(body, "multipart/form-data; boundary=x", 0, 0)


@pytest.mark.parametrize(
    ("host", "header", "is_allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8765", True),
        ("127.0.0.1", "localhost:8765", True),
        ("127.0.0.1", "[::1]:8765", True),
        ("127.0.0.1", "192.0.2.1:8765", False),
        ("0.0.0.0", "192.0.2.1:8765", True),  # noqa: S104
        ("0.0.0.0", "rebound.example", False),  # noqa: S104
        ("box.example", "BOX.example:80", True),
        ("127.0.0.1", "proxy.example", True),
        ("127.0.0.1", None, False),
    ],
)
def test_a_server_is_only_called_by_its_names(host: str, header: str | None, is_allowed: bool) -> None:
    access = Access(host, names=("proxy.example",))
    if is_allowed:
        access.check_host(header)
    else:
        with pytest.raises(RequestError, match="--allow-host"):
            access.check_host(header)


def test_paths_stay_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    assert below(tmp_path / "root", "a/../b.png") == (tmp_path / "root" / "b.png").resolve()
    for path in ("..", "../x", "/etc", "link/x", "a\0", "x" * 5000 + "/../../.."):
        with pytest.raises(RequestError, match="not below the root folder"):
            below(tmp_path / "root", path)
    with pytest.raises(RequestError, match="--root"):
        below(None, "a")


def test_other_machines_need_a_token(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        check_address(host, None, insecure=False)
    with pytest.raises(InputError, match="without a token"):
        check_address("192.0.2.1", None, insecure=False)
    check_address("192.0.2.1", None, insecure=True)
    (tmp_path / "token").write_text("0123456789abcdef\n")
    assert read_token(None, tmp_path / "token") == "0123456789abcdef"
    with pytest.raises(InputError, match="cannot read the token file"):
        read_token(None, tmp_path / "gone")


def test_times_have_units() -> None:
    assert [seconds_in(time) for time in ("90", "90s", "10m", "1.5h")] == [90.0, 90.0, 600.0, 5400.0]


def test_without_the_extra_it_says_what_to_install(run_here: RunHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    (done,) = run_here(["serve", "-l", "cat", "-l", "dog"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: cannot serve: it needs an extra (pip install 'clipcli[serve]')\n"
