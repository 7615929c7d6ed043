"""A screen to draw on: a theme, bars, buttons, fields, lists, running text, pictures and icons."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from tools.pocket.rendered import writing
from tools.pocket.rendered.fonts import load_font
from tools.pocket.rendered.strips import line_of_text
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import Colour, cover, gradient

Box = tuple[float, float, float, float]

_ACCENTS = [
    (0, 120, 215),
    (66, 133, 244),
    (52, 168, 83),
    (234, 67, 53),
    (255, 152, 0),
    (103, 58, 183),
    (0, 150, 136),
    (233, 30, 99),
    (40, 44, 52),
]
_LIGHT = [
    ((255, 255, 255), (243, 243, 243)),
    ((250, 250, 250), (236, 239, 244)),
    ((240, 240, 240), (255, 255, 255)),
    ((245, 246, 248), (225, 228, 232)),
]
_DARK = [
    ((30, 30, 30), (45, 45, 48)),
    ((18, 18, 18), (40, 40, 40)),
    ((40, 42, 54), (68, 71, 90)),
    ((13, 17, 23), (22, 27, 34)),
]


@dataclass(frozen=True)
class Theme:
    """The colours of one look."""

    ground: Colour
    panel: Colour
    text: Colour
    faint: Colour
    accent: Colour
    is_dark: bool


def theme(rng: random.Random, dark_part: float = 0.3) -> Theme:
    """Choose a light look, or a dark one with that probability."""
    is_dark = rng.random() < dark_part
    ground, panel = rng.choice(_DARK if is_dark else _LIGHT)
    text = (230, 230, 230) if is_dark else rng.choice([(20, 20, 20), (50, 50, 60)])
    faint = (130, 130, 140) if is_dark else (140, 140, 150)
    return Theme(ground, panel, text, faint, rng.choice(_ACCENTS), is_dark)


class Screen:
    """A picture of a screen that is being drawn, with its theme and fonts."""

    def __init__(self, studio: Studio, width: int, height: int, look: Theme | None = None) -> None:
        self.studio, self.rng = studio, studio.rng
        self.look = look or theme(self.rng)
        self.image = Image.new("RGB", (width, height), self.look.ground)
        self.draw = ImageDraw.Draw(self.image)
        self.width, self.height = width, height
        self._face = studio.font("sans", 12)
        self._mono = studio.font("mono", 12)

    def face(self, size: float, mono: bool = False) -> ImageFont.FreeTypeFont:
        """Return the screen's font at a size."""
        return load_font(str((self._mono if mono else self._face).path), max(6, round(size)))

    def text(
        self, at: tuple[float, float], text: str, size: float = 12, colour: Colour | None = None, mono: bool = False
    ) -> None:
        """Write one line."""
        self.draw.text(at, text, colour or self.look.text, self.face(size, mono))

    def lines(
        self, box: Box, size: float = 11, colour: Colour | None = None, most: int = 99, mono: bool = False
    ) -> float:
        """Fill a box with running text; return where it ends."""
        left, y, right, bottom = box
        path = str((self._mono if mono else self._face).path)
        while y + size * 1.4 < bottom and most > 0:
            width = (right - left) * (self.rng.uniform(0.85, 1) if most > 1 else self.rng.uniform(0.3, 0.9))
            if width > size * 3:
                self.draw.bitmap(
                    (round(left), round(y)), line_of_text(self.rng, path, size, width), colour or self.look.text
                )
            y += size * 1.45
            most -= 1
        return y

    def panel(self, box: Box, colour: Colour | None = None, radius: float = 0, outline: Colour | None = None) -> None:
        """Fill a box, with round corners if wanted."""
        if box[2] > box[0] and box[3] > box[1]:
            self.draw.rounded_rectangle(box, radius, colour or self.look.panel, outline)

    def button(self, at: tuple[float, float], text: str, filled: bool = True, size: float = 12) -> float:
        """Draw a button; return its width."""
        width = self.face(size).getlength(text) + size * 2
        box = (at[0], at[1], at[0] + width, at[1] + size * 2.1)
        self.panel(box, self.look.accent if filled else self.look.panel, self.rng.choice([2, 5, 12]), self.look.faint)
        self.text((at[0] + size, at[1] + size * 0.4), text, size, (255, 255, 255) if filled else None)
        return width

    def field(self, box: Box, text: str = "") -> None:
        """Draw a text field."""
        self.panel(box, (60, 60, 64) if self.look.is_dark else (255, 255, 255), 4, self.look.faint)
        self.text((box[0] + 6, (box[1] + box[3]) / 2 - 8), text, 12, self.look.faint)

    def picture(self, box: Box, topic: str = "photo") -> None:
        """Show a photograph or a drawing, or a plain placeholder, in a box."""
        size = (max(4, round(box[2] - box[0])), max(4, round(box[3] - box[1])))
        if self.rng.random() < 0.8:
            shown = cover(self.studio.album.open(self.studio.album.pick(self.rng, topic)), size)
        else:
            shown = gradient(size, self.look.accent, self.look.panel)
        self.image.paste(shown, (round(box[0]), round(box[1])))

    def icon(self, x: float, y: float, side: float) -> None:
        """Draw a small coloured icon: a tile, a disc, a letter or an emoji."""
        rng, roll = self.rng, self.rng.random()
        colour = rng.choice(_ACCENTS)
        if roll < 0.35:
            self.panel((x, y, x + side, y + side), colour, side / 4)
        elif roll < 0.5:
            self.draw.ellipse((x, y, x + side, y + side), colour)
        elif roll < 0.75:
            self.panel((x, y, x + side, y + side), colour, side / 5)
            self.text((x + side * 0.25, y + side * 0.1), rng.choice("ABCDEFGHMNPRSTW"), side * 0.6, (255, 255, 255))
        else:
            self.picture((x, y, x + side, y + side), "noto_emoji")

    def title_bar(self, box: Box, title: str) -> float:
        """Draw a window's title bar with its buttons; return its lower edge."""
        left, top, right, _ = box
        height, manner = self.rng.randint(18, 28), self.rng.choice(["circles", "crosses", "classic"])
        colour = self.rng.choice([self.look.panel, self.look.accent, (222, 222, 222)])
        self.panel((left, top, right, top + height), colour)
        light = sum(colour) > 380
        self.text(
            (left + (70 if manner == "circles" else 8), top + height / 2 - 8),
            title,
            12,
            (40, 40, 40) if light else (240, 240, 240),
        )
        for i, dot in enumerate([(255, 95, 87), (254, 188, 46), (40, 200, 64)]):
            middle = top + height / 2
            if manner == "circles":
                self.draw.ellipse((left + 8 + 16 * i, middle - 5, left + 18 + 16 * i, middle + 5), dot)
            else:
                x = right - 60 + 20 * i
                ink = (40, 40, 40) if light else (240, 240, 240)
                if manner == "classic":
                    self.panel((x - 3, middle - 7, x + 13, middle + 7), (205, 205, 205), 0, (120, 120, 120))
                    ink = (20, 20, 20)
                self._window_sign(i, x, middle, ink)
        return top + height

    def _window_sign(self, which: int, x: float, middle: float, ink: Colour) -> None:
        if which == 0:
            self.draw.line([(x, middle), (x + 9, middle)], ink)
        elif which == 1:
            self.draw.rectangle((x, middle - 4, x + 9, middle + 4), outline=ink)
        else:
            self.draw.line([(x, middle - 4), (x + 9, middle + 4)], ink)
            self.draw.line([(x, middle + 4), (x + 9, middle - 4)], ink)

    def menu_bar(self, left: float, right: float, top: float) -> float:
        """Draw a row of menus; return its lower edge."""
        self.panel((left, top, right, top + 18))
        x = left + 6
        for name in ("File", "Edit", "View", "Insert", "Tools", "Window", "Help"):
            self.text((x, top + 2), name, 11)
            x += self.face(11).getlength(name) + 12
            if x > right - 30:
                break
        return top + 18

    def words(self, most: int = 3) -> str:
        """Return a short label."""
        return writing.title(self.rng, most)
