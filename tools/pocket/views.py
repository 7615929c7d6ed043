"""Pictures as the image encoder sees them in training: the plain view, and views that are cropped and changed.

The plain view is that of ``preprocess_cfg``: shorter side to 260 pixels, centre crop. The other views differ in
crop, aspect ratio, mirror image, brightness and colour, so that the head does not learn one framing by heart.
"""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps
from tools.pocket.image_tower import IMAGE_MEAN, IMAGE_SIZE, IMAGE_STD

SQUASHED = {"flickr8k"}  # archives whose photographs were squashed to a square
ASPECTS = (4 / 3, 4 / 3, 3 / 2, 3 / 4, 1.0)  # width to height of ordinary photographs


def plain_view(picture: Image.Image) -> npt.NDArray[np.float32]:
    """Resize the shorter side, crop the centre: (3, 260, 260) float32, normalised as the weights expect."""
    width, height = picture.size
    scale = IMAGE_SIZE / min(width, height)
    resized = picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    left, top = (resized.width - IMAGE_SIZE) // 2, (resized.height - IMAGE_SIZE) // 2
    return to_pixels(resized.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE)))


def changed_view(picture: Image.Image, draw: random.Random, *, squashed: bool) -> npt.NDArray[np.float32]:
    """Crop, stretch, mirror and recolour at random: (3, 260, 260) float32, normalised as the weights expect.

    Parameters
    ----------
    squashed
        The picture was squashed to a square, so that most of its views are stretched to a usual aspect ratio.
    """
    stretch = draw.choice(ASPECTS) if squashed else draw.uniform(0.85, 1.18)
    area, ratio = draw.uniform(0.45, 1.0), draw.uniform(0.8, 1.25)
    width, height = picture.size
    whole_width, whole_height = width * stretch, float(height)  # as if stretched first
    side = (area * whole_width * whole_height) ** 0.5
    crop_width = min(whole_width, side * ratio**0.5) / stretch
    crop_height = min(whole_height, side / ratio**0.5)
    left = draw.uniform(0.0, max(0.0, width - crop_width))
    top = draw.uniform(0.0, max(0.0, height - crop_height))
    box = (left, top, min(width, left + crop_width), min(height, top + crop_height))
    view = picture.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC, box=box)
    if draw.random() < 0.5:
        view = ImageOps.mirror(view)
    if draw.random() < 0.4:
        view = ImageEnhance.Brightness(view).enhance(draw.uniform(0.7, 1.3))
        view = ImageEnhance.Color(view).enhance(draw.uniform(0.7, 1.3))
    return to_pixels(view)


def to_pixels(picture: Image.Image) -> npt.NDArray[np.float32]:
    """Normalise an RGB picture: (3, H, W) float32."""
    pixels = np.asarray(picture, dtype=np.float32) / 255.0  # (H, W, 3)
    normal = (pixels - np.array(IMAGE_MEAN, np.float32)) / np.array(IMAGE_STD, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1), dtype=np.float32)
