"""How long commands take, from the shell's point of view: the start is a feature."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# open_clip's own import, but for operators that torchvision may lack beside a CPU build of torch.
_IMPORT = "from clipcli.models._torchvision import import_open_clip; import_open_clip()"
_FORWARD = """
import time
import torch
from clipcli.models.model import open_model
from clipcli.models.resolve import resolve_model
network = open_model(resolve_model("pocket"), "cpu", "fp32").image_encoder.network
image = torch.zeros(1, 3, 260, 260)
with torch.inference_mode():
    started = time.perf_counter()
    network.encode_image(image)
print(time.perf_counter() - started)
"""


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def _forward() -> float:
    """Return the seconds of pocket's first forward pass."""
    done = subprocess.run([sys.executable, "-c", _FORWARD], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def measure(folder: Path, photo: Path, others: list[Path]) -> list[dict[str, Any]]:
    """Return the median wall times of some commands, in seconds; one round for each of the other photographs."""
    command = [str(Path(sys.executable).with_name("clipcli"))]
    labels = folder / "labels.txt"
    labels.write_text("cat\ndog\nrocket\ncup of coffee\nmotorcycle\nflower\ntemple\nbird\ntree\ncar\n", "utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLIPCLI_")}
    environment = kept | {"CLIPCLI_CACHE_DIR": str(folder / "cache"), "CLIPCLI_OFFLINE": "1"}
    classify = [*command, "classify", "--model", "pocket", "--labels", str(labels), str(photo)]
    _seconds(classify, environment)  # fills the cache, and the system's of the files
    taken: dict[str, list[float]] = {}
    for other in others:
        commands: tuple[tuple[str, list[str], dict[str, str]], ...] = (
            ("clipcli --help", [*command, "--help"], {}),
            ("classify, all from the cache", classify, {}),
            ("classify a new photo, labels from the cache", [*classify[:-1], str(other), "--batch-size", "1"], {}),
            ("classify with pocket, nothing cached", [*classify, "--no-cache"], {}),
            ("python -c 'import open_clip'", [sys.executable, "-c", _IMPORT], {}),
        )
        for name, line, changed in commands:
            taken.setdefault(name, []).append(_seconds(line, environment | changed))
        taken.setdefault("pocket's first forward pass", []).append(_forward())
    return [{"what": name, "seconds": statistics.median(values)} for name, values in taken.items()]
