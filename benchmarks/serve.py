"""Measure ``clipcli serve`` under load, next to ``clipcli classify`` on the same files.

    python -m benchmarks.serve PHOTOS                # 32 clients that send 100 images each, one per request
    python -m benchmarks.serve PHOTOS --clients 4 --images 20

Each image is sent once: copies of a photograph get different last bytes, so that no embedding is used twice. The
rate of ``classify`` leaves out its start, which is measured with one image.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

COMMAND = [sys.executable, "-m", "clipcli"]
LABELS = [word for label in ("cat", "dog", "car", "house", "a plate of food") for word in ("-l", label)]
OPTIONS = ["--model", "pocket", "--no-cache", *LABELS]


@dataclass(frozen=True)
class Load:
    """What a run under load showed; milliseconds are of requests with one image."""

    images: int
    lost: int
    images_per_second: float
    classify_per_second: float
    p50_ms: float
    p95_ms: float
    single_ms: float
    memory_before_mb: float
    memory_after_mb: float

    @property
    def share(self) -> float:
        """The rate of the server as a share of that of ``classify``."""
        return self.images_per_second / self.classify_per_second


def distinct_files(photos: Path, folder: Path, count: int) -> list[Path]:
    """Write copies of photographs that differ in their last bytes."""
    originals = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not originals:
        raise SystemExit(f"no .jpg or .png files in {photos}")
    made = []
    for number in range(count):
        original = originals[number % len(originals)]
        made.append(folder / f"{number:06d}{original.suffix}")
        made[-1].write_bytes(original.read_bytes() + number.to_bytes(4, "big"))
    return made


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """Start a server on a free port; yield its URL and its process."""
    line = [*COMMAND, "serve", "--port", "0", *OPTIONS]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = next(filter(None, (re.search(r"serving on (\S+)", text) for text in process.stderr)), None)
        if found is None:
            raise SystemExit("the server did not start")
        yield found[1], process.pid
    finally:
        process.terminate()
        process.wait()


def send(url: str, files: list[Path], seconds: list[float]) -> int:
    """Send files one by one over one connection; return how many got no record of a label."""
    address, lost = urlsplit(url), 0
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=300)
    for path in files:
        data, started = path.read_bytes(), time.perf_counter()
        while True:
            connection.request("POST", "/v1/classify", data, {"Content-Type": "application/octet-stream"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 429:
                break
            time.sleep(float(answer.headers["Retry-After"]))
        seconds.append(time.perf_counter() - started)
        lost += answer.status != 200 or "label" not in json.loads(body)["records"][0]
    return lost


def under_load(url: str, files: list[Path], clients: int) -> tuple[float, list[float], int]:
    """Let clients send all files at the same time; return the time, that of each request, and the lost ones."""
    seconds: list[float] = []
    lost: list[int] = []
    shares = [files[number::clients] for number in range(clients)]
    threads = [threading.Thread(target=lambda share=share: lost.append(send(url, share, seconds))) for share in shares]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started, seconds, sum(lost) + len(files) - len(seconds)


def classified(*inputs: Path) -> float:
    """Return the seconds of a run of ``classify``."""
    started = time.perf_counter()
    subprocess.run([*COMMAND, "classify", *map(str, inputs), *OPTIONS, "-f", "jsonl"], check=True, capture_output=True)
    return time.perf_counter() - started


def resident(process: int) -> float:
    """Return the memory of a process in MB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 1e6


def measure(photos: Path, clients: int, images: int) -> Load:
    """Measure a server and ``classify`` on the same files."""
    with tempfile.TemporaryDirectory() as folder:
        files = distinct_files(photos, Path(folder), clients * images)
        with server() as (url, process):
            single: list[float] = []
            send(url, distinct_files(photos, Path(tempfile.mkdtemp(dir=folder)), 20), single)
            before = resident(process)
            wall, seconds, lost = under_load(url, files, clients)
            after = resident(process)
        plain = classified(*files) - classified(files[0])
    ranked = sorted(1000 * each for each in seconds)
    return Load(
        len(files), lost, len(files) / wall, (len(files) - 1) / plain, statistics.median(ranked),
        ranked[int(0.95 * (len(ranked) - 1))], 1000 * statistics.median(single), before, after,
    )  # fmt: skip


def main() -> None:
    """Print the measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--images", type=int, default=100, help="per client")
    arguments = parser.parse_args()
    found = measure(arguments.photos, arguments.clients, arguments.images)
    print(json.dumps({**asdict(found), "share_of_classify": found.share}, indent=2))


if __name__ == "__main__":
    main()
