"""Pictures with words to read: road signs, boards, posters, covers, labels on photographs, neon, blackboards."""

from __future__ import annotations

import random
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter
from tools.pocket.rendered import writing
from tools.pocket.rendered.layout import fit
from tools.pocket.rendered.picture import Rendered, a
from tools.pocket.rendered.questions import about_medium, among
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import (
    Colour,
    any_colour,
    camera,
    compressed,
    cover,
    dark,
    gradient,
    lay_on,
    lit,
    pale,
    textured,
)

WORDS = (
    "STOP",
    "EXIT",
    "OPEN",
    "CLOSED",
    "SALE",
    "DANGER",
    "TAXI",
    "HOTEL",
    "NO PARKING",
    "WELCOME",
    "PUSH",
    "PULL",
    "CAFE",
    "BAR",
    "HELLO",
    "PHARMACY",
    "POLICE",
    "SCHOOL",
    "PRIVATE",
    "FOR SALE",
    "NO SMOKING",
    "ENTRANCE",
    "TOILETS",
    "YIELD",
    "ONE WAY",
    "BUS STOP",
    "MENU",
    "BAKERY",
    "WARNING",
    "FREE",
    "LOVE",
    "HAPPY BIRTHDAY",
    "THANK YOU",
    "VOTE",
    "PIZZA",
    "COFFEE",
    "BOOKS",
    "KEEP OUT",
    "LIBRARY",
    "PARKING",
)


def _word(rng: random.Random) -> str:
    return rng.choice(WORDS) if rng.random() < 0.75 else writing.word(rng).upper()


def _contrast(colour: Colour, rng: random.Random) -> Colour:
    """Return an ink that can be read on a colour."""
    return dark(rng, 50) if sum(colour) > 400 else pale(rng, 220)


def _described(studio: Studio, image: Image.Image, text: str, thing: str) -> Rendered:
    rng = studio.rng
    quoted = rng.choice([f'"{text}"', text, text.lower()])
    captions = [
        f"{a(thing)} that says {quoted}",
        f"a photo of {a(thing)}",
        f"the word {quoted}",
        f"text that reads {quoted}",
        a(thing),
    ]
    form = rng.choice(["{}", "a sign that says {}", "the word {}", 'text: "{}"'])
    wrong = [form.format(other) for other in rng.sample(WORDS, 6) if other != text]
    asked = [among(rng, form.format(text), wrong)]
    return Rendered(image, captions, asked + about_medium(rng, "sign") if "sign" in thing else asked)


def _write(
    draw: ImageDraw.ImageDraw,
    studio: Studio,
    box: tuple[float, float, float, float],
    text: str,
    ink: Colour,
    style: str = "sans",
) -> None:
    """Write a text as large as a box allows, in its middle."""
    width, height = box[2] - box[0], box[3] - box[1]
    font = fit(text, studio.font(style, 30), width, height)
    draw.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), text, ink, font, anchor="mm")


def _placed(studio: Studio, sign: Image.Image, topic: str = "outdoor") -> Image.Image:
    """Hang a sign (its alpha counts) in a photographed scene, slightly turned."""
    rng, side = studio.rng, studio.rng.randint(256, 300)
    scene = cover(studio.photo(topic)[0], (side, side)).filter(ImageFilter.BoxBlur(rng.choice([0, 1, 2])))
    sign = sign.rotate(rng.gauss(0, 4), Image.Resampling.BILINEAR, expand=True)
    size = side * rng.uniform(0.4, 0.85)
    scale = size / max(sign.size)
    small = sign.resize((round(sign.width * scale), round(sign.height * scale)), Image.Resampling.BOX)
    x, y = round((side - small.width) * rng.uniform(0.2, 0.8)), round((side - small.height) * rng.uniform(0.1, 0.6))
    if rng.random() < 0.5:
        middle = x + small.width // 2
        ImageDraw.Draw(scene).rectangle((middle - 4, y + small.height // 2, middle + 4, side), (110, 110, 112))
    scene.paste(small.convert("RGB"), (x, y), small.getchannel("A"))
    scene = camera(lit(scene, rng, 0.25), rng)
    return compressed(scene, rng) if rng.random() < 0.4 else scene


def road_sign(studio: Studio) -> Rendered:
    """Render a traffic sign on a post."""
    rng = studio.rng
    kind = rng.choice(["stop", "round", "triangle", "diamond", "plate"])
    sign = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    draw = ImageDraw.Draw(sign)
    if kind == "stop":
        text, thing = "STOP", "stop sign"
        draw.regular_polygon((150, 150, 148), 8, 22.5, (250, 250, 250))
        draw.regular_polygon((150, 150, 138), 8, 22.5, (190 + rng.randint(-25, 30), 20, 30))
        _write(draw, studio, (40, 105, 260, 195), text, (250, 250, 250))
    elif kind == "round":
        text, thing = str(rng.choice([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 120])), "speed limit sign"
        draw.ellipse((5, 5, 295, 295), (200, 20, 30))
        draw.ellipse((40, 40, 260, 260), (250, 250, 250))
        _write(draw, studio, (75, 90, 225, 210), text, (20, 20, 20))
    elif kind == "triangle":
        text, thing = "!", "warning sign"
        draw.regular_polygon((150, 170, 160), 3, 0, (200, 20, 30))
        draw.regular_polygon((150, 172, 118), 3, 0, rng.choice([(250, 250, 250), (250, 210, 50)]))
        _write(draw, studio, (130, 110, 170, 230), text, (20, 20, 20))
    elif kind == "diamond":
        text, thing = rng.choice(["SLOW", "ROAD WORK", "BUMP", "DETOUR"]), "road sign"
        draw.regular_polygon((150, 150, 148), 4, 45, rng.choice([(250, 200, 30), (245, 130, 30)]), (20, 20, 20))
        _write(draw, studio, (65, 115, 235, 185), text, (20, 20, 20))
    else:
        text, thing = rng.choice([*writing.CITIES, "EXIT", "ONE WAY", "BUS STOP"]), "road sign"
        draw.rounded_rectangle(
            (0, 70, 299, 230), 14, rng.choice([(20, 110, 60), (20, 70, 160), (240, 240, 240)]), (250, 250, 250), 5
        )
        middle: Any = sign.getpixel((150, 80))
        _write(
            draw,
            studio,
            (25, 105, 275, 195),
            text,
            (250, 250, 250) if middle[0] < 200 else (20, 20, 20),
        )
    return _described(studio, _placed(studio, sign), text, thing)


def board(studio: Studio) -> Rendered:
    """Render a shop sign, door plate or hand-made notice."""
    rng = studio.rng
    text, colour = _word(rng), rng.choice([any_colour(rng), pale(rng), dark(rng)])
    width, height = 360, rng.randint(110, 300)
    plate = textured((width, height), rng, colour, 0.2)
    draw = ImageDraw.Draw(plate)
    if rng.random() < 0.5:
        draw.rectangle((6, 6, width - 6, height - 6), outline=_contrast(colour, rng), width=rng.randint(2, 7))
    lines = text.split() if rng.random() < 0.6 else [text]
    step = (height - 40) / len(lines)
    for i, line in enumerate(lines):
        _write(
            draw,
            studio,
            (26, 20 + i * step, width - 26, 14 + (i + 1) * step),
            line,
            _contrast(colour, rng),
            rng.choice(["sans", "display", "serif", "hand"]),
        )
    sign = plate.convert("RGBA")
    return _described(
        studio,
        _placed(studio, sign, rng.choice(["outdoor", "photo"])),
        text,
        rng.choice(["sign", "sign", "shop sign", "notice", "signboard"]),
    )


def poster(studio: Studio) -> Rendered:
    """Render a poster, a book's cover, a flyer or a magazine."""
    rng = studio.rng
    thing = rng.choice(["poster", "book cover", "movie poster", "magazine cover", "flyer", "album cover"])
    width, height = 300, 300 if thing == "album cover" else rng.randint(390, 450)
    text = writing.title(rng, 3).upper() if rng.random() < 0.7 else _word(rng)
    roll = rng.random()
    if roll < 0.6:
        page = cover(studio.photo()[0], (width, height))
        page = ImageChops.multiply(page, Image.new("RGB", page.size, pale(rng, 120))) if rng.random() < 0.4 else page
    else:
        page = (
            gradient((width, height), any_colour(rng), any_colour(rng))
            if roll < 0.8
            else textured((width, height), rng, any_colour(rng), 0.3)
        )
    draw, top = ImageDraw.Draw(page), height * rng.choice([0.04, 0.06, 0.6])
    ink = rng.choice([pale(rng), (250, 220, 60), dark(rng), (220, 30, 40)])
    for line in text.split():
        _write(
            draw,
            studio,
            (20, top, width - 20, top + height * 0.12),
            line,
            ink,
            rng.choice(["display", "serif", "sans"]),
        )
        top += height * 0.13
    _write(draw, studio, (60, height * 0.91, width - 60, height * 0.95), writing.person(rng), ink)
    if rng.random() < 0.55:
        side = rng.randint(256, 300)
        page = lay_on(page, studio.backdrop((side, side), 0.15), rng, rng.uniform(0.7, 1.0), 0.15)
        page = camera(lit(page, rng), rng)
    return _described(studio, page, text, thing)


def caption(studio: Studio) -> Rendered:
    """Write a word or a line over a photograph, as memes, adverts and postcards do."""
    rng = studio.rng
    image, shown = studio.photo()
    text, draw = _word(rng), ImageDraw.Draw(image)
    w, h = image.size
    top = h * rng.choice([0.03, 0.4, 0.75])
    box = (w * 0.06, top, w * 0.94, top + h * rng.uniform(0.12, 0.22))
    if rng.random() < 0.4:
        draw.rectangle((0, box[1] - 6, w, box[3] + 6), rng.choice([(0, 0, 0), (255, 255, 255), any_colour(rng)]))
    ground = image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3]))).resize((1, 1)).getpixel((0, 0))
    _write(draw, studio, box, text, _contrast(ground, rng), rng.choice(["display", "sans", "hand"]))  # type: ignore[arg-type]
    made = _described(studio, image, text, "photo with text")
    return Rendered(image, [f'{shown}, with the text "{text}"', *made.captions], made.questions[:1])


def writing_on_a_wall(studio: Studio) -> Rendered:
    """Render chalk on a blackboard, neon light, or paint on a wall."""
    rng = studio.rng
    text, side = _word(rng), rng.randint(256, 300)
    kind = rng.choice(["blackboard", "whiteboard", "neon sign", "graffiti"])
    grounds = {
        "blackboard": (35, 60, 48),
        "whiteboard": (238, 240, 240),
        "neon sign": dark(rng, 40),
        "graffiti": (170, 150, 135),
    }
    image = textured((side, round(side * 0.8)), rng, grounds[kind], 0.3)
    mask = Image.new("L", image.size)
    lines = text.split()
    for i, line in enumerate(lines):
        step = image.height * 0.8 / len(lines)
        box = (
            image.width * 0.1,
            image.height * 0.1 + i * step,
            image.width * 0.9,
            image.height * 0.05 + (i + 1) * step,
        )
        font = fit(
            line,
            studio.font(rng.choice(["hand", "hand", "display"]), 30),
            box[2] - box[0],
            (box[3] - box[1]) * rng.uniform(0.5, 1),
        )
        ImageDraw.Draw(mask).text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), line, 255, font, anchor="mm")
    ink = {"blackboard": (235, 235, 225), "whiteboard": rng.choice([(20, 40, 160), (20, 20, 20), (190, 30, 40)])}.get(
        kind, rng.choice([(255, 60, 120), (60, 220, 255), (255, 200, 60), (120, 255, 120)])
    )
    if kind == "neon sign":
        glow = mask.filter(ImageFilter.GaussianBlur(7)).point([min(255, v * 2) for v in range(256)])
        image = ImageChops.screen(
            image, ImageChops.multiply(Image.merge("RGB", [glow] * 3), Image.new("RGB", image.size, ink))
        )
    image.paste(ink, (0, 0), mask)
    return _described(studio, camera(image, rng), text, kind)


TEMPLATES = (road_sign, board, board, poster, poster, caption, writing_on_a_wall)
