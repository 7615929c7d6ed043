"""Classify some real photographs with the built-in model: what ``make demo`` runs.

The photographs are those that scikit-image, scikit-learn and Matplotlib ship. They are copied into a
folder of their own, so that the command is the one a user would type. As far as the packages state it, the
astronaut, the rocket and Grace Hopper's portrait are in the public domain, photographer, cat, coffee and gravel are
CC0, temple and flower are CC BY 2.0 (danielbuechele, vultilion), the motorcycle is of Middlebury's stereo data, and the
page is scikit-image's own (BSD). Two others are left out, which `pocket` gets wrong: scikit-image's coins and stars.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib
import skimage
import sklearn

LABELS = Path(__file__).resolve().parent / "labels.txt"
COMMAND = "clipcli classify photos --labels labels.txt --model pocket --format table --top-k 2"
SCIKIT_IMAGE = (
    "astronaut.png", "camera.png", "chelsea.png", "coffee.png", "gravel.png", "motorcycle_left.png", "page.png",
    "rocket.jpg",
)  # fmt: skip
SCIKIT_LEARN = ("china.jpg", "flower.jpg")
MATPLOTLIB = ("grace_hopper.jpg",)


def collect_photographs(folder: Path) -> None:
    """Copy the photographs into ``folder``."""
    packages = {
        Path(skimage.__file__).parent / "data": SCIKIT_IMAGE,
        Path(sklearn.__file__).parent / "datasets" / "images": SCIKIT_LEARN,
        Path(matplotlib.get_data_path()) / "sample_data": MATPLOTLIB,
    }
    for place, names in packages.items():
        for name in names:
            shutil.copy(place / name, folder)


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
