"""Drawings of shapes in colours at places, with captions: data whose every combination can be made, or kept back."""

from __future__ import annotations

import csv
import math
import random
from itertools import product
from pathlib import Path

from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
COLOURS = {
    "red": (214, 39, 40), "green": (44, 160, 44), "blue": (31, 80, 210), "yellow": (240, 210, 30),
    "purple": (140, 60, 190), "black": (20, 20, 20),
}  # fmt: skip
PLACES = {
    " ".join(filter(None, (down, across))) or "middle": (x, y)
    for y, down in enumerate(("top", "", "bottom"))
    for x, across in enumerate(("left", "", "right"))
}
SIDE = 64
ALL = tuple(product(SHAPES, COLOURS, PLACES))


def caption(shape: str, colour: str, place: str) -> str:
    return f"a {colour} {shape} at the {place}"


def is_unseen(shape: str, colour: str) -> bool:
    """Keep one colour of each shape back: these two are never seen together, in any place."""
    return (SHAPES.index(shape) + list(COLOURS).index(colour)) % len(COLOURS) == 0


def draw(shape: str, colour: str, place: str, chance: random.Random) -> Image.Image:
    """Draw one, a little different each time in size, place, shade and background."""
    side = 3 * SIDE
    image = Image.new("RGB", (side, side), tuple(chance.randint(200, 255) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    x, y = (side * (2 * at + 1) / 6 + chance.uniform(-0.04, 0.04) * side for at in PLACES[place])
    r = side * chance.uniform(0.13, 0.16)
    ink = tuple(min(max(value + chance.randint(-15, 15), 0), 255) for value in COLOURS[colour])
    box = (x - r, y - r, x + r, y + r)
    if shape == "circle":
        pen.ellipse(box, fill=ink)
    elif shape == "ring":
        pen.ellipse(box, outline=ink, width=int(r * 0.38))
    elif shape == "square":
        pen.rectangle((x - 0.85 * r, y - 0.85 * r, x + 0.85 * r, y + 0.85 * r), fill=ink)
    elif shape == "triangle":
        pen.polygon([(x, y - r), (x + r, y + 0.8 * r), (x - r, y + 0.8 * r)], fill=ink)
    elif shape == "cross":
        pen.rectangle((x - r / 3, y - r, x + r / 3, y + r), fill=ink)
        pen.rectangle((x - r, y - r / 3, x + r, y + r / 3), fill=ink)
    else:
        radii = (1.15 * r, 0.45 * r)
        pen.polygon([(x + radii[k % 2] * math.sin(k * math.pi / 5), y - radii[k % 2] * math.cos(k * math.pi / 5))
                     for k in range(10)], fill=ink)  # fmt: skip
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def make_shapes(folder: Path, each: int, unseen_each: int = 4) -> None:
    """Write images with ``train.csv``, ``shuffled.csv``, ``unseen.csv`` (with labels) and ``labels.txt``."""
    folder.mkdir(parents=True)
    chance = random.Random(1)
    train: list[tuple[str, str]] = []
    unseen: list[tuple[str, str]] = []
    for shape, colour, place in ALL:
        kept_back = is_unseen(shape, colour)
        for number in range(unseen_each if kept_back else each):
            name = f"{shape}-{colour}-{place.replace(' ', '-')}-{number}.png"
            draw(shape, colour, place, chance).save(folder / name, compress_level=1)
            (unseen if kept_back else train).append((name, caption(shape, colour, place)))
    said = [text for _, text in train]
    chance.shuffle(said)
    write_table(folder / "train.csv", "caption", train)
    write_table(folder / "shuffled.csv", "caption", [(name, text) for (name, _), text in zip(train, said, strict=True)])
    write_table(folder / "unseen.csv", "label", unseen)
    (folder / "labels.txt").write_text("\n".join(caption(*each) for each in ALL) + "\n")


def write_table(path: Path, column: str, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", column), *rows])
