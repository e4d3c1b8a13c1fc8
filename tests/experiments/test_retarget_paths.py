"""Path probabilities against an enumeration of all paths, and bins of targets against scalar searches."""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import torch

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.retarget import bins
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.procgen_tools.path_probability import path_probability

FAMILY = make_family("GreenExit", {"size": 5, "braid": 1.0})
LONGEST = 6


@pytest.fixture(scope="module")
def policy() -> NetworkPolicy:
    """Return an untrained network with a decided policy."""
    torch.manual_seed(1)
    network = make_network("grid", Shape.seeing(make_view(FAMILY)), {"channels": 6, "blocks": 1, "hidden": 8})
    torch.nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
    return NetworkPolicy(network)


@pytest.fixture(scope="module")
def task() -> RetargetingTask:
    return draw_retargeting_task(FAMILY, 24, 3)


def random_edit(task: RetargetingTask) -> Add:
    generator = torch.Generator().manual_seed(0)
    return Add("stem", 2 * torch.randn((len(task.levels), 6, 5, 5), generator=generator))


def enumerated_probability(
    policy: NetworkPolicy, task: RetargetingTask, b: int, edits: list[Edit], *, first: bool = False
) -> float:
    """Return the n-th root of the probability of all shortest action sequences to the target, n steps long."""
    levels, walls = task.levels, task.levels.walls[b]
    start, goal, target = int(levels.start[b]), int(task.goals[b]), int(task.targets[b])
    steps = (-levels.width, 1, levels.width, -1)

    @functools.cache
    def probabilities(cell: int, edited: bool) -> list[float]:
        level = levels.take([b]).started([cell])
        with applied(policy, edits if edited else []):
            observations = observations_of(policy, level)
            return [float(p) for p in policy.probabilities(np.array([b]), observations, level.start)[0]]

    def probability(actions: tuple[int, ...]) -> float:
        """Return the probability of actions that reach the target without a bump and off the goal, else 0."""
        cell, product = start, 1.0
        for step, action in enumerate(actions):
            if walls.flat[cell + steps[action]] or cell == goal:
                return 0.0
            product *= probabilities(cell, step == 0 or not first)[action]
            cell += steps[action]
        return product if cell == target else 0.0

    length = next(n for n in range(1, LONGEST + 1) if reachable(walls, start, target, n))
    total: float = sum(probability(actions) for actions in itertools.product(range(4), repeat=length))
    return float(total ** (1 / length))


def reachable(walls: np.ndarray, start: int, target: int, length: int) -> bool:
    """Return whether some walk of `length` steps leads there, whatever objects it enters."""
    width, reached = walls.shape[1], {start}
    for _ in range(length):
        reached = {c + s for c in reached for s in (-width, 1, width, -1) if not walls.flat[c + s]}
    return target in reached


@pytest.mark.parametrize("kind", ["none", "every", "first"])
def test_path_probability_is_that_of_all_shortest_paths(
    policy: NetworkPolicy, task: RetargetingTask, kind: str
) -> None:
    edits: list[Edit] = [] if kind == "none" else [random_edit(task)]
    timed: list[Edit] = [dataclasses.replace(edit, first_steps=1) for edit in edits] if kind == "first" else edits
    result = path_probability(policy, task.levels, task.move, timed)
    short = np.flatnonzero(bins.target_distances(task) <= LONGEST)[:10]
    assert len(short) > 4
    for b in short:
        assert result[b] == pytest.approx(
            enumerated_probability(policy, task, int(b), edits, first=kind == "first"), rel=1e-4
        )
    if kind != "none":
        plain = path_probability(policy, task.levels, task.move)
        assert np.abs(result[short] - plain[short]).max() > 0.05


def test_a_path_over_the_goal_does_not_count_but_without_a_goal_it_does(policy: NetworkPolicy) -> None:
    task = draw_retargeting_task(make_family("GreenExit", {"size": 7, "braid": 0.0}), 60, 0)
    blocked = ~task.off_path
    assert blocked.any()
    result = path_probability(policy, task.levels, task.move)
    assert (result[blocked] == 0).all()
    assert (result[~blocked] > 0).all()
    nowhere = np.full(len(blocked), ABSENT, np.int32)
    cleared = task.levels.without_goal_and_cue()
    assert (path_probability(policy, cleared, GoalMove(nowhere, task.targets, 7, 7))[blocked] > 0).all()


def test_every_maze_is_in_one_bin_of_each_distance_and_within_its_range() -> None:
    task = draw_retargeting_task(make_family("GreenExit", {"size": 9}), 80, 0)
    all_bins = bins.target_bins(task)
    for name in (bins.DISTANCE, bins.OFF_PATH):
        assert (np.sum([one.mazes for one in all_bins if one.name == name], axis=0) == 1).all()
    steps = bins.target_distances(task)
    for one in (one for one in all_bins if one.name == bins.DISTANCE):
        inside = steps[one.mazes]
        assert (inside >= (one.low or 0)).all()
        assert one.high is None or (inside <= one.high).all()
    by_hand = [scalar_off_path(task, b) for b in range(20)]
    np.testing.assert_array_equal(bins.off_path_distances(task)[:20], by_hand)


def scalar_off_path(task: RetargetingTask, b: int) -> int:
    """Return the steps from the target to the nearest cell on a shortest path to the goal, cell by cell."""
    walls = task.levels.walls[b]

    def distances_from(source: int) -> dict[int, int]:
        steps, queue = {source: 0}, [source]
        for cell in queue:
            for move in (-walls.shape[1], 1, walls.shape[1], -1):
                if not walls.flat[cell + move] and cell + move not in steps:
                    steps[cell + move] = steps[cell] + 1
                    queue.append(cell + move)
        return steps

    start, goal = distances_from(int(task.levels.start[b])), distances_from(int(task.goals[b]))
    length = start[int(task.goals[b])]
    target = distances_from(int(task.targets[b]))
    return min(target[cell] for cell in start if start[cell] + goal[cell] == length)
