"""Is it the same? Faster ways are worth something only where they name the same labels."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.workers import Worker

Best = tuple[str, "float | None"]


def with_open_clip(
    asked: dict[str, Worker], photos: list[str], labels: list[str], loop: str, few: dict[str, int]
) -> list[dict[str, Any]]:
    """Compare every contender's best labels and their similarities with those of the open_clip loop."""
    found = {}
    for name, worker in asked.items():
        worker.ask("use", labels)
        found[name] = worker.ask("classify", photos[: few.get(name)]).value
    return [compare(name, found[name], found[loop]) for name in asked]


def of_pocket(folder: Path, photos: Path, labels: list[str]) -> list[dict[str, Any]]:
    """Classify a folder with pocket in fp32, as it comes, and with OpenVINO, by the command line, and compare."""
    listed = folder / "thousand.txt"
    listed.write_text("".join(f"{label}\n" for label in labels), "utf-8")
    command = [str(Path(sys.executable).with_name("clipcli")), "classify", str(photos), "--labels", str(listed),
               "--model", "pocket", "--no-cache", "--format", "jsonl", "--top-k", "1"]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLIPCLI_")}
    found: dict[str, list[Best]] = {}
    for name, options in (
        ("fp32", ["--precision", "fp32", "--engine", "torch"]),
        ("torch", ["--engine", "torch"]),
        ("openvino, fp32", ["--engine", "openvino", "--precision", "fp32"]),
        ("auto", []),
    ):
        done = subprocess.run([*command, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        found[name] = [(record["label"], record["similarity"]) for record in records if "label" in record]
    return [compare(f"pocket, {name}", best, found["fp32"]) for name, best in found.items()]


def compare(name: str, found: list[Best], truth: list[Best]) -> dict[str, Any]:
    """Return the share of equal labels, and by how much the best similarities differ."""
    same = statistics.mean(label == right for (label, _), (right, _) in zip(found, truth, strict=False))
    row: dict[str, Any] = {
        "contender": name,
        "images": len(found),
        "different labels": len({label for label, _ in found}),
    }
    row["same top-1"] = same
    errors = [abs(one - other) for (_, one), (_, other) in zip(found, truth, strict=False) if one and other]
    if errors:
        row |= {"similarity error, mean": statistics.mean(errors), "similarity error, max": max(errors)}
    return row
