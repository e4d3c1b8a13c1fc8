"""Mazes are the trees they claim to be, and an address gives the same level everywhere."""

import json
import random
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.mazes import Tree, backtracker, dead_ends, kruskal
from oracles.paths import all_distances

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.families.base import EVALUATION, NO_SHIFT, SPLITS
from goalmaze.envs.generators import generate_walls

WORLDS = [(family, shift) for family in known_families().values() for shift in (NO_SHIFT, *family.shifts)]


def carved(seed: int, count: int, size: int, braiding: float = 0.0) -> NDArray[np.bool_]:
    """Walls [count, size, size] at the first addresses of a seed."""
    walls = np.empty((count, size, size), np.bool_)
    generate_walls(seed, 0, np.arange(count), braiding, walls)
    return walls


def passages(walls: NDArray[np.bool_]) -> Tree:
    """The open squares between two cells of `walls` [H, W], as pairs of cells."""
    open_right = np.argwhere(~walls[1::2, 2:-1:2]).tolist()
    open_down = np.argwhere(~walls[2:-1:2, 1::2]).tolist()
    across = {frozenset(((row, column), (row, column + 1))) for row, column in open_right}
    return across | {frozenset(((row, column), (row + 1, column))) for row, column in open_down}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**62), st.integers(2, 12))
def test_a_maze_is_a_spanning_tree_with_closed_borders(seed: int, cells: int) -> None:
    size = 2 * cells + 1
    for walls in carved(seed, 3, size):
        assert not walls[1::2, 1::2].any()
        assert walls[::2, ::2].all()
        assert walls[0].all()
        assert walls[-1].all()
        assert walls[:, 0].all()
        assert walls[:, -1].all()
        assert len(passages(walls)) == cells**2 - 1
        assert (~walls).sum() == 2 * cells**2 - 1
        assert np.isfinite(all_distances(walls)[size + 1, np.flatnonzero(~walls)]).all()


@pytest.mark.parametrize("probability", [0.05, 0.15, 0.5])
def test_braiding_opens_its_share_of_the_walls_between_cells(probability: float) -> None:
    trees, braided = carved(4, 200, 15), carved(4, 200, 15, probability)
    between = np.zeros((15, 15), np.bool_)
    between[1:-1:2, 2:-1:2] = between[2:-1:2, 1:-1:2] = True
    assert not (braided & ~trees).any()
    assert np.array_equal(braided[:, ~between], trees[:, ~between])
    closed = trees[:, between].sum()
    opened = (trees & ~braided).sum()
    assert closed == 200 * (2 * 7 * 6 - 48)
    assert abs(opened - closed * probability) < 4.5 * np.sqrt(closed * probability * (1 - probability))


def test_braiding_fully_opens_everything_but_the_posts() -> None:
    walls = carved(4, 5, 11, 1.0)[:, 1:-1, 1:-1]
    assert walls[:, 1::2, 1::2].all()
    assert walls.sum() == 5 * 16


def share(carve: Callable[[int, random.Random], Tree], count: int) -> float:
    return float(np.mean([dead_ends(carve(25, random.Random(i)), 25) for i in range(count)]))


def test_one_cell_in_ten_is_a_dead_end_as_in_any_depth_first_maze() -> None:
    ours = np.mean([dead_ends(passages(walls), 25) for walls in carved(9, 60, 51)])
    assert 0.09 < ours < 0.115
    assert abs(ours - share(backtracker, 40)) < 0.004
    assert abs(ours - share(kruskal, 3)) > 0.15


@pytest.mark.parametrize(("family", "shift"), WORLDS)
def test_an_address_gives_the_same_level_in_any_batch_and_order(family: type, shift: str) -> None:
    world = family()
    whole = world.levels(12, range(50), shift)
    order = np.random.default_rng(0).permutation(50)
    assert world.levels(12, order, shift) == whole.take(order)
    assert world.levels(12, [49], shift) == whole.take([49])
    assert world.levels(12, [7, 7], shift) == whole.take([7, 7])
    assert len(world.levels(12, [], shift)) == 0
    assert len(set(whole.hashes())) == 50


def test_an_address_gives_the_same_level_in_another_process() -> None:
    program = (
        "import json; from goalmaze.envs.families import known_families as k;"
        "print(json.dumps({n: f().levels(3, [5, 100, 2], s, 'fitting').hashes()"
        " for n, f in k().items() for s in ['none', *f.shifts]}))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    here = {
        family.name: family().levels(3, [5, 100, 2], shift, "fitting").hashes()
        for family in known_families().values()
        for shift in (NO_SHIFT, *family.shifts)
    }
    assert json.loads(told.stdout) == here


def test_splits_and_seeds_share_no_level() -> None:
    world = make_family("GreenExit")
    batches = [world.levels(seed, range(300), split=split) for seed in (0, 1, 2**40) for split in SPLITS]
    hashes = [h for batch in batches for h in batch.hashes()]
    assert len(set(hashes)) == len(hashes) == 2700
    walls = {batch.walls.tobytes() for batch in batches}
    assert len(walls) == 9


def test_parameters_belong_to_the_address() -> None:
    plain, opened, bigger = (
        make_family("GreenExit", parameters).levels(0, range(20), split=EVALUATION)
        for parameters in ({"braid": 0.0}, {"braid": 1.0}, {"braid": 0.0, "size": 11})
    )
    assert not set(plain.hashes()) & set(opened.hashes())
    assert bigger.walls.shape == (20, 11, 11)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64])
def test_seeds_that_no_stream_has_are_refused(seed: int) -> None:
    with pytest.raises(GoalmazeError, match=rf"^seed is {seed}: choose 0 or more, below 2\*\*63$"):
        make_family("GreenExit").levels(seed, [0])
    assert len(make_family("GreenExit").levels(2**63 - 1, [0])) == 1
