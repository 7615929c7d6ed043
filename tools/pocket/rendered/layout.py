"""Text on a canvas: wrapped blocks, aligned lines, words that fit a box."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from tools.pocket.rendered.strips import line_of_text
from tools.pocket.rendered.surfaces import Colour

Font = ImageFont.FreeTypeFont


def wrap(text: str, font: Font, width: float) -> list[str]:
    """Break a text into lines that are about as wide, by the font's mean width of a letter."""
    letter = max(1.0, font.getlength("the quick brown fox jumps") / 25)
    most, lines, line = max(4, int(width / letter)), [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > most:
            lines.append(line)
            line = word[:most]
        else:
            line = f"{line} {word}".strip()[:most]
    return [*lines, line] if line else lines


def fit(text: str, font: Font, width: float, height: float) -> Font:
    """Return the font at the largest size at which the text fits the box."""
    left, top, right, bottom = font.getbbox(text)
    scale = min(width / max(1, right - left), height / max(1, bottom - top))
    return font.font_variant(size=max(6, font.size * scale))


@dataclass
class Column:
    """A column of a page that is filled from the top: ``y`` is where the next line starts."""

    draw: ImageDraw.ImageDraw
    left: float
    y: float
    width: float
    bottom: float
    ink: Colour = (20, 20, 20)

    def block(self, text: str, font: Font, leading: float = 1.35) -> None:
        """Write a paragraph; what does not fit above the bottom is left away."""
        lines, step = wrap(text, font, self.width), font.size * leading
        for line in lines:
            if self.y + step > self.bottom:
                self.y = self.bottom
                return
            self.draw.text((self.left, self.y), line, self.ink, font)
            self.y += step

    def fill(
        self, rng: random.Random, characters: int, font: Font, leading: float = 1.35, justify: bool = False
    ) -> None:
        """Write a paragraph of about that many characters of running text, in drawn lines."""
        step, left = font.size * leading, characters * font.size * 0.48
        while left > 0:
            if self.y + step > self.bottom:
                self.y = self.bottom
                return
            whole = left >= self.width
            mask = line_of_text(rng, str(font.path), font.size, min(self.width, max(left, 40)), justify and whole)
            self.draw.bitmap((round(self.left), round(self.y)), mask, self.ink)
            left -= self.width
            self.y += step

    def line(self, text: str, font: Font, align: str = "left", leading: float = 1.35) -> None:
        """Write one line, at the left, in the centre or at the right."""
        room = self.width - font.getlength(text)
        shift = {"left": 0, "centre": room / 2, "right": room}[align]
        self.draw.text((self.left + shift, self.y), text, self.ink, font)
        self.y += font.size * leading

    def rule(self, weight: int = 1, ink: Colour | None = None) -> None:
        """Draw a horizontal line and move below it."""
        self.draw.line([(self.left, self.y), (self.left + self.width, self.y)], ink or self.ink, weight)
        self.y += 6 + weight

    @property
    def full(self) -> bool:
        """Whether the next line would pass the bottom."""
        return self.y > self.bottom - 12


def grid(
    column: Column,
    rows: Sequence[Sequence[str]],
    font: Font,
    shares: Sequence[float],
    rng: random.Random,
    lines: str = "both",
) -> None:
    """Draw a table: ``shares`` are the columns' parts of the width; ``lines`` is both, rows or none."""
    step, total = font.size * rng.uniform(1.5, 2.2), sum(shares)
    top, draw = column.y, column.draw
    edges = [column.left + column.width * sum(shares[:i]) / total for i in range(len(shares) + 1)]
    shade = rng.choice([None, (225, 230, 240), (235, 235, 235), (60, 80, 120)])
    for index, row in enumerate(rows):
        if column.y + step > column.bottom:
            break
        if index == 0 and shade:
            draw.rectangle((column.left, column.y, column.left + column.width, column.y + step), shade)
        ink = (255, 255, 255) if index == 0 and shade and shade[0] < 100 else column.ink
        for cell, left, right in zip(row, edges, edges[1:], strict=False):
            numeric = cell[:1].isdigit() or cell[:1] in "$€£"
            at = right - 4 - font.getlength(cell) if numeric else left + 4
            draw.text((at, column.y + step * 0.2), cell, ink, font)
        column.y += step
        if lines != "none":
            draw.line([(column.left, column.y), (column.left + column.width, column.y)], column.ink, 1)
    if lines == "both":
        for x in edges:
            draw.line([(x, top), (x, column.y)], column.ink, 1)
        draw.line([(column.left, top), (column.left + column.width, top)], column.ink, 1)


def signature(image: Image.Image, rng: random.Random, left: float, top: float, width: float, ink: Colour) -> None:
    """Scribble something like a signature."""
    draw, x, points = ImageDraw.Draw(image), left, []
    while x < left + width:
        points.append((x, top + rng.gauss(0, width / 12)))
        x += rng.uniform(-width / 30, width / 8)
    draw.line(points, ink, 2, joint="curve")
