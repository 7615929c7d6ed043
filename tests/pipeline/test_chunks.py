"""Work in chunks: cut by the inputs alone, put together again whatever order it is done in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcli.inputs.items import FileInput, Input, Unit
from clipcli.pipeline.chunks import Chunk, Gathered, LocalEngine, Piece, in_chunks, in_order


@dataclass(frozen=True)
class Box:
    """A shard that needs no file."""

    name: str
    count: int
    path: str = ""

    def inputs(self) -> Iterator[Input]:
        return (FileInput(f"{self.name}/{index}", "") for index in range(self.count))


def files(count: int) -> list[Unit]:
    return [FileInput(f"{index}.png", f"{index}.png") for index in range(count)]


def names_of(items: Iterable[Input]) -> list[str]:
    return [item.name for item in items]


UNITS = st.lists(
    st.one_of(
        st.integers(0, 10**6).map(lambda n: FileInput(str(n), str(n))), st.integers(0, 5).map(lambda n: Box("b", n))
    )
)


@given(UNITS, st.integers(1, 7))
def test_chunks_hold_every_input_once_and_in_order(units: list[Unit], size: int) -> None:
    chunks = list(in_chunks(units, size))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert [unit for chunk in chunks for unit in chunk.units] == units


@given(UNITS, st.integers(1, 7))
def test_no_chunk_is_larger_than_asked_for_and_shards_stand_alone(units: list[Unit], size: int) -> None:
    for chunk in in_chunks(units, size):
        assert len(chunk.units) <= size
        assert (chunk.total is None) == any(isinstance(unit, Box) for unit in chunk.units)
        assert chunk.total is not None or len(chunk.units) == 1


def test_only_the_last_chunk_of_files_is_not_full() -> None:
    assert [chunk.total for chunk in in_chunks(files(7), 3)] == [3, 3, 1]


def test_inputs_are_not_taken_before_they_are_needed() -> None:
    taken: list[str] = []

    def stream() -> Iterator[Unit]:
        for unit in files(9):
            taken.append(unit.name)
            yield unit

    next(in_chunks(stream(), 3))
    assert len(taken) == 4  # one ahead, which tells that the chunk is full


def test_the_digest_tells_other_names_apart_and_another_order_too() -> None:
    a, b = files(2)
    digests = {Chunk(0, units).digest for units in ((a,), (b,), (a, b), (b, a))}
    assert len(digests) == 4
    assert Chunk(0, (a, b)).digest == Chunk(9, (a, b)).digest
    assert all(len(digest) == 8 for digest in digests)


def test_names_that_are_no_text_have_a_digest() -> None:
    assert Chunk(0, (FileInput("\udcff.png", ""),)).digest


@given(UNITS, st.integers(1, 7), st.integers(0, 9))
def test_the_engine_in_this_process_gives_the_pieces_of_whole_chunks(units: list[Unit], size: int, ahead: int) -> None:
    def process(
        items: Iterable[Input], even: bool
    ) -> Iterator[str]:  # takes in some inputs ahead, as the real one does
        assert even
        held: list[str] = []
        for item in items:
            held.append(item.name)
            if len(held) > ahead:
                yield held.pop(0)
        yield from held

    chunks = list(in_chunks(units, size))
    gathered: dict[int, Gathered[str]] = {}
    for piece in LocalEngine(process).pieces(chunks):
        gathered.setdefault(piece.chunk.number, Gathered()).add(piece)
    assert all(each.is_whole() for each in gathered.values())
    assert [gathered[chunk.number].rows() for chunk in chunks] == [names_of(chunk.inputs()) for chunk in chunks]


@given(UNITS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_rows_come_in_order_whatever_order_the_pieces_come_in(units: list[Unit], size: int, chance: object) -> None:
    chunks = list(in_chunks(units, size))
    pieces = [
        Piece(chunk, first, [item.name], len(rows) if first == len(rows) - 1 else None)
        for chunk in chunks
        for rows in [list(chunk.inputs())]
        for first, item in enumerate(rows)
    ]
    pieces += [Piece(chunk, 0, [], 0) for chunk in chunks if not list(chunk.inputs())]
    chance.shuffle(pieces)  # type: ignore[attr-defined]
    assert list(in_order(pieces)) == names_of(item for chunk in chunks for item in chunk.inputs())


def test_a_piece_that_comes_twice_counts_once() -> None:
    (chunk,) = in_chunks(files(2), 2)
    gathered: Gathered[str] = Gathered()
    for _ in range(2):
        gathered.add(Piece(chunk, 0, ["a"]))
    assert not gathered.is_whole()
    gathered.add(Piece(chunk, 1, ["b"]))
    assert (gathered.is_whole(), gathered.rows()) == (True, ["a", "b"])


@pytest.mark.parametrize("early", [True, False], ids=["end first", "end last"])
def test_a_shard_is_whole_when_its_end_and_all_its_rows_are_there(early: bool) -> None:
    (chunk,) = in_chunks([Box("b", 2)], 8)
    pieces = [Piece(chunk, 0, ["a"]), Piece(chunk, 1, ["b"], 2)]
    gathered: Gathered[str] = Gathered()
    first, second = reversed(pieces) if early else pieces
    gathered.add(first)
    assert not gathered.is_whole()
    gathered.add(second)
    assert (gathered.is_whole(), gathered.rows()) == (True, ["a", "b"])
