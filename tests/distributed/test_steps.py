"""The steps of a run on Ray, each by itself and without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipcli.distributed.cluster import ActorPlan, RayOptions, as_clipcli_error
from clipcli.distributed.decode_actor import at_once, batches, with_care
from clipcli.distributed.engine import InFlight
from clipcli.distributed.messages import Batch, Portion, Rows, portions_of
from clipcli.errors import ClusterError, ImageError, InputError, ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.inputs.items import FileInput, Input, MemberInput
from clipcli.pipeline.chunks import Chunk, in_chunks

SMALL = Preprocessing.from_config({"size": 4, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)})
PIXELS = np.zeros((4, 4, 3), np.uint8)


# --- how the work is laid -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "resources", "expected"),
    [
        (RayOptions(), {"CPU": 2.0}, (2, 2, 0.0, 2)),
        (RayOptions("auto"), {"CPU": 64.0}, (1, 64, 0.0, 64)),
        (RayOptions("auto"), {"CPU": 48.0, "GPU": 4.0}, (1, 4, 1.0, 92)),
        (RayOptions("auto", gpus=0.5), {"CPU": 48.0, "GPU": 4.0}, (1, 8, 0.5, 88)),
        (RayOptions("auto", gpus=0.0), {"CPU": 8.0, "GPU": 4.0}, (1, 8, 0.0, 8)),
        (RayOptions("auto", actors=(2, 6), decoders=3), {"CPU": 8.0}, (2, 6, 0.0, 3)),
        (RayOptions("auto", actors=(9, 9)), {"CPU": 1.0}, (9, 9, 0.0, 1)),
    ],
)
def test_actors_and_decoders_share_what_a_cluster_has(
    options: RayOptions, resources: dict[str, float], expected: tuple[float, ...]
) -> None:
    plan = ActorPlan.of(options, resources, "auto")
    assert (plan.least, plan.most, plan.gpus, plan.decoders) == expected


def test_gpus_are_left_alone_where_the_processor_is_asked_for() -> None:
    assert ActorPlan.of(RayOptions("auto"), {"CPU": 4.0, "GPU": 4.0}, "cpu").gpus == 0.0


def test_gpus_that_are_not_there_are_told() -> None:
    with pytest.raises(ClusterError, match="--ray-gpus: no machine of the cluster has a GPU"):
        ActorPlan.of(RayOptions("auto", gpus=0.5), {"CPU": 4.0}, "auto")
    with pytest.raises(ClusterError, match=r"--ray-actors 3: at 0\.5 GPUs each, this machine has room for 2"):
        ActorPlan.of(RayOptions(actors=(3, 3), gpus=0.5), {"CPU": 4.0, "GPU": 1.0}, "auto")


# --- what went wrong ----------------------------------------------------------------------------------------


def test_an_error_of_ours_is_found_behind_those_of_ray() -> None:
    inner = InputError("s3://b: the credentials were refused")
    outer = RuntimeError("task failed")
    outer.__cause__ = inner
    assert as_clipcli_error(outer) is inner
    wrapped = RuntimeError("wrapped")
    wrapped.cause = outer  # type: ignore[attr-defined]
    assert as_clipcli_error(wrapped) is inner


def test_an_error_of_ours_is_read_from_the_death_of_an_actor() -> None:
    problem = as_clipcli_error(RuntimeError("The actor died\n  File x\nclipcli.errors.ModelError: m: other weights\n"))
    assert (type(problem), str(problem)) == (ModelError, "m: other weights")


def test_any_other_error_is_told_in_one_line() -> None:
    problem = as_clipcli_error(RuntimeError("\x1b[36mray::f()\x1b[39m\nlong\ntext"))
    assert (type(problem), str(problem)) == (ClusterError, "Ray gave up (RuntimeError: ray::f())")


def test_an_error_that_loops_back_is_told_too() -> None:
    problem = RuntimeError("a")
    problem.cause = problem  # type: ignore[attr-defined]
    assert str(as_clipcli_error(problem)) == "Ray gave up (RuntimeError: a)"


# --- portions and batches -----------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 9))
def test_portions_hold_every_input_of_a_chunk_once(count: int, chunk_size: int, size: int) -> None:
    index, seen = 0, []
    for chunk in in_chunks((FileInput(str(n), "") for n in range(count)), chunk_size):
        for portion in portions_of(chunk, size, index):
            assert portion.index == index
            assert len(portion.units) <= size
            assert [unit.name for unit in portion.inputs()] == [
                unit.name for unit in chunk.units[portion.first :][: len(portion.units)]
            ]
            seen += [unit.name for unit in portion.units]
            index += 1
    assert seen == [str(n) for n in range(count)]


def test_a_portion_can_be_read_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chunk = Chunk(0, (FileInput("a.png", "a.png"), FileInput("s3://b/k", "s3://b/k"), MemberInput("m", b"x")))
    (portion,) = portions_of(chunk, 9, 0)
    again = Portion.unpacked(portion.packed())
    assert again == portion
    assert again.units == (FileInput("a.png", str(tmp_path / "a.png")), *chunk.units[1:])


ANSWERS = st.lists(st.one_of(st.just(PIXELS), st.just(ImageError("empty", "nothing"))), max_size=60)


@given(ANSWERS, st.integers(1, 5))
def test_batches_keep_all_answers_in_order_and_mark_the_last(answers: list[np.ndarray | ImageError], size: int) -> None:
    items = [(FileInput(str(number), ""), answer) for number, answer in enumerate(answers)]
    made = [Batch.unpacked(batch.packed()) for batch in batches(7, iter(items), size, SMALL)]  # type: ignore[arg-type]
    assert [batch.is_last for batch in made] == [False] * (len(made) - 1) + [True]
    assert all(len(batch.pixels) <= size and batch.index == 7 for batch in made)
    offset = 0
    for batch in made:
        assert batch.offset == offset
        offset += len(batch.entries)
    entries = [entry for batch in made for entry in batch.entries]
    assert [name for name, _ in entries] == [str(number) for number in range(len(answers))]
    assert [problem is None for _, problem in entries] == [not isinstance(answer, ImageError) for answer in answers]


def test_each_input_of_a_batch_gets_its_own_embedding() -> None:
    entries = [("a", None), ("b", ImageError("empty", "nothing")), ("c", None)]
    block = Batch(0, 0, True, entries, np.zeros((2, 4, 4, 3), np.uint8)).block(np.eye(2, dtype=np.float32))
    assert [item.name for item, _ in block] == ["a", "b", "c"]
    assert [list(found) if not isinstance(found, ImageError) else found.kind for _, found in block] == [
        [1.0, 0.0], "empty", [0.0, 1.0],
    ]  # fmt: skip


@pytest.mark.parametrize("decode", [at_once, with_care])
def test_decoding_gives_pixels_or_the_reason_for_each_input(decode: object, tmp_path: Path) -> None:
    Image.new("RGB", (9, 7), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    items: list[Input] = [FileInput(name, str(tmp_path / name)) for name in ("a.png", "b.png", "c.png")]
    answers = list(decode(iter(items), SMALL))  # type: ignore[operator]
    assert [item for item, _ in answers] == items
    assert answers[0][1].tolist() == np.full((4, 4, 3), (255, 0, 0)).tolist()
    assert [answer.kind for _, answer in answers[1:]] == ["not_an_image", "not_found"]


# --- what comes back ----------------------------------------------------------------------------------------


def rows(index: int, offset: int, count: int, *, last: bool) -> Rows:
    return Rows(index, offset, last, [f"{index}:{offset + number}" for number in range(count)])


class _Box:
    name = path = "box"

    def inputs(self) -> Iterator[Input]:
        raise NotImplementedError


def test_a_portion_is_done_when_all_of_it_came_whatever_came_last() -> None:
    way = InFlight(2)
    way.set_out(Chunk(0, (_Box(),)), 0)
    way.set_out(Chunk(1, (_Box(),)), 0)
    assert way.piece(rows(0, 2, 1, last=True)).total == 3
    assert way.arrived(rows(0, 2, 1, last=True)) is None
    assert way.arrived(rows(1, 0, 1, last=True)) == 0  # the first is still on its way
    assert way.arrived(rows(0, 0, 2, last=False)) == 2


def test_there_is_room_again_for_each_portion_that_is_done() -> None:
    way = InFlight(1)
    assert way.room.acquire(blocking=False)
    way.set_out(Chunk(0, (FileInput("a", ""),)), 0)
    assert not way.room.acquire(blocking=False)
    way.arrived(rows(0, 0, 1, last=True))
    assert way.room.acquire(blocking=False)


def test_rows_find_their_place_in_the_chunk() -> None:
    way = InFlight(1)
    way.set_out(Chunk(3, tuple(FileInput(str(n), "") for n in range(300))), 128)
    piece = way.piece(next(Rows.unpacked(rows(0, 32, 16, last=False).packed())))
    assert (piece.chunk.number, piece.first, len(piece.rows), piece.total) == (3, 160, 16, None)
