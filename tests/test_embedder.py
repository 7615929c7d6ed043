"""A model that embeds images: the cache spares it, memory that runs out does not stop it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipcli import Embedder
from clipcli.errors import ModelError
from clipcli.model import ImageEncoder, open_model
from clipcli.sources import resolve_model


def make_images(folder: Path, count: int) -> list[Path]:
    paths = []
    for number in range(count):
        path = folder / f"{number:02}.png"
        Image.frombytes("RGB", (40, 40), np.random.default_rng(number).bytes(4800)).save(path)
        paths.append(path)
    return paths


def vectors_of(embedder: Embedder, paths: list[Path], **options: Any) -> np.ndarray:
    return np.stack([vector for block in embedder.embed(paths, **options) for _, vector in block])


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


def test_another_precision_has_embeddings_of_its_own(model: str, tmp_path: Path) -> None:
    paths = make_images(tmp_path, 3)
    for precision in ("fp32", "bf16"):
        embedder = Embedder(model, cache=tmp_path / "cache", device="cpu", precision=precision)
        vectors_of(embedder, paths)
        assert embedder.image_statistics.encoded == 3


def test_over_its_limit_the_cache_drops_the_oldest(model: str, tmp_path: Path) -> None:
    old, new = make_images(tmp_path, 600)[:300], make_images(tmp_path, 600)[300:]
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

    def encode_image(self, batch: Any) -> Any:
        import torch

        self.sizes.append(len(batch))
        if len(batch) > self._room:
            raise torch.OutOfMemoryError("out of memory")
        return self._network.encode_image(batch)


@pytest.fixture
def encoders(model: str) -> tuple[ImageEncoder, LittleMemory, ImageEncoder]:
    """An encoder with room, and one that has little, of the same model."""
    whole = open_model(resolve_model(model), "cpu").image_encoder
    network = LittleMemory(whole._network, 3)
    return whole, network, ImageEncoder(network, whole._transform, "cpu")


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost(
    encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder], tmp_path: Path
) -> None:
    whole, network, cramped = encoders
    prepared = [whole.prepare(Image.open(path)) for path in make_images(tmp_path, 10)]
    np.testing.assert_allclose(cramped.encode(prepared), whole.encode(prepared), atol=1e-5)
    assert network.sizes == [10, 5, 2, 2, 2, 2, 2]
    cramped.encode(prepared[:4])
    assert network.sizes[7:] == [2, 2]  # it remembers


def test_a_device_without_room_for_one_image_is_an_error_that_says_so(
    encoders: tuple[ImageEncoder, LittleMemory, ImageEncoder], tmp_path: Path
) -> None:
    _, network, cramped = encoders
    network._room = 0
    prepared = [cramped.prepare(Image.open(path)) for path in make_images(tmp_path, 2)]
    with pytest.raises(ModelError, match="too small for one image"):
        cramped.encode(prepared)


def test_the_user_s_cache_folder_is_used_only_when_none_is_named(model: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    vectors_of(Embedder(model, cache=tmp_path / "mine", device="cpu"), make_images(tmp_path, 1))
    assert list((tmp_path / "mine").iterdir())
    assert not (tmp_path / "home").exists()
