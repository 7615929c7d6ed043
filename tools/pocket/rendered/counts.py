"""So many of one thing: emoji, clip art or shapes on plain or photographed grounds."""

from __future__ import annotations

import random

from PIL import Image, ImageOps
from tools.pocket.rendered import colours
from tools.pocket.rendered.album import cut_out
from tools.pocket.rendered.objects import DRAWINGS, draw_object
from tools.pocket.rendered.picture import Rendered, a, question
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import camera

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_MANY = 12
_SEPARATE = 0.8  # of its own size must lie between two things


def _plural(noun: str) -> str:
    if noun.endswith(("s", "sh", "ch", "x")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _thing(studio: Studio) -> tuple[Image.Image, str]:
    """Choose a cut-out and its name."""
    rng = studio.rng
    if rng.random() < 0.4:
        name = rng.choice(list(DRAWINGS))
        return draw_object(rng, name, colours.paint(rng, colours.some_colour(rng)), 200), name
    picture = studio.album.pick(rng, rng.choice(["noto_emoji", "noto_emoji", "openclipart"]))
    return cut_out(studio.album.open(picture)), picture.label.lower()


def _places(rng: random.Random, count: int, side: int) -> tuple[list[tuple[int, int]], int]:
    """Find places that do not touch, and the size of what is put there."""
    size = round(
        side * rng.uniform(0.75, 1) / (1.6 if count == 1 else 2.3 if count <= 3 else 3.3 if count <= 6 else 4.6)
    )
    for _ in range(30):
        places: list[tuple[int, int]] = []
        for _ in range(200):
            x, y = rng.randint(0, side - size), rng.randint(0, side - size)
            if all(max(abs(x - u), abs(y - v)) > size * _SEPARATE for u, v in places):
                places.append((x, y))
            if len(places) == count:
                return places, size
        size = round(size * 0.9)
    return places, size


def counted(studio: Studio) -> Rendered:
    """Render one to six of a thing, or a dozen and more."""
    rng, side = studio.rng, 288
    many = rng.random() < 0.15
    wanted = rng.randint(_MANY, 24) if many else rng.choice([1, 1, 2, 2, 3, 3, 4, 5, 6])
    item, name = _thing(studio)
    image = studio.backdrop((side, side), 0.25)
    places, size = _places(rng, wanted, side)
    many = many and len(places) > 9
    mirrored = rng.random() < 0.5
    for x, y in places:
        one = ImageOps.contain(item, (size, size), Image.Resampling.BILINEAR)
        one = ImageOps.mirror(one) if mirrored and rng.random() < 0.5 else one
        image.paste(one.convert("RGB"), (x, y), one.getchannel("A"))
    image = camera(image, rng) if rng.random() < 0.4 else image
    return _described(rng, image, name, len(places), many)


def _described(rng: random.Random, image: Image.Image, name: str, count: int, many: bool) -> Rendered:
    word = "many" if many else NUMBERS[count]
    thing = rng.choice([name, name, "object", "thing"])

    def label(number: str) -> str:
        return f"{number} {thing if number == 'one' else _plural(thing)}"

    options = ["one", "two", "three", "four", "five", "six", "many"][: 7 if many or count < 5 else 6]
    if not many and count > 3 and "many" in options:
        options.remove("many")
    wrong = [option for option in options if option != word]
    labels = [word, *rng.sample(wrong, rng.randint(1, len(wrong)))]
    labels.sort(key=lambda _: rng.random())
    asked = [question([label(option) for option in labels], label(word))]
    if count == 1 or many or count > 2:
        several = ("a single thing", "several things")
        asked.append(question(several, several[count > 1]))
    captions = [f"{word} {name if count == 1 else _plural(name)}", label(word)]
    captions.append(a(name) if count == 1 else rng.choice(["several ", "a group of ", "some "]) + _plural(name))
    return Rendered(image, captions, asked)


TEMPLATES = (counted,)
