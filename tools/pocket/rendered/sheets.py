"""What becomes of a page: a clean export, a scan, a fax, or a page photographed on a table."""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import camera, clouds, compressed, grain, lay_on, lit, pale, reduced, textured


def blank(rng: random.Random, shape: str = "tall") -> Image.Image:
    """Return an empty page: tall, wide or square."""
    width = rng.randint(430, 720)
    height = round(width * {"tall": rng.uniform(1.25, 1.5), "wide": rng.uniform(0.65, 0.8), "square": 1.0}[shape])
    colour = rng.choice([(255, 255, 255), (255, 255, 255), (255, 255, 255), pale(rng, 235), (250, 244, 228)])
    return Image.new("RGB", (width, height), colour)


def finished(page: Image.Image, studio: Studio) -> tuple[Image.Image, str]:
    """Export, scan or photograph a page; return it with a word for what was done."""
    rng, roll = studio.rng, studio.rng.random()
    if rng.random() < 0.25:
        page = _part(page, rng)
    if roll < 0.35:
        return reduced(page), ""
    if roll < 0.6:
        return _scanned(page, rng), "scanned"
    if roll < 0.67:
        return _faxed(page, rng), "photocopied"
    return photographed(page, studio), "photographed"


def photographed(page: Image.Image, studio: Studio, fill: float | None = None) -> Image.Image:
    """Photograph a page that lies on something."""
    rng = studio.rng
    if rng.random() < 0.5:
        page = ImageChops.multiply(page, textured(page.size, rng, (255, 255, 255), rng.uniform(0.05, 0.25)))
    if rng.random() < 0.35:
        page = _creased(page, rng)
    side = rng.randint(256, 320)
    size = (
        (side, round(side * rng.choice([1, 1.33, 0.75, 1.33])))
        if page.height >= page.width
        else (round(side * 1.33), side)
    )
    placed = lay_on(
        page, studio.backdrop(size, photos=0.2), rng, fill or rng.uniform(0.75, 1.25), rng.uniform(0.02, 0.2)
    )
    return compressed(camera(lit(placed, rng, rng.uniform(0.1, 0.6)), rng), rng)


def _part(page: Image.Image, rng: random.Random) -> Image.Image:
    """Cut out a part, as a close view shows."""
    width, height = page.size
    w, h = width * rng.uniform(0.4, 0.9), height * rng.uniform(0.25, 0.8)
    left, top = rng.uniform(0, width - w), rng.uniform(0, (height - h) * 0.6)
    return page.crop((round(left), round(top), round(left + w), round(top + h)))


def _scanned(page: Image.Image, rng: random.Random) -> Image.Image:
    """Scan: slightly turned, grey or yellowed, with dust and a dark edge."""
    edge = rng.choice([(255, 255, 255), (30, 30, 30), (200, 200, 200)])
    page = reduced(page).rotate(rng.uniform(-2.5, 2.5), Image.Resampling.BILINEAR, fillcolor=edge)
    if rng.random() < 0.5:
        page = page.convert("L").convert("RGB")
    page = ImageChops.multiply(
        page, textured(page.size, rng, rng.choice([(250, 250, 250), (245, 235, 205), (228, 228, 228)]), 0.1)
    )
    draw = ImageDraw.Draw(page)
    for _ in range(rng.choice([0, 0, 15, 60])):
        x, y = rng.uniform(0, page.width), rng.uniform(0, page.height)
        draw.ellipse((x, y, x + 1, y + 1), (90, 90, 90))
    return grain(page, rng, rng.uniform(0.5, 6)) if rng.random() < 0.6 else page


def _faxed(page: Image.Image, rng: random.Random) -> Image.Image:
    """Copy in pure black and white."""
    grey = reduced(page, 420).convert("L").filter(ImageFilter.BoxBlur(rng.uniform(0, 0.8)))
    at = rng.randint(150, 215)
    return reduced(grey.point([255 if v > at else 0 for v in range(256)]).convert("RGB"))


def _creased(page: Image.Image, rng: random.Random) -> Image.Image:
    """Fold a page once or twice, or crumple it."""
    light = Image.new("L", page.size, 245)
    draw, width, height = ImageDraw.Draw(light), page.width, page.height
    for at in rng.choice([(0.5,), (1 / 3, 2 / 3)]):
        y = round(height * at)
        draw.rectangle((0, y, width, y + 8), fill=rng.randint(190, 225))
        draw.rectangle((0, y - 6, width, y), fill=255)
    if rng.random() < 0.4:
        rough = clouds(page.size, rng, rng.randint(8, 16)).filter(ImageFilter.FIND_EDGES)
        light = ImageChops.multiply(light, ImageOps.invert(rough.point([min(90, v * 3) for v in range(256)])))
    return ImageChops.multiply(page, Image.merge("RGB", [light.filter(ImageFilter.BoxBlur(2))] * 3))
