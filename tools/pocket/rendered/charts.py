"""Charts, diagrams and maps, as exported, printed or shown on a slide."""

from __future__ import annotations

import itertools
import math

from PIL import Image, ImageDraw
from tools.pocket.rendered import writing
from tools.pocket.rendered.picture import Rendered, a
from tools.pocket.rendered.questions import about_medium, among
from tools.pocket.rendered.sheets import finished
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import Colour, any_colour, clouds, pale

KINDS_OF_CHART = (
    "bar chart",
    "line chart",
    "pie chart",
    "scatter plot",
    "flow chart",
    "map",
    "heat map",
    "organisation chart",
    "timeline",
)
_PALETTES = (
    ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75)),
    ((68, 114, 196), (237, 125, 49), (165, 165, 165), (255, 192, 0), (91, 155, 213), (112, 173, 71)),
    ((66, 133, 244), (219, 68, 55), (244, 180, 0), (15, 157, 88), (171, 71, 188), (0, 172, 193)),
)


def _described(studio: Studio, image: Image.Image, name: str, medium: str = "chart") -> Rendered:
    rng = studio.rng
    if rng.random() < 0.3:
        image = finished(image, studio)[0]
    wide = "map" if medium == "map" else rng.choice(["chart", "graph", "diagram"])
    captions = [a(name), a(wide), f"{a(name)} of {writing.word(rng)}", f"a picture of {a(name)}"]
    wrong = [other for other in KINDS_OF_CHART if not (medium == "map" and "map" in other)]
    return Rendered(image, captions, [among(rng, name, wrong), *about_medium(rng, medium)])


def _canvas(studio: Studio) -> tuple[Image.Image, ImageDraw.ImageDraw, tuple[Colour, ...], Colour]:
    """Return a white, pale or dark ground with a title; the palette and the ink that go with it."""
    rng = studio.rng
    ground = rng.choice([(255, 255, 255), (255, 255, 255), pale(rng, 235), (30, 32, 40)])
    image = Image.new("RGB", (rng.randint(300, 460), rng.randint(270, 340)), ground)
    ink = (230, 230, 230) if ground[0] < 100 else (40, 40, 40)
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.7:
        draw.text((image.width / 2, 16), writing.title(rng, 4), ink, studio.font("sans", 15), anchor="mm")
    palette = list(rng.choice(_PALETTES)) if rng.random() < 0.8 else [any_colour(rng) for _ in range(6)]
    rng.shuffle(palette)
    return image, draw, tuple(palette), ink


def _axes(
    studio: Studio, image: Image.Image, draw: ImageDraw.ImageDraw, ink: Colour
) -> tuple[float, float, float, float]:
    """Draw axes with numbers and a grid; return the box inside."""
    rng = studio.rng
    box = (44.0, 34.0, image.width - 16.0, image.height - 34.0)
    font, grid = studio.font("sans", 10), rng.random() < 0.5
    top = rng.choice([1, 10, 50, 100, 1000])
    for i in range(6):
        y = box[3] - (box[3] - box[1]) * i / 5
        draw.text((box[0] - 4, y), f"{top * i / 5:g}", ink, font, anchor="rm")
        if grid:
            draw.line([(box[0], y), (box[2], y)], (190, 190, 190))
    draw.line([(box[0], box[1]), (box[0], box[3]), (box[2], box[3])], ink, 1)
    if rng.random() < 0.4:
        draw.rectangle(box, outline=ink)
    draw.text(((box[0] + box[2]) / 2, image.height - 9), writing.word(rng), ink, font, anchor="mm")
    return box


def bars(studio: Studio) -> Rendered:
    """Render a bar chart, upright or lying, grouped or plain."""
    rng = studio.rng
    image, draw, palette, ink = _canvas(studio)
    left, top, right, bottom = _axes(studio, image, draw, ink)
    count, groups, lying = rng.randint(3, 12), rng.choice([1, 1, 2, 3]), rng.random() < 0.25
    for i in range(count):
        for g in range(groups):
            low, high = (i + 0.15 + 0.7 * g / groups) / count, (i + 0.15 + 0.7 * (g + 1) / groups) / count
            size = rng.uniform(0.05, 0.95)
            if lying:
                draw.rectangle(
                    (left, top + (bottom - top) * low, left + (right - left) * size, top + (bottom - top) * high),
                    palette[g],
                )
            else:
                draw.rectangle(
                    (left + (right - left) * low, bottom - (bottom - top) * size, left + (right - left) * high, bottom),
                    palette[g],
                )
        if not lying:
            draw.text(
                (left + (right - left) * (i + 0.5) / count, bottom + 8),
                writing.word(rng)[:5],
                ink,
                studio.font("sans", 9),
                anchor="mm",
            )
    return _described(studio, image, "bar chart")


def lines(studio: Studio) -> Rendered:
    """Render a line chart or a filled one."""
    rng = studio.rng
    image, draw, palette, ink = _canvas(studio)
    left, top, right, bottom = _axes(studio, image, draw, ink)
    for colour in palette[: rng.randint(1, 5)]:
        count, value, step = rng.choice([6, 12, 60, 150]), rng.random(), rng.uniform(0.02, 0.2)
        points = []
        for i in range(count):
            value = min(0.98, max(0.02, value + rng.gauss(0, step)))
            points.append((left + (right - left) * i / (count - 1), bottom - (bottom - top) * value))
        if rng.random() < 0.15:
            draw.polygon([(left, bottom), *points, (right, bottom)], colour)
        draw.line(points, colour, rng.choice([1, 2, 3]))
        if count < 20 and rng.random() < 0.6:
            for x, y in points:
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), colour)
    return _described(studio, image, "line chart")


def dots(studio: Studio) -> Rendered:
    """Render a scatter plot."""
    rng = studio.rng
    image, draw, palette, ink = _canvas(studio)
    left, top, right, bottom = _axes(studio, image, draw, ink)
    for colour in palette[: rng.randint(1, 3)]:
        slope, spread, size = rng.uniform(-0.8, 0.8), rng.uniform(0.04, 0.2), rng.uniform(1.5, 4)
        for _ in range(rng.randint(20, 150)):
            u = rng.random()
            v = 0.5 + slope * (u - 0.5) + rng.gauss(0, spread)
            if 0 < v < 1:
                x, y = left + (right - left) * u, bottom - (bottom - top) * v
                draw.ellipse((x - size, y - size, x + size, y + size), colour)
    return _described(studio, image, "scatter plot")


def pie(studio: Studio) -> Rendered:
    """Render a pie or ring chart with a legend."""
    rng = studio.rng
    image, draw, palette, ink = _canvas(studio)
    r, x, y, start = min(image.size) * 0.36, image.width * 0.4, image.height * 0.55, rng.uniform(0, 360)
    weights = [rng.uniform(0.3, 3) for _ in range(rng.randint(2, 6))]
    for i, weight in enumerate(weights):
        end = start + 360 * weight / sum(weights)
        draw.pieslice((x - r, y - r, x + r, y + r), start, end, palette[i], (255, 255, 255), 2)
        draw.rectangle((image.width - 80, 60 + 20 * i, image.width - 70, 70 + 20 * i), palette[i])
        draw.text((image.width - 66, 58 + 20 * i), writing.word(rng)[:9], ink, studio.font("sans", 10))
        start = end
    if rng.random() < 0.3:
        draw.ellipse((x - r / 2, y - r / 2, x + r / 2, y + r / 2), image.getpixel((1, 1)))
    return _described(studio, image, "pie chart")


def flow(studio: Studio) -> Rendered:
    """Render boxes that arrows connect."""
    rng = studio.rng
    image, draw, palette, ink = _canvas(studio)
    columns, rows = rng.randint(2, 4), rng.randint(3, 4)
    w, h = image.width / columns, (image.height - 40) / rows
    centres = [(w * (c + 0.5), 40 + h * (r + 0.5)) for r in range(rows) for c in range(columns) if rng.random() < 0.8]
    for (x1, y1), (x2, y2) in itertools.pairwise(centres):
        draw.line([(x1, y1), (x2, y1), (x2, y2)] if rng.random() < 0.5 else [(x1, y1), (x2, y2)], ink, 2)
        draw.regular_polygon(((x1 + x2) / 2, (y1 + y2) / 2, 5), 3, rng.choice([0, 180, 270]), ink)
    font, filled = studio.font("sans", 11), rng.random() < 0.7
    for x, y in centres:
        box, colour = (x - w * 0.36, y - h * 0.28, x + w * 0.36, y + h * 0.28), rng.choice(palette)
        shape = rng.choice([draw.rectangle, draw.ellipse, draw.rectangle])
        shape(box, colour if filled else image.getpixel((1, 1)), outline=colour, width=2)
        draw.text(
            (x, y),
            writing.word(rng)[:10],
            (255, 255, 255) if filled and sum(colour) < 450 else (20, 20, 20),
            font,
            anchor="mm",
        )
    return _described(studio, image, "flow chart")


def heat(studio: Studio) -> Rendered:
    """Render a heat map."""
    rng = studio.rng
    image, draw, palette, ink = _canvas(studio)
    left, top, right, bottom = _axes(studio, image, draw, ink)
    n, m = rng.randint(4, 14), rng.randint(4, 10)
    low, high = rng.choice(
        [((255, 255, 255), palette[0]), ((20, 20, 90), (250, 220, 40)), ((40, 60, 180), (190, 20, 30))]
    )
    for i in range(n):
        for j in range(m):
            t = rng.random()
            colour = tuple(round(p + (q - p) * t) for p, q in zip(low, high, strict=True))
            draw.rectangle(
                (
                    left + (right - left) * i / n,
                    top + (bottom - top) * j / m,
                    left + (right - left) * (i + 1) / n,
                    top + (bottom - top) * (j + 1) / m,
                ),
                colour,
            )
    return _described(studio, image, "heat map")


def street_map(studio: Studio) -> Rendered:
    """Render a street map with blocks, parks, water and names."""
    rng = studio.rng
    side = rng.randint(300, 460)
    image = Image.new(
        "RGB",
        (side, round(side * rng.choice([0.75, 1, 1.3]))),
        rng.choice([(242, 239, 233), (235, 232, 220), (40, 44, 52)]),
    )
    draw, reach = ImageDraw.Draw(image), max(image.size)
    for colour in ((190, 220, 170), (170, 211, 223), (225, 215, 205)):
        for _ in range(rng.randint(0, 3)):
            x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
            draw.polygon(
                [
                    (x + rng.uniform(0.05, 0.3) * reach * math.cos(t), y + rng.uniform(0.05, 0.3) * reach * math.sin(t))
                    for t in [i * 0.7 for i in range(9)]
                ],
                colour,
            )
    turn, road = rng.uniform(0, math.pi), rng.choice([(255, 255, 255), (250, 250, 245), (90, 95, 105)])
    for angle in (turn, turn + math.pi / 2 + rng.gauss(0, 0.1)):
        for at in range(-reach, reach, rng.randint(22, 50)):
            x, y = image.width / 2 - at * math.sin(angle), image.height / 2 + at * math.cos(angle)
            dx, dy = math.cos(angle + rng.gauss(0, 0.03)) * reach, math.sin(angle) * reach
            draw.line([(x - dx, y - dy), (x + dx, y + dy)], road, rng.choice([2, 3, 3, 5]))
    for _ in range(rng.randint(1, 3)):
        ys = [rng.uniform(0, image.height) for _ in range(4)]
        draw.line(
            [(image.width * i / 3, y) for i, y in enumerate(ys)],
            rng.choice([(250, 200, 90), (230, 130, 130), (150, 190, 240)]),
            rng.randint(4, 8),
            joint="curve",
        )
    for _ in range(rng.randint(3, 12)):
        draw.text(
            (rng.uniform(0, image.width - 50), rng.uniform(0, image.height - 12)),
            rng.choice([writing.title(rng, 1), rng.choice(writing.STREETS)]),
            (90, 90, 95),
            studio.font("sans", rng.choice([9, 11, 14])),
        )
    return _described(studio, image, "map", "map")


def country_map(studio: Studio) -> Rendered:
    """Render coasts, countries and heights as an atlas shows them."""
    rng = studio.rng
    size = (rng.randint(280, 420), rng.randint(260, 320))
    height, level = clouds(size, rng, rng.randint(5, 9)), rng.randint(100, 150)
    sea, land = rng.choice(
        [((170, 205, 230), (225, 225, 190)), ((120, 170, 215), (190, 215, 160)), ((230, 240, 245), (250, 240, 215))]
    )
    image = Image.composite(
        Image.new("RGB", size, land),
        Image.new("RGB", size, sea),
        height.point([255 if v > level else 0 for v in range(256)]),
    )
    for step, colour in ((35, (205, 190, 140)), (65, (170, 130, 90))):
        if rng.random() < 0.5:
            image.paste(colour, (0, 0), height.point([255 if v > level + step else 0 for v in range(256)]))
    coast = height.point([255 if abs(v - level) < 2 else 0 for v in range(256)])
    image.paste((90, 110, 130), (0, 0), coast)
    draw = ImageDraw.Draw(image)
    for i in range(1, rng.choice([1, 5, 6])):
        draw.line([(size[0] * i / 5, 0), (size[0] * i / 5, size[1])], (200, 200, 210))
        draw.line([(0, size[1] * i / 5), (size[0], size[1] * i / 5)], (200, 200, 210))
    for _ in range(rng.randint(3, 10)):
        x, y = rng.uniform(10, size[0] - 50), rng.uniform(10, size[1] - 10)
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), (30, 30, 30))
        draw.text(
            (x + 4, y - 6),
            rng.choice(writing.CITIES),
            (30, 30, 30),
            studio.font(rng.choice(["sans", "serif"]), rng.choice([9, 11, 13])),
        )
    return _described(studio, image, "map", "map")


TEMPLATES = (bars, lines, dots, pie, flow, heat, street_map, country_map)
