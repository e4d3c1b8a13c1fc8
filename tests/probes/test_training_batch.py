"""Training batches: optimal actions against enumerated paths, the loss by hand, and levels whose goal stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracles.paths import neighbours, shortest_paths

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.levels import Family
from goalmaze.envs.solving import distances
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.training_batch import (
    STAY_RATE,
    draw_training_batch,
    move_log_probabilities,
    optimal_actions,
)
from goalmaze.probes.targets import draw_targets


def test_optimal_actions_are_the_first_steps_of_all_shortest_paths_around_the_goal(family: Family) -> None:
    levels = family.levels(3, np.arange(40))
    goals, targets = levels.cells("exit"), draw_targets(levels, 1)
    found, around_matters = optimal_actions(levels, GoalMove.on(levels, targets)), False
    for b in range(len(levels)):
        free = neighbours(levels.walls[b])
        without_goal = {c: [n for n in near if n != goals[b]] for c, near in free.items() if c != goals[b]}
        start, target = int(levels.start[b]), int(targets[b])
        around, direct = shortest_paths(without_goal, start, target), shortest_paths(free, start, target)
        around_matters |= bool(around) and len(around[0]) > len(direct[0])
        steps = {path[1] - start for path in (around or direct)}
        assert [step in steps for step in (-levels.width, 1, levels.width, -1)] == found[b].tolist()
    assert around_matters


def test_the_loss_is_the_negative_log_probability_of_an_optimal_action(policy: NetworkPolicy, family: Family) -> None:
    context = FitContext(policy, family.levels(7, np.arange(48), split="fitting"))
    batch = draw_training_batch(context, np.random.default_rng(0), 16)
    assert not np.array_equal(batch.levels.start, context.levels.start[: len(batch.levels)])
    probabilities = policy.probabilities(np.arange(16), batch.observations.numpy(), batch.levels.start).astype(float)
    by_hand = -np.log((probabilities * batch.optimal_actions.numpy()).sum(axis=1)).mean()
    assert float(batch.loss([]).detach()) == pytest.approx(by_hand, rel=1e-4)


def test_log_probabilities_of_procgens_actions_are_those_of_moves() -> None:
    logits = torch.randn(3, 15, generator=torch.Generator().manual_seed(0))
    probabilities = logits.softmax(dim=1)
    up, right = probabilities[:, 5], probabilities[:, 6:9].sum(dim=1)
    moves = move_log_probabilities(logits).exp()
    torch.testing.assert_close(moves[:, 0] / moves[:, 1], up / right)
    torch.testing.assert_close(moves.sum(dim=1), torch.ones(3))


def test_some_targets_are_the_goal_and_the_optimal_actions_then_lead_to_it(
    policy: NetworkPolicy, family: Family
) -> None:
    context = FitContext(policy, family.levels(7, np.arange(400), split="fitting"))
    batch = draw_training_batch(context, np.random.default_rng(0), 400)
    stays = batch.move.targets == batch.move.goals
    assert abs(stays.mean() - STAY_RATE) < 4 * (STAY_RATE / 400) ** 0.5
    to_goal, rows, optimal = distances(batch.levels, batch.move.goals), np.arange(400), batch.optimal_actions.numpy()
    for action, offset in enumerate((-family.size, 1, family.size, -1)):
        nearer = to_goal[rows, batch.levels.start + offset] < to_goal[rows, batch.levels.start]
        np.testing.assert_array_equal(optimal[stays, action], nearer[stays])
        assert (optimal[~stays, action] != nearer[~stays]).any()
    never = draw_training_batch(context, np.random.default_rng(0), 400, stay_rate=0.0).move
    assert not (never.targets == never.goals).any()
