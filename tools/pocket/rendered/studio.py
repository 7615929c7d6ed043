"""What every renderer gets: a seeded generator, fonts and real pictures of its part."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image, ImageFont
from tools.pocket.rendered.album import Album
from tools.pocket.rendered.fonts import pick_font
from tools.pocket.rendered.picture import Rendered
from tools.pocket.rendered.surfaces import cover, plain_backdrop

SHORTER = 256


@dataclass(frozen=True)
class Studio:
    """One seeded draw. ``held`` chooses the fonts and pictures that are kept for measuring."""

    rng: random.Random
    album: Album
    held: bool = False

    def font(self, style: str, size: float) -> ImageFont.FreeTypeFont:
        """Choose a font of a style, at a size in pixels."""
        return pick_font(self.rng, size, style, self.held)

    def photo(self, topic: str = "photo") -> tuple[Image.Image, str]:
        """Choose a photograph of at least 256 px, and what it shows."""
        image, text = self.album.photo(self.rng, topic)
        if min(image.size) < SHORTER:
            scale = SHORTER / min(image.size)
            image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        return image, text

    def backdrop(self, size: tuple[int, int], photos: float = 0.4) -> Image.Image:
        """Return a plain surface, or with probability ``photos`` a photograph."""
        if self.rng.random() < photos:
            return cover(self.photo()[0], size)
        return plain_backdrop(size, self.rng)


Template = Callable[[Studio], Rendered]


@dataclass(frozen=True)
class Kind:
    """The templates of one kind: those used in training, and those that only measure."""

    templates: tuple[Template, ...]
    held_out: tuple[Template, ...] = field(default=())

    def choose(self, studio: Studio) -> Template:
        """Choose a template of the studio's part; a kind without held-out ones measures with all."""
        return studio.rng.choice(self.held_out if studio.held and self.held_out else self.templates)
