"""Target cells: the one an agent pursues, and uniformly random ones to retarget it to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from oracles.paths import all_distances
from scipy import stats

from goalmaze.agents.policies import Policy, Probabilities, Rows
from goalmaze.agents.rollout import rollout
from goalmaze.agents.scripted import RandomWalker, Seeker
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.engines import Observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.probes.labels import label_concepts
from goalmaze.probes.targets import PURSUED, check_targets, draw_targets, relocate_agents, target_names

SIGNIFICANCE = 1e-6


def label_cells(name: str, policy: Policy, levels: LevelBatch, family: Family, seed: int) -> Cells:
    """Return int32 [B], the cell that a concept names in every level."""
    return label_concepts([name], policy, levels, seed)[name].values.numpy().astype(np.int32)


@dataclasses.dataclass(frozen=True)
class OneAction:
    """A policy and actor that always takes the same action."""

    action: int

    def begin(self, levels: LevelBatch) -> OneAction:
        return self

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        return np.tile(np.eye(4, dtype=np.float32)[self.action], (len(rows), 1))


def allowed(levels: LevelBatch, b: int) -> set[int]:
    """Return the cells of level b that a target may be on, from scipy's shortest paths."""
    reachable = set(np.flatnonzero(np.isfinite(all_distances(levels.walls[b])[levels.start[b]])).tolist())
    return reachable - {int(levels.start[b]), *levels.objects[b].tolist()}


@pytest.mark.parametrize("shift", ["none", "moved-sign", "two-signs", "no-sign"])
def test_targets_are_reachable_cells_without_agent_or_object(family: Family, shift: str) -> None:
    levels = family.levels(1, np.arange(150), shift)
    for seed in range(3):
        targets = draw_targets(levels, seed)
        assert targets.dtype == np.int32
        assert all(target in allowed(levels, b) for b, target in enumerate(targets.tolist()))


def test_targets_are_in_the_reachable_part_of_the_maze(family: Family) -> None:
    levels = read_ascii("#######\n#A.E#.#\n#######", family).take(np.zeros(50, np.int64))
    assert set(draw_targets(levels, 0).tolist()) == {9}


def test_targets_are_uniform(family: Family) -> None:
    levels = family.levels(2, [0], "two-signs").take(np.zeros(20_000, np.int64))
    cells, counts = np.unique(draw_targets(levels, 0), return_counts=True)
    assert set(cells.tolist()) == allowed(levels, 0)
    assert stats.chisquare(counts).pvalue > SIGNIFICANCE
    counts[0] += counts[0] // 4
    assert stats.chisquare(counts).pvalue < SIGNIFICANCE


def test_targets_repeat_by_seed_and_row(family: Family) -> None:
    levels = family.levels(3, np.arange(50))
    targets = draw_targets(levels, 4)
    np.testing.assert_array_equal(draw_targets(levels.take(np.arange(20)), 4), targets[:20])
    assert (draw_targets(levels, 5) != targets).any()


def test_targets_are_independent_of_the_sampled_actions(family: Family) -> None:
    levels = family.levels(4, [0]).take(np.zeros(4000, np.int64))
    quarter = np.argsort(np.argsort(draw_targets(levels, 6), kind="stable")) // 1000

    def dependence(actions: np.ndarray) -> float:
        return float(stats.chi2_contingency(np.histogram2d(quarter, actions, bins=4)[0]).pvalue)

    actions = rollout(RandomWalker(), levels, seed=6).actions
    assert all(dependence(actions[step]) > SIGNIFICANCE for step in range(2))
    assert dependence(np.where(np.arange(4000) % 10, actions[0], quarter)) < SIGNIFICANCE


def test_goal_and_cue_are_labelled_with_their_cells(family: Family) -> None:
    levels = family.levels(5, np.arange(30), "moved-sign")
    assert target_names(family) == ["exit", "sign", PURSUED]
    for kind in ("exit", "sign"):
        np.testing.assert_array_equal(label_cells(kind, RandomWalker(), levels, family, 0), levels.cells(kind))


def test_pursued_is_what_the_seeker_goes_to(family: Family) -> None:
    levels = family.levels(6, np.arange(80), "moved-sign")
    exits, signs = levels.cells("exit"), levels.cells("sign")
    lengths = [all_distances(walls) for walls in levels.walls]
    found = {kind: label_cells(PURSUED, Seeker(kind), levels, family, 0) for kind in ("exit", "sign")}
    clear = {"exit": 0, "sign": 0}
    for b, path in enumerate(lengths):
        for kind, target, other in (("exit", exits, signs), ("sign", signs, exits)):
            passes = path[levels.start[b], other[b]] + path[other[b], target[b]] == path[levels.start[b], target[b]]
            assert found[kind][b] in {target[b], other[b]}
            if not passes:
                assert found[kind][b] == target[b]
                clear[kind] += 1
    assert min(clear.values()) > 40


def test_pursued_is_the_first_object_on_the_path(family: Family) -> None:
    levels = family.levels(7, np.arange(80), "moved-sign")
    labels = label_cells(PURSUED, RandomWalker(), levels, family, 3)
    trajectory = rollout(RandomWalker(), levels, seed=3)
    for b in range(80):
        path = trajectory.agent[: trajectory.steps[b] + 1, b].tolist()
        objects = {int(levels.cells("exit")[b]), int(levels.cells("sign")[b])}
        assert labels[b] == next((cell for cell in path if cell in objects), ABSENT)
    assert (labels == ABSENT).any()


def test_an_agent_that_reaches_nothing_pursues_nothing(family: Family) -> None:
    levels = read_ascii("#######\n#A.S.E#\n#######\n\n#######\n#A.E.S#\n#######\n\n#######\n#E.A..#\n#######", family)
    assert label_cells(PURSUED, OneAction(0), levels, family, 0).tolist() == [ABSENT] * 3
    assert label_cells(PURSUED, OneAction(1), levels, family, 0).tolist() == [10, 10, ABSENT]


def test_targets_on_walls_outside_or_missing_are_refused(family: Family) -> None:
    levels = family.levels(1, np.arange(4))
    good = draw_targets(levels, 0)
    check_targets(levels, good)
    for cell, message in (
        (0, r"level 2: target \(0, 0\) lies on a wall; choose a free cell"),
        (49, "level 2: target at cell 49 is outside the 7x7 maze"),
        (ABSENT, "level 2: there is no target"),
    ):
        bad = good.copy()
        bad[2] = cell
        with pytest.raises(GoalmazeError, match=message):
            check_targets(levels, bad)
    with pytest.raises(GoalmazeError, match="do not fit 4 levels"):
        check_targets(levels, good[:2])


def test_a_maze_without_a_cell_for_a_target_is_refused_by_its_number(family: Family) -> None:
    rooms = "#######\n#A.E..#\n#######\n\n#######\n#AE#.S#\n#######\n\n#######\n#AES#.#\n#######"
    levels = read_ascii(rooms, family)
    with pytest.raises(GoalmazeError, match=r"level 1 has no cell for a target: .* choose a larger size"):
        draw_targets(levels, 0)
    assert draw_targets(levels.take(np.array([0])), 0).tolist()[0] in {9, 11, 12}
    # An agent that cannot be moved stays where it is.
    moved = relocate_agents(levels, np.full(3, ABSENT, np.int32), 0)
    assert moved.start[1] == levels.start[1]
