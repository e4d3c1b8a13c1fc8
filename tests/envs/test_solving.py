"""Shortest paths against scipy's graphs and against every shortest path written out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.paths import all_distances, neighbours, shortest_paths
from oracles.slots import Slots

from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.families import make_family
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances, lies_on_shortest_path, pick

KINDS = ("exit", "sign", "sign")


def bare(walls: NDArray[np.bool_]) -> LevelBatch:
    """Levels of these walls [B, H, W] with nothing in them."""
    return LevelBatch(walls, np.zeros(len(walls), np.int32), np.full((len(walls), 3), ABSENT), Slots(KINDS))


@st.composite
def mazes(draw: st.DrawFn, largest: int = 15) -> NDArray[np.bool_]:
    """Walls [H, W]: a carved maze or mere noise, which has cells that cannot be reached and open borders."""
    seed = draw(st.integers(0, 2**31))
    if draw(st.booleans()):
        size = draw(st.integers(2, largest // 2)) * 2 + 1
        braid = draw(st.sampled_from((0.0, 0.15, 1.0)))
        return make_family("GreenExit", {"size": size, "braid": braid}).levels(seed, [0]).walls[0]
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return np.random.default_rng(seed).random((height, width)) < draw(st.sampled_from((0.1, 0.3, 0.5)))


@settings(max_examples=60, deadline=None)
@given(mazes())
def test_distances_are_those_of_scipy_from_every_cell(walls: NDArray[np.bool_]) -> None:
    sources = np.flatnonzero(~walls).astype(np.int32)
    found = distances(bare(np.repeat(walls[None], len(sources), axis=0)), sources)
    expected = all_distances(walls)[sources]
    assert np.array_equal(found, np.where(np.isfinite(expected), expected, UNREACHABLE))


@settings(max_examples=40, deadline=None)
@given(mazes(largest=9), st.data())
def test_distances_are_symmetric(walls: NDArray[np.bool_], data: st.DataObject) -> None:
    free = [int(cell) for cell in np.flatnonzero(~walls)] or [ABSENT]
    a, b = (np.array([data.draw(st.sampled_from(free))], np.int32) for _ in range(2))
    level = bare(walls[None])
    assert pick(distances(level, a), b) == pick(distances(level, b), a)


@settings(max_examples=40, deadline=None)
@given(mazes(largest=5), st.integers(0, 2**31))
def test_on_the_path_means_on_one_of_all_shortest_paths(walls: NDArray[np.bool_], seed: int) -> None:
    around = neighbours(walls)
    if not around:
        return
    random = np.random.default_rng(seed)
    source, target = (int(cell) for cell in random.choice(list(around), 2))
    on_some = {cell for path in shortest_paths(around, source, target) for cell in path}
    every = np.arange(walls.size, dtype=np.int32)
    levels = bare(np.repeat(walls[None], walls.size, axis=0))
    found = lies_on_shortest_path(levels, np.full_like(every, source), np.full_like(every, target), every)
    assert set(np.flatnonzero(found).tolist()) == on_some


def test_enumeration_finds_both_paths_around_a_pillar() -> None:
    level = read_ascii("#####\n#A..#\n#.#.#\n#..E#\n#####", make_family("GreenExit", {"size": 5}))
    assert sorted(shortest_paths(neighbours(level.walls[0]), 6, 18)) == [(6, 7, 8, 13, 18), (6, 11, 16, 17, 18)]
    assert lies_on_shortest_path(
        level.take([0] * 3), *np.array([[6] * 3, [18] * 3, [7, 16, 12]], np.int32)
    ).tolist() == [1, 1, 0]
    assert not lies_on_shortest_path(level, np.array([6]), np.array([8]), np.array([11]))[0]


def test_walls_cut_off_cells_and_absent_ones_are_unreachable() -> None:
    walls = np.array([[0, 1, 0], [0, 1, 0]], np.bool_)
    levels = bare(np.stack([walls, walls]))
    found = distances(levels, np.array([0, ABSENT], np.int32))
    far = UNREACHABLE
    assert found.tolist() == [[0, far, far, 1, far, far], [far] * 6]
    assert pick(found, np.array([ABSENT, 3], np.int32)).tolist() == [far, far]
    assert UNREACHABLE + UNREACHABLE > 0


def test_nothing_is_on_the_path_to_an_absent_or_unreachable_cell() -> None:
    walls = np.array([[0, 0, 1, 0]], np.bool_)
    levels = bare(np.stack([walls] * 6))
    source, target, cell = np.array(
        [[0, 1, 1], [0, 3, 1], [0, ABSENT, 0], [ABSENT, 0, 0], [0, 1, ABSENT], [ABSENT, ABSENT, ABSENT]], np.int32
    ).T
    assert lies_on_shortest_path(levels, source, target, cell).tolist() == [True, False, False, False, False, False]
