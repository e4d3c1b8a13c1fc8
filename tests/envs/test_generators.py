"""Mazes are what their algorithms promise, and an address gives the same level everywhere."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.mazes import Tree, backtracker, dead_ends, kruskal, prim, spanning_trees, wanderer
from oracles.paths import all_distances
from scipy.ndimage import label
from scipy.stats import chi2_contingency, chisquare

from goalmaze.envs.engine.level_generation import WALLS_STREAM
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.jit.counter_rng import stream
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, SPLITS
from goalmaze.envs.mazes.braiding import braid
from goalmaze.envs.mazes.carving import ALGORITHMS, carve
from goalmaze.envs.mazes.percolation import MIN_FREE, percolation

WORLDS = [(family, shift) for family in known_families().values() for shift in (NO_SHIFT, *family.shifts)]
TREES = ("depth-first", "kruskal", "prim", "wilson")
Walls = NDArray[np.bool_]


def carved(
    algorithm: str,
    seed: int,
    count: int,
    size: int | tuple[int, int],
    openness: float = 0.5,
    braiding: float = 0.0,
) -> Walls:
    """Walls [count, H, W] at the first addresses of a seed."""
    height, width = (size, size) if isinstance(size, int) else size
    walls = np.zeros((count, height, width), np.bool_)
    for i in range(count):
        rng = np.array([stream(seed, 0, i, WALLS_STREAM)], np.uint64)
        carve(walls[i], rng, ALGORITHMS.index(algorithm), openness, braiding)
    return walls


def between_cells(height: int, width: int) -> Walls:
    """Which squares [height, width] lie between two cells."""
    between = np.zeros((height, width), np.bool_)
    between[1:-1:2, 2:-1:2] = between[2:-1:2, 1:-1:2] = True
    return between


def passages(walls: Walls) -> Tree:
    """The open squares between two cells of `walls` [H, W], as pairs of cells."""
    open_right = np.argwhere(~walls[1::2, 2:-1:2]).tolist()
    open_down = np.argwhere(~walls[2:-1:2, 1::2]).tolist()
    across = {frozenset(((row, column), (row, column + 1))) for row, column in open_right}
    return across | {frozenset(((row, column), (row + 1, column))) for row, column in open_down}


def is_connected(walls: Walls) -> bool:
    free = np.flatnonzero(~walls)
    return bool(np.isfinite(all_distances(walls)[free[0], free]).all())


def is_closed(walls: Walls) -> bool:
    return bool(walls[0].all() and walls[-1].all() and walls[:, 0].all() and walls[:, -1].all())


@pytest.mark.parametrize("algorithm", TREES)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(2, 10), st.integers(2, 10))
def test_a_maze_is_a_spanning_tree_with_closed_borders(algorithm: str, seed: int, rows: int, columns: int) -> None:
    for walls in carved(algorithm, seed, 3, (2 * rows + 1, 2 * columns + 1)):
        assert not walls[1::2, 1::2].any()
        assert walls[::2, ::2].all()
        assert is_closed(walls)
        assert len(passages(walls)) == rows * columns - 1
        assert (~walls).sum() == 2 * rows * columns - 1
        assert is_connected(walls)


def unevenness(algorithm: str, rows: int, columns: int) -> float:
    """The probability that uniform draws among all spanning trees differ as much as those of an algorithm."""
    trees = spanning_trees(rows, columns)
    mazes = carved(algorithm, 5, 100 * trees, (2 * rows + 1, 2 * columns + 1)).reshape(100 * trees, -1)
    counts = np.unique(mazes, axis=0, return_counts=True)[1]
    assert len(counts) <= trees
    return float(chisquare(np.pad(counts, (0, trees - len(counts)))).pvalue)


@pytest.mark.parametrize(("rows", "columns", "trees"), [(2, 2, 4), (2, 3, 15), (3, 2, 15), (3, 3, 192), (2, 5, 209)])
def test_wilson_draws_every_spanning_tree_equally_often(rows: int, columns: int, trees: int) -> None:
    assert spanning_trees(rows, columns) == trees
    assert 0.001 < unevenness("wilson", rows, columns) < 0.999


@pytest.mark.parametrize("algorithm", ["depth-first", "kruskal", "prim"])
def test_the_other_algorithms_do_not(algorithm: str) -> None:
    assert unevenness(algorithm, 3, 3) < 1e-12


@pytest.mark.parametrize(
    ("algorithm", "slowly"), [("depth-first", backtracker), ("kruskal", kruskal), ("prim", prim), ("wilson", wanderer)]
)
def test_mazes_are_as_frequent_as_when_carved_slowly(
    algorithm: str, slowly: Callable[[int, random.Random], Tree]
) -> None:
    dice = random.Random(2)
    ours = Counter(frozenset(passages(walls)) for walls in carved(algorithm, 7, 12000, 7))
    theirs = Counter(frozenset(slowly(3, dice)) for _ in range(12000))
    counts = [[ours[tree], theirs[tree]] for tree in ours | theirs]
    assert 0.001 < chi2_contingency(counts).pvalue < 0.999


def share(slowly: Callable[[int, random.Random], Tree], count: int) -> float:
    return float(np.mean([dead_ends(slowly(25, random.Random(i)), 25) for i in range(count)]))


@pytest.mark.parametrize(
    ("algorithm", "published", "slowly"),
    [("depth-first", 0.10, backtracker), ("kruskal", 0.30, kruskal), ("prim", 0.36, prim), ("wilson", 0.29, wanderer)],
)
def test_dead_ends_are_as_frequent_as_published_and_as_in_mazes_carved_slowly(
    algorithm: str, published: float, slowly: Callable[[int, random.Random], Tree]
) -> None:
    ours = np.mean([dead_ends(passages(walls), 25) for walls in carved(algorithm, 9, 200, 51)])
    assert abs(ours - published) < 0.012
    assert abs(ours - share(slowly, 20)) < 0.01


def test_open_rooms_have_no_inner_walls() -> None:
    for size in ((5, 5), (9, 13)):
        (walls,) = carved("open-room", 1, 1, size, braiding=0.5)
        assert is_closed(walls)
        assert not walls[1:-1, 1:-1].any()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**63 - 1),
    st.integers(2, 10),
    st.integers(2, 10),
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.8, 1.0]),
    st.sampled_from([0.0, 0.15]),
)
def test_percolation_leaves_one_region_that_is_large_enough(
    seed: int, rows: int, columns: int, openness: float, braiding: float
) -> None:
    for walls in carved("percolation", seed, 3, (2 * rows + 1, 2 * columns + 1), openness, braiding):
        assert is_closed(walls)
        assert walls[::2, ::2].all()
        assert (~walls).sum() >= MIN_FREE
        assert is_connected(walls)


def test_percolation_opens_its_fraction_of_the_walls_independently() -> None:
    walls = carved("percolation", 3, 2000, 15, 0.9)
    whole = walls[~walls[:, 1::2, 1::2].any(axis=(1, 2))]
    assert len(whole) > 1800
    opened = (~whole[:, between_cells(15, 15)]).sum(axis=1)
    trials = 2 * 7 * 6
    assert abs(opened.mean() - 0.9 * trials) < 0.05 * np.sqrt(trials)
    assert abs(opened.var() / (0.09 * trials) - 1) < 0.15
    assert np.abs(np.corrcoef(whole[:, between_cells(15, 15)].T) - np.eye(trials)).max() < 0.13


@pytest.mark.parametrize("openness", [0.0, 0.2, 0.4, 0.5, 0.6, 1.0])
def test_percolation_keeps_a_largest_region_or_opens_more(openness: float) -> None:
    for seed in range(100):
        opened, kept = np.ones((2, 13, 13), np.bool_)
        opened[1::2, 1::2] = False
        braid(opened, np.array([seed], np.uint64), openness)
        percolation(kept, np.array([seed], np.uint64), openness)
        regions, count = label(~opened)
        sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
        if sizes.max() >= MIN_FREE:
            assert set(regions[~kept]) <= {1 + k for k in np.flatnonzero(sizes == sizes.max())}
            assert (~kept).sum() == sizes.max()
        else:
            assert openness < 0.5
            assert (~kept).sum() >= MIN_FREE


@pytest.mark.parametrize("probability", [0.05, 0.15, 0.5])
@pytest.mark.parametrize("algorithm", [*TREES, "percolation"])
def test_braiding_opens_its_fraction_of_the_walls_between_free_cells(algorithm: str, probability: float) -> None:
    plain, braided = (carved(algorithm, 4, 300, 15, braiding=braiding) for braiding in (0.0, probability))
    free_sides = np.zeros_like(plain)
    free_sides[:, 1:-1:2, 2:-1:2] = ~(plain[:, 1:-1:2, 1:-2:2] | plain[:, 1:-1:2, 3::2])
    free_sides[:, 2:-1:2, 1:-1:2] = ~(plain[:, 1:-2:2, 1:-1:2] | plain[:, 3::2, 1:-1:2])
    assert not (braided & ~plain).any()
    assert np.array_equal(braided[~free_sides], plain[~free_sides])
    closed = (plain & free_sides).sum()
    opened = (plain & ~braided).sum()
    assert closed > 3000
    assert abs(opened - closed * probability) < 4.5 * np.sqrt(closed * probability * (1 - probability))


@pytest.mark.parametrize("algorithm", TREES)
def test_braiding_fully_opens_everything_but_the_posts(algorithm: str) -> None:
    walls = carved(algorithm, 4, 5, 11, braiding=1.0)[:, 1:-1, 1:-1]
    assert walls[:, 1::2, 1::2].all()
    assert walls.sum() == 5 * 16


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_address_gives_the_same_maze_every_time(algorithm: str) -> None:
    mazes = carved(algorithm, 2, 30, 13, braiding=0.15)
    assert np.array_equal(mazes, carved(algorithm, 2, 30, 13, braiding=0.15))
    assert np.array_equal(mazes[:7], carved(algorithm, 2, 7, 13, braiding=0.15))
    different = 1 if algorithm == "open-room" else 30
    assert len({walls.tobytes() for walls in mazes}) == different


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
    world = make_family("GreenExit", {"size": 13})
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
    with pytest.raises(GoalmazeError, match=rf"^seed is {seed}: choose 0 to {2**63 - 1}$"):
        make_family("GreenExit").levels(seed, [0])
    assert len(make_family("GreenExit").levels(2**63 - 1, [0])) == 1
