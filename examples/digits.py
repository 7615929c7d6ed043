"""Draw the handwritten digits that scikit-learn ships as images, one folder a class: something to train on.

    python digits.py [IMAGES OF EACH DIGIT]

Writes ``digits/train`` and ``digits/test``, three quarters and one quarter of the images, and ``digits/labels.txt``.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
INK = 16  # the darkest value of a pixel
SIDE = 128

digits = load_digits()
most = int(sys.argv[1]) if len(sys.argv) > 1 else len(digits.target)
shuffled = np.random.default_rng(0).permutation(len(digits.target))
for value, name in enumerate(NAMES):
    places = [place for place in shuffled if digits.target[place] == value][:most]
    for number, place in enumerate(places):
        folder = Path("digits", "train" if 4 * number < 3 * len(places) else "test", name)
        folder.mkdir(parents=True, exist_ok=True)
        grey = (255 - digits.images[place] * (255 / INK)).astype(np.uint8)  # (8, 8), dark on white
        Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{place}.png")
Path("digits", "labels.txt").write_text("\n".join(NAMES) + "\n")
