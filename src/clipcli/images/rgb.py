"""Convert images of any mode to 8-bit RGB: transparency on white, deep samples scaled."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from clipcli.images.deep import deep_to_rgb, picture_of

__all__ = ["WHOLE_PIXELS", "to_rgb"]

WHOLE_PIXELS = 1 << 25
"""Maximum number of pixels that are converted at once; a larger image is converted in bands, reduced if allowed."""

_BAND = 1 << 22
_DEEP = ("I", "F")
_EMPTY, _SOME, _OPAQUE = (0, 0), (0, 255), (255, 255)


def to_rgb(image: Image.Image, factor: int = 1) -> Image.Image:
    """Convert any mode to 8-bit RGB; every side is divided by ``factor``, an integer.

    Transparent pixels become white, unless all are: an alpha channel that is zero everywhere was never filled. Samples
    of more than 8 bits are scaled by :mod:`clipcli.images.deep`.

    Raises
    ------
    ImageError
        If no sample is valid.
    """
    if is_deep(image):
        key = image.info.get("transparency")
        return deep_to_rgb(picture_of(image, (key,) if isinstance(key, int) else None), factor)
    if factor == 1 and image.width * image.height <= WHOLE_PIXELS:
        return _flattened(image, _opacity(image))
    opacity = _opacity(image)
    whole = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, bottom in _bands(image, factor):
        band = _flattened(image.crop((0, top, image.width, bottom)), opacity)
        whole.paste(band if factor == 1 else band.reduce(factor), (0, top // factor))
    return whole


def is_deep(image: Image.Image) -> bool:
    """Return whether an image has more than 8 bits per sample."""
    return image.mode in _DEEP or image.mode.startswith("I;16")


def _bands(image: Image.Image, factor: int) -> Iterator[tuple[int, int]]:
    step = max(1, _BAND // (image.width * factor)) * factor
    for top in range(0, image.height, step):
        yield top, min(top + step, image.height)


def _opacity(image: Image.Image) -> tuple[int, int] | None:
    """Return the lowest and highest opacity in an image; ``None`` for an image without transparency."""
    if not image.has_transparency_data:
        return None
    if image.mode in ("1", "L", "RGB"):  # by a key, which hides only pixels of that colour
        return _SOME
    if image.mode in ("RGBA", "LA", "RGBa", "La", "PA"):
        found: tuple[int, int] = image.getchannel(image.getbands()[-1]).getextrema()  # type: ignore[assignment]
        return found
    lows, highs = [], []
    for top, bottom in _bands(image, 1):
        alpha = image.crop((0, top, image.width, bottom)).convert("RGBA").getchannel("A")
        low, high = alpha.getextrema()
        lows.append(int(low))  # type: ignore[arg-type]
        highs.append(int(high))  # type: ignore[arg-type]
    return min(lows), max(highs)


def _flattened(image: Image.Image, opacity: tuple[int, int] | None) -> Image.Image:
    """Return an image on white; the lowest and highest opacity of the whole image are given."""
    if opacity is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    if opacity in (_EMPTY, _OPAQUE):
        return _without_alpha(image)
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _without_alpha(image: Image.Image) -> Image.Image:
    """Return the stored colours, including those of pixels whose transparency is ignored."""
    if image.mode in ("RGBa", "La"):
        channels = image.split()[:-1]
        return (Image.merge("RGB", channels) if len(channels) == 3 else channels[0]).convert("RGB")
    return image.convert("RGBA").convert("RGB")
