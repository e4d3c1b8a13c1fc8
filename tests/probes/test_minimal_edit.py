"""The minimal edit: the probe then reads the target, and scipy finds no smaller change of the two squares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor

from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.information import uses_only_cells
from goalmaze.probes.squares import read_square
from goalmaze.probes.steering.minimal_edit import MinimalEdit, ProbedGoal

SIDE = 4
GOALS = np.array([5, 6, -1, 9, 5], np.int32)
TARGETS = np.array([10, 1, 3, 9, 6], np.int32)
ROWS = EditContext.at_start(np.arange(5))


def maps(rectified: bool, seed: int = 0) -> Tensor:
    values = torch.randn(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return values.relu() if rectified else values


def minimal(direction: Tensor, rectified: bool, margin: float = 0.5) -> MinimalEdit:
    return ProbedGoal("stem", direction, rectified, margin).edit(GoalMove(GOALS, TARGETS, SIDE, SIDE))


def smallest(activation: Tensor, goal: int, target: int, direction: Tensor, rectified: bool, margin: float) -> float:
    """Return the least squared norm of a change of the two squares, by scipy's solver from several starts."""
    values, d = activation.flatten(1).double().numpy(), direction.double().numpy()
    scores = d @ values
    places = [target] if goal in (-1, target) else [target, goal]
    rivals = np.delete(scores, places)
    before = values[:, places]

    def constraints(change: np.ndarray) -> np.ndarray:
        after = d @ (before + change.reshape(3, -1))
        lead = after[0] - np.append(rivals, after[1:]) - margin
        return np.append(lead, (before.ravel() + change)) if rectified else lead

    found = [
        optimize.minimize(
            lambda x: (x**2).sum(),
            np.random.default_rng(start).normal(size=before.size),
            jac=lambda x: 2 * x,
            constraints={"type": "ineq", "fun": constraints},
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-12},
        )
        for start in range(4)
    ]
    return min(float(one.fun) for one in found if one.success)


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_probe_reads_the_target_and_nothing_smaller_would_do(rectified: bool, seed: int) -> None:
    direction = torch.tensor([1.0, -0.5, 0.25])
    activation = maps(rectified, seed)
    edited = minimal(direction, rectified)(activation, ROWS)
    scores = torch.einsum("nchw,c->nhw", edited, direction).flatten(1)
    assert scores.argmax(1).tolist() == TARGETS.tolist()
    if rectified:
        assert (edited >= 0).all()
    for b, (goal, target) in enumerate(zip(GOALS.tolist(), TARGETS.tolist(), strict=True)):
        others = [s for s in range(SIDE**2) if s not in (goal, target)]
        assert torch.equal(edited[b].flatten(1)[:, others], activation[b].flatten(1)[:, others])
        least = smallest(activation[b], goal, target, direction, rectified, 0.5)
        assert float((edited[b] - activation[b]).square().sum()) == pytest.approx(least, rel=1e-3, abs=1e-5)
        rest = np.delete(scores[b].numpy(), target)
        assert scores[b, target] - rest.max() >= 0.5 - 1e-5


def test_where_the_probe_already_reads_the_target_nothing_changes() -> None:
    direction = torch.tensor([1.0, 0.0, 0.0])
    activation = torch.zeros(5, 3, SIDE, SIDE)
    activation.flatten(2)[torch.arange(5), 0, torch.tensor(TARGETS, dtype=torch.long)] = 5.0
    assert torch.equal(minimal(direction, False)(activation, ROWS), activation)


def test_at_strength_zero_it_changes_nothing_and_it_uses_cells_only() -> None:
    activation, direction = maps(False), torch.tensor([1.0, -0.5, 0.25])
    edit = ProbedGoal("stem", direction, False).edit(GoalMove(GOALS, TARGETS, SIDE, SIDE), strength=0.0)
    assert torch.equal(edit(activation, ROWS), activation)
    assert uses_only_cells(edit.uses)


def test_a_probe_from_another_network_is_refused(policy: NetworkPolicy, levels: LevelBatch) -> None:
    for site, message in (("stem", "is for 5 channels, the site has 8"), ("hidden", "the site is no map")):
        edit = ProbedGoal(site, torch.ones(5), False).edit(GoalMove(levels.start, levels.start, 7, 7))
        with pytest.raises(GoalmazeError, match=message), applied(policy, [edit]):
            policy.logits(np.arange(24), torch.from_numpy(first_observations(levels)))


def test_squares_are_read_at_their_cells() -> None:
    activation = maps(False)
    read = read_square(activation, TARGETS)
    for b, cell in enumerate(TARGETS):
        assert torch.equal(read[b], activation[b, :, cell // SIDE, cell % SIDE])
