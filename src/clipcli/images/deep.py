"""Reduce images with more than 8 bits per sample, or with other data than light, to 8-bit RGB.

:mod:`clipcli.images.white_point` chooses the values for black and white. Samples that are NaN, infinite, beyond 1e30,
declared as "no data" (GDAL's tag), or customary for "no data" (-9999, -32768 ...) and far below all others, are ignored
for the range and get the median tone of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipcli.errors import ImageError
from clipcli.images.white_point import choose_range, smallest_depth

__all__ = ["DeepPicture", "conversion_bytes", "deep_to_rgb", "picture_of"]

Samples = NDArray[Any]

_SAMPLED = 1 << 18  # pixels that the range is chosen from
_BANDS_SAMPLED = 64
_BAND = 1 << 18  # pixels that are converted at once
_BEYOND = 1e30  # larger values such as 3.4e38 or 1e36 mean "no data"
_CUSTOMARY = (-9999.0, -99999.0, -999999.0, -999.0, -32768.0, -32767.0, -2147483648.0)


@dataclass(frozen=True)
class DeepPicture:
    """An image whose samples are read in bands.

    Parameters
    ----------
    width, height
        In pixels.
    read
        Returns the rows from one to another (exclusive): (rows, width, channels), of any type.
    bits
        Bits per sample, as declared.
    colours
        1 for grey, 3 for RGB: the first channels.
    alpha
        The opacity channel, or ``None``.
    premultiplied
        Whether colours were multiplied by opacity.
    key
        The colour that is transparent, one sample per colour.
    nodata
        The sample that means "no data".
    inverted
        Whether 0 is white.
    white
        The sample that is white, if it is declared in addition to the bits per sample.
    rows
        Bands begin at multiples of this.
    """

    width: int
    height: int
    read: Callable[[int, int], Samples]
    bits: int
    colours: int = 1
    alpha: int | None = None
    premultiplied: bool = False
    key: tuple[int, ...] | None = None
    nodata: float | None = None
    inverted: bool = False
    white: float | None = None
    rows: int = 1

    def bands(self) -> Iterator[tuple[int, int]]:
        """Yield the first and last row (exclusive) of bands of about 260,000 pixels, from top to bottom."""
        step = max(1, _BAND // (max(1, self.width) * self.rows)) * self.rows
        for top in range(0, self.height, step):
            yield top, min(top + step, self.height)


def conversion_bytes(pixels: int) -> int:
    """Return the additional memory for converting an image, in bytes."""
    return 100 * min(pixels, max(_BAND, _SAMPLED))


def picture_of(image: Image.Image, key: tuple[int, ...] | None = None) -> DeepPicture:
    """Return a grey Pillow image of mode I;16, I or F as a deep image."""
    scaled = image.format == "PPM" and image.mode == "I"  # scaled by Pillow from the file's white to 65535
    bits = 16 if scaled or image.mode.startswith("I;16") else 32

    def read(top: int, bottom: int) -> Samples:
        samples = np.asarray(image.crop((0, top, image.width, bottom)))[:, :, None]
        return samples.clip(0, 65535).astype(np.uint16) if scaled else samples

    return DeepPicture(image.width, image.height, read, bits, key=key)


def deep_to_rgb(picture: DeepPicture, factor: int = 1) -> Image.Image:
    """Return an 8-bit RGB image, transparency on white; every side is divided by ``factor``.

    Raises
    ------
    ImageError
        If no sample is valid.
    """
    sampled = _sample(picture)
    has_alpha = picture.alpha is not None and _shows_anything(picture, sampled)
    opaque = _alpha_limit(picture, sampled) if has_alpha else 0.0
    shown = sampled[:, : picture.colours]
    visible = _is_visible(picture, sampled, has_alpha=has_alpha)
    nodata = (picture.nodata, _undeclared_nodata(shown[visible]))
    valid = visible & _is_valid(shown, nodata).all(axis=1)
    if not valid.any():
        if visible.any():
            raise ImageError("unreadable", "has no valid samples: all are NaN, infinite or marked as no data")
        return Image.new("RGB", (-(-picture.width // factor), -(-picture.height // factor)), "white")
    black, white = (0.0, picture.white) if picture.white else choose_range(shown[valid], picture.bits)
    if picture.inverted:
        black, white = white, black
    middle = np.median(_scaled(shown[valid], black, white), axis=0)

    def converted(band: Samples) -> NDArray[np.uint8]:
        colours = band[:, :, : picture.colours]
        levels = _scaled(colours, black, white)
        levels = np.where(_is_valid(colours, nodata), levels, middle.astype(np.float32))
        if has_alpha and picture.alpha is not None:
            cover = _scaled(band[:, :, picture.alpha :][:, :, :1], 0.0, opaque) / np.float32(255.0)
            levels = (levels if picture.premultiplied else levels * cover) + (1 - cover) * np.float32(255.0)
        elif picture.key is not None:
            levels[(colours == np.array(picture.key)).all(axis=2)] = 255.0
        rounded: NDArray[np.uint8] = (levels + np.float32(0.5)).clip(0, 255).astype(np.uint8)
        return rounded

    return _assembled(picture, converted, factor)


def _assembled(picture: DeepPicture, convert: Callable[[Samples], NDArray[np.uint8]], factor: int) -> Image.Image:
    """Join converted bands, each reduced before the next is read."""
    size = (-(-picture.width // factor), -(-picture.height // factor))
    whole = Image.new("RGB", size)
    rest = np.empty((0, picture.width, picture.colours), np.uint8)
    done = 0
    for top, bottom in picture.bands():
        band = picture.read(top, bottom)
        rows = max(1, _BAND // picture.width)
        parts = [convert(band[row : row + rows]) for row in range(0, len(band), rows)]
        rest = np.concatenate([rest, *parts])
        count = len(rest) if bottom == picture.height else len(rest) // factor * factor
        if count:
            ready, rest = rest[:count], rest[count:]
            shown = Image.fromarray(ready[:, :, 0] if picture.colours == 1 else ready)
            whole.paste((shown.reduce(factor) if factor > 1 else shown).convert("RGB"), (0, done))
            done += -(-count // factor)
    return whole


def _sample(picture: DeepPicture) -> Samples:
    """Return about a quarter of a million pixels, spread over an image: (N, channels)."""
    bands = list(picture.bands())
    bands = bands[:: -(-len(bands) // _BANDS_SAMPLED)]
    step = max(1, round((picture.width * sum(bottom - top for top, bottom in bands) / _SAMPLED) ** 0.5))
    parts = [picture.read(top, bottom)[::step, ::step] for top, bottom in bands]
    return np.concatenate([part.reshape(-1, part.shape[2]) for part in parts])


def _shows_anything(picture: DeepPicture, sampled: Samples) -> bool:
    """Return whether the alpha channel is above zero anywhere; otherwise it is ignored."""
    alpha = picture.alpha
    return bool(sampled[:, alpha].any()) or any(picture.read(*band)[:, :, alpha].any() for band in picture.bands())


def _alpha_limit(picture: DeepPicture, sampled: Samples) -> float:
    """Return the alpha value of an opaque pixel."""
    top = float(np.nan_to_num(sampled[:, picture.alpha].astype(np.float64)).max(initial=0.0))
    if sampled.dtype.kind == "f":
        return 1.0 if top <= 1.0 else 255.0 if top <= 255.0 else 65535.0
    full = 2.0**picture.bits - 1.0 if sampled.dtype.kind == "u" else 2.0 ** (picture.bits - 1) - 1.0
    return full if top > full / 4 else smallest_depth(top) or full


def _is_visible(picture: DeepPicture, sampled: Samples, *, has_alpha: bool) -> NDArray[np.bool_]:
    """Return for each pixel whether it is visible: (N,). The colour of a transparent pixel has no meaning."""
    if has_alpha:
        return np.asarray(sampled[:, picture.alpha] > 0)
    if picture.key is not None:
        return np.asarray((sampled[:, : picture.colours] != np.array(picture.key)).any(axis=1))
    return np.ones(len(sampled), np.bool_)


def _is_valid(samples: Samples, nodata: tuple[float | None, ...]) -> NDArray[np.bool_]:
    valid = np.ones(samples.shape, np.bool_)
    if samples.dtype.kind == "f":
        valid &= np.isfinite(samples)
        valid &= np.abs(samples.astype(np.float64)) < _BEYOND
    for value in nodata:
        if value is not None:
            with np.errstate(over="ignore"):  # an impossible sample value
                valid &= samples != (samples.dtype.type(value) if samples.dtype.kind == "f" else value)
    return valid


def _undeclared_nodata(samples: Samples) -> float | None:
    """Return the lowest sample if it is customary for no data and far below all the others."""
    if samples.dtype.kind == "u":
        return None
    finite = samples[_is_valid(samples, ())]
    lowest = float(finite.min()) if finite.size else 0.0
    if lowest not in _CUSTOMARY:
        return None
    others = finite[finite != lowest]
    low, high = (float(others.min()), float(others.max())) if others.size else (0.0, 0.0)
    return lowest if low < high and low - lowest > high - low else None


def _scaled(samples: Samples, black: float, white: float) -> NDArray[np.float32]:
    """Return levels from 0 to 255; NaN becomes 0."""
    kind = np.float64 if samples.dtype.itemsize >= 4 else np.float32
    levels = samples.astype(kind)
    levels -= kind(black)
    levels *= kind(255.0 / (white - black)) if white != black else kind(0.0)
    return np.nan_to_num(levels, copy=False, nan=0.0).clip(0.0, 255.0).astype(np.float32)
