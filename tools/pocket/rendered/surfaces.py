"""Surfaces and cameras: gradients, paper, backdrops, pages photographed at an angle, light and noise."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Colour = tuple[int, int, int]
Size = tuple[int, int]


def any_colour(rng: random.Random) -> Colour:
    """Return any colour."""
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def pale(rng: random.Random, least: int = 215) -> Colour:
    """Return a colour near white."""
    return rng.randint(least, 255), rng.randint(least, 255), rng.randint(least, 255)


def dark(rng: random.Random, most: int = 70) -> Colour:
    """Return a colour near black."""
    return rng.randint(0, most), rng.randint(0, most), rng.randint(0, most)


def gradient(size: Size, first: Colour, second: Colour, angle: int = 0) -> Image.Image:
    """Return a linear gradient; the angle is a multiple of 90 degrees."""
    ramp = Image.linear_gradient("L").rotate(angle)
    return ImageOps.colorize(ramp.resize(size), first, second)


def clouds(size: Size, rng: random.Random, cells: int = 6) -> Image.Image:
    """Return smooth grey noise with about that many cells a side (mode L)."""
    grid = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (cells, cells), dtype=np.uint8)
    return Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)


def grain(image: Image.Image, rng: random.Random, deviation: float) -> Image.Image:
    """Add Gaussian noise."""
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, deviation, (image.height, image.width, 1))
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))


def textured(size: Size, rng: random.Random, colour: Colour, depth: float = 0.15) -> Image.Image:
    """Return a colour with uneven light, as of paper, a wall or cloth."""
    shade = clouds(size, rng, rng.randint(2, 12)).point(
        [round(255 * (1 - depth * (255 - v) / 255)) for v in range(256)]
    )
    return ImageChops.multiply(Image.new("RGB", size, colour), Image.merge("RGB", [shade] * 3))


def wood(size: Size, rng: random.Random) -> Image.Image:
    """Return something like a wooden table top."""
    dye = (rng.randint(90, 210), rng.randint(60, 140), rng.randint(30, 100))
    stripes = np.random.default_rng(rng.getrandbits(32)).integers(150, 256, (rng.choice([20, 60]), 2), dtype=np.uint8)
    shade = Image.fromarray(stripes).resize(size, Image.Resampling.BICUBIC)
    board = ImageChops.multiply(Image.new("RGB", size, dye), Image.merge("RGB", [shade] * 3))
    return board.rotate(90, expand=True).resize(size) if rng.random() < 0.5 else board


def tiles(size: Size, rng: random.Random) -> Image.Image:
    """Return a tiled or striped ground."""
    image = Image.new("RGB", size, any_colour(rng))
    draw, step, line = ImageDraw.Draw(image), rng.randint(12, 60), any_colour(rng)
    for x in range(0, size[0], step):
        draw.line([(x, 0), (x, size[1])], line, rng.choice([1, 2, step // 2]))
    if rng.random() < 0.5:
        for y in range(0, size[1], step):
            draw.line([(0, y), (size[0], y)], line, 2)
    return image


def plain_backdrop(size: Size, rng: random.Random) -> Image.Image:
    """Return a backdrop without things on it: plain, graded, textured, wooden or tiled."""
    roll = rng.random()
    if roll < 0.2:
        return Image.new("RGB", size, rng.choice([(255, 255, 255), pale(rng), any_colour(rng)]))
    if roll < 0.4:
        return gradient(size, any_colour(rng), any_colour(rng), rng.choice([0, 90, 180, 270]))
    if roll < 0.7:
        return textured(size, rng, any_colour(rng), rng.uniform(0.1, 0.6))
    return wood(size, rng) if roll < 0.88 else tiles(size, rng)


def cover(image: Image.Image, size: Size) -> Image.Image:
    """Scale and crop a picture so that it fills the size."""
    return ImageOps.fit(image.convert("RGB"), size, Image.Resampling.BILINEAR)


def perspective(quad: list[tuple[float, float]], size: Size) -> list[float]:
    """Coefficients for ``Image.transform`` that bring a rectangle of that size to the quadrilateral.

    ``quad`` has the corners in the output: top left, top right, bottom right, bottom left.
    """
    width, height = size
    rows, wanted = [], []
    for (x, y), (u, v) in zip(quad, [(0, 0), (width, 0), (width, height), (0, height)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    return [float(c) for c in np.linalg.solve(np.array(rows, float), np.array(wanted, float))]


def lay_on(
    page: Image.Image, ground: Image.Image, rng: random.Random, fill: float = 0.85, tilt: float = 0.12
) -> Image.Image:
    """Lay a page on a ground, seen at an angle, with a soft shadow.

    ``fill`` is the share of the ground's sides that the page takes; ``tilt`` how far its corners move, as a share.
    """
    width, height = ground.size
    scale = fill * min(width / page.width, height / page.height)
    w, h = page.width * scale, page.height * scale
    left, top = (width - w) * rng.uniform(0.2, 0.8), (height - h) * rng.uniform(0.2, 0.8)
    corners = [(left, top), (left + w, top), (left + w, top + h), (left, top + h)]
    jitter = tilt * min(w, h)
    turn = rng.uniform(-jitter, jitter)
    quad = [
        (
            x + rng.uniform(-jitter, jitter) / 2 + (turn if i in (0, 1) else 0),
            y + rng.uniform(-jitter, jitter) / 2 + (turn if i in (0, 3) else 0),
        )
        for i, (x, y) in enumerate(corners)
    ]
    shadow = Image.new("L", ground.size, 0)
    off = rng.randint(-6, 8)
    ImageDraw.Draw(shadow).polygon([(x + off, y + abs(off)) for x, y in quad], fill=rng.randint(60, 170))
    shadow = shadow.filter(ImageFilter.BoxBlur(rng.uniform(2, 7)))
    result = ImageChops.multiply(ground, Image.merge("RGB", [ImageOps.invert(shadow)] * 3))
    small = page.resize((max(1, round(w)), max(1, round(h))), Image.Resampling.BOX) if scale < 1 else page
    coefficients = perspective(quad, small.size)
    moved = small.convert("RGB").transform(
        ground.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
    )
    mask = Image.new("L", ground.size, 0)
    ImageDraw.Draw(mask).polygon(quad, fill=255)
    result.paste(moved, (0, 0), mask)
    return result


def lit(image: Image.Image, rng: random.Random, strength: float = 0.4) -> Image.Image:
    """Light a picture unevenly, as a lamp or a window does, with a cast of colour."""
    light = clouds(image.size, rng, rng.choice([2, 2, 3])).point(
        [round(255 * (1 - strength * (255 - v) / 255)) for v in range(256)]
    )
    tint = rng.choice([(255, 255, 255), (255, 244, 225), (232, 240, 255), (255, 235, 200)])
    image = ImageChops.multiply(image, Image.merge("RGB", [light] * 3))
    return ImageChops.multiply(image, Image.new("RGB", image.size, tint)) if rng.random() < 0.5 else image


def camera(image: Image.Image, rng: random.Random) -> Image.Image:
    """Give a picture a camera's exposure, softness and noise."""
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.75, 1.15))
    image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.75, 1.15))
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.3, 1.2)))
    return grain(image, rng, rng.uniform(1, 9)) if rng.random() < 0.6 else image


def compressed(image: Image.Image, rng: random.Random) -> Image.Image:
    """Save as JPEG and read again."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=rng.randint(35, 92))
    return Image.open(buffer).convert("RGB")


def reduced(image: Image.Image, shorter: int = 288) -> Image.Image:
    """Scale down so that the shorter side has at most that many pixels."""
    scale = shorter / min(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX)
