"""Resize and crop an image for an image encoder, with Pillow.

The pixels are those of open_clip's evaluation transform, for less work: they stay 8-bit until the encoder normalises a
whole batch, and the ends of a panorama that will be cropped are not resized (there, a few pixels may differ by one or
two grey levels, because the order of rounding differs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["LARGEST_SIDE", "Preprocessing"]

LARGEST_SIDE = 4096
"""Maximum side of an encoder's input, in pixels."""

_RESIZE_MODES = ("shortest", "longest", "squash")
_BICUBIC_REACH = 2.0  # pixels on each side that contribute, if an image is not reduced
_LONGEST_RESIZED = 4  # multiple of the encoder's input; a longer image is cropped before it is resized
_INTERPOLATIONS = ("bicubic", "bilinear")


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of a model; the fields of open_clip's ``PreprocessCfg``.

    Parameters
    ----------
    height, width
        The encoder's input, in pixels.
    mean, std
        By channel (R, G, B), for pixels from 0 to 1.
    interpolation
        ``bicubic`` or ``bilinear``.
    resize_mode
        ``shortest``: the shortest side fits and the centre is cropped; ``longest``: the longest side fits and the rest
        is filled; ``squash``: both sides are stretched.
    fill
        Grey level of the filling, 0 to 255.
    """

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill: int = 0

    def __post_init__(self) -> None:
        """Reject values that are invalid for any encoder.

        Raises
        ------
        ValueError, TypeError
            If a field has a wrong type or an invalid value.
        """
        if not all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in (self.height, self.width)):
            raise ValueError("size")
        for values in (self.mean, self.std):
            if len(values) != 3 or not all(isinstance(value, float) and isfinite(value) for value in values):
                raise ValueError("mean or std")
        if min(self.std) <= 0.0:
            raise ValueError("std")
        if self.resize_mode not in _RESIZE_MODES or self.interpolation not in _INTERPOLATIONS:
            raise ValueError("resize_mode or interpolation")
        if type(self.fill) is not int or not 0 <= self.fill <= 255:
            raise ValueError("fill")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Read open_clip's ``preprocess_cfg``.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it contains values that are invalid for any encoder.
        """
        size = config["size"]
        height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[-1]))
        mean, std = _by_channel(config["mean"]), _by_channel(config["std"])
        mode = config.get("resize_mode") or "shortest"
        interpolation = config.get("interpolation") or "bicubic"
        interpolation = "bicubic" if interpolation == "random" else interpolation  # random in training only
        if config.get("mode", "RGB") != "RGB":
            raise ValueError("mode")
        if mode == "shortest" and height != width:
            interpolation = "bicubic"  # open_clip does the same, whatever the config contains
        return cls(height, width, mean, std, interpolation, mode, int(config.get("fill_color") or 0))

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) that a whole image of this size would be resized to."""
        if self.resize_mode == "squash":
            return self.width, self.height
        if self.resize_mode == "shortest" and self.width == self.height:  # torchvision's rounding
            if width <= height:
                return self.width, int(self.width * height / width)
            return int(self.height * width / height), self.height
        ratios = (width / self.width, height / self.height)
        ratio = max(ratios) if self.resize_mode == "longest" else min(ratios)  # timm's rounding
        return max(1, round(width / ratio)), max(1, round(height / ratio))

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop one RGB image: (H, W, 3), not yet normalised.

        Raises
        ------
        MemoryError
            If the image is too large to be resized.
        """
        whole = self.resized(*image.size)
        left, right, before = _window(whole[0], self.width)
        top, bottom, above = _window(whole[1], self.height)
        if whole[0] * whole[1] <= _LONGEST_RESIZED * self.width * self.height:
            part = image.resize(whole, self._filter).crop((left, top, right, bottom))
        else:
            part = self._resized_part(image, whole, (left, top, right, bottom))
        if part.size == (self.width, self.height):
            return np.asarray(part)
        canvas = np.full((self.height, self.width, 3), self.fill, np.uint8)
        canvas[above : above + part.height, before : before + part.width] = np.asarray(part)
        return canvas

    def _resized_part(self, image: Image.Image, whole: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
        """Resize only the part of a very long image that is not cropped, first horizontally, then vertically."""
        left, top, right, bottom = box
        image, first, last = _rows(image, top, bottom, whole[1])
        across = image.width / whole[0]
        columns = (left * across, 0.0, min(right * across, image.width), float(image.height))
        image = image.resize((right - left, image.height), self._filter, columns)
        return image.resize((image.width, bottom - top), self._filter, (0.0, first, float(image.width), last))

    @property
    def _filter(self) -> Image.Resampling:
        from PIL import Image

        return Image.Resampling[self.interpolation.upper()]

    def scale_and_shift(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (3,) factors and offsets: ``pixels * factor + offset`` is the encoder's input."""
        mean, std = np.array(self.mean), np.array(self.std)
        return (1.0 / (255.0 * std)).astype(np.float32), (-mean / std).astype(np.float32)


def _rows(image: Image.Image, top: int, bottom: int, whole_height: int) -> tuple[Image.Image, float, float]:
    """Crop the rows that do not contribute; return the rest, and the position of the cropped part in it."""
    scale = image.height / whole_height
    first, last = top * scale, min(bottom * scale, image.height)
    reach = _BICUBIC_REACH * max(scale, 1.0) + 1.0
    above, below = max(0, floor(first - reach)), min(image.height, ceil(last + reach))
    if above == 0 and below == image.height:
        return image, first, last
    return image.crop((0, above, image.width, below)), first - above, last - above


def _window(whole: int, wanted: int) -> tuple[int, int, int]:
    """Return the first and last pixel of the central part, and the padding before it."""
    if whole <= wanted:
        return 0, whole, (wanted - whole) // 2
    first = round((whole - wanted) / 2.0)
    return first, first + wanted, 0


def _by_channel(value: Any) -> tuple[float, float, float]:
    red, green, blue = value if isinstance(value, list | tuple) else (value,) * 3
    return float(red), float(green), float(blue)
