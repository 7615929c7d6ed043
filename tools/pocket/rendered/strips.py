"""Lines of running text drawn once for each font and scaled when a page needs them.

Drawing a line of text takes about a millisecond, cutting and scaling a drawn one a tenth of that.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw
from tools.pocket.rendered import writing
from tools.pocket.rendered.fonts import load_font

_SIZE = 22  # px
_COUNT, _CHARACTERS = 8, 170


@dataclass(frozen=True)
class Strip:
    """A drawn line (mode L, white on black), and where its words start and end, in px."""

    mask: Image.Image
    starts: list[int]
    ends: list[int]


@lru_cache(maxsize=400)
def _strips(path: str) -> list[Strip]:
    rng = random.Random(f"strips of {path}")
    return [_strip(path, writing.paragraph(rng, _CHARACTERS)[:_CHARACTERS]) for _ in range(_COUNT)]


def _strip(path: str, text: str) -> Strip:
    font = load_font(path, _SIZE)
    starts, ends, x = [], [], 0.0
    blank = font.getlength(" ")
    mask = Image.new("L", (round(font.getlength(text) * 1.1) + 40, round(_SIZE * 1.4)))
    draw = ImageDraw.Draw(mask)
    for word in text.split():
        draw.text((x, 0), word, 255, font)
        starts.append(round(x))
        x += font.getlength(word)
        ends.append(round(x))
        x += blank
    return Strip(mask, starts, ends)


def line_of_text(rng: random.Random, path: str, size: float, width: float, stretch: bool = False) -> Image.Image:
    """Return some words in a font, at most that wide, as a mask (mode L); stretched to the width if wanted."""
    strip, scale = rng.choice(_strips(path)), size / _SIZE
    room = width / scale
    possible = [start for start in strip.starts if strip.ends[-1] - start >= room] or strip.starts[:1]
    start = rng.choice(possible)
    last = max(0, bisect_right(strip.ends, start + room) - 1)
    end = max(strip.ends[last], start + 4)
    part = strip.mask.crop((start, 0, end, strip.mask.height))
    wide = width if stretch and part.width * scale > 0.8 * width else min(width, part.width * scale)
    return part.resize(
        (max(1, round(wide)), max(1, round(strip.mask.height * scale))), Image.Resampling.BILINEAR, reducing_gap=1.5
    )
