"""Labels of plans, ticks, routes and edits of plans, against loops by hand."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque

import numpy as np
import pytest
import sklearn.metrics
import torch

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.networks.drc import DRCNetwork
from goalmaze.agents.policies import EditContext
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.agents.scripted import scripted_baselines
from goalmaze.envs.actions import MOVES
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import captured
from goalmaze.probes.edits.plan_edit import PlanEdit, entering_classes, leaving_classes
from goalmaze.probes.plans import plan_labels, planning_network, read_ticks
from goalmaze.probes.readout.scores import recall_counts
from goalmaze.probes.routes import MIN_EXTRA, RoutePairs, route_pairs, simple_paths

SIZE = 9


@pytest.fixture(scope="module")
def levels() -> LevelBatch:
    return make_family("GreenExit", {"size": SIZE, "braid": 0.5}).levels(0, count=64)


@pytest.fixture(scope="module")
def walks(levels: LevelBatch) -> Trajectory:
    return rollout(scripted_baselines(levels.family)["random-walker"], levels.take(np.arange(12)), seed=1)


@pytest.fixture(scope="module")
def direct(levels: LevelBatch) -> Trajectory:
    return rollout(scripted_baselines(levels.family)["exit-seeker"], levels, greedy=True)


@pytest.fixture(scope="module")
def pairs(direct: Trajectory) -> RoutePairs:
    return route_pairs(direct)


def network(**options: int) -> DRCNetwork:
    torch.manual_seed(0)
    made = make_network(
        "drc", Shape((4, SIZE, SIZE), 4), {"layers": 2, "ticks": 2, "channels": 3, "hidden": 8} | options
    )
    return planning_network(made)


def test_labels_are_the_first_entry_and_the_first_departure_of_a_loop_by_hand(walks: Trajectory) -> None:
    labels = plan_labels(walks)
    for row in range(len(walks.levels)):
        entered, left = {}, {}
        path = [int(cell) for cell in walks.agent[:, row]]
        for here, there in itertools.pairwise(path):
            if here != there:
                move = [(there - here) == down * SIZE + right for down, right in MOVES].index(True)
                entered.setdefault(there, 1 + move)
                left.setdefault(here, 1 + move)
        for cell in range(SIZE**2):
            stays = 5 if cell == path[-1] else 0
            assert labels["approaches"].values[row, cell] == entered.get(cell, 0)
            assert labels["leaves"].values[row, cell] == left.get(cell, stays)
            assert labels["route"].values[row, cell] == (cell in path)


def test_ticks_of_several_passes_are_those_of_single_steps(levels: LevelBatch) -> None:
    drc, observations = network(), first_observations(levels.take(np.arange(5)))
    maps = read_ticks(drc, observations, 3)
    assert (len(maps), len(maps[0])) == (6, 2)
    memory = drc.initial_memory(5, observations.shape[1:])
    for number in range(3):
        with torch.inference_mode(), captured(drc, [*drc.tick_sites(1), *drc.tick_sites(2)]) as latest:
            _, _, memory = drc.step(torch.from_numpy(observations), memory)
        for tick in (1, 2):
            for layer, site in enumerate(drc.tick_sites(tick)):
                assert torch.equal(maps[2 * number + tick - 1][layer], latest[site])
    grid = make_network("grid", Shape((4, SIZE, SIZE), 4), {"channels": 2, "blocks": 1})
    with pytest.raises(GoalmazeError, match="ticks of network drc"):
        planning_network(grid)


def shortest(levels: LevelBatch, row: int, closed: set[int], start: int, goal: int) -> int | None:
    """Return the number of steps from start to goal without closed cells, by a search of its own."""
    walls, queue, steps = levels.walls[row].reshape(-1), deque([start]), {start: 0}
    while queue:
        cell = queue.popleft()
        for down, right in MOVES:
            there = cell + int(down) * SIZE + int(right)
            if not walls[there] and there not in closed and there not in steps:
                steps[there] = steps[cell] + 1
                queue.append(there)
    return steps.get(goal)


def test_the_alternative_is_a_shortest_path_that_leaves_the_usual_one(pairs: RoutePairs, direct: Trajectory) -> None:
    assert 5 < len(pairs) < len(direct.levels)
    goals = pairs.levels.cells("exit")
    for row in range(len(pairs)):
        usual, other = ([int(c) for c in cells[row] if c != ABSENT] for cells in (pairs.usual, pairs.alternative))
        branch = int(pairs.branch[row])
        assert usual[0] == other[0] == pairs.levels.start[row]
        assert usual[-1] == other[-1] == goals[row]
        assert len(set(other)) == len(other)
        assert usual[: branch + 1] == other[: branch + 1]
        closed = {*usual[:branch], usual[branch + 1]}
        assert shortest(pairs.levels, row, closed, usual[branch], usual[-1]) == len(other) - 1 - branch
        # No earlier cell has another way on, so the routes part as early as they can.
        for index in range(branch):
            assert shortest(pairs.levels, row, {*usual[:index], usual[index + 1]}, usual[index], usual[-1]) is None
        assert len(other) >= len(usual) + MIN_EXTRA
        assert set(pairs.left_out[row]) - {ABSENT} == set(usual) - set(other)
        assert pairs.first_left_out[row] == usual[branch + 1]


def test_routes_are_taken_by_those_that_walk_them(pairs: RoutePairs, direct: Trajectory) -> None:
    level_rows = [direct.levels.hashes().index(name) for name in pairs.levels.hashes()]
    usual = dataclasses.replace(
        direct, levels=pairs.levels, agent=direct.agent[:, level_rows], steps=direct.steps[level_rows]
    )
    assert not pairs.taken(usual).any()
    assert not pairs.followed(usual).any()
    assert simple_paths(usual)[1].all()
    length = pairs.alternative.shape[1]
    last = (pairs.alternative != ABSENT).sum(axis=1) - 1
    walked = pairs.alternative[np.arange(len(pairs))[:, None], np.minimum(np.arange(length), last[:, None])]
    other = dataclasses.replace(usual, agent=np.ascontiguousarray(walked.T))
    assert pairs.taken(other).all()
    assert pairs.followed(other).all()
    # A step against a wall enters no cell; a detour does.
    late = dataclasses.replace(other, agent=np.concatenate([other.agent[:1], other.agent]))
    assert pairs.followed(late).all()
    back = dataclasses.replace(other, agent=np.concatenate([other.agent[:2], other.agent]))
    assert pairs.taken(back).all()
    assert not pairs.followed(back).any()


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_edit_writes_the_squares_still_ahead_and_never_on_the_others(pairs: RoutePairs, ahead: int) -> None:
    entering, leaving = (of(pairs.alternative, SIZE) for of in (entering_classes, leaving_classes))
    torch.manual_seed(0)
    directions = torch.randn(6, 3)
    edit = PlanEdit(
        "tick1_layer1_cell",
        directions=directions,
        route=pairs.alternative,
        classes=leaving,
        avoided=pairs.left_out,
        ahead=ahead,
        strength=2.0,
    )
    rows, steps = np.array([3, 0, 4]), np.array([0, 2, 50])
    activation = torch.randn(3, 3, SIZE, SIZE)
    result = edit(activation, EditContext(rows, steps))
    for number, (row, step) in enumerate(zip(rows, steps, strict=True)):
        expected, route = activation[number].clone(), [int(c) for c in pairs.alternative[row] if c != ABSENT]
        for cell in pairs.left_out[row]:
            if cell != ABSENT:
                expected[:, cell // SIZE, cell % SIZE] += 2 * directions[0]
        for index in range(step + ahead, len(route)):
            cell, class_ = route[index], 5
            if index + 1 < len(route):
                move = route[index + 1] - cell
                class_ = 1 + [int(down) * SIZE + int(right) for down, right in MOVES].index(move)
                assert entering[row, index + 1] == class_
            expected[:, cell // SIZE, cell % SIZE] += 2 * directions[class_]
        assert entering[row, 0] == 0
        torch.testing.assert_close(result[number], expected)
    with pytest.raises(GoalmazeError, match="for 4 channels"):
        dataclasses.replace(edit, directions=torch.randn(6, 4)).check(network().sites()[2])


def test_an_edit_of_the_observation_is_that_of_the_first_layer_on_a_changed_observation(pairs: RoutePairs) -> None:
    drc, few = network(), pairs.take(np.arange(4))
    stem = drc.get_submodule("stem")
    seen = torch.from_numpy(first_observations(few.levels)).float()
    edit = PlanEdit(
        "stem",
        directions=torch.randn(5, 4),
        route=few.alternative,
        classes=entering_classes(few.alternative, SIZE),
        avoided=few.left_out,
        kernel=stem.weight.detach(),
    )
    context = EditContext.at_start(np.arange(4))
    picture = dataclasses.replace(edit, kernel=None)(seen, context)
    with torch.inference_mode():
        torch.testing.assert_close(edit(stem(seen), context), stem(picture))
    edit.check(drc.sites()[0])


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    rng = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 4, (30, 9), generator=rng)
    predicted = torch.where(torch.rand(30, 9, generator=rng) < 0.5, truth, torch.randint(0, 4, (30, 9), generator=rng))
    score = recall_counts(predicted, truth, 4).score
    assert score == pytest.approx(sklearn.metrics.balanced_accuracy_score(truth.flatten(), predicted.flatten()))
