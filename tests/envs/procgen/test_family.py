"""Where cheese and cue lie: as the rules of the training distribution and of every shift say, by a slow count."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, FITTING, SPLITS, TRAINING
from goalmaze.envs.procgen.codec import WALL, pack, parse
from goalmaze.envs.procgen.family import SEEDS, ProcgenMaze
from goalmaze.envs.procgen.levels import CHEESE, CORNER, SIGN
from goalmaze.envs.procgen.simulator import build

MANY = np.arange(60)


def in_region(family: ProcgenMaze, state: bytes, cell: int) -> int:
    """Return the side of the smallest region in the top right of a state's maze that holds a cell."""
    found = parse(state)
    margin = (found.world_dim - found.maze_dim) // 2
    top, right = found.world_dim - margin - found.maze_dim + 1, margin + found.maze_dim
    row, column = divmod(cell, family.size)
    return max(row - top, right - column) + 1


@pytest.mark.parametrize("region", [1, 5])
def test_in_training_the_cheese_lies_in_the_region(mode: str, region: int) -> None:
    family = ProcgenMaze(mode=mode, region=region)
    levels = family.levels(0, MANY, split=TRAINING)
    sides = [in_region(family, levels.templates[b], int(levels.objects[b, 0])) for b in MANY]
    for b, side in enumerate(sides):
        free = [c for c in np.flatnonzero(levels.free()[b]) if c != levels.start[b]]
        nearest = min(in_region(family, levels.templates[b], int(c)) for c in free)
        assert side <= max(region, nearest)
    assert region == 1 or len(set(sides)) > 2
    assert levels.states() == list(levels.templates)


def test_a_region_without_a_free_cell_grows() -> None:
    family = ProcgenMaze(mode="easy", region=2)
    seed = next(s for s in range(50) if parse(build("easy", [s])[0]).maze_dim >= 9)
    state = parse(build("easy", [seed])[0])
    margin = (state.world_dim - state.maze_dim) // 2
    grid = state.grid.copy()
    top = state.world_dim - margin - state.maze_dim
    grid[top : top + 3, margin + state.maze_dim - 3 : margin + state.maze_dim] = WALL
    walled = pack(dataclasses.replace(state, grid=grid))
    start = family.edited(walled, seed)
    assert start.objects[0] != ABSENT
    assert in_region(family, start.state, int(start.objects[0])) == 4
    grid[:] = WALL
    nowhere = family.edited(pack(dataclasses.replace(state, grid=grid)), seed)
    assert nowhere.objects[0] == ABSENT


def test_shifts_move_what_they_say_and_nothing_else() -> None:
    family = ProcgenMaze(mode="easy", sign=True, goal_row=8, goal_column=8)
    at = {shift: family.levels(3, MANY, shift) for shift in ("none", *family.shifts)}
    for levels in at.values():
        np.testing.assert_array_equal(levels.walls, at["none"].walls)
        np.testing.assert_array_equal(levels.start, at["none"].start)
    cheese = {shift: levels.cells(CHEESE) for shift, levels in at.items()}
    sign = {shift: levels.cells(SIGN) for shift, levels in at.items()}
    np.testing.assert_array_equal(sign["none"], cheese["none"])
    np.testing.assert_array_equal(cheese["moved-sign"], cheese["none"])
    assert (sign["moved-sign"] != cheese["moved-sign"]).all()
    np.testing.assert_array_equal(sign["goal-anywhere"], cheese["goal-anywhere"])
    assert (cheese["goal-anywhere"] != cheese["none"]).mean() > 0.5
    assert (sign["no-sign"] == ABSENT).all()
    assert (cheese["no-goal"] == ABSENT).all()
    np.testing.assert_array_equal(sign["no-goal"], sign["none"])
    for b in MANY:
        free = [c for c in np.flatnonzero(at["goal-at"].free()[b]) if c != at["goal-at"].start[b]]
        rows, columns = np.divmod(free, 17)
        away = abs(rows - 8) + abs(columns - 8)
        assert away[free.index(int(cheese["goal-at"][b]))] == away.min()


def test_goal_anywhere_reaches_every_free_cell() -> None:
    family = ProcgenMaze(mode="easy")
    state = next(s for s in build("easy", range(50)) if parse(s).maze_dim == 5)
    found = {int(family.edited(state, seed, "goal-anywhere").objects[0]) for seed in range(800)}
    walls = family.edited(state, 0).walls
    assert found == set(np.flatnonzero(~walls)) - {family.edited(state, 0).agent}


def test_the_corner_is_the_cue_without_a_sign() -> None:
    family = ProcgenMaze(mode="easy", region=1)
    levels = family.levels(0, MANY, split=TRAINING)
    np.testing.assert_array_equal(levels.cells(CHEESE), levels.cells(CORNER))
    apart = family.levels(0, MANY, "goal-anywhere")
    assert (apart.cells(CHEESE) != apart.cells(CORNER)).mean() > 0.5


def test_starting_anywhere_moves_the_mouse_in_training_and_nothing_else(mode: str) -> None:
    """The oracle is the edit that moves the mouse of a level after it was made."""
    plain, family = ProcgenMaze(mode=mode), ProcgenMaze(mode=mode, start_anywhere=True)
    ours, theirs = family.levels(2, MANY, split=TRAINING), plain.levels(2, MANY, split=TRAINING)
    assert ours.states() == list(ours.templates) == theirs.started(ours.start).states()
    assert ours.states() != theirs.states()
    np.testing.assert_array_equal(ours.objects, theirs.objects)
    assert (ours.start != ours.objects[:, 0]).all()
    away = {in_region(family, ours.templates[b], int(ours.start[b])) for b in MANY}
    assert len(away) > 8
    for split in (FITTING, EVALUATION):
        assert family.levels(2, MANY, split=split) == plain.levels(2, MANY, split=split)


def test_an_address_gives_the_same_level_in_any_batch() -> None:
    family = ProcgenMaze(mode="easy", sign=True)
    whole, part = family.levels(5, MANY), family.levels(5, [41, 7])
    assert whole.take([41, 7]) == part
    assert whole.take([41, 7]).states() == part.states()
    assert family.levels(6, [41, 7]) != part


def test_splits_draw_from_ranges_of_their_own() -> None:
    family = ProcgenMaze()
    for split in SPLITS:
        seeds = family.level_seeds(0, np.arange(500), split)
        low, high = SEEDS[split]
        assert min(seeds) >= low
        assert max(seeds) < high
        assert len(set(seeds)) == 500
    few = dataclasses.replace(family, training_levels=100)
    assert max(few.level_seeds(0, np.arange(500), TRAINING)) < 100
    assert few.level_seeds(0, [1], FITTING) == family.level_seeds(0, [1], FITTING)
    for seed, split in ((0, "tests"), (-1, EVALUATION)):
        with pytest.raises(GoalmazeError):
            family.level_seeds(seed, [0], split)


def test_a_mixture_separates_goal_and_cue_in_that_fraction_of_training_levels_only() -> None:
    family = ProcgenMaze(mode="easy", sign=True, mixture=0.3)
    levels = family.levels(0, np.arange(400), split=TRAINING)
    assert 0.22 < (levels.cells(SIGN) != levels.cells(CHEESE)).mean() < 0.38
    levels = family.levels(0, np.arange(400))
    assert (levels.cells(SIGN) == levels.cells(CHEESE)).all()


def test_optimal_returns_and_what_procgen_refuses() -> None:
    family = ProcgenMaze(mode="easy")
    levels = family.levels(0, np.arange(5))
    np.testing.assert_array_equal(family.optimal_returns(levels), 10)
    np.testing.assert_array_equal(family.optimal_returns(levels.removed(CHEESE)), 0)
    with pytest.raises(GoalmazeError, match="generated by Procgen"):
        family.distribution()
    with pytest.raises(GoalmazeError, match="level seed -1 is none of Procgen's"):
        build("easy", [-1])
    with pytest.raises(GoalmazeError, match="mode of Procgen's maze"):
        build("esay", [1])
