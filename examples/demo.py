"""Classify some real photographs with the built-in model: what ``make demo`` runs.

The photographs are those that scikit-image and scikit-learn ship. They are copied into a folder of
their own, so that the command is the one a user would type.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import skimage
import sklearn

LABELS = Path(__file__).resolve().parent / "labels.txt"
COMMAND = "clipcli classify photos --labels labels.txt --model pocket --format table --top-k 2"
SCIKIT_IMAGE = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
SCIKIT_LEARN = ("china.jpg", "flower.jpg")


def collect_photographs(folder: Path) -> None:
    """Copy the photographs into ``folder``."""
    shipped = Path(skimage.__file__).parent / "data"
    images = Path(sklearn.__file__).parent / "datasets" / "images"
    for path in [*(shipped / name for name in SCIKIT_IMAGE), *(images / name for name in SCIKIT_LEARN)]:
        shutil.copy(path, folder)


def main() -> int:
    """Run the command on the photographs and return its exit code."""
    with tempfile.TemporaryDirectory(prefix="clipcli-demo-") as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        collect_photographs(photos)
        shutil.copy(LABELS, folder)
        sys.stderr.write(f"$ {COMMAND}\n")
        started = time.monotonic()
        finished = subprocess.run([sys.executable, "-m", *COMMAND.split()], cwd=folder, check=False)
        sys.stderr.write(f"{time.monotonic() - started:.1f} seconds\n")
        return finished.returncode


if __name__ == "__main__":
    sys.exit(main())
