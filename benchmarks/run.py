"""Measure clipcli beside its peers: the same weights, photographs and threads, in turns, in one run.

    python -m benchmarks.run --json build/benchmark.json

Makes random ViT-B-32 weights and photographs once (in ``build/benchmark``), checks that the contenders
agree, then asks them in turn, round after round, and prints the medians as tables. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import agreement
from benchmarks.workers import Worker, workers

Row = dict[str, Any]

LOOP, LOADER, ONNX = "open_clip loop", "open_clip DataLoader", "ONNX Runtime"
PIPELINE, BATCHES = "transformers pipeline", "transformers pipeline, by 8"
TORCH_FP32, TORCH, FP32, PLAIN = "clipcli torch fp32", "clipcli torch", "clipcli fp32", "clipcli"
OWN = [TORCH_FP32, TORCH, FP32, PLAIN]
ALL = [PIPELINE, BATCHES, LOOP, LOADER, ONNX, *OWN]
FEW = {10: 64, 100: 16, 1000: 8}  # photographs for the pipelines, which encode the labels again and again

TIMES = {TORCH: 3, FP32: 3, PLAIN: 3}  # how often the quick ones get all photographs, to be timed for seconds too
_SHARE = 2  # the others get half of them

_MATERIAL = """
import sys
from pathlib import Path
from benchmarks.material import make_photos, make_weights
folder = Path(sys.argv[1])
make_weights(folder)
make_photos(folder / "small", 256, 500)
make_photos(folder / "large", 24, 4000)
"""


def prepare(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Make weights and photographs where they are missing; return small photos, 12-megapixel ones, and labels."""
    subprocess.run([sys.executable, "-c", _MATERIAL, str(folder)], check=True, stdout=subprocess.DEVNULL)
    listed = "from benchmarks.material import labels; import json; print(json.dumps(labels(1000)))"
    names = json.loads(subprocess.run([sys.executable, "-c", listed], stdout=subprocess.PIPE, check=True).stdout)
    small, large = ([str(path) for path in sorted((folder / part).glob("*.jpg"))] for part in ("small", "large"))
    return small, large, names


def measure_speed(asked: dict[str, Worker], photos: list[str], labels: list[str], rounds: int) -> list[Row]:
    """Ask the contenders in turn to classify the photographs; return images a second, medians of the rounds."""
    speeds: dict[str, list[float]] = {name: [] for name in asked}
    limits: dict[str, list[float]] = {name: [] for name in asked}
    precision = {}
    for worker in asked.values():
        worker.ask("use", labels)
        worker.ask("classify", photos[:8])  # warm
    for number in range(rounds):
        for name, worker in asked.items():
            if name in (PIPELINE, BATCHES) and number:
                continue  # once is long enough
            some = _share_of(photos, name, len(labels))
            answer = worker.ask("classify", some)
            speeds[name].append(len(some) / answer.seconds)
            precision[name] = answer.precision
            if name in OWN:
                cost = worker.ask("limit", photos).value
                limits[name].append(1 / (cost["forward"] + cost["decode"] / (os.cpu_count() or 1)))
    base = {name: statistics.median(speeds[name]) for name in asked}
    rows = []
    for name in asked:
        row: Row = {"contender": name, "precision": precision[name], "images/s": base[name]}
        row |= {f"× {peer}": base[name] / base[peer] for peer in (LOOP, LOADER, PIPELINE, BATCHES) if peer in base}
        if limits[name]:
            row["of the limit"] = statistics.median(
                speed / limit for speed, limit in zip(speeds[name], limits[name], strict=True)
            )
        rows.append(row)
    return rows


def _share_of(photos: list[str], name: str, labels: int) -> list[str]:
    """Return as many photographs as keep a contender busy for some seconds, but not for minutes."""
    if name in (PIPELINE, BATCHES):
        return photos[: FEW[labels]]
    return photos * TIMES[name] if name in TIMES else photos[: len(photos) // _SHARE]


def measure_texts(material: Path, labels: list[str], rounds: int) -> list[Row]:
    """Time class embeddings of some labels with OpenAI's 80 templates, with open_clip and with clipcli."""
    seconds: dict[str, list[float]] = {LOOP: [], PLAIN: []}
    with workers(list(seconds), material) as asked:
        for worker in asked.values():
            worker.ask("use", labels[:1])
        for _ in range(rounds):
            for name, worker in asked.items():
                seconds[name].append(worker.ask("embed_classes", labels).seconds)
    base = {name: len(labels) * 80 / statistics.median(values) for name, values in seconds.items()}
    return [{"contender": name, "prompts/s": pace, f"× {LOOP}": pace / base[LOOP]} for name, pace in base.items()]


def measure_memory(material: Path, photos: list[str], labels: list[str]) -> list[Row]:
    """Return each contender's peak resident memory in a fresh process: opening the model, labels, photographs."""
    rows = []
    for name in ALL:
        some = photos[: FEW[len(labels)]] if name in (PIPELINE, BATCHES) else photos[:64]
        with workers([name], material) as asked:
            asked[name].ask("use", labels)
            rows.append({"contender": name, "peak MiB": asked[name].ask("classify", some).peak_mib})
    return rows


def machine() -> Row:
    """Describe what this ran on."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    flags: set[str] = set()
    if information.exists():
        fields = dict(line.split(":", 1) for line in information.read_text().splitlines() if ":" in line)
        fields = {name.strip(): value.strip() for name, value in fields.items()}
        processor = fields.get("model name", processor)
        flags = set(fields.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
    packages = ("clipcli", "torch", "open_clip_torch", "transformers", "onnxruntime", "openvino", "pillow", "numpy")
    versions = {name: version(name) for name in packages}
    return {"processor": processor, "flags": sorted(flags), "cores": os.cpu_count(), "system": platform.platform(),
            "python": platform.python_version(), **versions}  # fmt: skip


def show(console: Console, title: str, rows: list[Row]) -> None:
    """Print rows as a table."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        cells = (row.get(column, "") for column in columns)
        table.add_row(*(f"{cell:.3g}" if isinstance(cell, float) and cell < 100 else _whole(cell) for cell in cells))
    console.print(table)


def _whole(cell: Any) -> str:
    return f"{cell:.0f}" if isinstance(cell, float) else str(cell)


def measure(options: argparse.Namespace, console: Console) -> None:
    """Run the parts that were asked for, print each as a table, and write all that is known so far."""
    small, large, labels = prepare(options.folder)
    hundred, texts = labels[:100], labels[: options.text_labels]
    photos = options.photos or options.folder / "small"
    found: dict[str, Any] = {"machine": machine()}
    console.print_json(data=found["machine"])

    def part(name: str, title: str, function: Callable[..., list[Row]], *arguments: Any) -> None:
        if name.split()[0] in options.only:
            found[name] = function(*arguments)
            show(console, title, found[name])
            if options.json:
                options.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")

    with workers(ALL, options.folder) as asked:
        few = dict.fromkeys((PIPELINE, BATCHES), FEW[100])
        title = "Agreement with open_clip in fp32, 100 labels"
        part("agreement", title, agreement.with_open_clip, asked, small, hundred, LOOP, few)
        title = f"Agreement of pocket with itself in fp32, {len(labels)} labels, {photos.name}"
        part("agreement pocket", title, agreement.of_pocket, options.folder, photos, labels)
        for count in options.labels:
            rounds = options.rounds if count == 100 else 3
            title = f"500-pixel JPEGs, {count} labels"
            part(f"small {count}", title, measure_speed, asked, small, labels[:count], rounds)
        others = {name: worker for name, worker in asked.items() if name not in few}
        part("large 100", "12-megapixel JPEGs, 100 labels", measure_speed, others, large, hundred, 3)
    title = f"Class embeddings, {len(texts)} labels × 80 templates"
    part("text", title, measure_texts, options.folder, texts, 3)
    title = "Peak memory, 500-pixel JPEGs, 100 labels"
    part("memory", title, measure_memory, options.folder, small, hundred)
    title = "Peak memory, 12-megapixel JPEGs, 100 labels"
    part("memory large", title, measure_memory, options.folder, large[:8], hundred)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["agreement", "small", "large", "text", "memory"]
    parser.add_argument("--folder", type=Path, default=Path("build/benchmark"), help="for weights and photographs")
    parser.add_argument("--photos", type=Path, help="more photographs, to compare pocket's precisions on")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--rounds", type=int, default=5, help="with 100 labels; 3 elsewhere")
    parser.add_argument("--labels", type=int, nargs="+", choices=FEW, default=[100, 10, 1000], metavar="N")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--text-labels", type=int, default=10, help="labels of the text part, each with 80 templates")
    options = parser.parse_args()
    measure(options, Console(width=150))


if __name__ == "__main__":
    main()
