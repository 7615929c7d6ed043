"""The stream: order, failures beside their neighbours, the cache, batches, bounded look-ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipcli.errors import ImageError
from clipcli.inputs import BadInput, FileInput, MemberInput
from clipcli.pipeline import Cached, ImageStatistics, Plan, embed_images
from clipcli.store import EmbeddingStore, ModelFacts
from clipcli.zeroshot import normalise

PLAN = Plan(batch_size=4, workers=2)


class MeanColour:
    """A real encoder, if a modest one: the mean colour of an image, as a unit vector."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.prepared = 0

    def prepare(self, image: Image.Image) -> np.ndarray:
        self.prepared += 1
        return np.asarray(image, dtype=np.float32).mean(axis=(0, 1)) + 1.0  # (3,)

    def encode(self, prepared: Sequence[Any], pad_to: int = 0) -> np.ndarray:
        self.batches.append((len(prepared), pad_to))
        return normalise(np.stack(prepared))


@pytest.fixture
def encoder() -> MeanColour:
    return MeanColour()


@pytest.fixture
def cached(tmp_path: Path) -> Cached:
    return cache_in(tmp_path / "cache")


def cache_in(folder: Path | None, *, half: bool = False, fingerprint: str = "one") -> Cached:
    store = EmbeddingStore(folder)
    store.remember_model(fingerprint, ModelFacts("mean colour", None, 3, 1.0, None))
    return Cached(store, fingerprint, half=half, statistics=ImageStatistics())


def colour(number: int) -> tuple[int, int, int]:
    return (number * 37 % 256, number * 91 % 256, number * 53 % 256)


def pictures(folder: Path, how_many: int) -> list[FileInput]:
    items = []
    for number in range(how_many):
        path = folder / f"{number:03}.png"
        Image.new("RGB", (4, 4), colour(number)).save(path)
        items.append(FileInput(path.name, str(path)))
    return items


def expected(number: int) -> np.ndarray:
    return normalise(np.array([colour(number)], dtype=np.float32) + 1.0)[0]


def run(items: Any, cached: Cached, encoder: MeanColour, plan: Plan = PLAN) -> list[tuple[Any, Any]]:
    return [pair for block in embed_images(items, cached, lambda: encoder, plan) for pair in block]


def test_every_input_comes_out_once_in_its_place(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    items = pictures(tmp_path, 23)
    pairs = run(items, cached, encoder)
    assert [item for item, _ in pairs] == items
    np.testing.assert_allclose([vector for _, vector in pairs], [expected(n) for n in range(23)], atol=1e-6)


def test_a_failure_stands_in_its_place_and_its_neighbours_are_right(
    tmp_path: Path, cached: Cached, encoder: MeanColour
) -> None:
    items: list[Any] = list(pictures(tmp_path, 9))
    Path(items[3].path).write_bytes(b"no picture at all")
    Path(items[4].path).unlink()
    items.insert(6, BadInput("odd", ImageError("not_a_file", "a folder, not a file")))
    outcome = [vector if isinstance(vector, ImageError) else None for _, vector in run(items, cached, encoder)]
    assert [error.kind if error else None for error in outcome] == [
        None, None, None, "not_an_image", "not_found", None, "not_a_file", None, None, None,
    ]  # fmt: skip
    good = [vector for _, vector in run(items, cached, encoder) if not isinstance(vector, ImageError)]
    np.testing.assert_allclose(good, [expected(n) for n in (0, 1, 2, 5, 6, 7, 8)], atol=1e-6)


def test_members_and_pictures_in_memory_are_embedded_too(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    (file,) = pictures(tmp_path, 1)
    member = MemberInput("shard.tar/0.png", Path(file.path).read_bytes())
    vectors = [vector for _, vector in run([member, Image.new("RGB", (2, 2), colour(0))], cached, encoder)]
    np.testing.assert_allclose(vectors, [expected(0)] * 2, atol=1e-6)


def test_the_encoder_is_not_opened_when_all_is_cached(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    items = pictures(tmp_path, 6)
    first = run(items, cached, encoder)

    def refuse() -> MeanColour:
        raise AssertionError("opened")

    again = [pair for block in embed_images(items, cached, refuse, PLAN) for pair in block]
    np.testing.assert_array_equal([vector for _, vector in again], [vector for _, vector in first])
    assert (cached.statistics.cached, cached.statistics.encoded) == (6, 6)


def test_the_same_bytes_under_another_name_are_not_encoded_again(
    tmp_path: Path, cached: Cached, encoder: MeanColour
) -> None:
    (item,) = pictures(tmp_path, 1)
    run([item], cached, encoder)
    moved = Path(item.path).rename(tmp_path / "moved.png")
    run([FileInput("moved.png", str(moved))], cached, encoder)
    assert encoder.batches == [(1, 0)]


def test_a_changed_file_is_encoded_again(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    (item,) = pictures(tmp_path, 1)
    run([item], cached, encoder)
    Image.new("RGB", (40, 40), colour(5)).save(item.path)
    ((_, vector),) = run([item], cached, encoder)
    np.testing.assert_allclose(vector, expected(5), atol=1e-6)


def test_the_embeddings_of_another_model_are_not_used(tmp_path: Path, encoder: MeanColour) -> None:
    items = pictures(tmp_path, 1)
    for fingerprint in ("one", "two"):
        run(items, cache_in(tmp_path / "cache", fingerprint=fingerprint), encoder)
    assert len(encoder.batches) == 2


def test_without_a_cache_all_is_encoded(tmp_path: Path, encoder: MeanColour) -> None:
    items = pictures(tmp_path, 5)
    for _ in range(2):
        run(items, cache_in(None), encoder)
    assert sum(size for size, _ in encoder.batches) == 10


def test_half_precision_embeddings_are_the_same_fresh_and_cached(tmp_path: Path, encoder: MeanColour) -> None:
    items = pictures(tmp_path, 5)
    fresh, kept = (run(items, cache_in(tmp_path / "cache", half=True), encoder) for _ in range(2))
    np.testing.assert_array_equal([vector for _, vector in fresh], [vector for _, vector in kept])
    assert len(encoder.batches) == 2  # both of the first run


def test_batches_are_full_but_for_the_last(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    run(pictures(tmp_path, 10), cached, encoder)
    assert encoder.batches == [(4, 0), (4, 0), (2, 0)]


def test_failures_take_no_place_in_a_batch(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    items: list[Any] = list(pictures(tmp_path, 8))
    items[1:1] = [BadInput(str(n), ImageError("not_found", "gone")) for n in range(5)]
    run(items, cached, encoder)
    assert encoder.batches == [(4, 0), (4, 0)]


def test_even_batches_ask_to_be_filled_up(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    run(pictures(tmp_path, 5), cached, encoder, Plan(4, 2, even_batches=True))
    assert encoder.batches == [(4, 4), (1, 4)]


def test_an_endless_stream_is_read_little_ahead(tmp_path: Path, encoder: MeanColour) -> None:
    (item,) = pictures(tmp_path, 1)
    taken = 0

    def endless() -> Iterator[FileInput]:
        nonlocal taken
        for taken in count(1):  # noqa: B007
            yield item

    stream = embed_images(endless(), cache_in(None), lambda: encoder, PLAN)
    for _ in range(3):
        next(stream)
    assert taken < 100
    stream.close()


@pytest.mark.parametrize("where", ["encoder", "inputs"])
def test_an_error_that_is_no_failed_image_passes_through(
    where: str, tmp_path: Path, cached: Cached, encoder: MeanColour
) -> None:
    items = pictures(tmp_path, 6)

    def open_encoder() -> MeanColour:
        if where == "encoder":
            raise RuntimeError("out of order")
        return encoder

    def inputs() -> Iterator[FileInput]:
        yield from items
        raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        list(embed_images(inputs(), cached, open_encoder, PLAN))


def test_no_thread_is_left_when_the_reader_stops_early(
    tmp_path: Path, cached: Cached, encoder: MeanColour, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    stream = embed_images(pictures(tmp_path, 40), cached, lambda: encoder, PLAN)
    next(stream)
    stream.close()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("decode")])


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(is_so: Callable[[], bool]) -> None:
        for _ in range(500):
            if is_so():
                return
            threading.Event().wait(0.02)
        raise AssertionError("it never came to be so")

    return wait
