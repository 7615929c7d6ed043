"""A model that embeds images: the cache spares it, memory that runs out does not stop it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipcli import Embedder
from clipcli.errors import ImageError, ModelError
from clipcli.models.devices import choose_precision
from clipcli.models.encoders import ImageEncoder
from clipcli.models.model import open_model
from clipcli.models.resolve import resolve_model


def make_images(folder: Path, count: int) -> list[Path]:
    paths = []
    for number in range(count):
        path = folder / f"{number:02}.png"
        Image.frombytes("RGB", (40, 40), np.random.default_rng(number).bytes(4800)).save(path)
        paths.append(path)
    return paths


def vectors_of(embedder: Embedder, paths: list[Path], **options: Any) -> np.ndarray:
    return np.stack([np.asarray(vector) for block in embedder.embed(paths, **options) for _, vector in block])


@pytest.fixture
def model(tiny_clip: Path) -> str:
    return f"local-dir:{tiny_clip}"


def test_a_second_run_never_loads_the_model(model: str, tmp_path: Path) -> None:
    paths = make_images(tmp_path, 5)
    first = Embedder(model, cache=tmp_path / "cache", device="cpu")
    second = Embedder(model, cache=tmp_path / "cache", device="cpu")
    np.testing.assert_array_equal(vectors_of(first, paths), vectors_of(second, paths))
    assert (first.is_loaded, second.is_loaded) == (True, False)
    assert second.facts().dim == 32


def test_embeddings_are_what_the_encoder_makes_of_each_picture(model: str, tmp_path: Path) -> None:
    paths = make_images(tmp_path, 5)
    embedder = Embedder(model, cache=False, device="cpu", precision="fp32", batch_size=2)
    encoder = embedder.model.image_encoder
    alone = [encoder.encode([encoder.preprocessing.pixels(Image.open(path))])[0] for path in paths]
    np.testing.assert_allclose(vectors_of(embedder, paths), alone, atol=1e-5)


def test_a_file_that_is_no_image_fails_between_its_neighbours(model: str, tmp_path: Path) -> None:
    paths = make_images(tmp_path, 3)
    expected = vectors_of(Embedder(model, cache=False, device="cpu"), paths)
    paths[1].write_bytes(b"no picture at all")
    (block,) = Embedder(model, cache=False, device="cpu").embed(paths)
    assert [item.name for item, _ in block] == [str(path) for path in paths]
    assert isinstance(block[1][1], ImageError)
    np.testing.assert_allclose([np.asarray(block[place][1]) for place in (0, 2)], expected[::2], atol=1e-5)


def test_a_run_counts_what_it_took_from_the_cache_and_what_it_encoded(model: str, tmp_path: Path) -> None:
    paths = make_images(tmp_path, 5)
    vectors_of(Embedder(model, cache=tmp_path / "cache", device="cpu"), paths[:3])
    second = Embedder(model, cache=tmp_path / "cache", device="cpu")
    vectors_of(second, paths)
    assert (second.image_statistics.cached, second.image_statistics.encoded) == (3, 2)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_embeddings_of_half_precision_come_back_as_they_were_made(precision: str, model: str, tmp_path: Path) -> None:
    paths = make_images(tmp_path, 3)
    runs = [Embedder(model, cache=tmp_path / "cache", device="cpu", precision=precision) for _ in range(2)]
    np.testing.assert_array_equal(vectors_of(runs[0], paths), vectors_of(runs[1], paths))
    assert not runs[1].is_loaded


def test_the_automatic_precision_shares_embeddings_with_what_it_comes_to(model: str, tmp_path: Path) -> None:
    paths = make_images(tmp_path, 3)
    vectors_of(Embedder(model, cache=tmp_path / "cache", device="cpu"), paths)
    named = Embedder(model, cache=tmp_path / "cache", device="cpu", precision=choose_precision("auto", "cpu"))
    vectors_of(named, paths)
    assert named.image_statistics.cached == 3


def test_the_automatic_precision_is_settled_anew_where_other_gpus_are_to_be_seen(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def notes() -> int:
        with closing(sqlite3.connect(tmp_path / "cache" / "embeddings-v1.sqlite")) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM notes WHERE name LIKE '%precision of%'").fetchone()[0])

    for visible, expected in ((None, 1), (None, 1), ("", 2)):
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with Embedder(model, cache=tmp_path / "cache") as embedder:
            assert embedder.precision
        assert notes() == expected


def test_another_precision_has_embeddings_of_its_own(model: str, tmp_path: Path) -> None:
    paths = make_images(tmp_path, 3)
    for precision in ("fp32", "bf16"):
        embedder = Embedder(model, cache=tmp_path / "cache", device="cpu", precision=precision)
        vectors_of(embedder, paths)
        assert embedder.image_statistics.encoded == 3


@pytest.mark.usefixtures("later")
def test_over_its_limit_the_cache_drops_the_oldest(model: str, tmp_path: Path) -> None:
    images = make_images(tmp_path, 600)
    old, new = images[:300], images[300:]
    for paths in (old, new):
        vectors_of(Embedder(model, cache=tmp_path / "cache", cache_limit=250_000, device="cpu"), paths)
    again = Embedder(model, cache=tmp_path / "cache", device="cpu")
    vectors_of(again, new[-50:])
    assert again.image_statistics.cached == 50
    vectors_of(again, old[:50])
    assert again.image_statistics.encoded == 50


def test_even_batches_give_the_same_digits_whatever_the_neighbours(model: str, tmp_path: Path) -> None:
    paths = make_images(tmp_path, 11)
    embedder = Embedder(model, cache=False, device="cpu", batch_size=8)
    together = vectors_of(embedder, paths, even_batches=True)
    for number in (0, 7, 10):
        np.testing.assert_array_equal(
            vectors_of(embedder, paths[number : number + 1], even_batches=True)[0], together[number]
        )


class LittleMemory:
    """The network of a model, on a device that holds but a few images at a time."""

    def __init__(self, network: Any, room: int) -> None:
        self.visual, self._network, self._room = network.visual, network, room
        self.sizes: list[int] = []
        self.fault: Exception | None = None

    def encode_image(self, batch: Any) -> Any:
        import torch

        self.sizes.append(len(batch))
        assert len(self.sizes) < 50, f"tried without end: {self.sizes}"
        if self.fault:
            raise self.fault
        if len(batch) > self._room:
            raise torch.OutOfMemoryError("out of memory")
        return self._network.encode_image(batch)


def random_images(count: int, size: int = 32) -> list[Any]:
    """Pixels as an encoder takes them."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (size, size, 3), np.uint8) for _ in range(count)]


@pytest.fixture
def encoders(model: str) -> tuple[ImageEncoder, LittleMemory, ImageEncoder]:
    """An encoder with room, and one that has little, of the same model."""
    whole = open_model(resolve_model(model), "cpu", "fp32").image_encoder
    network = LittleMemory(whole.network, 3)
    return whole, network, ImageEncoder(network, whole.preprocessing, "cpu")


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost(
    encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder], tmp_path: Path
) -> None:
    whole, network, cramped = encoders
    prepared = [whole.preprocessing.pixels(Image.open(path)) for path in make_images(tmp_path, 10)]
    np.testing.assert_allclose(cramped.encode(prepared), whole.encode(prepared), atol=1e-5)
    assert network.sizes == [10, 5, 2, 2, 2, 2, 2]
    cramped.encode(prepared[:4])
    assert network.sizes[7:] == [2, 2]  # it remembers


def test_a_device_without_room_for_one_image_is_an_error_that_says_so(
    encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder], tmp_path: Path
) -> None:
    _, network, cramped = encoders
    network._room = 0
    prepared = [cramped.preprocessing.pixels(Image.open(path)) for path in make_images(tmp_path, 2)]
    with pytest.raises(ModelError, match="too small for one image"):
        cramped.encode(prepared)


@pytest.mark.parametrize("room", [1, 3, 4, 8])
def test_a_filled_batch_that_does_not_fit_is_halved_too(
    room: int, encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder]
) -> None:
    whole, network, cramped = encoders
    network._room = room
    prepared = random_images(8)
    np.testing.assert_allclose(cramped.encode(prepared, 8), whole.encode(prepared), atol=1e-5)


def test_one_image_that_fits_is_not_given_up_because_its_filled_batch_does_not(
    encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder],
) -> None:
    whole, _, cramped = encoders
    (image,) = random_images(1)
    np.testing.assert_allclose(cramped.encode([image], 8), whole.encode([image]), atol=1e-5)


def test_a_device_without_room_for_one_image_is_told_also_where_batches_are_filled(
    encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder],
) -> None:
    _, network, cramped = encoders
    network._room = 0
    with pytest.raises(ModelError, match="too small for one image"):
        cramped.encode(random_images(3), 8)


def test_a_fault_that_is_no_lack_of_memory_is_not_tried_again(
    encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder],
) -> None:
    _, network, cramped = encoders
    network.fault = RuntimeError("out of order")
    with pytest.raises(ModelError, match="out of order"):
        cramped.encode(random_images(2))
    assert network.sizes == [2]


@pytest.mark.parametrize("company", [1, 2, 5, 8])
def test_a_filled_batch_gives_an_image_the_same_bits_in_every_place(
    company: int, encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder]
) -> None:
    encoder, _, _ = encoders
    image, *others = random_images(8)
    alone = encoder.encode([image], 8)[0]
    for place in range(company):
        batch = [*others[:place], image, *others[place : company - 1]]
        np.testing.assert_array_equal(encoder.encode(batch, 8)[place], alone)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_what_fills_a_batch_up_adds_no_rows(
    count: int, encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder]
) -> None:
    encoder, _, _ = encoders
    assert encoder.encode(random_images(count), 8).shape == (count, 32)


def test_the_user_s_cache_folder_is_used_only_when_none_is_named(model: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    vectors_of(Embedder(model, cache=tmp_path / "mine", device="cpu"), make_images(tmp_path, 1))
    assert list((tmp_path / "mine").iterdir())
    assert not (tmp_path / "home").exists()
