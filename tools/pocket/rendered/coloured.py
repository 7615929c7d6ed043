"""Things of a named colour: photographs, clip art and models recoloured, patches, tints."""

from __future__ import annotations

import math
import random
import re

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps
from tools.pocket.rendered import colours
from tools.pocket.rendered.album import cut_out
from tools.pocket.rendered.objects import DRAWINGS, draw_object
from tools.pocket.rendered.picture import Question, Rendered, a, question
from tools.pocket.rendered.questions import about_medium, among
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import camera, compressed, gradient, textured
from tools.pocket.rendered.vehicles import HELD_SHAPES, OTHERS, SHAPES, draw_vehicle

_NAMED = re.compile(rf"\b({'|'.join(colours.CHROMATIC)}) (?!and\b|or\b|colou?red\b)([a-z]+)\b", re.IGNORECASE)
_LARGEST = {"green": 0.15, "blue": 0.2}  # grass and sky have these colours too
_TRIES = 10


def about_colour(rng: random.Random, name: str, thing: str = "") -> list[Question]:
    """Ask for the colour: bare, with the thing, and among the four primary colours if it is one."""
    form = rng.choice(["{c} {t}", "{c} {t}", "a {c} {t}", "a photo of a {c} {t}"]) if thing else "{c}"

    def label(colour: str) -> str:
        return form.format(c=colour, t=thing).replace("a orange", "an orange")

    wrong = colours.others(rng, name)
    labels = [name, *wrong[: rng.randint(1, len(wrong))]]
    rng.shuffle(labels)
    asked = [question([label(c) for c in labels], label(name))]
    if name in colours.PRIMARY:
        asked.append(question([label(c) for c in colours.PRIMARY], label(name)))
    return asked


def _captions(rng: random.Random, name: str, thing: str) -> list[str]:
    return [
        a(f"{name} {thing}"),
        f"{name} {thing}",
        f"a photo of {a(f'{name} {thing}')}",
        rng.choice([name, f"something {name}", f"the {thing} is {name}"]),
    ]


def _pasted(studio: Studio, item: Image.Image, ground: Image.Image, low: bool = False) -> Image.Image:
    """Paste a cut-out on a ground, smoothed so that its rim does not give it away."""
    rng = studio.rng
    x = round((ground.width - item.width) * rng.uniform(0.2, 0.8))
    y = round((ground.height - item.height) * (rng.uniform(0.7, 1) if low else rng.uniform(0.2, 0.8)))
    alpha = item.getchannel("A").filter(ImageFilter.BoxBlur(0.6))
    ground.paste(item.convert("RGB"), (x, y), alpha)
    return ground


def vehicle(studio: Studio, name: str = "", kind: str = "") -> Rendered:
    """Render a car, van, pick-up or bus of one colour, on a photographed road or a plain ground."""
    rng = studio.rng
    cars = HELD_SHAPES if studio.held else SHAPES
    shape = rng.choice(cars if kind == "car" or rng.random() < 0.75 else OTHERS)
    name = name or colours.some_colour(rng)
    size = rng.randint(256, 300)
    if rng.random() < 0.7:
        ground = ImageOps.fit(
            studio.photo("road" if rng.random() < 0.6 else "outdoor")[0], (size, size), Image.Resampling.BILINEAR
        )
    else:
        ground = studio.backdrop((size, size), 0)
    item = draw_vehicle(rng, shape, colours.paint(rng, name), round(size * rng.uniform(0.55, 1)))
    image = _pasted(studio, item, ground, low=True)
    image = camera(image, rng) if rng.random() < 0.8 else image
    image = compressed(image, rng) if rng.random() < 0.4 else image
    asked = about_colour(rng, name, shape.name)
    asked.append(
        among(
            rng,
            shape.name,
            ("car", "pickup truck", "bus", "van", "house", "tree", "person", "dog", "aeroplane", "boat"),
        )
    )
    return Rendered(image, _captions(rng, name, shape.name), asked)


def drawn_thing(studio: Studio, name: str = "") -> Rendered:
    """Render a simple thing of one colour."""
    rng = studio.rng
    thing, name = rng.choice(list(DRAWINGS)), name or colours.some_colour(rng)
    size = rng.randint(256, 288)
    item = draw_object(rng, thing, colours.paint(rng, name), round(size * rng.uniform(0.5, 0.8)))
    image = _pasted(studio, item, studio.backdrop((size, size), 0.35))
    image = camera(image, rng) if rng.random() < 0.6 else image
    asked = about_colour(rng, name, thing)
    asked.append(among(rng, thing, tuple(DRAWINGS)))
    return Rendered(image, _captions(rng, name, thing), asked)


def recoloured_drawing(studio: Studio) -> Rendered:
    """Recolour an emoji or clip art that has one main colour."""
    rng = studio.rng
    name = colours.some_colour(rng)
    for _ in range(_TRIES):
        picture = studio.album.pick(rng, rng.choice(["noto_emoji", "noto_emoji", "openclipart"]))
        item = cut_out(studio.album.open(picture))
        mask = ImageChops.multiply(colours.saturated(item), item.getchannel("A"))
        if colours.share(mask) > 0.2 and colours.dominant_share(item, mask) > 0.6:
            break
    thing = re.sub(rf"\b({'|'.join(colours.NAMES)}|large|small)\b", "", picture.label.lower()).strip(" #()") or "thing"
    alpha = item.getchannel("A")
    item = colours.recolour(item, mask, name, rng)
    item.putalpha(alpha)
    size = rng.randint(230, 280)
    item = ImageOps.contain(item, (round(size * rng.uniform(0.5, 0.9)),) * 2, Image.Resampling.BICUBIC)
    image = _pasted(studio, item, studio.backdrop((size, size), 0.3))
    return Rendered(image, _captions(rng, name, thing), about_colour(rng, name, thing))


def captioned(studio: Studio, topic: str = "flickr8k") -> Rendered:
    """Recolour what a photograph's caption names with its colour, or leave it: "a girl in a red dress"."""
    rng = studio.rng
    for _ in range(_TRIES):
        picture = studio.album.pick(rng, topic)
        found = [(text, match) for text in picture.texts if (match := _NAMED.search(text))]
        if topic == "car":
            found = [
                (text, match)
                for text, match in found
                if match[2] in ("car", "truck", "van", "bus", "suv", "jeep", "vehicle", "race", "sports")
            ]
        if not found:
            continue
        text, match = rng.choice(found)
        image, source = studio.album.open(picture), match[1].lower()
        mask = colours.mask_of(image, source)
        if 0.01 < colours.share(mask) < _LARGEST.get(source, 0.45):
            return _swapped(rng, image, mask, text, match)
    return vehicle(studio) if topic == "car" else drawn_thing(studio)


def _swapped(rng: random.Random, image: Image.Image, mask: Image.Image, text: str, match: re.Match[str]) -> Rendered:
    name, thing = match[1].lower(), match[2]
    if rng.random() < 0.75:
        name = colours.some_colour(rng)
        soft = mask.filter(ImageFilter.MaxFilter(3)).filter(ImageFilter.BoxBlur(0.8))
        image = colours.recolour(image, soft, name, rng)
    text = text.rstrip(" .")

    def with_colour(colour: str) -> str:
        before = re.sub(
            r"\b[Aa]n?$", lambda m: m[0][0] + ("n" if colour == "orange" else ""), text[: match.start()].rstrip()
        )
        return f"{before} {colour}{text[match.end(1) :]}".strip()

    wrong = colours.others(rng, name)[: rng.randint(1, 6)]
    labels = [with_colour(name), *(with_colour(other) for other in wrong)]
    rng.shuffle(labels)
    asked = [question(labels, with_colour(name)), *about_colour(rng, name, thing)]
    return Rendered(image, [with_colour(name), with_colour(name), f"{name} {thing}"], asked)


def captioned_car(studio: Studio) -> Rendered:
    """Recolour a photographed car whose colour a caption names."""
    return captioned(studio, "car")


def race_car(studio: Studio) -> Rendered:
    """Give a photographed race car one colour: what is saturated in the middle of the picture."""
    rng = studio.rng
    name = colours.some_colour(rng)
    pictures = [p for p in studio.album.pictures("sports100") if p.label in ("nascar racing", "formula 1 racing")]
    if not pictures:
        return vehicle(studio)
    picture = rng.choice(pictures)
    image = studio.album.open(picture)
    centre = Image.new("L", image.size)
    w, h = image.size
    ImageDraw.Draw(centre).ellipse((w * 0.05, h * 0.15, w * 0.95, h * 0.95), fill=255)
    mask = ImageChops.multiply(colours.saturated(image, 0.35), centre.filter(ImageFilter.BoxBlur(12)))
    image = colours.recolour(image, mask, name, rng)
    return Rendered(image, _captions(rng, name, "race car"), about_colour(rng, name, rng.choice(["car", "race car"])))


_SHAPES = ("square", "circle", "triangle", "star", "rectangle", "stripe")


def patch(studio: Studio) -> Rendered:
    """Render a plain colour, or a simple shape in one colour on another."""
    rng = studio.rng
    name, size = colours.some_colour(rng), (260, 260)
    if rng.random() < 0.45:
        colour = colours.paint(rng, name)
        image = rng.choice(
            [
                lambda: Image.new("RGB", size, colour),
                lambda: textured(size, rng, colour, 0.3),
                lambda: gradient(size, colours.paint(rng, name), colour),
            ]
        )()
        captions = [f"plain {name}", f"{a(name)} background", f"{a(name)} surface", name, f"the colour {name}"]
        return Rendered(image, captions, about_colour(rng, name))
    ground, shape = colours.others(rng, name)[0], rng.choice(_SHAPES)
    image = Image.new("RGB", size, colours.paint(rng, ground))
    _draw_shape(ImageDraw.Draw(image), rng, shape, colours.paint(rng, name))
    captions = [f"{a(f'{name} {shape}')} on {a(ground)} background", a(f"{name} {shape}"), a(shape)]
    return Rendered(
        image, captions, [*about_colour(rng, name, shape), among(rng, shape, _SHAPES), *about_medium(rng, "pattern")]
    )


def _draw_shape(draw: ImageDraw.ImageDraw, rng: random.Random, shape: str, colour: tuple[int, int, int]) -> None:
    x, y, r = rng.uniform(90, 170), rng.uniform(90, 170), rng.uniform(50, 100)
    if shape == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), colour)
    elif shape == "rectangle":
        draw.rectangle((x - r, y - r * 0.45, x + r, y + r * 0.45), colour)
    elif shape == "stripe":
        draw.line([(-20, rng.uniform(0, 260)), (280, rng.uniform(0, 260))], colour, round(r * 0.6))
    elif shape == "star":
        points = [draw_point(x, y, r if i % 2 == 0 else r * 0.42, i / 10) for i in range(10)]
        draw.polygon(points, colour)
    else:
        draw.regular_polygon((x, y, r * 1.2), 3 if shape == "triangle" else 4, rng.uniform(-10, 10), colour)


def draw_point(x: float, y: float, radius: float, turn: float) -> tuple[float, float]:
    """Return a point on a circle; ``turn`` counts whole turns from the top."""
    return x + radius * math.sin(2 * math.pi * turn), y - radius * math.cos(2 * math.pi * turn)


def tinted(studio: Studio) -> Rendered:
    """Tint a whole photograph."""
    rng = studio.rng
    name = colours.some_colour(rng, colours.CHROMATIC)
    image, text = studio.photo()
    toned = ImageOps.colorize(image.convert("L"), (10, 10, 10), (255, 255, 255), mid=colours.paint(rng, name))
    captions = [
        f"a {name}-tinted photo of {text}".replace("a orange", "an orange"),
        f"a photo in {name} light",
        f"{text}, all in {name}",
    ]
    return Rendered(toned, captions, about_colour(rng, name))


CAR_TEMPLATES = (vehicle, vehicle, captioned_car, race_car)
TEMPLATES = (drawn_thing, recoloured_drawing, recoloured_drawing, captioned, captioned, captioned, patch, tinted)
