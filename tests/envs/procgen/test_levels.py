"""Levels of Procgen's maze as data: read, edited, drawn as text, and played as edited."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.paths import all_distances

from goalmaze.envs.ascii import read_ascii, write_ascii
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import make_engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.procgen.codec import GOAL, parse
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.fields import corners, decision_squares, opened
from goalmaze.envs.procgen.levels import CHEESE, ProcgenLevels, from_states, in_stock_colours, with_states
from goalmaze.envs.procgen.simulator import build

FAMILY = ProcgenMaze(mode="easy")


@pytest.fixture(scope="module")
def levels() -> ProcgenLevels:
    return from_states(build("easy", range(40)), FAMILY)


def walk(levels: LevelBatch, target: int) -> list[int]:
    """Return our actions along the shortest way of the first level from its start to a cell, by scipy's distances."""
    away = all_distances(levels.walls[0])[:, target]
    cell, actions = int(levels.start[0]), list[int]()
    moves = [-levels.width, 1, levels.width, -1]
    while cell != target:
        action = next(a for a, move in enumerate(moves) if away[cell + move] == away[cell] - 1)
        actions.append(action)
        cell += moves[action]
    return actions


def test_levels_say_what_the_states_say(mode: str) -> None:
    states = build(mode, range(10))
    levels = from_states(states, FAMILY)
    for b, state in enumerate(states):
        found = parse(state)
        np.testing.assert_array_equal(levels.walls[b, 1:-1, 1:-1], found.grid == 51)
        assert levels.walls[b].sum() == (found.grid == 51).sum() + 4 * (levels.width - 1)
        assert found.grid[tuple(np.divmod(levels.objects[b, 0], levels.width) - np.array(1))] == GOAL
        assert np.isfinite(all_distances(levels.walls[b])[levels.start[b], levels.objects[b, 0]])
    assert levels.states() == states


def test_an_edit_changes_the_bytes_of_the_state(levels: ProcgenLevels) -> None:
    b = 3
    one = levels.take([b])
    free = np.flatnonzero(one.free()[0])
    cheese, mouse = int(free[-1]), int(free[0])
    edited = one.started(mouse).moved(CHEESE, cheese)
    assert isinstance(edited, ProcgenLevels)
    again = from_states(edited.states(), FAMILY)
    assert (again.start[0], again.objects[0, 0]) == (mouse, cheese)
    assert from_states(one.removed(CHEESE).states(), FAMILY).objects[0, 0] == ABSENT  # type: ignore[attr-defined]
    assert edited.states() != one.states()


def test_a_moved_cheese_is_where_the_mouse_finds_it(levels: ProcgenLevels) -> None:
    for b in range(6):
        one = levels.take([b])
        free = [int(c) for c in np.flatnonzero(one.free()[0]) if c not in (one.start[0], one.objects[0, 0])]
        moved = one.moved(CHEESE, free[b % len(free)])
        for level, target, found in (
            (moved, free[b % len(free)], True),
            (one.removed(CHEESE), one.objects[0, 0], False),
        ):
            engine = make_engine(level)
            earned = 0.0
            for action in walk(level, int(target)):
                reward, _ = engine.simulator.step(np.array([[5, 7, 3, 1][action]], np.int32))
                earned += float(reward[0])
            assert earned == (10.0 if found else 0.0)
            engine.close()


def test_a_wall_put_up_stops_the_mouse_and_one_taken_down_lets_it_through(levels: ProcgenLevels) -> None:
    one = levels.take([0]).removed(CHEESE)
    assert isinstance(one, ProcgenLevels)
    above = int(one.start[0]) - one.width
    for closed in (True, False):
        walls = one.walls.copy()
        walls.reshape(-1)[above] = closed
        engine = make_engine(one.walled(walls))
        engine.simulator.step(np.array([5], np.int32))
        row = parse(engine.simulator.state(0)).mouse[0]
        assert row == one.start[0] // one.width - 1 - (not closed)
        engine.close()


def test_a_maze_that_is_cut_off_is_refused(levels: ProcgenLevels) -> None:
    one = levels.take([0])
    walls = one.walls.copy()
    start = int(one.start[0])
    for move in (-one.width, 1, one.width, -1):
        if start + move != one.objects[0, 0]:
            walls.reshape(-1)[start + move] = True
    moved = one.moved(CHEESE, int(corners(one)[0]))
    assert isinstance(moved, ProcgenLevels)
    with pytest.raises(GoalmazeError, match="level 0: the mouse cannot reach the cheese; open a wall"):
        moved.walled(walls)
    with pytest.raises(GoalmazeError, match="the border is open"):
        one.walled(np.zeros_like(one.walls))


def test_text_out_and_in(levels: ProcgenLevels) -> None:
    family = ProcgenMaze(mode="easy")
    text = write_ascii(levels)
    again = with_states(read_ascii(text, family), levels.templates)
    assert again == levels
    assert again.states() == levels.states()
    assert set(text) == set("#.AC\n")
    with pytest.raises(GoalmazeError, match="Procgen's are 17, 27 or 33 cells wide"):
        with_states(levels, build("hard", [0]) * len(levels))


def test_a_level_drawn_by_hand_is_played_in_procgens_colours() -> None:
    family = ProcgenMaze(mode="easy")
    picture = [list("#" * 17) for _ in range(17)]
    for column in range(2, 9):
        picture[8][column] = "."
    picture[8][2], picture[8][8] = "A", "C"
    drawn = read_ascii("\n".join(map("".join, picture)), family)
    engine = make_engine(drawn)
    assert engine.observe()[0].std() > 5
    for _ in range(6):
        engine.step(1)
    assert engine.terminated[0]
    assert engine.rewards[0, 0] == 10
    engine.close()
    assert in_stock_colours(drawn, "easy") == drawn


def test_decision_squares_are_where_the_paths_separate(levels: ProcgenLevels) -> None:
    found, decided = decision_squares(levels), 0
    for b, square in enumerate(found):
        away = all_distances(levels.walls[b])
        start, goal, corner = int(levels.start[b]), int(levels.objects[b, 0]), int(corners(levels)[b])
        shared = [
            c
            for c in np.flatnonzero(levels.free()[b])
            if away[start, c] + away[c, goal] == away[start, goal]
            and away[start, c] + away[c, corner] == away[start, corner]
        ]
        last = max(shared, key=lambda c: away[start, c])
        assert square == (ABSENT if last in (goal, corner) else last)
        decided += square != ABSENT
    assert 0 < decided < len(levels)


def test_corners_of_the_maze_and_opened_paths_to_them(levels: ProcgenLevels) -> None:
    wide = opened(levels)
    for b, cell in enumerate(corners(levels)):
        state = parse(levels.templates[b])
        margin = (state.world_dim - state.maze_dim) // 2
        top = state.world_dim - margin - state.maze_dim
        assert divmod(int(cell), levels.width) == (top + 1, margin + state.maze_dim)
    top_right = levels.width + levels.width - 2
    assert (wide.free()[:, top_right]).all()
    assert not levels.free()[:, top_right].all()
    np.testing.assert_array_equal(corners(wide) >= 0, True)
