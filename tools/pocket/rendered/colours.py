"""Colour names, paints of each name, and recolouring that keeps light and shade."""

from __future__ import annotations

import colorsys
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tools.pocket.rendered.surfaces import Colour

Range = tuple[float, float]


@dataclass(frozen=True)
class Paint:
    """What a colour name covers: hue in degrees (may pass 360), saturation and value in 0 to 1."""

    hue: Range
    saturation: Range
    value: Range


PAINTS: dict[str, Paint] = {
    "red": Paint((348, 366), (0.75, 1), (0.5, 0.95)),
    "orange": Paint((20, 34), (0.8, 1), (0.85, 1)),
    "yellow": Paint((47, 60), (0.7, 1), (0.8, 1)),
    "green": Paint((85, 155), (0.5, 1), (0.3, 0.85)),
    "blue": Paint((205, 245), (0.6, 1), (0.4, 1)),
    "purple": Paint((265, 292), (0.45, 0.9), (0.35, 0.8)),
    "pink": Paint((326, 350), (0.3, 0.65), (0.85, 1)),
    "brown": Paint((16, 32), (0.5, 0.85), (0.28, 0.5)),
    "black": Paint((0, 360), (0, 0.25), (0.04, 0.15)),
    "white": Paint((0, 360), (0, 0.05), (0.92, 1)),
    "grey": Paint((0, 360), (0, 0.08), (0.4, 0.65)),
}
NAMES = tuple(PAINTS)
PRIMARY = ("red", "blue", "green", "yellow")
CHROMATIC = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
_SOURCE_HUES = {
    "red": (343, 373),
    "orange": (12, 42),
    "yellow": (40, 68),
    "green": (75, 165),
    "blue": (190, 255),
    "purple": (255, 300),
    "pink": (300, 355),
}
_NEAR = [
    {"orange", "brown"},
    {"orange", "red"},
    {"pink", "purple"},
    {"pink", "red"},
    {"orange", "yellow"},
    {"brown", "red"},
    {"grey", "black"},
    {"grey", "white"},
]


def some_colour(rng: random.Random, names: tuple[str, ...] = NAMES) -> str:
    """Choose a colour name; the four commonest more often."""
    return rng.choice(PRIMARY) if rng.random() < 0.4 and set(PRIMARY) <= set(names) else rng.choice(names)


def others(rng: random.Random, name: str, names: tuple[str, ...] = NAMES) -> list[str]:
    """List colour names that nobody takes for this one, in random order."""
    kept = [other for other in names if other != name and {other, name} not in _NEAR]
    rng.shuffle(kept)
    return kept


def paint(rng: random.Random, name: str) -> Colour:
    """Return a colour that has the name."""
    h, s, v = _draw(rng, name)
    r, g, b = colorsys.hsv_to_rgb(h / 360, s, v)
    return round(r * 255), round(g * 255), round(b * 255)


def _draw(rng: random.Random, name: str) -> tuple[float, float, float]:
    """Draw hue (0 to 360), saturation and value (0 to 1)."""
    kind = PAINTS[name]
    return rng.uniform(*kind.hue) % 360, rng.uniform(*kind.saturation), rng.uniform(*kind.value)


def mask_of(image: Image.Image, name: str) -> Image.Image:
    """Find the pixels that are distinctly of a chromatic colour (mode L, 0 or 255)."""
    hue, saturation, value = _channels(image)
    low, high = _SOURCE_HUES[name]
    inside = ((hue - low) % 360) <= high - low
    found = inside & (saturation > 0.42) & (value > 0.2)
    return Image.fromarray((found * 255).astype(np.uint8))


def saturated(image: Image.Image, least: float = 0.3) -> Image.Image:
    """Find the pixels that have a colour at all (mode L, 0 or 255)."""
    _, saturation, value = _channels(image)
    return Image.fromarray((((saturation > least) & (value > 0.15)) * 255).astype(np.uint8))


def share(mask: Image.Image) -> float:
    """Return the mask's mean, 0 to 1."""
    return float(np.asarray(mask, np.float32).mean()) / 255


def dominant_share(image: Image.Image, mask: Image.Image) -> float:
    """Return how much of the mask's pixels has hues within 25 degrees of the commonest."""
    hues = _channels(image)[0][np.asarray(mask) > 127]
    if not hues.size:
        return 0.0
    counts = np.histogram(hues, 36, (0, 360))[0].astype(float)
    around = counts + np.roll(counts, 1) + np.roll(counts, -1) + np.roll(counts, 2) + np.roll(counts, -2)
    return float(around.max() / counts.sum())


def _channels(image: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hue (0 to 360), saturation and value (0 to 1), each (height, width) float32."""
    hsv = np.asarray(image.convert("RGB").convert("HSV"), np.float32)
    return hsv[..., 0] * (360 / 255), hsv[..., 1] / 255, hsv[..., 2] / 255


def recolour(image: Image.Image, mask: Image.Image, name: str, rng: random.Random) -> Image.Image:
    """Give the pixels of the mask a colour of that name, keeping their relative light and shade."""
    hsv = np.asarray(image.convert("RGB").convert("HSV"), np.float32) / 255  # (height, width, 3)
    inside = np.asarray(mask) > 127
    if not inside.any():
        return image.convert("RGB")
    hue, saturation, value = _draw(rng, name)
    middle = max(0.05, float(np.median(hsv[..., 2][inside])))
    light = hsv[..., 2] / middle
    new_value = np.clip(value * light ** rng.uniform(0.7, 1.0), 0, 1)
    if name == "white":
        new_value = np.clip(1 - (1 - np.minimum(light, 1.1) / 1.1) * 0.6, 0, 1)
    strength = np.clip(hsv[..., 1] / max(0.05, float(np.median(hsv[..., 1][inside]))), 0.5, 1.3)
    highlight = np.clip((light - 1.25) * 2, 0, 1) * 0.7  # reflections stay white
    new = np.stack(
        [np.full_like(new_value, hue / 360), np.clip(saturation * strength, 0, 1) * (1 - highlight), new_value], -1
    )
    new[..., 0] = (new[..., 0] + (hsv[..., 0] - np.median(hsv[..., 0][inside])) * 0.1) % 1
    painted = Image.fromarray((new * 255).astype(np.uint8), "HSV").convert("RGB")
    return Image.composite(painted, image.convert("RGB"), mask)
