"""Pictures rendered to train and measure the built-in model: seeded, true to their captions, split into parts."""

from __future__ import annotations

import colorsys
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures
from tools.pocket.rendered import KINDS, colours, render, variants
from tools.pocket.rendered.album import cut_out
from tools.pocket.rendered.picture import question
from tools.pocket.rendered.vehicles import SHAPES, draw_vehicle


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the archives' form, with real photographs and a drawing in both parts."""
    root = tmp_path_factory.mktemp("archives")
    for name, loads, label in (
        ("miniplaces", (pictures.rocket, pictures.coffee, pictures.chelsea), "coast"),
        ("noto_emoji", (pictures.colorwheel,), "wheel"),
    ):
        (root / name).mkdir()
        rows = []
        for index in range(60):
            file = f"{index:03d}.jpg"
            shown = Image.fromarray(loads[index % len(loads)]())
            shown.resize((64, 64)).save(root / name / file)
            rows.append(f"{file}\t{label} {'abcdefghijklmnopqrstuvwxyz'[index % 26]}")
        (root / name / "manifest.tsv").write_text("\n".join(rows))
    return root


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_renders_a_described_picture_that_the_seed_repeats(kind: str, archives: Path) -> None:
    once, again = render(kind, 3, data=archives), render(kind, 3, data=archives)

    assert once.image.mode == "RGB"
    assert min(once.image.size) <= 288
    assert all(once.captions)
    assert (np.asarray(once.image) == np.asarray(again.image)).all()
    assert once.questions == again.questions


def test_measuring_uses_templates_that_training_does_not() -> None:
    for kind in ("document", "screenshot"):
        assert KINDS[kind].held_out
        assert not set(KINDS[kind].held_out) & set(KINDS[kind].templates)


def test_a_question_must_contain_its_answer_once() -> None:
    with pytest.raises(ValueError, match="not one of"):
        question(("red car", "blue car"), "green car")


@pytest.mark.parametrize("name", colours.CHROMATIC)
def test_recoloured_pixels_have_hues_of_the_named_colour(name: str) -> None:
    cup = Image.new("RGB", (40, 40), (200, 40, 40))
    painted = colours.recolour(cup, Image.new("L", cup.size, 255), name, random.Random(1))

    hue = colorsys.rgb_to_hsv(*(np.asarray(painted).reshape(-1, 3).mean(0) / 255))[0] * 360
    low, high = colours.PAINTS[name].hue
    assert (hue - low + 5) % 360 <= high - low + 10


def test_recolouring_leaves_the_rest_of_a_photograph_alone() -> None:
    photo = Image.fromarray(pictures.coffee())
    mask = colours.mask_of(photo, "red")
    painted = colours.recolour(photo, mask, "blue", random.Random(1))

    outside = np.asarray(mask) == 0
    assert outside.any()
    assert (np.asarray(painted)[outside] == np.asarray(photo)[outside]).all()


def test_a_car_is_mostly_of_its_paint() -> None:
    car = draw_vehicle(random.Random(2), SHAPES[0], (220, 20, 20), 120)
    pixels = np.asarray(car)[np.asarray(car)[..., 3] > 200].astype(int)

    red = (pixels[:, 0] > pixels[:, 1] * 2) & (pixels[:, 0] > pixels[:, 2] * 2)
    assert red.mean() > 0.4


def test_a_night_is_darker_than_the_day_it_is_made_from() -> None:
    day = Image.fromarray(pictures.rocket())
    night = variants.night(day, random.Random(4))

    assert np.asarray(night).mean() < 0.6 * np.asarray(day).mean()


def test_the_white_round_a_drawing_becomes_transparent_but_not_the_white_inside() -> None:
    drawing = Image.new("RGB", (60, 60), "white")
    drawing.paste((200, 0, 0), (15, 15, 45, 45))
    drawing.paste((255, 255, 255), (25, 25, 35, 35))
    cut = cut_out(drawing)

    alpha = np.asarray(cut.getchannel("A"))
    assert cut.size[0] < 40
    assert alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] == 255
