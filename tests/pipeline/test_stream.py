"""The stream: order, failures beside their neighbours, the cache, batches, bounded look-ahead."""

from __future__ import annotations

import io
import os
import sqlite3
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipcli.cache.embeddings import EmbeddingStore, ModelFacts
from clipcli.errors import ImageError
from clipcli.inputs.discover import BadInput, FileInput, MemberInput
from clipcli.inputs.items import inputs_of
from clipcli.inputs.tar import Archive
from clipcli.pipeline.stream import Cached, ImageStatistics, Plan, embed_images
from clipcli.scoring.zeroshot import normalise

PLAN = Plan(batch_size=4, workers=2)


class MeanColour:
    """A real encoder, if a modest one: the mean colour of an image, as a unit vector."""

    shares_processor = True

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.prepared = 0

    @property
    def preprocessing(self) -> Any:
        return self

    def resized(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def pixels(self, image: Image.Image) -> np.ndarray:
        self.prepared += 1
        return np.asarray(image, dtype=np.float32).mean(axis=(0, 1)) + 1.0  # (3,)

    def encode(self, prepared: Sequence[Any], pad_to: int = 0) -> np.ndarray:
        self.batches.append((len(prepared), pad_to))
        return normalise(np.stack(prepared))


class FirstComesLast(MeanColour):
    """An encoder that is done with its first image only when it has prepared another."""

    def __init__(self) -> None:
        super().__init__()
        self._other = threading.Event()

    def pixels(self, image: Image.Image) -> np.ndarray:
        colour = super().pixels(image)
        if colour.tolist() == [1.0, 1.0, 1.0]:
            assert self._other.wait(60)
        else:
            self._other.set()
        return colour


class Failing(MeanColour):
    """An encoder that has a fault of its own in one of its steps."""

    def __init__(self, step: str, fault: type[BaseException] = RuntimeError) -> None:
        super().__init__()
        self._step, self._fault = step, fault

    def pixels(self, image: Image.Image) -> np.ndarray:
        if self._step == "prepare" and image.width > 4:
            raise self._fault("out of order")
        return super().pixels(image)

    def encode(self, prepared: Sequence[Any], pad_to: int = 0) -> np.ndarray:
        if self._step == "encode":
            raise self._fault("out of order")
        return super().encode(prepared, pad_to)


class Opened:
    """The pictures that are opened, and what another program does to one just then."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.meanwhile: Callable[[str], None] | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        path = arguments[0] if event == "open" else None
        if isinstance(path, str) and path.endswith(".png"):
            self.paths.append(path)
            change, self.meanwhile = self.meanwhile, None
            if change:
                change(path)


@pytest.fixture(scope="session")
def audit() -> list[Opened]:
    """Python tells of every file that is opened, and never stops: so it is asked to but once."""
    listening: list[Opened] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        for each in tuple(listening):
            each(event, arguments)

    sys.addaudithook(hook)
    return listening


@pytest.fixture
def opened(audit: list[Opened]) -> Iterator[Opened]:
    listener = Opened()
    audit.append(listener)
    yield listener
    audit.remove(listener)


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


def encoded_picture(number: int, form: str = "png") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), colour(number)).save(file, form)
    return file.getvalue()


def expected(number: int) -> np.ndarray:
    return normalise(np.array([colour(number)], dtype=np.float32) + 1.0)[0]


def run(items: Any, cached: Cached, encoder: MeanColour, plan: Plan = PLAN) -> list[tuple[Any, Any]]:
    return [pair for block in embed_images(items, cached, lambda: encoder, plan) for pair in block]


def test_every_input_comes_out_once_in_its_place(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    items = pictures(tmp_path, 23)
    pairs = run(items, cached, encoder)
    assert [item for item, _ in pairs] == items
    np.testing.assert_allclose([vector for _, vector in pairs], [expected(n) for n in range(23)], atol=1e-6)


def test_the_order_is_kept_where_the_first_image_takes_longest(tmp_path: Path, cached: Cached) -> None:
    pairs = run(pictures(tmp_path, 3), cached, FirstComesLast())
    np.testing.assert_allclose([vector for _, vector in pairs], [expected(n) for n in range(3)], atol=1e-6)


def test_no_inputs_give_no_blocks_and_open_no_encoder(cached: Cached) -> None:
    assert list(embed_images([], cached, lambda: pytest.fail("opened"), PLAN)) == []


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


def test_an_image_that_takes_more_memory_than_there_is_fails_alone(tmp_path: Path, cached: Cached) -> None:
    items = pictures(tmp_path, 3)
    Image.new("RGB", (60, 1)).save(items[1].path)
    vectors = [vector for _, vector in run(items, cached, Failing("prepare", MemoryError))]
    assert isinstance(vectors[1], ImageError)
    assert vectors[1].kind == "too_large"
    np.testing.assert_allclose(vectors[::2], [expected(0), expected(2)], atol=1e-6)


def test_members_and_pictures_in_memory_are_embedded_too(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    (file,) = pictures(tmp_path, 1)
    member = MemberInput("shard.tar/0.png", Path(file.path).read_bytes())
    vectors = [vector for _, vector in run([member, Image.new("RGB", (2, 2), colour(0))], cached, encoder)]
    np.testing.assert_allclose(vectors, [expected(0)] * 2, atol=1e-6)


def test_the_encoder_is_opened_once(tmp_path: Path, cached: Cached, encoder: MeanColour) -> None:
    times = 0

    def open_encoder() -> MeanColour:
        nonlocal times
        times += 1
        return encoder

    list(embed_images(pictures(tmp_path, 9), cached, open_encoder, PLAN))
    assert times == 1


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


@pytest.mark.usefixtures("later")
def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, cached: Cached, encoder: MeanColour, opened: Opened
) -> None:
    (item,) = pictures(tmp_path, 1)
    opened.paths.clear()
    for _ in range(3):
        run([item], cached, encoder)
    assert opened.paths == [item.path]


@pytest.mark.usefixtures("later")
def test_a_file_that_changes_while_it_is_read_is_read_again_the_next_time(
    tmp_path: Path, cached: Cached, encoder: MeanColour, opened: Opened
) -> None:
    (item,) = pictures(tmp_path, 1)
    opened.paths.clear()
    opened.meanwhile = lambda path: os.utime(path, ns=(0, 0))
    for _ in range(3):
        run([item], cached, encoder)
    assert opened.paths == [item.path] * 2


@pytest.mark.usefixtures("later")
def test_a_file_found_under_another_name_is_not_read_again(
    tmp_path: Path, cached: Cached, encoder: MeanColour, opened: Opened
) -> None:
    (item,) = pictures(tmp_path, 1)
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(item.path).read_bytes())
    run([item], cached, encoder)
    opened.paths.clear()
    for _ in range(3):
        run([FileInput("copy.png", str(copy))], cached, encoder)
    assert opened.paths == [str(copy)]


def same_size(folder: Path, *numbers: int) -> list[FileInput]:
    """Write pictures that differ and whose files have the same size and times."""
    items = []
    for number in numbers:
        path = folder / f"{number}.bmp"
        Image.new("RGB", (4, 4), colour(number)).save(path)
        os.utime(path, ns=(10**18, 10**18))
        items.append(FileInput(path.name, str(path)))
    assert len({Path(item.path).stat().st_size for item in items}) == 1
    return items


def rename_in_a_circle(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def exchange_contents(one: Path, other: Path) -> None:
    contents = one.read_bytes(), other.read_bytes()
    for path, content in zip((other, one), contents, strict=True):
        path.write_bytes(content)
        os.utime(path, ns=(10**18, 10**18))


def exchange_by_copies(one: Path, other: Path) -> None:
    """As rsync does: a temporary file with the times of the original takes the place of the old one."""
    for path, content in ((one, other.read_bytes()), (other, one.read_bytes())):
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(content)
        os.utime(new, ns=(10**18, 10**18))
        new.replace(path)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("exchange", [rename_in_a_circle, exchange_contents, exchange_by_copies])
def test_two_files_of_one_size_and_time_that_change_places_are_told_apart(
    exchange: Callable[[Path, Path], None], tmp_path: Path, cached: Cached, encoder: MeanColour
) -> None:
    items = same_size(tmp_path, 1, 2)
    run(items, cached, encoder)
    exchange(Path(items[0].path), Path(items[1].path))
    vectors = [vector for _, vector in run(items, cached, encoder)]
    np.testing.assert_allclose(vectors, [expected(2), expected(1)], atol=1e-6)
    assert encoder.batches == [(2, 0)]  # the contents are known


@pytest.mark.usefixtures("later")
def test_archives_of_one_size_and_time_that_change_places_are_told_apart(
    tmp_path: Path, cached: Cached, encoder: MeanColour
) -> None:
    archives = []
    for item in same_size(tmp_path, 1, 2):
        archives.append(tmp_path / f"{item.name}.tar")
        with tarfile.open(archives[-1], "w") as archive:
            archive.add(item.path, "a.bmp")
    units = [Archive(path.name, str(path)) for path in archives]
    run(inputs_of(units), cached, encoder)
    exchange_by_copies(*archives)
    vectors = [vector for _, vector in run(inputs_of(units), cached, encoder)]
    np.testing.assert_allclose(vectors, [expected(2), expected(1)], atol=1e-6)


def test_a_file_that_was_written_just_now_is_hashed_again(
    tmp_path: Path, cached: Cached, encoder: MeanColour, opened: Opened
) -> None:
    (item,) = pictures(tmp_path, 1)
    opened.paths.clear()
    for _ in range(3):
        run([item], cached, encoder)
    assert (opened.paths, encoder.batches) == ([item.path] * 3, [(1, 0)])


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("change", ["link", "move", "touch", "mode"])
def test_a_file_whose_stamp_changed_but_not_its_bytes_needs_no_encoder(
    change: str, tmp_path: Path, cached: Cached, encoder: MeanColour
) -> None:
    (item,) = pictures(tmp_path, 1)
    first = run([item], cached, encoder)
    path = Path(item.path)
    if change == "link":
        (tmp_path / "link.png").hardlink_to(path)
    elif change == "move":
        item = FileInput("moved.png", str(path.rename(tmp_path / "moved.png")))
    elif change == "touch":
        path.touch()
    else:
        path.chmod(0o600)
    again = [pair for block in embed_images([item], cached, lambda: pytest.fail("opened"), PLAN) for pair in block]
    np.testing.assert_array_equal(again[0][1], first[0][1])


@pytest.mark.usefixtures("later")
def test_a_local_file_does_not_answer_for_an_object_in_a_store(
    tmp_path: Path, cached: Cached, encoder: MeanColour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    (item,) = pictures(tmp_path / "s3:", 1)
    run([item], cached, encoder)
    assert cached.look_up([item])[0] is not None
    assert cached.look_up([FileInput("s3://000.png", "s3://000.png")]) == [None]


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("half", [False, True])
def test_a_damaged_embedding_is_made_again_and_the_cache_mended(
    half: bool, tmp_path: Path, encoder: MeanColour
) -> None:
    items = pictures(tmp_path, 5)
    first = run(items, cache_in(tmp_path / "cache", half=half), encoder)
    change_vectors(tmp_path / "cache", lambda vector: -vector)
    again = run(items, cache_in(tmp_path / "cache", half=half), encoder)
    np.testing.assert_array_equal([vector for _, vector in again], [vector for _, vector in first])
    assert sum(size for size, _ in encoder.batches) == 10
    assert EmbeddingStore(tmp_path / "cache").check() == []


def change_vectors(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change all vectors behind the store's back; they keep their length."""
    connection = sqlite3.connect(folder / "embeddings-v1.sqlite")
    with connection:
        for number, dim, blob in connection.execute("SELECT id, dim, vector FROM vectors").fetchall():
            vector = np.frombuffer(blob, "<f2" if len(blob) == 2 * dim else "<f4")
            connection.execute("UPDATE vectors SET vector = ? WHERE id = ?", (change(vector).tobytes(), number))
    connection.close()


def test_images_are_counted_as_cached_by_name_or_content_as_encoded_or_not_at_all(
    tmp_path: Path, encoder: MeanColour
) -> None:
    items: list[Any] = list(pictures(tmp_path, 6))
    run(items[:2], cache_in(tmp_path / "cache"), encoder)
    moved = Path(items[1].path).rename(tmp_path / "moved.png")
    items[1] = FileInput("moved.png", str(moved))
    Path(items[2].path).write_bytes(b"no picture at all")
    cached = cache_in(tmp_path / "cache")
    run(items, cached, encoder)
    assert cached.statistics == ImageStatistics(cached=2, encoded=3)


def test_a_model_that_came_to_another_precision_keeps_its_embeddings_there(
    tmp_path: Path, cached: Cached, encoder: MeanColour
) -> None:
    cache_in(tmp_path / "cache", fingerprint="two")  # the model is known there

    def open_encoder() -> MeanColour:
        cached.use("two", half=True)
        return encoder

    items = pictures(tmp_path, 3)
    list(embed_images(items, cached, open_encoder, PLAN))
    for fingerprint in ("one", "two"):
        run(items, cache_in(tmp_path / "cache", fingerprint=fingerprint), encoder)
    assert encoder.batches == [(3, 0)] * 2  # with "one" they are encoded again


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

    stream: Any = embed_images(endless(), cache_in(None), lambda: encoder, PLAN)
    for _ in range(3):
        next(stream)
    assert taken < 100
    stream.close()


def test_of_an_endless_stream_of_known_files_some_thousands_are_held_at_once(
    tmp_path: Path, cached: Cached, encoder: MeanColour
) -> None:
    (item,) = pictures(tmp_path, 1)
    run([item], cached, encoder)
    taken = 0

    def endless() -> Iterator[FileInput]:
        nonlocal taken
        for taken in count(1):  # noqa: B007
            yield item

    stream: Any = embed_images(endless(), cached, lambda: encoder, PLAN)
    given = sum(len(next(stream)) for _ in range(10))
    assert taken - given < 4000
    stream.close()


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("kind", ["member", "broken member", "picture"])
def test_few_pictures_are_held_in_memory_at_once(
    kind: str, known: bool, tmp_path: Path, cached: Cached, encoder: MeanColour
) -> None:
    taken = given = most = 0

    def inputs() -> Iterator[Any]:
        nonlocal taken, most
        for taken in range(1, 601):
            most = max(most, taken - given)
            if kind == "picture":
                yield Image.new("RGB", (4, 4), colour(taken))
            else:
                data = encoded_picture(0 if known else taken)
                yield MemberInput(f"shard.tar/{taken}.png", data[:20] if kind == "broken member" else data)

    if known:
        run([MemberInput("0.png", encoded_picture(0))], cached, encoder)
    for block in embed_images(inputs(), cached, lambda: encoder, PLAN):
        given += len(block)
    assert given == 600
    assert most < 5 * PLAN.batch_size


@pytest.mark.parametrize("where", ["open", "prepare", "encode", "inputs"])
def test_an_error_that_is_no_failed_image_passes_through_and_threads_end(
    where: str, tmp_path: Path, cached: Cached, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    items = pictures(tmp_path, 20)
    Image.new("RGB", (8, 8)).save(items[6].path)

    def open_encoder() -> MeanColour:
        if where == "open":
            raise RuntimeError("out of order")
        return Failing(where)

    def inputs() -> Iterator[FileInput]:
        yield from items
        if where == "inputs":
            raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        list(embed_images(inputs(), cached, open_encoder, PLAN))
    wait_until(lambda: not decoding_threads())


def decoding_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_no_thread_is_left_when_the_reader_stops_early(
    tmp_path: Path, cached: Cached, encoder: MeanColour, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    stream: Any = embed_images(pictures(tmp_path, 40), cached, lambda: encoder, PLAN)
    next(stream)
    assert decoding_threads()
    stream.close()
    wait_until(lambda: not decoding_threads())


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(is_so: Callable[[], bool]) -> None:
        for _ in range(500):
            if is_so():
                return
            threading.Event().wait(0.02)
        raise AssertionError("it never came to be so")

    return wait


# --- decoding and encoding take turns on a CPU -------------------------------------------------------


class TellsOfDecoding(MeanColour):
    """An encoder that looks whether pictures are still being prepared while it works."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile = 0

    def pixels(self, image: Image.Image) -> np.ndarray:
        time.sleep(0.03)  # so that a batch is full while others are still waiting
        return super().pixels(image)

    def encode(self, pixels: Sequence[Any], pad_to: int = 0) -> np.ndarray:
        time.sleep(0.05)  # those that were begun before come to their end
        before = self.prepared
        time.sleep(0.05)
        self.meanwhile += self.prepared - before
        return super().encode(pixels, pad_to)


def test_no_picture_is_decoded_while_the_same_cores_encode(tmp_path: Path) -> None:
    encoder = TellsOfDecoding()
    cached = cache_in(None)
    items = pictures(tmp_path, 40)
    blocks = list(embed_images(items, cached, lambda: encoder, PLAN))
    assert sum(map(len, blocks)) == 40
    assert encoder.prepared == 40
    assert encoder.meanwhile == 0
