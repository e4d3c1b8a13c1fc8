"""The pointwise network: against one square at a time by hand, and refused where it does not fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering import pointwise_network
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.steering.pointwise_network import PointwiseMLP, PointwiseNetworkMethod, PointwisePattern

CHANNELS, HIDDEN, SIDE = 3, 6, 5

ONE = EditContext.at_start(np.arange(1))


def drawn(*sides: int, seed: int = 0) -> Tensor:
    return torch.randn(*sides, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def found() -> PointwisePattern:
    window = (2 * SIDE - 1, 2 * SIDE - 1)
    return PointwisePattern(
        "block1",
        GoalPattern("block1", drawn(CHANNELS, *window), drawn(CHANNELS, *window, seed=1), rectified=True),
        GoalPattern("block1", drawn(HIDDEN, *window, seed=2), drawn(HIDDEN, *window, seed=3), rectified=False),
        PointwiseMLP(drawn(HIDDEN, CHANNELS, seed=4), drawn(CHANNELS, HIDDEN, seed=5), drawn(CHANNELS, seed=6)),
    )


def by_hand(found: PointwisePattern, activation: Tensor, square: int, goal: int, target: int, width: int) -> Tensor:
    """Return one square's channels [C] after the edit, from its own channels and its position."""

    def at(window: Tensor, cell: int) -> Tensor:
        down, across = square // width - cell // width, square % width - cell % width
        inside = max(abs(down), abs(across)) <= SIDE - 1 and cell != ABSENT
        return window[:, down + SIDE - 1, across + SIDE - 1] if inside else torch.zeros(len(window))

    position = at(found.position.at_target, target) - at(found.position.at_goal, goal)
    hidden = (found.network.encoder @ activation + position).clamp(min=0)
    added = found.network.decoder @ hidden + found.network.bias
    if at(torch.ones(1, 2 * SIDE - 1, 2 * SIDE - 1), target) + at(torch.ones(1, 2 * SIDE - 1, 2 * SIDE - 1), goal) == 0:
        added = torch.zeros_like(added)
    return (activation + at(found.pattern.at_target, target) - at(found.pattern.at_goal, goal) + added).clamp(min=0)


@pytest.mark.parametrize("side", [SIDE, 9])
def test_every_square_equals_the_network_applied_to_it_by_hand(found: PointwisePattern, side: int) -> None:
    goals, targets = np.array([7, ABSENT, 8], np.int32), np.array([23, 0, 8], np.int32)
    maps = drawn(3, CHANNELS, side, side, seed=7).relu()
    changed = found.edit(GoalMove(goals, targets, side, side))(maps, EditContext.at_start(np.arange(3)))
    for b in range(3):
        for square in range(side * side):
            activation = maps[b].flatten(1)[:, square]
            wanted = by_hand(found, activation, square, int(goals[b]), int(targets[b]), side)
            torch.testing.assert_close(changed[b].flatten(1)[:, square], wanted, atol=1e-5, rtol=1e-5)
    if side == 9:
        assert maps[1, :, 8, 8].any()
        assert torch.equal(changed[1, :, 8, 8], maps[1, :, 8, 8])


def test_nothing_passes_between_squares_and_the_activation_matters(found: PointwisePattern) -> None:
    edit = found.edit(GoalMove(np.array([7], np.int32), np.array([12], np.int32), SIDE, SIDE))
    maps = drawn(1, CHANNELS, SIDE, SIDE, seed=7).relu()
    bumped = maps.clone()
    bumped[:, :, 2, 2] += 1
    first, second = edit(maps, ONE), edit(bumped, ONE)
    assert (first != second).any(dim=1)[0].nonzero().tolist() == [[2, 2]]
    plain = found.pattern.edit(GoalMove(np.array([7], np.int32), np.array([12], np.int32), SIDE, SIDE))
    assert not torch.allclose(
        second - first,
        plain(bumped, ONE) - plain(maps, ONE),
    )


def test_a_network_that_adds_nothing_leaves_the_pattern(found: PointwisePattern) -> None:
    silent = PointwiseMLP(found.network.encoder, torch.zeros(CHANNELS, HIDDEN), torch.zeros(CHANNELS))
    cells = np.array([7], np.int32), np.array([12], np.int32)
    maps = drawn(1, CHANNELS, SIDE, SIDE, seed=7).relu()
    wanted = found.pattern.edit(GoalMove(*cells, SIDE, SIDE))(maps, ONE)
    torch.testing.assert_close(
        dataclasses.replace(found, network=silent).edit(GoalMove(*cells, SIDE, SIDE))(maps, ONE),
        wanted,
    )


def test_what_does_not_fit_is_refused_by_name(found: PointwisePattern) -> None:
    edit = found.edit(GoalMove(np.array([7], np.int32), np.array([12], np.int32), SIDE, SIDE))
    with pytest.raises(GoalmazeError, match="edit at site 'block1' is for 3 channels, the site has 8"):
        edit.check(Site("block1", 8, is_map=True))
    with pytest.raises(GoalmazeError, match="the site is no map; choose one that is"):
        edit.check(Site("hidden", 3, is_map=False))
    with pytest.raises(GoalmazeError, match="make it for this network and maze size"):
        edit(drawn(1, CHANNELS, 7, 7), ONE)
    with pytest.raises(GoalmazeError, match="level 1 is being played; make it for the levels of this rollout"):
        edit(drawn(1, CHANNELS, SIDE, SIDE), EditContext.at_start(np.array([1])))


def test_fitting_starts_at_the_mean_pattern_and_repeats(
    policy: NetworkPolicy, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointwise_network, "SCHEDULE", dataclasses.replace(pointwise_network.SCHEDULE, updates=3))
    context = FitContext(policy, family.levels(7, np.arange(64), split="fitting"))
    once, again = (PointwiseNetworkMethod().fit(context, "block1") for _ in range(2))
    other = PointwiseNetworkMethod().fit(dataclasses.replace(context, seed=1), "block1")
    assert torch.equal(once.network.decoder, again.network.decoder)
    assert torch.equal(once.position.at_target, again.position.at_target)
    assert not torch.equal(once.network.encoder, other.network.encoder)
    mean = MeanPatternMethod().fit(context, "block1")
    # three updates of about 0.01 each
    torch.testing.assert_close(once.pattern.at_target, mean.at_target, atol=0.031, rtol=0)
    assert not torch.equal(once.pattern.at_target, once.pattern.at_goal)
