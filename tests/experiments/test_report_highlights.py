"""Episodes that the report highlights: those that its rule names, drawn as they happened."""

import re
from collections import deque
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from strict_html import Page

from goalmaze.agents.loading import load_agent
from goalmaze.agents.rollout import NEVER, rollout
from goalmaze.agents.scripted import RandomWalker, Seeker
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.envs.rendering import SHAPES, shape_mask
from goalmaze.experiments.reports import mazes
from goalmaze.experiments.reports.highlights import (
    MAX_EPISODES,
    MIN_DIRECTNESS,
    choose_highlights,
    played_levels,
    same_maze_in_distribution,
)

FAMILY = make_family("GreenExit")


def breadth_first(walls: Any, source: int) -> dict[int, int]:
    """Return the steps from a cell to every cell that can be reached; an oracle in plain Python."""
    width = walls.shape[1]
    steps, queue = {source: 0}, deque([source])
    while queue:
        cell = queue.popleft()
        for other in (cell - width, cell + 1, cell + width, cell - 1):
            if not walls[divmod(other, width)] and other not in steps:
                steps[other] = steps[cell] + 1
                queue.append(other)
    return steps


def straight(trajectory: Any, b: int) -> tuple[str, int] | None:
    """Return to which of exit and sign level b was walked straight, and by how much the other was nearer."""
    levels = trajectory.levels
    exit_, sign = (int(levels.cells(kind)[b]) for kind in ("exit", "sign"))
    start = int(levels.start[b])
    if exit_ == sign:
        return None
    to_exit, to_sign = (breadth_first(levels.walls[b], cell) for cell in (exit_, sign))
    if to_exit[start] + to_exit[sign] == to_sign[start] or to_sign[start] + to_sign[exit_] == to_exit[start]:
        return None
    for step, cell in enumerate(trajectory.agent[:, b].tolist()):
        if cell in (exit_, sign):
            needed = to_exit[start] if cell == exit_ else to_sign[start]
            other = to_sign[start] if cell == exit_ else to_exit[start]
            return ("goal" if cell == exit_ else "cue", other - needed) if needed / step >= MIN_DIRECTNESS else None
    return None


@pytest.mark.parametrize("policy", [Seeker("sign"), Seeker("exit"), load_agent("zoo:green-exit-faint").policy])
def test_highlights_are_those_that_the_rule_names(policy: Any) -> None:
    played = {}
    for shift in (NO_SHIFT, "moved-sign"):
        levels = FAMILY.levels(3, np.arange(40), shift)
        played[shift] = played_levels(shift, rollout(policy, levels, seed=3))
    highlights = choose_highlights(played[NO_SHIFT], played["moved-sign"], FAMILY)
    found = {one.name: one for one in highlights if one.name != "lost"}
    trajectory = played["moved-sign"].trajectory
    straight_to = {b: straight(trajectory, b) for b in range(40)}
    for name, one in found.items():
        nearer = {b: path[1] for b, path in straight_to.items() if path is not None and path[0] == name}
        assert one.count == len(nearer)
        drawn = [nearer[episode.level] for episode in one.episodes]
        assert drawn == sorted(nearer.values())[:MAX_EPISODES]
    if isinstance(policy, Seeker):
        other = {"sign": "goal", "exit": "cue"}[policy.object_type]
        assert found[other].count == 0
        assert found[{"goal": "cue", "cue": "goal"}[other]].count > 5
    itself = same_maze_in_distribution(played[NO_SHIFT], played[NO_SHIFT], 0)
    assert itself is None, "a level beside itself would be drawn"
    same = same_maze_in_distribution(played[NO_SHIFT], played["moved-sign"], 0)
    assert same is not None
    assert same.until == min(int(played[NO_SHIFT].outcomes.to_goal[0]), int(played[NO_SHIFT].outcomes.steps[0]))


def test_episodes_that_reached_nothing_are_drawn_with_the_nearest_first() -> None:
    levels = FAMILY.levels(0, np.arange(60), "moved-sign")
    played = played_levels("moved-sign", rollout(RandomWalker(), levels))
    found = next(one for one in choose_highlights(played, played, FAMILY) if one.name == "lost")
    lost = {}
    for b in range(60):
        steps = breadth_first(levels.walls[b], int(levels.start[b]))
        if min(played.outcomes.to_goal[b], played.outcomes.to_cue[b]) == NEVER:
            lost[b] = min(steps[int(levels.cells(kind)[b])] for kind in ("exit", "sign"))
    assert found.count == len(lost) > MAX_EPISODES
    assert [lost[one.level] for one in found.episodes] == sorted(lost.values())[:MAX_EPISODES]
    seeking = played_levels("moved-sign", rollout(Seeker("exit"), levels))
    assert next(one for one in choose_highlights(seeking, seeking, FAMILY) if one.name == "lost").count == 0


def test_the_drawn_path_is_the_agents() -> None:
    levels = FAMILY.levels(0, np.arange(3), "moved-sign")
    trajectory = rollout(RandomWalker(), levels, seed=1)
    for b in range(3):
        drawn = mazes.maze(trajectory, b, 30, 'a "label" <b>')
        assert Page(drawn).wrong == []
        assert "<b>" not in drawn
        points = re.search(r'class="path" points="([^"]*)"', drawn)
        assert points is not None
        cells = [
            int(float(y) // mazes.CELL) * levels.width + int(float(x) // mazes.CELL)
            for x, y in (point.split(",") for point in points[1].split())
        ]
        path = trajectory.agent[: min(30, trajectory.steps[b]) + 1, b].tolist()
        assert cells == [cell for i, cell in enumerate(path) if i == 0 or cell != path[i - 1]]
        assert drawn.count('class="object"') == 2
        walls = sum(
            int(across) // mazes.CELL
            for across in re.findall(r"h(\d+)v10", drawn.split('class="wall"')[1].split("/>")[0])
        )
        assert walls == levels.walls[b].sum()


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_outlines_enclose_the_shapes(shape: str) -> None:
    middles = (np.arange(40) + 0.5) / 20 - 1
    points = np.array([(x, y) for y in middles for x in middles])
    inside = np.zeros(len(points), np.int64)
    for part in re.findall(r"M([^z]*)z", mazes.outline(shape)):
        corners = [[float(v) for v in point.split(",")] for point in part.split()]
        inside += Outline([*corners, corners[0]]).contains_points(points)
    drawn, wanted = (inside % 2 == 1).reshape(40, 40), shape_mask(shape, 40)
    sure = np.abs(wanted - 0.5) > 0.25
    assert (drawn == (wanted > 0.5))[sure].mean() > 0.97
    elsewhere = np.roll(wanted, 6, axis=0)
    assert (drawn == (elsewhere > 0.5))[np.abs(elsewhere - 0.5) > 0.25].mean() < 0.97, "a shape elsewhere would pass"
