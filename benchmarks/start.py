"""The wait for the first answer, as multiples of a Python that imports NumPy and Pillow.

    python benchmarks/start.py                         # pocket, and a ViT-B-32 with random weights saved to disk
    python benchmarks/start.py --engines torch openvino --rounds 7

Bytecode is cached, as pip does when it installs a package. Rounds are interleaved, so that a busy moment meets all
commands alike. Beside the wall time, the processor time is given, which depends less on what else the machine does,
and the greatest memory.
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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

_UNIT = "python -c 'import numpy, PIL.Image'"
_HELP = "clipcli --help"
_SAVE = """
import json, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from clipcli.models import registry
from clipcli.models._torchvision import import_open_clip
torch.manual_seed(0)
folder = Path(sys.argv[1])
folder.mkdir()
network = import_open_clip().create_model("ViT-B-32")
save_file(network.state_dict(), folder / "open_clip_model.safetensors")
config = {"model_cfg": registry.architecture("ViT-B-32"), "preprocess_cfg": {}}
(folder / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
"""
_WITHOUT_TORCH = """
import sys
from clipcli.cli import run
code = run(sys.argv[1:])
print(code, sorted({"torch", "open_clip"} & set(sys.modules)), file=sys.stderr)
"""


@dataclass
class Taken:
    """What one command took, round by round: seconds of wall and of processor time, and bytes."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def add(self, command: list[str], environment: dict[str, str]) -> None:
        """Run a command once."""
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"failed: {' '.join(command)}")
        self.wall.append(time.perf_counter() - started)
        self.processor.append(usage.ru_utime + usage.ru_stime)
        self.memory.append(usage.ru_maxrss * 1024)


class Case:
    """One model run by one engine, with its own cache."""

    def __init__(self, folder: Path, model: str, engine: str) -> None:
        self._folder = folder
        self._folder.mkdir()
        self.name = f"{Path(model).name} {engine}"
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environment = kept | {"CLIPCLI_CACHE_DIR": str(folder / "cache"), "CLIPCLI_OFFLINE": "1"}
        self._options = ["--model", model, "--engine", engine]
        self._count = 0

    def _photo(self) -> str:
        self._count += 1
        pixels = np.random.default_rng(self._count).integers(0, 256, (16, 16, 3), np.uint8)
        path = self._folder / f"{self._count}.jpg"
        Image.fromarray(pixels).resize((640, 480)).save(path, quality=90)
        return str(path)

    def command(self, photo: str, labels: list[str]) -> list[str]:
        """Return a command line that classifies a photo."""
        named = [part for label in labels for part in ("-l", label)]
        return ["classify", photo, *named, *self._options]

    def warm(self) -> None:
        """Fill the cache, with the graphs of an engine that makes some."""
        self._known = self._photo()
        Taken().add(_program(self.command(self._known, ["cat", "dog"])), self._environment)

    def round(self, taken: dict[str, Taken]) -> None:
        """Run each command once."""
        new = [f"label {self._count} {number}" for number in range(10)]
        for what, photo, labels in (
            ("all cached", self._known, ["cat", "dog"]),
            ("new photo, labels cached", self._photo(), ["cat", "dog"]),
            ("new photo, ten new labels", self._photo(), new),
        ):
            taken.setdefault(f"{self.name}: {what}", Taken()).add(
                _program(self.command(photo, labels)), self._environment
            )
        empty = self._environment | {"CLIPCLI_CACHE_DIR": str(self._folder / f"cache {self._count}")}
        taken.setdefault(f"{self.name}: nothing cached", Taken()).add(
            _program(self.command(self._known, ["cat", "dog"])), empty
        )

    def heavy(self) -> str:
        """Return the exit code of a new photo with new labels, and which heavy modules it imported."""
        line = [sys.executable, "-c", _WITHOUT_TORCH, *self.command(self._photo(), ["x", "y"])]
        done = subprocess.run(line, env=self._environment, capture_output=True, text=True, check=True)
        return done.stderr.splitlines()[-1]


def _program(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "clipcli", *arguments]


def main() -> None:
    """Measure and print a table; with ``--json``, write the figures too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["pocket", "ViT-B-32"])
    parser.add_argument("--engines", nargs="+", default=["torch", "openvino"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    taken: dict[str, Taken] = {_UNIT: Taken(), _HELP: Taken()}
    with tempfile.TemporaryDirectory() as temporary:
        folder, cases = Path(temporary), []
        for model in wanted.models:
            place = model
            if model == "ViT-B-32":
                place = str(folder / "ViT-B-32")
                subprocess.run([sys.executable, "-c", _SAVE, place], check=True)
            cases += [Case(folder / f"{model} {engine}", place, engine) for engine in wanted.engines]
        for case in cases:
            case.warm()
        for _ in range(wanted.rounds):
            taken[_UNIT].add([sys.executable, "-c", "import numpy, PIL.Image"], dict(os.environ))
            taken[_HELP].add(_program(["--help"]), dict(os.environ))
            for case in cases:
                case.round(taken)
        heavy = {case.name: case.heavy() for case in cases}
    report(taken, heavy)
    if wanted.json is not None:
        wanted.json.write_text(json.dumps({name: vars(each) for name, each in taken.items()}), "utf-8")


def report(taken: dict[str, Taken], heavy: dict[str, str]) -> None:
    """Print the medians of all commands as a table."""
    unit = taken[_UNIT]
    wall, processor = statistics.median(unit.wall), statistics.median(unit.processor)
    print("| command | seconds | × | processor seconds | × | MB |\n|---|---|---|---|---|---|")
    for name, each in taken.items():
        seconds, busy = statistics.median(each.wall), statistics.median(each.processor)
        memory = statistics.median(each.memory) / 1e6
        print(f"| {name} | {seconds:.3f} | {seconds / wall:.1f} | {busy:.3f} | {busy / processor:.1f} | {memory:.0f} |")
    for name, modules in heavy.items():
        print(f"{name}: exit code and heavy modules of a new photo with new labels: {modules}")


if __name__ == "__main__":
    main()
