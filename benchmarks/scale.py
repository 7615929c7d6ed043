"""Does memory stay flat, and is every input there once? Classify few and many images and compare.

    python benchmarks/scale.py --model pocket --few 2000 --many 100000

Makes small JPEGs, some thousands of them different and the rest hard links, classifies the first few and
then all of them, each in a process of its own without a cache beforehand, and prints peak memory, time and
what is missing or double, as a table and as JSON. A last run with other labels is served from the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image

SIDE = 64  # pixels


def make_images(folder: Path, count: int, different: int) -> None:
    """Fill ``folder`` with ``count`` JPEGs, a thousand to a folder."""
    draw = random.Random(0)
    originals: list[Path] = []
    for number in range(count):
        path = folder / f"{number // 1000:04}" / f"{number:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < different:
            noise = Image.frombytes("RGB", (8, 8), draw.randbytes(8 * 8 * 3))
            noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, quality=85)
            originals.append(path)
        else:
            os.link(originals[number % different], path)


def classify(inputs: list[str], labels: list[str], output: Path, cache: Path, model: str) -> dict[str, Any]:
    """Run the command and return its peak memory in MiB, its seconds, and what is wrong with its records."""
    options = [part for label in labels for part in ("-l", label)]
    command = [sys.executable, "-m", "clipcli", "classify", *inputs, *options, "--model", model, "-o", str(output)]
    started = time.monotonic()
    process = subprocess.Popen([*command, "--quiet", "--cache-dir", str(cache)])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"exit status {status}"
    with output.open(encoding="utf-8") as lines:
        names = Counter(json.loads(line)["path"] for line in lines)
    return {
        "records": names.total(),
        "double": sum(count > 1 for count in names.values()),
        "peak MiB": round(usage.ru_maxrss / 1024, 1),
        "seconds": round(time.monotonic() - started, 1),
        "CPU seconds": round(usage.ru_utime + usage.ru_stime, 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--few", type=int, default=2000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--different", type=int, default=5000, help="how many of the images differ")
    parser.add_argument("--cached", type=int, default=10_000, help="images of the run that is served from the cache")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipcli-scale-") as name:
        folder = Path(name)
        make_images(folder / "images", given.many, given.different)
        parts = sorted(str(path) for path in (folder / "images").iterdir())
        labels = ["red", "green", "blue", "grey"]
        outcome = {}
        for count in (given.few, given.many):
            inputs = parts[: max(1, count // 1000)]
            cache = folder / f"cache-{count}"
            outcome[f"{count} images"] = classify(inputs, labels, folder / f"{count}.jsonl", cache, given.model)
            print(count, outcome[f"{count} images"], flush=True)
        other = ["dark", "light", "warm", "cold"]
        subset = parts[: max(1, given.cached // 1000)]
        for title in ("other labels, text new", "other labels, all cached"):
            outcome[title] = classify(subset, other, folder / "cached.jsonl", cache, given.model)
            print(title, outcome[title], flush=True)
    few, many = (outcome[f"{count} images"]["peak MiB"] for count in (given.few, given.many))
    outcome["peak, many / few"] = round(many / few, 3)
    print("peak, many / few", outcome["peak, many / few"])
    if given.json:
        given.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
