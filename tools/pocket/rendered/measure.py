"""The labelled folders that measure: other templates, fonts, shapes and pictures than those that train.

Each list is a folder of classes, ``LIST/CLASS/NNN.png``. Real pages come from scikit-image, if it is installed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from tools.pocket.rendered import coloured, colours, scenes
from tools.pocket.rendered.album import DATA, album
from tools.pocket.rendered.registry import KINDS
from tools.pocket.rendered.studio import Studio, Template
from tools.pocket.rendered.surfaces import reduced

Maker = Callable[[Studio], Image.Image]


def _by(template: Template) -> Maker:
    return lambda studio: template(studio).image


def _of_kind(kind: str) -> Maker:
    return lambda studio: KINDS[kind].choose(studio)(studio).image


def _car(name: str) -> Maker:
    return lambda studio: coloured.vehicle(studio, name, "car").image


def _thing(name: str) -> Maker:
    return lambda studio: coloured.drawn_thing(studio, name).image


LISTS: dict[str, dict[str, Maker]] = {
    "photo-drawing-document-screenshot": {
        "photo": _by(scenes.photograph),
        "drawing": _of_kind("drawing"),
        "document": _of_kind("document"),
        "screenshot": _of_kind("screenshot"),
    },
    "red-blue-green-yellow car": {f"{name} car": _car(name) for name in colours.PRIMARY},
    "colours of things": {name: _thing(name) for name in colours.NAMES},
    "day-night": {"day": _by(scenes.by_day), "night": _by(scenes.by_night)},
    "photo-sketch-painting": {
        "photo": _by(scenes.photograph),
        "sketch": _of_kind("sketch"),
        "painting": _of_kind("painting"),
    },
}


def write_folders(out: Path, count: int, *, data: Path = DATA, seed: int = 0) -> dict[str, int]:
    """Write ``count`` rendered pictures of each class, and real pages beside them.

    Parameters
    ----------
    out
        The folder to write to; it is made if it is missing. Files of the same name are replaced.
    count
        Pictures of each class.
    data
        The folder of archives; only their held-out parts are used.

    Returns
    -------
    dict
        The number of pictures in each list.
    """
    written: dict[str, int] = {}
    for name, classes in LISTS.items():
        for label, make in classes.items():
            folder = out / name / label
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                rng = random.Random(f"measure {name} {label} {seed + index}")
                picture = make(Studio(rng, album(data, True), held=True))
                reduced(picture.convert("RGB")).save(folder / f"{index:03d}.png")
            written[name] = written.get(name, 0) + count
    for index, page in enumerate(_real_pages()):
        page.save(out / "photo-drawing-document-screenshot" / "document" / f"real-{index}.png")
        written["photo-drawing-document-screenshot"] += 1
    return written


def _real_pages() -> Iterator[Image.Image]:
    """Photographed and scanned text of scikit-image's data."""
    try:
        from skimage import data
    except ImportError:
        return
    for load in (data.page, data.text):
        yield Image.fromarray(load()).convert("RGB")
