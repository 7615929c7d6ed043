"""Check ``clipcli watch`` over files that arrive in all ways while it is killed: one record each.

    python -m benchmarks.watching             # 2,000 files, three kills, in a temporary folder

A quarter of the files each is copied at once, written slowly in pieces, written under a temporary name and renamed, and
moved from another folder; half of them go into sub-folders. The watch is killed with SIGKILL while files arrive, and
started again.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image


def jpeg(number: int) -> bytes:
    """Return an image that no other number has."""
    data = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").point(lambda value: (value + number) % 256).save(data, "JPEG")
    return data.getvalue()


def arrive(inbox: Path, waiting: Path, files: int, chance: random.Random) -> None:
    """Let files arrive."""
    for number in range(files):
        folder = inbox / f"sub{number % 20}" if number % 2 else inbox
        folder.mkdir(exist_ok=True)
        target, data = folder / f"{number:05}.jpg", jpeg(number)
        if number // 2 % 4 == 0:
            target.write_bytes(data)
        elif number // 2 % 4 == 1:
            with target.open("wb") as file:
                for start in range(0, len(data), 1 + len(data) // 3):
                    file.write(data[start : start + 1 + len(data) // 3])
                    file.flush()
                    time.sleep(chance.uniform(0, 0.01))
        elif number // 2 % 4 == 2:
            temporary = target.with_name(f"{target.name}.part")
            temporary.write_bytes(data)
            time.sleep(chance.uniform(0, 0.01))
            temporary.rename(target)
        else:
            (waiting / target.name).write_bytes(data)
            (waiting / target.name).rename(target)


def records_in(results: Path) -> int:
    """Return the number of complete records."""
    return results.read_bytes().count(b"\n") if results.exists() else 0


def check(folder: Path, files: int, kills: int, seed: int) -> None:
    """Run the whole check in an empty folder, and print what was found."""
    inbox, waiting, results = folder / "inbox", folder / "waiting", folder / "r.jsonl"
    inbox.mkdir()
    waiting.mkdir()
    chance = random.Random(seed)
    arriving = threading.Thread(target=arrive, args=(inbox, waiting, files, random.Random(seed)))
    command = [
        sys.executable, "-m", "clipcli", "watch", "inbox", "-o", "r.jsonl", "-l", "cat", "-l", "dog", "--model",
        "pocket", "--no-cache", "--settle", "0.5",
    ]  # fmt: skip
    started = time.perf_counter()
    arriving.start()
    for stop in [signal.SIGKILL] * kills + [signal.SIGTERM]:
        watching = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        before = records_in(results)
        goal = min(files, before + 1 + files // (2 * kills)) if stop == signal.SIGKILL else files
        while records_in(results) < goal and watching.poll() is None and time.perf_counter() - started < 500:
            time.sleep(0.02)
        if stop == signal.SIGKILL:
            time.sleep(chance.uniform(0, 0.2))
        watching.send_signal(stop)
        print(f"{stop.name}: {records_in(results)} records, exit code {watching.wait()}", flush=True)
    arriving.join()
    paths = [json.loads(line)["path"] for line in results.read_text("utf-8").splitlines()]
    wrong = sum("error" in json.loads(line) for line in results.read_text("utf-8").splitlines())
    print(f"{len(paths)} records, {len(set(paths))} different, {wrong} failures, {time.perf_counter() - started:.0f} s")
    assert len(paths) == len(set(paths)) == files
    assert wrong == 0


def main() -> None:
    """Parse the arguments and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder), arguments.files, arguments.kills, arguments.seed)


if __name__ == "__main__":
    main()
