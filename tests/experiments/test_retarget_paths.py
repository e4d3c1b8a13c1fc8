"""Path probabilities against the enumeration of all ways, and the bins of targets against scalar searches."""

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
    """Return an untrained network of definite opinions."""
    torch.manual_seed(1)
    network = make_network("grid", Shape.seeing(make_view(FAMILY)), {"channels": 6, "blocks": 1, "hidden": 8})
    torch.nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
    return NetworkPolicy(network)


@pytest.fixture(scope="module")
def task() -> RetargetingTask:
    return draw_retargeting_task(FAMILY, 24, 3)


def push(task: RetargetingTask) -> Add:
    luck = torch.Generator().manual_seed(0)
    return Add("stem", 2 * torch.randn((len(task.levels), 6, 5, 5), generator=luck))


def enumerated(
    policy: NetworkPolicy, task: RetargetingTask, b: int, edits: list[Edit], *, first: bool = False
) -> float:
    """Return the n-th root of the chance of all n-step action sequences that end on the target, n being the fewest."""
    levels, walls = task.levels, task.levels.walls[b]
    start, goal, target = int(levels.start[b]), int(task.goals[b]), int(task.targets[b])
    steps = (-levels.width, 1, levels.width, -1)

    @functools.cache
    def chances(cell: int, edited: bool) -> list[float]:
        put = levels.take([b]).started([cell])
        with applied(policy, edits if edited else []):
            seen = observations_of(policy, put)
            return [float(p) for p in policy.probabilities(np.array([b]), seen, put.start)[0]]

    def followed(actions: tuple[int, ...]) -> float:
        """Return the chance of these actions if they lead to the target without a bump or the goal, else 0."""
        cell, chance = start, 1.0
        for step, action in enumerate(actions):
            if walls.flat[cell + steps[action]] or cell == goal:
                return 0.0
            chance *= chances(cell, step == 0 or not first)[action]
            cell += steps[action]
        return chance if cell == target else 0.0

    length = next(n for n in range(1, LONGEST + 1) if reachable(walls, start, target, n))
    total: float = sum(followed(actions) for actions in itertools.product(range(4), repeat=length))
    return float(total ** (1 / length))


def reachable(walls: np.ndarray, start: int, target: int, length: int) -> bool:
    """Return whether some walk of `length` steps leads there, whatever stands in the way."""
    width, reached = walls.shape[1], {start}
    for _ in range(length):
        reached = {c + s for c in reached for s in (-width, 1, width, -1) if not walls.flat[c + s]}
    return target in reached


@pytest.mark.parametrize("kind", ["none", "every", "first"])
def test_the_chance_of_the_shortest_way_is_that_of_all_of_them(
    policy: NetworkPolicy, task: RetargetingTask, kind: str
) -> None:
    edits: list[Edit] = [] if kind == "none" else [push(task)]
    timed: list[Edit] = [dataclasses.replace(edit, first_steps=1) for edit in edits] if kind == "first" else edits
    found = path_probability(policy, task.levels, task.move, timed)
    short = np.flatnonzero(bins.target_distances(task) <= LONGEST)[:10]
    assert len(short) > 4
    for b in short:
        assert found[b] == pytest.approx(enumerated(policy, task, int(b), edits, first=kind == "first"), rel=1e-4)
    if kind != "none":
        plain = path_probability(policy, task.levels, task.move)
        assert np.abs(found[short] - plain[short]).max() > 0.05


def test_a_way_over_the_goal_does_not_count_and_without_a_goal_it_does(policy: NetworkPolicy) -> None:
    task = draw_retargeting_task(make_family("GreenExit", {"size": 7, "braid": 0.0}), 60, 0)
    blocked = ~task.off_path
    assert blocked.any()
    found = path_probability(policy, task.levels, task.move)
    assert (found[blocked] == 0).all()
    assert (found[~blocked] > 0).all()
    nowhere = np.full(len(blocked), ABSENT, np.int32)
    cleared = task.levels.without_goal_and_cue()
    assert (path_probability(policy, cleared, GoalMove(nowhere, task.targets, 7, 7))[blocked] > 0).all()


def test_bins_of_one_name_part_the_mazes_and_hold_what_they_say() -> None:
    task = draw_retargeting_task(make_family("GreenExit", {"size": 9}), 80, 0)
    found = bins.target_bins(task)
    for name in (bins.DISTANCE, bins.OFF_PATH):
        assert (np.sum([one.mazes for one in found if one.name == name], axis=0) == 1).all()
    steps = bins.target_distances(task)
    for one in (one for one in found if one.name == bins.DISTANCE):
        inside = steps[one.mazes]
        assert (inside >= (one.low or 0)).all()
        assert one.high is None or (inside <= one.high).all()
    by_hand = [scalar_off_path(task, b) for b in range(20)]
    np.testing.assert_array_equal(bins.off_path_distances(task)[:20], by_hand)


def scalar_off_path(task: RetargetingTask, b: int) -> int:
    """Return the steps from the target to the nearest cell of a shortest way to the goal, cell by cell."""
    walls = task.levels.walls[b]

    def ways(source: int) -> dict[int, int]:
        found, edge = {source: 0}, [source]
        for cell in edge:
            for step in (-walls.shape[1], 1, walls.shape[1], -1):
                if not walls.flat[cell + step] and cell + step not in found:
                    found[cell + step] = found[cell] + 1
                    edge.append(cell + step)
        return found

    start, goal = ways(int(task.levels.start[b])), ways(int(task.goals[b]))
    length = start[int(task.goals[b])]
    target = ways(int(task.targets[b]))
    return min(target[cell] for cell in start if start[cell] + goal[cell] == length)
