"""A photograph made into something else: a sketch, a painting, a cartoon, a night, fog, blur."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from tools.pocket.rendered.surfaces import any_colour, clouds, dark, grain, pale, textured


def pencil(image: Image.Image, rng: random.Random) -> Image.Image:
    """Dodge the picture with its blurred negative: what is left looks like pencil strokes."""
    grey = np.asarray(image.convert("L"), np.float32)
    soft = np.asarray(image.convert("L").filter(ImageFilter.BoxBlur(rng.uniform(2, 7))), np.float32)
    strokes = np.clip(grey * 255 / np.maximum(soft, 1), 0, 255)
    strokes = np.clip(255 - (255 - strokes) * rng.uniform(1.2, 2.6), 0, 255).astype(np.uint8)
    return _on_paper(Image.fromarray(strokes), rng)


def line_art(image: Image.Image, rng: random.Random) -> Image.Image:
    """Draw only the contours, with a pen."""
    grey = image.convert("L").filter(ImageFilter.GaussianBlur(rng.uniform(1.2, 2.2)))
    wide = grey.filter(ImageFilter.GaussianBlur(rng.uniform(1.6, 3)))
    difference = ImageChops.subtract(wide, grey, 1, 0)
    at = rng.randint(4, 9)
    ink = difference.point([255 if v < at else max(0, 255 - (v - at) * 60) for v in range(256)])
    return _on_paper(ink.filter(ImageFilter.MedianFilter(3)), rng)


def charcoal(image: Image.Image, rng: random.Random) -> Image.Image:
    """Render edges in broad soft strokes over a pale wash."""
    edges = ImageOps.invert(
        ImageOps.autocontrast(image.convert("L").filter(ImageFilter.BoxBlur(1)).filter(ImageFilter.FIND_EDGES))
    )
    wash = image.convert("L").point([150 + v * 100 // 255 for v in range(256)]).filter(ImageFilter.BoxBlur(4))
    drawn = ImageChops.multiply(edges.filter(ImageFilter.MinFilter(3)), wash)
    return grain(_on_paper(drawn, rng), rng, rng.uniform(4, 16))


def hatching(image: Image.Image, rng: random.Random) -> Image.Image:
    """Shade by parallel strokes, denser where it is darker."""
    grey = ImageOps.equalize(image.convert("L").filter(ImageFilter.BoxBlur(1)))
    result = Image.new("L", image.size, 255)
    for level, slope in ((190, 1), (120, -1), (60, 0)):
        lines, step = Image.new("L", image.size, 255), rng.randint(3, 5)
        draw = ImageDraw.Draw(lines)
        for at in range(-image.height, image.width + image.height, step):
            end = at + slope * image.height if slope else at
            draw.line([(at, 0), (end, image.height)], rng.randint(20, 90), 1)
        result = ImageChops.darker(
            result, ImageChops.lighter(lines, grey.point([255 if v > level else 0 for v in range(256)]))
        )
    return _on_paper(ImageChops.darker(result, line_art(image, rng).convert("L")), rng)


def coloured_pencil(image: Image.Image, rng: random.Random) -> Image.Image:
    """Pencil strokes over pale colours."""
    strokes = pencil(image, rng)
    pastel = ImageEnhance.Brightness(ImageEnhance.Color(image).enhance(1.5)).enhance(1.2).filter(ImageFilter.BoxBlur(2))
    return ImageChops.multiply(
        strokes, Image.blend(Image.new("RGB", image.size, "white"), pastel, rng.uniform(0.4, 0.8))
    )


def _on_paper(drawing: Image.Image, rng: random.Random) -> Image.Image:
    """Draw a grey drawing in one ink on paper."""
    paper = rng.choice([(255, 255, 255), (255, 255, 255), pale(rng, 230), (240, 228, 200)])
    ink = rng.choice([(10, 10, 10), (50, 50, 55), dark(rng, 60), (70, 45, 30)])
    tinted = ImageOps.colorize(drawing, ink, paper)
    return (
        ImageChops.multiply(tinted, textured(drawing.size, rng, (255, 255, 255), 0.1)) if rng.random() < 0.5 else tinted
    )


def oil_painting(image: Image.Image, rng: random.Random) -> Image.Image:
    """Cover the picture with short strokes in its own colours, large ones first."""
    image = ImageEnhance.Color(image).enhance(rng.uniform(1.1, 1.8))
    canvas = image.filter(ImageFilter.BoxBlur(6))
    pixels: Any = canvas.filter(ImageFilter.BoxBlur(1)).load(), image.filter(ImageFilter.BoxBlur(1)).load()
    draw, base = ImageDraw.Draw(canvas), rng.uniform(0, 180)
    for size, count, layer in ((14, 350, 0), (8, 900, 1), (5, 1200, 1)):
        for _ in range(count):
            x, y = rng.randrange(image.width), rng.randrange(image.height)
            shift = rng.randint(-14, 14)
            r, g, b = pixels[layer][x, y]
            angle = np.deg2rad(base + rng.uniform(-50, 50))
            dx, dy = size * np.cos(angle), size * np.sin(angle)
            draw.line([(x - dx, y - dy), (x + dx, y + dy)], (r + shift, g + shift, b + shift), max(2, size // 2))
    relief = clouds(image.size, rng, 90).point([226 + v * 29 // 255 for v in range(256)])
    return ImageChops.multiply(canvas, Image.merge("RGB", [relief] * 3))


def watercolour(image: Image.Image, rng: random.Random) -> Image.Image:
    """Render flat washes with darker rims on rough paper."""
    wash = ImageEnhance.Color(image.filter(ImageFilter.BoxBlur(2)).filter(ImageFilter.MedianFilter(3))).enhance(
        rng.uniform(1.2, 1.9)
    )
    wash = Image.blend(Image.new("RGB", image.size, "white"), wash, rng.uniform(0.6, 0.85))
    rims = ImageOps.invert(wash.convert("L").filter(ImageFilter.FIND_EDGES)).point(
        [120 + v * 135 // 255 for v in range(256)]
    )
    wash = ImageChops.multiply(wash, Image.merge("RGB", [rims] * 3))
    wash = ImageChops.multiply(wash, textured(image.size, rng, (255, 255, 255), 0.25))
    frame = Image.new("L", image.size, 0)
    edge = rng.randint(0, 16)
    ImageDraw.Draw(frame).rectangle((edge, edge, image.width - edge, image.height - edge), fill=255)
    return Image.composite(wash, Image.new("RGB", image.size, pale(rng, 240)), frame.filter(ImageFilter.BoxBlur(4)))


def pointillism(image: Image.Image, rng: random.Random) -> Image.Image:
    """Render dots of pure colours."""
    bright = ImageEnhance.Color(image).enhance(2)
    pixels: Any = bright.load()
    canvas = Image.new("RGB", image.size, pale(rng, 200))
    draw, size = ImageDraw.Draw(canvas), rng.randint(2, 4)
    for _ in range(image.width * image.height // (size * size * 3)):
        x, y = rng.randrange(image.width), rng.randrange(image.height)
        r, g, b = pixels[x, y]
        colour = (r + rng.randint(-40, 40), g + rng.randint(-40, 40), b + rng.randint(-40, 40))
        draw.ellipse((x - size, y - size, x + size, y + size), colour)
    return canvas


def cartoon(image: Image.Image, rng: random.Random) -> Image.Image:
    """Render few flat colours with dark contours."""
    flat = image.filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.BoxBlur(2))
    flat = (
        ImageEnhance.Color(flat)
        .enhance(rng.uniform(1.3, 2))
        .quantize(rng.randint(6, 14), dither=Image.Dither.NONE)
        .convert("RGB")
    )
    soft = image.convert("L").filter(ImageFilter.GaussianBlur(1.5))
    edge = ImageChops.subtract(soft.filter(ImageFilter.GaussianBlur(2.5)), soft).point(
        [255 if v < 7 else 0 for v in range(256)]
    )
    return ImageChops.multiply(flat, Image.merge("RGB", [edge] * 3)) if rng.random() < 0.8 else flat


def poster(image: Image.Image, rng: random.Random) -> Image.Image:
    """Print in two to four inks, as screen prints are."""
    levels = rng.randint(2, 4)
    grey = ImageOps.posterize(ImageOps.autocontrast(image.convert("L").filter(ImageFilter.BoxBlur(2))), 8).quantize(
        levels
    )
    grey.putpalette([value for _ in range(levels) for value in any_colour(rng)])
    return grey.convert("RGB")


def pixel_art(image: Image.Image, rng: random.Random) -> Image.Image:
    """Render a few dozen large square pixels a side in few colours."""
    side = rng.randint(24, 64)
    small = image.resize((side, max(1, round(side * image.height / image.width))), Image.Resampling.BOX)
    small = (
        ImageEnhance.Color(small)
        .enhance(1.5)
        .quantize(rng.choice([8, 16, 32]), dither=Image.Dither.NONE)
        .convert("RGB")
    )
    return small.resize(image.size, Image.Resampling.NEAREST)


def night(image: Image.Image, rng: random.Random) -> Image.Image:
    """Darken a photograph taken by day, with a blue cast, lamps and noise."""
    level = np.asarray(ImageEnhance.Color(image).enhance(rng.uniform(0.2, 0.9)), np.float32) / 255
    level = level ** rng.uniform(1.0, 1.8) * rng.uniform(0.18, 0.6)
    fall = np.linspace(rng.uniform(0.15, 1), 1, image.height, dtype=np.float32)[:, None, None]
    cast = rng.choice([(0.75, 0.85, 1.25), (0.9, 0.95, 1.1), (1.15, 0.95, 0.65), (0.6, 0.8, 1.4), (1, 1, 1)])
    darkened = Image.fromarray((np.clip(level * fall * np.array(cast, np.float32), 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.75:
        darkened = ImageChops.screen(darkened, _lamps(image, rng))
    return grain(darkened, rng, rng.uniform(1, 9))


def _lamps(image: Image.Image, rng: random.Random) -> Image.Image:
    """Render glowing lamps on black, some with pools of light that show the photograph."""
    size = image.size
    points, pools = Image.new("RGB", size), Image.new("L", size)
    draw, pool = ImageDraw.Draw(points), ImageDraw.Draw(pools)
    around = rng.uniform(0.15, 0.7) * size[1]
    for _ in range(rng.randint(1, 25)):
        x, y, r = rng.uniform(0, size[0]), rng.gauss(around, size[1] * 0.12), rng.choice([1, 1, 2, 3, 5])
        warm = rng.choice(
            [(255, 214, 150), (255, 180, 90), (255, 245, 230), (200, 220, 255), (255, 80, 60), (120, 255, 160)]
        )
        draw.ellipse((x - r, y - r, x + r, y + r), warm)
        if rng.random() < 0.35:
            wide = rng.uniform(15, 60)
            pool.ellipse((x - wide, y - wide / 2, x + wide, y + wide * 1.5), fill=rng.randint(60, 200))
    glow = ImageChops.add(
        points, points.filter(ImageFilter.BoxBlur(rng.uniform(2, 8))).point([min(255, v * 4) for v in range(256)] * 3)
    )
    shown = Image.composite(image, Image.new("RGB", size), pools.filter(ImageFilter.BoxBlur(18)))
    warm_light = ImageChops.multiply(shown, Image.new("RGB", size, (255, 205, 130)))
    return ImageChops.add(glow, warm_light)


def dusk(image: Image.Image, rng: random.Random) -> Image.Image:
    """Redden the light as at sunset, and let the ground fall into shade."""
    sky = Image.new("RGB", image.size, rng.choice([(255, 140, 60), (255, 110, 90), (250, 170, 80)]))
    warm = Image.blend(ImageChops.multiply(image, sky), sky, rng.uniform(0.05, 0.25))
    shade = Image.linear_gradient("L").rotate(180).resize(image.size).point([90 + v * 165 // 255 for v in range(256)])
    return ImageChops.multiply(warm, Image.merge("RGB", [shade] * 3))


def fog(image: Image.Image, rng: random.Random) -> Image.Image:
    """Hide what is far, the upper part, behind grey."""
    grey = rng.randint(170, 235)
    thick = (
        Image.linear_gradient("L")
        .rotate(180)
        .resize(image.size)
        .point([round((0.35 + 0.6 * v / 255) * 255) for v in range(256)])
    )
    soft = ImageEnhance.Color(image.filter(ImageFilter.BoxBlur(1))).enhance(0.4)
    veil = ImageChops.multiply(
        Image.new("RGB", image.size, (grey, grey, min(255, grey + 6))), textured(image.size, rng, (255, 255, 255), 0.12)
    )
    return Image.composite(veil, soft, thick)


def snowfall(image: Image.Image, rng: random.Random) -> Image.Image:
    """Let flakes fall through a paler picture."""
    pale_scene = Image.blend(
        ImageEnhance.Color(image).enhance(0.5), Image.new("RGB", image.size, (215, 220, 228)), rng.uniform(0.2, 0.45)
    )
    draw = ImageDraw.Draw(pale_scene)
    for _ in range(rng.randint(150, 600)):
        x, y, r = rng.uniform(0, image.width), rng.uniform(0, image.height), rng.choice([0.5, 0.7, 1, 1, 2])
        draw.ellipse((x - r, y - r, x + r, y + r), (250, 250, 255))
    return pale_scene


def rain(image: Image.Image, rng: random.Random) -> Image.Image:
    """Render streaks of rain over a dull picture."""
    dull = ImageEnhance.Brightness(ImageEnhance.Color(image).enhance(0.5)).enhance(0.7)
    streaks = Image.new("L", image.size)
    draw, slope = ImageDraw.Draw(streaks), rng.uniform(-0.4, 0.4)
    for _ in range(rng.randint(150, 500)):
        x, y, length = rng.uniform(0, image.width), rng.uniform(-20, image.height), rng.uniform(8, 26)
        draw.line([(x, y), (x + slope * length, y + length)], rng.randint(50, 140))
    return ImageChops.screen(dull, Image.merge("RGB", [streaks] * 3))


def blurred(image: Image.Image, rng: random.Random) -> Image.Image:
    """Render out of focus, or moved."""
    if rng.random() < 0.6:
        return image.filter(ImageFilter.GaussianBlur(rng.uniform(3, 8)))
    length = rng.randint(7, 12)
    wide = image.resize((max(1, image.width // length), image.height), Image.Resampling.BOX)
    moved = wide.resize(image.size, Image.Resampling.BICUBIC)
    return moved.rotate(rng.choice([0, 0, 90]), expand=True)
