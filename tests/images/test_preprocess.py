"""Preprocessing: the same pixels as open_clip's own evaluation transform, for less work."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipcli.images.preprocess import Preprocessing
from clipcli.models._torchvision import import_open_clip

CONFIG = {"size": 224, "mode": "RGB", "mean": (0.5, 0.4, 0.3), "std": (0.25, 0.5, 0.2), "interpolation": "bicubic",
          "resize_mode": "shortest", "fill_color": 0}  # fmt: skip
NO_CHANGE = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}


def noise(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), np.random.default_rng(width).bytes(width * height * 3))


def open_clips(image: Image.Image, **changes: Any) -> np.ndarray:
    """Return the (H, W, 3) grey levels that open_clip's transform gives."""
    transform = import_open_clip().transform
    config = transform.PreprocessCfg(**{**CONFIG, **NO_CHANGE, **changes})
    return transform.image_transform_v2(config, is_train=False)(image).permute(1, 2, 0).numpy().round().astype(int)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [224, 32, (64, 96), (96, 64)])
def test_pixels_are_those_of_open_clip(size: Any, mode: str, interpolation: str, photos: dict[str, Path]) -> None:
    changes = {"size": size, "resize_mode": mode, "interpolation": interpolation, "fill_color": 7}
    preprocessing = Preprocessing.from_config({**CONFIG, **changes})
    pictures = [Image.open(path).convert("RGB") for path in photos.values()]
    for picture in [*pictures, noise(224, 224), noise(60, 150), noise(151, 60), noise(31, 33), noise(1, 1)]:
        np.testing.assert_array_equal(preprocessing.pixels(picture), open_clips(picture, **changes))


@settings(deadline=None, max_examples=40)
@given(width=st.integers(1, 700), height=st.integers(1, 700))
def test_a_picture_of_any_shape_differs_by_a_few_grey_levels_at_most(width: int, height: int) -> None:
    smooth = noise(8, 8).resize((width, height), Image.Resampling.BICUBIC)
    pixels = Preprocessing.from_config({**CONFIG, "size": 64}).pixels(smooth)
    assert np.abs(pixels.astype(int) - open_clips(smooth, size=64)).max() <= 4


@pytest.mark.parametrize(("width", "height"), [(3000, 40), (40, 3000), (1, 20_000), (20_000, 1), (5, 7000)])
def test_of_a_very_long_picture_only_the_middle_is_resized(width: int, height: int) -> None:
    import tracemalloc

    picture = noise(width, height)
    tracemalloc.start()
    pixels = Preprocessing.from_config(CONFIG).pixels(picture)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pixels.shape == (224, 224, 3)
    assert peak < 4_000_000
    across, down = 224 * max(1, width // height), 224 * max(1, height // width)
    if across * down < 20_000_000:  # else open_clip takes gigabytes
        assert np.abs(pixels.astype(int) - open_clips(picture)).mean() < 0.5


def test_the_middle_of_a_strip_of_one_pixel_is_its_middle_pixel() -> None:
    strip = Image.new("RGB", (20_001, 1), "black")
    strip.putpixel((10_000, 0), (200, 0, 0))
    pixels = Preprocessing.from_config(CONFIG).pixels(strip)
    assert pixels[:, 112, 0].min() > 190


def test_factor_and_offset_normalise_as_open_clip_does() -> None:
    transform = import_open_clip().transform
    picture = noise(224, 224)
    expected = transform.image_transform_v2(transform.PreprocessCfg(**CONFIG), is_train=False)(picture)
    preprocessing = Preprocessing.from_config(CONFIG)
    factor, offset = preprocessing.scale_and_shift()
    found = preprocessing.pixels(picture) * factor + offset
    np.testing.assert_allclose(found, expected.permute(1, 2, 0).numpy(), atol=1e-6)


@pytest.mark.parametrize("filling", [0, 255])
def test_the_longest_side_fits_and_the_rest_is_filled(filling: int) -> None:
    config = {**CONFIG, "resize_mode": "longest", "fill_color": filling}
    pixels = Preprocessing.from_config(config).pixels(Image.new("RGB", (400, 100), (90, 90, 90)))
    assert (pixels[:80] == filling).all()
    assert (pixels[84:140] == 90).all()


@pytest.mark.parametrize(
    "change",
    [{"resize_mode": "stretch"}, {"interpolation": "nearest"}, {"mode": "L"}, {"size": 0}, {"size": "big"},
     {"mean": (0.5, 0.5)}, {"std": (0.5, 0.0, 0.5)}, {"mean": None}, {"size": 10**9}, {"size": True},
     {"mean": (0.5, 0.5, float("nan"))}, {"std": (0.5, 0.5, float("inf"))}, {"fill_color": 300}],
)  # fmt: skip
def test_what_no_encoder_can_be_fed_with_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Preprocessing.from_config({**CONFIG, **change})


@pytest.mark.parametrize(
    "change",
    [{"height": 10**9}, {"width": 224.0}, {"std": [0.5, 0.5, -1.0]}, {"mean": (0.5, "x", 0.5)}, {"fill": -1},
     {"resize_mode": "../x"}, {"interpolation": "nearest"}],
)  # fmt: skip
def test_fields_read_from_elsewhere_obey_the_same_rules(change: dict[str, Any]) -> None:
    fields = asdict(Preprocessing.from_config(CONFIG))
    assert Preprocessing(**fields) == Preprocessing.from_config(CONFIG)
    with pytest.raises((ValueError, TypeError)):
        Preprocessing(**{**fields, **change})
