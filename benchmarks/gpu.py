"""Measure clipcli on a GPU, in about ten minutes; on a CPU it runs as far as it can, to be tried there first.

    python -m benchmarks.gpu --photos PHOTOS                          # on the GPU
    python -m benchmarks.gpu --photos PHOTOS --device cpu --quick     # a trial

Prints four tables: whether fp16 ranks as fp32 does (``pocket``, 1000 labels); images per second of clipcli by the
number of decoding threads, beside open_clip with a DataLoader on the same files and the forward pass alone; what
happens when the device's memory is full; and one replica per GPU on Ray.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.agreement import Best, compare
from benchmarks.contenders import _Photographs
from benchmarks.material import labels as imagenet_labels
from clipcli import Classifier, Embedder, Prediction
from clipcli.models._torchvision import import_open_clip
from clipcli.models.registry import architecture

Row = dict[str, Any]


def ranks(photos: list[str], device: str) -> list[Row]:
    """Return how often the best of 1000 labels is that of fp32 on the CPU, and by how much similarities differ."""
    found: dict[str, list[Best]] = {}
    kinds: dict[str, dict[str, Any]] = {
        "fp32 on the CPU": {"device": "cpu", "precision": "fp32"},
        "fp32": {"device": device, "precision": "fp32"},
        "automatic precision": {"device": device},
    }
    for name, options in kinds.items():
        classifier = Classifier("pocket", imagenet_labels(1000), engine="torch", cache=False, top_k=1, **options)
        results = classifier.classify(photos)
        found[name] = [(result.label, result.similarity) for result in results if isinstance(result, Prediction)]
    return [compare(name, best, found["fp32 on the CPU"]) for name, best in found.items()]


def save_model(name: str, folder: Path) -> Path:
    """Save an architecture with random weights as a model folder."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    (folder / name).mkdir(parents=True)
    network = import_open_clip().create_model(name)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()},
              folder / name / "open_clip_model.safetensors")  # fmt: skip
    config = {"model_cfg": architecture(name), "preprocess_cfg": {}}
    (folder / name / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    return folder / name


def speed(model: Path, photos: list[str], device: str, rounds: int) -> list[Row]:
    """Return images per second of clipcli by decoding threads, of open_clip with a DataLoader, and of the network."""
    threads = sorted({1, 2, 4, 8, os.cpu_count() or 1} & set(range(1, (os.cpu_count() or 1) + 1)))
    contenders: dict[str, Any] = {f"clipcli, {count} threads": _Clipcli(model, device, count) for count in threads}
    contenders["open_clip DataLoader"] = _DataLoader(model, device)
    contenders["the forward pass alone"] = _Forward(model, device)
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):  # the first warms up
        for name, contender in contenders.items():
            started = time.perf_counter()
            count = contender(photos)
            if number:
                rates[name].append(count / (time.perf_counter() - started))
    medians = {name: statistics.median(each) for name, each in rates.items()}
    return [
        {
            "model": model.name, "contender": name, "images/s": rate,
            "× DataLoader": rate / medians["open_clip DataLoader"],
            "of the forward pass": rate / medians["the forward pass alone"],
        }
        for name, rate in medians.items()
    ]  # fmt: skip


class _Clipcli:
    def __init__(self, model: Path, device: str, threads: int) -> None:
        self._embedder = Embedder(str(model), device=device, engine="torch", workers=threads, cache=False)

    def __call__(self, photos: list[str]) -> int:
        return sum(len(block) for block in self._embedder.embed(photos))


class _DataLoader:
    """The loop of open_clip's README with batches from a DataLoader; in fp16 on a GPU, else in fp32, as clipcli."""

    def __init__(self, model: Path, device: str) -> None:
        import torch

        self._device = device
        network, _, self._transform = import_open_clip().create_model_and_transforms(
            model.name, pretrained=str(model / "open_clip_model.safetensors"), device=device
        )
        self._network = network.eval()
        self._autocast = torch.autocast(device.split(":")[0], torch.float16, enabled=device.startswith("cuda"))

    def __call__(self, photos: list[str]) -> int:
        import torch
        from torch.utils.data import DataLoader

        photographs: Any = _Photographs(photos, self._transform)
        loader: Iterable[Any] = DataLoader(
            photographs, batch_size=64, num_workers=os.cpu_count() or 1, pin_memory=self._device.startswith("cuda")
        )
        with torch.no_grad(), self._autocast:
            for batch in loader:
                features = self._network.encode_image(batch.to(self._device, non_blocking=True))
                (features / features.norm(dim=-1, keepdim=True)).cpu()
        return len(photos)


class _Forward:
    def __init__(self, model: Path, device: str) -> None:
        import torch

        embedder = Embedder(str(model), device=device, engine="torch", cache=False)
        encoder = embedder.model.image_encoder
        side = encoder.preprocessing
        pixels = torch.zeros((embedder.batch_size, side.height, side.width, 3), dtype=torch.uint8)
        self._network, self._tensor = encoder.network, encoder._normalised(pixels)

    def __call__(self, photos: list[str]) -> int:
        import torch

        batches = max(1, len(photos) // len(self._tensor))
        with torch.inference_mode():
            for _ in range(batches):
                features = self._network.encode_image(self._tensor)
            features.float().cpu()
        return batches * len(self._tensor)


def full_memory(model: Path, photos: list[str], device: str) -> list[Row]:
    """Encode with nearly all of the GPU's memory taken; batches are halved until they fit, with the same result."""
    import torch

    if not device.startswith("cuda"):
        return [{"device": device, "result": "not tried: only a GPU's memory is filled"}]
    options: dict[str, Any] = {"device": device, "engine": "torch", "cache": False}
    expected = _vectors(Embedder(str(model), batch_size=16, **options), photos)
    embedder = Embedder(str(model), batch_size=1024, **options)
    assert embedder.image_encoder
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(max(0, free - 300_000_000), dtype=torch.uint8, device=device)
    found = _vectors(embedder, photos)
    del taken
    return [{"device": device, "result": f"batch of {embedder.model.image_encoder._largest_batch or 1024}",
             "1 - cosine, max": float(1 - (found * expected).sum(axis=1).min())}]  # fmt: skip


def _vectors(embedder: Embedder, photos: list[str]) -> Any:
    rows: list[Any] = [vector for block in embedder.embed(photos) for _, vector in block]
    return np.stack(rows)


def replicas(model: Path, photos: list[str]) -> list[Row]:
    """Run the command on Ray with one replica, and with one per GPU."""
    import torch

    rows = []
    for count in sorted({1, torch.cuda.device_count()} - {0}):
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "photos.txt"
            listed.write_text("\n".join(photos), "utf-8")
            command = [sys.executable, "-m", "clipcli", "export", "images", "-", "-m", str(model), "--engine", "ray",
                       "--ray-actors", str(count), "-o", f"{folder}/out/", "-v"]  # fmt: skip
            started = time.perf_counter()
            with listed.open("rb") as names:
                done = subprocess.run(command, stdin=names, capture_output=True, text=True)
            lines = done.stderr.splitlines() or [""]
            rows.append({"replicas": count, "exit code": done.returncode, "seconds": time.perf_counter() - started,
                         "last line": lines[-1]})  # fmt: skip
    return rows


def show(title: str, rows: list[Row]) -> None:
    """Print rows as a table."""
    table = Table(title=title)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*(f"{row.get(name, ''):.4g}" if isinstance(row.get(name), float) else str(row.get(name, ""))
                        for name in names))  # fmt: skip
    Console(width=140).print(table)


def main() -> None:
    """Parse the options, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=["ViT-B-32", "ViT-L-14"])
    parser.add_argument("--images", type=int, default=4000, help="in each round; photos are repeated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one small model, few images, one round")
    wanted = parser.parse_args()
    if wanted.quick:
        wanted.models, wanted.images, wanted.rounds = ["ViT-B-32"], 32, 1
    some = sorted(str(path) for path in wanted.photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    photos = (some * (wanted.images // len(some) + 1))[: wanted.images]
    show("fp16 beside fp32", ranks(some[: 32 if wanted.quick else None], wanted.device))
    with tempfile.TemporaryDirectory() as folder:
        saved = [save_model(name, Path(folder)) for name in wanted.models]
        for model in saved:
            show("Images per second", speed(model, photos, wanted.device, wanted.rounds))
        show("Full memory", full_memory(saved[0], photos[:1024], wanted.device))
        if wanted.device.startswith("cuda"):
            show("Replicas on Ray", replicas(saved[0], photos))


if __name__ == "__main__":
    main()
