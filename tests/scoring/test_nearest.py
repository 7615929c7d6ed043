"""The nearest vectors of a stream are those that sorting all of them would find."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clipcli.scoring.ensemble import ensemble
from clipcli.scoring.nearest import Nearest
from clipcli.scoring.zeroshot import normalise


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.lists(st.integers(1, 7), max_size=6))
def test_a_stream_of_blocks_gives_what_sorting_everything_gives(seed: int, count: int, sizes: list[int]) -> None:
    random = np.random.default_rng(seed)
    vectors = normalise(random.integers(-2, 3, (sum(sizes), 3)).astype(np.float32) + 0.5)  # many of them equal
    query = normalise(np.ones((1, 3), np.float32))[0]
    nearest: Nearest[int] = Nearest(query, count)
    start = 0
    for size in sizes:
        nearest.add(range(start, start + size), vectors[start : start + size])
        start += size
    cosines = vectors.astype(np.float64) @ query.astype(np.float64)
    wanted = sorted(range(len(vectors)), key=lambda place: (-cosines[place], place))[:count]
    assert [key for key, _ in nearest.best()] == wanted
    np.testing.assert_allclose([cosine for _, cosine in nearest.best()], cosines[wanted])


def test_the_mean_direction_has_length_one_and_is_as_near_to_all() -> None:
    vectors = np.eye(3, dtype=np.float32)
    mean = ensemble(vectors, [3])[0]
    np.testing.assert_allclose(np.linalg.norm(mean), 1.0, rtol=1e-6)
    np.testing.assert_allclose(vectors @ mean, 3**-0.5, rtol=1e-6)
