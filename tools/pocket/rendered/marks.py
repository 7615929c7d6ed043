"""Digits, letters, logos, icons, codes and patterns."""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageOps
from tools.pocket.rendered import writing
from tools.pocket.rendered.layout import fit
from tools.pocket.rendered.picture import Rendered, a, question
from tools.pocket.rendered.questions import about_medium, among
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import any_colour, camera, dark, lay_on, pale, plain_backdrop

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def character(studio: Studio) -> Rendered:
    """Render one digit or letter, printed, painted or handwritten."""
    rng, side = studio.rng, studio.rng.choice([260, 280])
    digit = rng.random() < 0.6
    index = rng.randrange(10)
    text = str(index) if digit else rng.choice(LETTERS)
    roll = rng.random()
    ground, ink = (
        ((0, 0, 0), (255, 255, 255))
        if roll < 0.2
        else (pale(rng), dark(rng))
        if roll < 0.7
        else (dark(rng), any_colour(rng))
    )
    image = Image.new("RGB", (side, side), ground) if rng.random() < 0.6 else plain_backdrop((side, side), rng)
    mask = Image.new("L", image.size)
    style = rng.choice(["hand", "hand", "sans", "serif", "display"])
    font = fit(text, studio.font(style, 40), side * rng.uniform(0.3, 0.8), side * rng.uniform(0.4, 0.85))
    ImageDraw.Draw(mask).text((side / 2, side / 2), text, 255, font, anchor="mm")
    image.paste(ink, (0, 0), mask.rotate(rng.gauss(0, 8)))
    image = camera(image, rng) if rng.random() < 0.5 else image
    name = DIGITS[index] if digit else text
    how = "handwritten " if style == "hand" else ""
    kind = rng.choice(["digit", "number"]) if digit else "letter"
    captions = [f"the {how}{kind} {name}", f"the {kind} {text}", f"{a(how + kind)}", f'a photo of the {kind} "{text}"']
    forms = [f"the {kind} {other}" for other in (DIGITS if digit else rng.sample(LETTERS, 12))]
    return Rendered(
        image,
        captions,
        [
            among(rng, f"the {kind} {name}", forms, 9),
            among(rng, a(kind), ("a face", "an animal", "a car", "a house", "a map")),
        ],
    )


def number(studio: Studio) -> Rendered:
    """Render a number of several digits: a house number, a plate, a clock, a score."""
    rng = studio.rng
    thing = rng.choice(["house number", "number plate", "digital clock", "licence plate", "price tag"])
    text = {
        "house number": str(rng.randint(1, 999)),
        "digital clock": f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}",
        "price tag": writing.money(rng),
    }.get(thing, f"{''.join(rng.choices(LETTERS, k=3))} {rng.randint(10, 9999)}")
    size = (300, rng.randint(90, 170))
    ground, ink = (
        ((15, 15, 15), rng.choice([(255, 50, 40), (80, 255, 120), (90, 180, 255)]))
        if thing == "digital clock"
        else (pale(rng), dark(rng))
    )
    plate = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(plate)
    draw.rectangle((3, 3, size[0] - 4, size[1] - 4), outline=ink, width=3)
    draw.text(
        (150, size[1] / 2),
        text,
        ink,
        fit(text, studio.font(rng.choice(["sans", "mono", "display"]), 40), 250, size[1] * 0.6),
        anchor="mm",
    )
    image = camera(lay_on(plate, studio.backdrop((280, 260), 0.5), rng, rng.uniform(0.5, 0.9), 0.2), rng)
    things = ("house number", "licence plate", "digital clock", "price tag", "stop sign", "book")
    labels = [other for other in things if {thing, other} != {"number plate", "licence plate"}]
    return Rendered(
        image, [a(thing), f"{a(thing)} that reads {text}", f"the number {text}"], [among(rng, thing, labels)]
    )


def logo(studio: Studio) -> Rendered:
    """Render a made-up logo: a sign and a name."""
    rng = studio.rng
    image = Image.new(
        "RGB", (rng.randint(260, 420), 260), rng.choice([(255, 255, 255), (255, 255, 255), pale(rng), any_colour(rng)])
    )
    draw, colours = ImageDraw.Draw(image), [any_colour(rng) for _ in range(3)]
    x, y, r = image.width / 2, 105, rng.uniform(45, 75)
    for i in range(rng.randint(1, 4)):
        roll = rng.random()
        s = r * (1 - 0.22 * i)
        if roll < 0.35:
            draw.ellipse(
                (x - s, y - s, x + s, y + s), rng.choice([colours[i % 3], None]), outline=colours[i % 3], width=8
            )
        elif roll < 0.65:
            draw.regular_polygon((x, y, s), rng.choice([3, 4, 5, 6, 8]), rng.choice([0, 45, 30]), colours[i % 3])
        elif roll < 0.85:
            draw.pieslice((x - s, y - s, x + s, y + s), rng.uniform(0, 360), rng.uniform(360, 650), colours[i % 3])
        else:
            draw.arc((x - s, y - s, x + s, y + s), rng.uniform(0, 180), rng.uniform(200, 350), colours[i % 3], 12)
    name = writing.title(rng, 1)
    if rng.random() < 0.3:
        draw.text((x, y), name[0], (255, 255, 255), fit(name[0], studio.font("display", 40), r, r), anchor="mm")
    if rng.random() < 0.85:
        draw.text(
            (x, 215),
            name,
            colours[0],
            fit(name, studio.font(rng.choice(["display", "sans", "serif"]), 30), image.width * 0.7, 42),
            anchor="mm",
        )
    captions = ["a logo", f"the logo of {name}", "a company logo", "an emblem", "a brand"]
    return Rendered(image, captions, about_medium(rng, "logo"))


def code(studio: Studio) -> Rendered:
    """Render a square code or a bar code, plain or photographed."""
    rng = studio.rng
    square = rng.random() < 0.6
    page = _square_code(rng) if square else _bar_code(rng)
    name = "QR code" if square else "barcode"
    page = ImageOps.expand(page, rng.randint(10, 30), "white").resize(
        (260, round(260 * page.height / page.width) + 10), 0
    )
    if rng.random() < 0.6:
        page = camera(lay_on(page, studio.backdrop((280, 260), 0.4), rng, rng.uniform(0.5, 1), 0.15), rng)
    captions = [f"a {name}", f"a photo of a {name}", name]
    return Rendered(
        page,
        captions,
        [among(rng, name, ("QR code", "barcode", "chessboard", "crossword", "photo", "map", "face", "chart"))],
    )


def _square_code(rng: random.Random) -> Image.Image:
    n = rng.choice([21, 25, 29, 33])
    cells = np.random.default_rng(rng.getrandbits(32)).integers(0, 2, (n, n)).astype(np.uint8) * 255
    for y, x in ((0, 0), (0, n - 7), (n - 7, 0)):
        cells[max(0, y - 1) : y + 8, max(0, x - 1) : x + 8] = 255
        cells[y : y + 7, x : x + 7] = 0
        cells[y + 1 : y + 6, x + 1 : x + 6] = 255
        cells[y + 2 : y + 5, x + 2 : x + 5] = 0
    return Image.fromarray(cells).resize((n * 8, n * 8), 0).convert("RGB")


def _bar_code(rng: random.Random) -> Image.Image:
    image = Image.new("RGB", (260, rng.randint(90, 170)), "white")
    draw, x = ImageDraw.Draw(image), 10
    while x < 245:
        width = rng.choice([1, 2, 2, 3, 4])
        draw.rectangle((x, 6, x + width - 1, image.height - 20), "black")
        x += width + rng.choice([1, 2, 2, 3, 4])
    return image


def pattern(studio: Studio) -> Rendered:
    """Render stripes, checks, dots, waves or noise."""
    rng, side = studio.rng, 260
    name = rng.choice(["striped", "checked", "dotted", "zigzag", "random noise", "concentric circles"])
    image = Image.new("RGB", (side, side), any_colour(rng))
    draw, colour, step = ImageDraw.Draw(image), any_colour(rng), rng.randint(10, 44)
    if name == "random noise":
        noise = np.random.default_rng(rng.getrandbits(32)).integers(
            0, 256, (side, side, rng.choice([1, 3])), dtype=np.uint8
        )
        image = Image.fromarray(np.broadcast_to(noise, (side, side, 3)).copy())
    for i, x in enumerate(range(-step, side + step, step)):
        for j, y in enumerate(range(-step, side + step, step)):
            if name == "checked" and (i + j) % 2:
                draw.rectangle((x, y, x + step - 1, y + step - 1), colour)
            elif name == "dotted":
                draw.ellipse((x, y, x + step * 0.55, y + step * 0.55), colour)
        if name == "striped" and i % 2:
            draw.rectangle((x, 0, x + step - 1, side), colour)
        elif name == "zigzag":
            draw.line(
                [(k * step, x + (step * 0.7 if k % 2 else 0)) for k in range(math.ceil(side / step) + 1)],
                colour,
                max(2, step // 4),
            )
        elif name == "concentric circles" and x > 0:
            draw.ellipse(
                (side / 2 - x, side / 2 - x, side / 2 + x, side / 2 + x), outline=colour, width=max(2, step // 3)
            )
    image = image.rotate(90) if rng.random() < 0.5 else image
    names = (
        "striped pattern",
        "checked pattern",
        "dotted pattern",
        "zigzag pattern",
        "random noise",
        "concentric circles",
    )
    shown = name if name in names else f"{name} pattern"
    return Rendered(
        image,
        [shown, a(shown) if "pattern" in shown else shown, "an abstract pattern"],
        [among(rng, shown, names), *about_medium(rng, "pattern")],
    )


def empty(studio: Studio) -> Rendered:
    """Render nothing at all: black, white or one plain colour."""
    rng = studio.rng
    name, colour = rng.choice([("black", (0, 0, 0)), ("white", (255, 255, 255)), ("grey", (128, 128, 128))])
    image = (
        camera(Image.new("RGB", (260, 260), colour), rng)
        if rng.random() < 0.5
        else Image.new("RGB", (260, 260), colour)
    )
    captions = [f"a blank {name} image", "an empty picture", "nothing", f"plain {name}"]
    return Rendered(
        image, captions, [question(("an empty picture", "a person", "an animal", "a landscape"), "an empty picture")]
    )


TEMPLATES = (character, character, character, number, logo, logo, code, pattern, empty)
