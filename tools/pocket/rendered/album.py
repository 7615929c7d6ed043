"""Real pictures to transform: the training part of ``../shared/train``, or for measuring its held-out part."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageOps
from tools.pocket.rendered.picture import a
from tools.pocket.splits import Part, Picture, PictureSet, read_sets

DATA = Path("../shared/train")
PHOTOS = ("flickr8k", "miniplaces", "sports100", "idenprof")
_SQUASHED = ("flickr8k",)  # was squashed to a square from 4:3, or 3:4
INDOOR_SCENES = {
    "airport terminal",
    "aquarium",
    "art gallery",
    "assembly line",
    "auditorium",
    "bakery",
    "ballroom",
    "banquet hall",
    "bar",
    "bathroom",
    "beauty salon",
    "bedroom",
    "bookstore",
    "bowling alley",
    "boxing ring",
    "bus interior",
    "butcher's shop",
    "candy store",
    "classroom",
    "clothing store",
    "cockpit",
    "coffee shop",
    "conference room",
    "corridor",
    "dining room",
    "food court",
    "hospital room",
    "indoor museum",
    "indoor stage",
    "kindergarten classroom",
    "kitchen",
    "laundromat",
    "living room",
    "lobby",
    "locker room",
    "martial arts gym",
    "office",
    "restaurant",
    "shower",
    "staircase",
    "subway station platform",
    "supermarket",
    "phone booth",
    "trench",
    "outdoor ice skating rink",
}
_OUTDOORS = re.compile(
    r"\b(beach|grass|field|street|mountains?|snow|park|river|lake|ocean|forest|road|hill|dirt|outside|sand)\b"
)
_DARK = re.compile(r"\b(night|dark|evening|sunset|dusk|lights?|inside|indoors?|room|black and white)\b")


class Album:
    """The pictures of one part of the training archives, found by set and by what they show."""

    def __init__(self, data: Path = DATA, held: bool = False) -> None:
        self.held = held
        self._sets: dict[str, PictureSet] = read_sets(data)
        if not self._sets:
            message = f"cannot render from photographs: no archives in {data} (pass the folder of the archives)"
            raise FileNotFoundError(message)
        self._chosen: dict[str, list[Picture]] = {}

    def pick(self, rng: random.Random, topic: str) -> Picture:
        """Choose a picture of a topic: a set's name or one of ``TOPICS``."""
        return rng.choice(self.pictures(topic) or self._all())

    def pictures(self, topic: str) -> list[Picture]:
        """List the pictures of a topic, in a fixed order."""
        if topic not in self._chosen:
            sets, wanted = TOPICS.get(topic, ((topic,), lambda _: True))
            part: Part = "heldout" if self.held else "train"
            self._chosen[topic] = [
                picture
                for name in sets
                if name in self._sets
                for picture in self._sets[name].of(part)
                if wanted(picture)
            ]
        return self._chosen[topic]

    def _all(self) -> list[Picture]:
        """List the part's pictures of all sets, for a topic that the folder lacks.

        Raises
        ------
        FileNotFoundError
            If the part is empty.
        """
        part: Part = "heldout" if self.held else "train"
        pictures = [picture for each in self._sets.values() for picture in each.of(part)]
        if not pictures:
            message = f"cannot render from photographs: no pictures in the part {part!r} (pass a larger folder)"
            raise FileNotFoundError(message)
        return pictures

    def open(self, picture: Picture) -> Image.Image:
        """Decode a picture and roughly undo its squashing."""
        image = self._sets[picture.set].image(picture)
        if picture.set in _SQUASHED:
            turned = sum(map(ord, picture.file)) % 4 == 0
            image = image.resize((224, 288) if turned else (288, 224), Image.Resampling.BILINEAR)
        return image

    def photo(self, rng: random.Random, topic: str = "photo") -> tuple[Image.Image, str]:
        """Choose a photograph; return it with a caption or label."""
        picture = self.pick(rng, topic)
        image = self.open(picture)
        return (ImageOps.mirror(image) if rng.random() < 0.5 else image), subject(rng, picture)


def subject(rng: random.Random, picture: Picture) -> str:
    """Return a noun phrase for a picture: one of its captions in lower case, or its label."""
    if picture.set in ("miniplaces", "idenprof"):
        return a(picture.label)
    return re.sub(
        r"^(A|An|The|This|Two|Three|Some|Several|People|Men|Young) ", _lower, rng.choice(picture.texts)
    ).rstrip(" .")


def _lower(match: re.Match[str]) -> str:
    return match[0].lower()


def cut_out(image: Image.Image, least: int = 244) -> Image.Image:
    """Make the near-white surroundings of a drawing transparent (mode RGBA)."""
    grey = image.convert("L").point([255 if v >= least else 0 for v in range(256)])
    framed = ImageOps.expand(grey, 2, 255)
    ImageDraw.floodfill(framed, (0, 0), 128)
    inner = ImageOps.crop(framed, 2)
    mask = inner.point([0 if v == 128 else 255 for v in range(256)]).filter(ImageFilter.MinFilter(3))
    result = image.convert("RGBA")
    result.putalpha(mask)
    box = mask.getbbox()
    return result.crop(box) if box else result


def _is_outdoor(picture: Picture) -> bool:
    if picture.set == "miniplaces":
        return picture.label not in INDOOR_SCENES
    text = " ".join(picture.texts).lower()
    return bool(_OUTDOORS.search(text)) and not _DARK.search(text)


def _is_night(picture: Picture) -> bool:
    return sum(bool(re.search(r"\b(at|by) night\b|\bnighttime\b", text.lower())) for text in picture.texts) > 0


def _is_indoor(picture: Picture) -> bool:
    return picture.label in INDOOR_SCENES if picture.set == "miniplaces" else False


def _has_one_car(picture: Picture) -> bool:
    return bool(re.search(r"\b(car|truck|van|bus)\b", " ".join(picture.texts).lower()))


def _is_road(picture: Picture) -> bool:
    return picture.label in {
        "driveway",
        "highway",
        "parking lot",
        "gas station",
        "coast",
        "sandy desert",
        "river",
        "mountain",
        "yard",
    }


TOPICS: dict[str, tuple[tuple[str, ...], Callable[[Picture], bool]]] = {
    "photo": (PHOTOS, lambda _: True),
    "outdoor": (("flickr8k", "miniplaces"), _is_outdoor),
    "night": (("flickr8k",), _is_night),
    "indoor": (("miniplaces",), _is_indoor),
    "road": (("miniplaces",), _is_road),
    "car": (("flickr8k",), _has_one_car),
}


@cache
def album(data: Path, held: bool) -> Album:
    """Return the album of a folder; each process opens it once."""
    return Album(data, held)
