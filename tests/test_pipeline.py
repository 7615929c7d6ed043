"""The stream keeps order and a bound, and a failure is a value that flows on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcli.errors import ImageError
from clipcli.pipeline import encode_in_batches, map_ahead


def double_or_fail(number: int) -> int:
    """Do some work; every negative number is an image that cannot be read."""
    if number < 0:
        raise ImageError("unreadable", f"no image: {number}")
    return 2 * number


def plain(stream: Iterator[tuple[int, object]]) -> list[tuple[int, object]]:
    return [(item, value.kind if isinstance(value, ImageError) else value) for item, value in stream]


def expected(numbers: Sequence[int]) -> list[tuple[int, object]]:
    return [(number, "unreadable" if number < 0 else 2 * number) for number in numbers]


class Counter:
    """An input that knows how far it has been read."""

    def __init__(self, length: int) -> None:
        self.read = 0
        self.length = length

    def __iter__(self) -> Iterator[int]:
        for number in range(self.length):
            self.read += 1
            yield number


# --- decoding ahead ---------------------------------------------------------------------------------


@given(st.lists(st.integers(-3, 50)), st.integers(1, 3), st.integers(0, 9))
@settings(max_examples=50)
def test_results_come_in_the_order_of_the_items_and_failures_among_them(
    numbers: list[int], workers: int, ahead: int
) -> None:
    assert plain(map_ahead(double_or_fail, numbers, workers, ahead)) == expected(numbers)


def test_a_slow_first_item_still_comes_first() -> None:
    second_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_done.wait(30)
        if number == 1:
            second_done.set()
        return number

    assert [item for item, _ in map_ahead(work, range(3), workers=2, ahead=3)] == [0, 1, 2]


def test_items_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=30)
    assert len(list(map_ahead(lambda _: meeting.wait(), range(3), workers=3, ahead=3))) == 3


@pytest.mark.parametrize("ahead", [0, 1, 8])
def test_no_more_than_ahead_items_are_read_in_advance(ahead: int) -> None:
    items = Counter(100)
    for number, _ in map_ahead(double_or_fail, items, workers=2, ahead=ahead):
        assert items.read - (number + 1) <= ahead


def test_nothing_is_read_before_it_is_asked_for() -> None:
    items = Counter(10)
    map_ahead(double_or_fail, items, workers=2, ahead=4)
    assert items.read == 0


def test_a_stream_that_is_left_early_starts_no_further_work() -> None:
    started: list[int] = []
    first_done = threading.Event()

    def work(number: int) -> int:
        started.append(number)
        if number > 0:
            first_done.wait(30)
        return number

    stream = map_ahead(work, range(100), workers=1, ahead=20)
    next(stream)
    stream.close()
    first_done.set()
    for thread in threading.enumerate():
        if thread.name.startswith("decode"):
            thread.join(30)
    assert set(started) <= {0, 1}


def test_an_error_that_is_no_bad_image_is_raised_in_its_place() -> None:
    stream = map_ahead(lambda number: 1 // (2 - number), range(5), workers=2, ahead=5)
    assert [next(stream)[0], next(stream)[0]] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(stream)


# --- batches ----------------------------------------------------------------------------------------


class Batches:
    """A real little encoder that keeps the sizes of the batches it was given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.sizes.append(len(batch))
        return [2 * number for number in batch]


def prepared(numbers: Sequence[int]) -> Iterator[tuple[int, int | ImageError]]:
    for number in numbers:
        yield number, ImageError("unreadable", "no image") if number < 0 else number


@given(st.lists(st.integers(-3, 50)), st.integers(1, 5))
def test_every_item_comes_out_once_in_its_order(numbers: list[int], batch_size: int) -> None:
    assert plain(encode_in_batches(prepared(numbers), Batches(), batch_size)) == expected(numbers)


@given(st.lists(st.integers(-3, 50)), st.integers(1, 5))
def test_no_batch_is_empty_or_too_large(numbers: list[int], batch_size: int) -> None:
    encode = Batches()
    list(encode_in_batches(prepared(numbers), encode, batch_size))
    assert all(1 <= size <= batch_size for size in encode.sizes)
    assert sum(encode.sizes) == sum(number >= 0 for number in numbers)


def test_batches_are_full_but_for_the_last() -> None:
    encode = Batches()
    list(encode_in_batches(prepared(range(10)), encode, 4))
    assert encode.sizes == [4, 4, 2]


def test_a_failure_takes_up_no_place_in_a_batch() -> None:
    encode = Batches()
    list(encode_in_batches(prepared([0, -1, 1, -1, 2, 3]), encode, 2))
    assert encode.sizes == [2, 2]


def test_a_run_of_failures_is_passed_on_in_bounded_memory() -> None:
    items = Counter(1000)
    stream = ((number, ImageError("unreadable", "no image")) for number in items)
    encode = Batches()
    for number, _ in encode_in_batches(stream, encode, 4):
        assert items.read - number <= 16
    assert encode.sizes == []


def test_an_encoder_that_returns_too_few_vectors_is_an_error_and_no_silent_end() -> None:
    with pytest.raises(RuntimeError):
        list(encode_in_batches(prepared(range(4)), lambda batch: batch[:-1], 4))


def test_decoding_and_batching_together_keep_the_order() -> None:
    numbers = [number if number % 7 else -number - 1 for number in range(200)]
    stream = map_ahead(lambda number: double_or_fail(number) // 2, numbers, workers=2, ahead=10)
    assert plain(encode_in_batches(stream, Batches(), 8)) == expected(numbers)
