"""Things of one colour as simple drawings: clothes, toys, houses, flowers, cups and the like."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw
from tools.pocket.rendered.surfaces import Colour, clouds

Draw = ImageDraw.ImageDraw
Drawing = Callable[[Draw, random.Random, Colour], None]
SIDE = 400  # px; drawings use coordinates of 0 to 400


def _darker(colour: Colour, part: float = 0.65) -> Colour:
    return round(colour[0] * part), round(colour[1] * part), round(colour[2] * part)


def ball(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a ball with a highlight."""
    for i in range(40):
        part = i / 40
        shade = tuple(round(c * (0.55 + 0.45 * part)) for c in colour)
        draw.ellipse((30 + 60 * part, 30 + 30 * part, 370 - 150 * part, 370 - 180 * part), shade)
    if rng.random() < 0.7:
        draw.ellipse((120, 90, 170, 130), tuple(min(255, c + 110) for c in colour))


def balloon(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a balloon on a string."""
    draw.line([(200, 270), (190, 320), (210, 360), (200, 399)], (90, 90, 90), 3)
    draw.polygon([(185, 285), (215, 285), (200, 262)], _darker(colour))
    draw.ellipse((85, 10, 315, 275), colour)
    if rng.random() < 0.7:
        draw.ellipse((130, 50, 165, 100), tuple(min(255, c + 90) for c in colour))


def shirt(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a T-shirt or a shirt with sleeves."""
    cuff = rng.randint(150, 280)
    draw.polygon(
        [
            (130, 40),
            (30, 110 + (cuff - 150) // 3),
            (60, cuff),
            (115, 150),
            (110, 370),
            (290, 370),
            (285, 150),
            (340, cuff),
            (370, 110 + (cuff - 150) // 3),
            (270, 40),
        ],
        colour,
    )
    draw.chord((155, 5, 245, 85), 0, 180, _darker(colour, 0.5))
    draw.line([(115, 150), (125, 370)], _darker(colour), 3)
    if rng.random() < 0.4:
        draw.line([(200, 80), (200, 370)], _darker(colour), 3)
        for y in range(110, 360, 50):
            draw.ellipse((194, y, 206, y + 12), (245, 245, 245))


def dress(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a dress."""
    hem = rng.randint(20, 100)
    draw.polygon(
        [
            (150, 30),
            (170, 80),
            (230, 80),
            (250, 30),
            (265, 100),
            (245, 170),
            (400 - hem, 380),
            (hem, 380),
            (155, 170),
            (135, 100),
        ],
        colour,
    )
    draw.line([(155, 170), (245, 170)], _darker(colour), 8)


def house(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a house with a roof, a door and windows."""
    roof = rng.choice([(120, 60, 45), (70, 70, 75), (150, 75, 50)])
    draw.rectangle((60, 170, 340, 380), colour)
    draw.polygon([(35, 175), (200, rng.randint(40, 90)), (365, 175)], roof)
    draw.rectangle((175, 270, 225, 380), rng.choice([(90, 60, 40), (240, 240, 240), _darker(colour)]))
    for x in (90, 260):
        draw.rectangle((x, 210, x + 50, 260), (190, 220, 240), outline=(250, 250, 250), width=4)
        draw.line([(x + 25, 210), (x + 25, 260)], (250, 250, 250), 3)


def flower(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a flower with petals, a stalk and leaves."""
    count, far = rng.randint(5, 9), rng.randint(55, 75)
    draw.line([(200, 150), (205, 395)], (60, 130, 50), 9)
    draw.ellipse((205, 290, 280, 325), (70, 150, 60))
    for i in range(count):
        x, y = 200 + far * math.cos(2 * math.pi * i / count), 140 + far * math.sin(2 * math.pi * i / count)
        draw.ellipse((x - 48, y - 48, x + 48, y + 48), colour, outline=_darker(colour, 0.8), width=2)
    draw.ellipse((165, 105, 235, 175), rng.choice([(250, 210, 60), (110, 70, 30), _darker(colour, 0.5)]))


def cup(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a cup or mug with a handle."""
    lower = rng.choice([0, 30, 60])
    draw.ellipse((260, 130, 370, 280), None, outline=_darker(colour, 0.85), width=24)
    draw.polygon([(60, 90), (300, 90), (300 - lower, 350), (60 + lower, 350)], colour)
    draw.ellipse((60 + lower, 330, 300 - lower, 370), colour)
    draw.ellipse((60, 70, 300, 110), _darker(colour, 0.6))


def book(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a closed book."""
    draw.polygon([(80, 60), (290, 30), (330, 340), (120, 380)], _darker(colour, 0.6))
    draw.polygon([(85, 70), (300, 40), (322, 335), (118, 370)], (240, 235, 220))
    draw.polygon([(65, 65), (275, 30), (312, 330), (103, 372)], colour)
    if rng.random() < 0.6:
        draw.line([(120, 130), (250, 108)], _darker(colour, 0.5), 12)


def umbrella(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw an open umbrella."""
    draw.line([(200, 40), (200, 340)], (80, 60, 50), 8)
    draw.arc((160, 310, 200, 380), 0, 180, (80, 60, 50), 8)
    draw.pieslice((20, 50, 380, 350), 180, 360, colour)
    for i in range(4):
        draw.pieslice((20 + 90 * i, 175, 110 + 90 * i, 230), 180, 360, _darker(colour, rng.choice([0.5, 0.7])))
    draw.line([(200, 50), (110, 200)], _darker(colour), 3)
    draw.line([(200, 50), (290, 200)], _darker(colour), 3)


def hat(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a hat with a brim."""
    tall = rng.randint(70, 160)
    draw.ellipse((20, 230, 380, 330), _darker(colour, 0.85))
    draw.rounded_rectangle((105, 280 - tall - 50, 295, 290), 50, colour)
    draw.rectangle((105, 235, 295, 270), rng.choice([(30, 30, 30), (240, 240, 240), _darker(colour, 0.5)]))


def chair(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a chair."""
    legs = rng.choice([colour, (110, 80, 50), (60, 60, 60)])
    for x in (100, 290):
        draw.rectangle((x, 230, x + 16, 390), legs)
    for x in (140, 330):
        draw.rectangle((x, 200, x + 12, 350), _darker(legs, 0.8))
    draw.rounded_rectangle((100, 30, 305, 215), 20, colour, _darker(colour), 4)
    draw.polygon([(90, 215), (315, 215), (350, 265), (80, 265)], _darker(colour, 0.9))


def fish(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a fish."""
    draw.polygon([(270, 200), (385, rng.randint(90, 130)), (385, rng.randint(270, 310))], _darker(colour, 0.85))
    draw.polygon([(150, 130), (240, 70), (250, 140)], _darker(colour, 0.75))
    draw.ellipse((20, 110, 310, 290), colour)
    draw.ellipse((70, 160, 100, 190), (255, 255, 255))
    draw.ellipse((78, 168, 94, 184), (10, 10, 10))


def bird(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a bird from the side."""
    draw.polygon([(280, 220), (390, rng.randint(180, 260)), (370, 300)], _darker(colour, 0.7))
    draw.ellipse((80, 130, 320, 310), colour)
    draw.ellipse((50, 70, 170, 190), colour)
    draw.polygon([(55, 120), (5, 135), (55, 150)], (240, 160, 40))
    draw.ellipse((85, 105, 105, 125), (10, 10, 10))
    draw.chord((150, 160, 310, 280), 330, 200, _darker(colour, 0.8))
    for x in (180, 220):
        draw.line([(x, 300), (x, 375)], (200, 140, 40), 7)


def door(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a door with panels."""
    draw.rectangle((95, 10, 305, 395), rng.choice([(235, 235, 230), (90, 80, 75)]))
    draw.rectangle((112, 28, 288, 395), colour)
    for x, y in ((130, 50), (208, 50), (130, 220), (208, 220)):
        draw.rectangle((x, y, x + 62, y + 140), _darker(colour, 0.85), outline=_darker(colour))
    draw.ellipse((262, 205, 280, 223), (210, 190, 110))


def bag(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw a handbag."""
    draw.arc((120, rng.randint(20, 70), 280, 250), 180, 360, _darker(colour), 16)
    draw.polygon([(80, 150), (320, 150), (355, 370), (45, 370)], colour)
    draw.line([(80, 215), (330, 215)], _darker(colour), 5)
    draw.rectangle((185, 200, 215, 230), (215, 190, 90))


def apple(draw: Draw, rng: random.Random, colour: Colour) -> None:
    """Draw an apple with a stalk and a leaf."""
    draw.ellipse((50, 100, 230, 370), colour)
    draw.ellipse((170, 100, 350, 370), _darker(colour, 0.93))
    draw.ellipse((90, 120, 310, 380), colour)
    draw.line([(200, 120), (rng.randint(195, 230), 45)], (90, 60, 30), 10)
    draw.ellipse((210, 55, 280, 90), (70, 150, 50))


DRAWINGS: dict[str, Drawing] = {
    "ball": ball,
    "balloon": balloon,
    "shirt": shirt,
    "dress": dress,
    "house": house,
    "flower": flower,
    "cup": cup,
    "book": book,
    "umbrella": umbrella,
    "hat": hat,
    "chair": chair,
    "fish": fish,
    "bird": bird,
    "door": door,
    "bag": bag,
    "apple": apple,
}


def draw_object(rng: random.Random, name: str, colour: Colour, size: int) -> Image.Image:
    """Draw a thing in a colour on a transparent square (mode RGBA), unevenly lit and slightly turned."""
    image = Image.new("RGBA", (SIDE, SIDE), (*colour, 0))
    DRAWINGS[name](ImageDraw.Draw(image), rng, colour)
    alpha = image.getchannel("A")
    shade = clouds(image.size, rng, rng.randint(2, 5)).point([185 + v * 70 // 255 for v in range(256)])
    image = ImageChops.multiply(image.convert("RGB"), Image.merge("RGB", [shade] * 3))
    image.putalpha(alpha)
    if rng.random() < 0.3:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned = image.rotate(rng.gauss(0, 8), Image.Resampling.BILINEAR, fillcolor=(0, 0, 0, 0))
    return turned.resize((size, round(size * rng.uniform(0.8, 1.2))), Image.Resampling.BOX)
