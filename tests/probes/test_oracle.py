"""The oracle: closer than a pattern to the agent that sees the goal moved, and it states that it uses the walls."""

from __future__ import annotations

import numpy as np
import pytest

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.oracle import optimised_edit
from goalmaze.probes.information import WALLS, uses_only_cells
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.targets import draw_targets


def divergence(policy: NetworkPolicy, levels: LevelBatch, targets: Cells, edits: list[Edit]) -> float:
    rows, moved = np.arange(len(levels)), levels.with_goal_and_cue_at(targets)
    teacher = policy.probabilities(rows, observations_of(policy, moved), levels.start).astype(float)
    with applied(policy, edits):
        observations = observations_of(policy, levels)
        student = policy.probabilities(rows, observations, levels.start).astype(float)
    return float((teacher * np.log(teacher / student)).sum(axis=1).mean())


def test_the_oracle_is_closer_to_the_moved_goal_than_a_pattern(
    policy: NetworkPolicy, family: Family, levels: LevelBatch
) -> None:
    for block in ("block1", "block2"):
        policy.network.get_parameter(f"{block}.conv.weight").data.mul_(3.0)
    targets = draw_targets(levels, 3)
    bound = optimised_edit(policy, levels, targets, "block1")
    context = FitContext(policy, family.levels(7, np.arange(100), split="fitting"))
    pattern = MeanPatternMethod().fit(context, "block1").edit(GoalMove.on(levels, targets))
    far, by_pattern, by_bound = (divergence(policy, levels, targets, edits) for edits in ([], [pattern], [bound]))
    assert by_bound < 0.6 * min(far, by_pattern)
    assert not uses_only_cells(bound.uses)
    assert WALLS in bound.uses
    assert not any(module._forward_hooks for module in policy.network.modules())
    assert all(parameter.grad is None for parameter in policy.network.parameters())


def test_the_oracle_repeats_and_depends_on_its_seed(policy: NetworkPolicy, levels: LevelBatch) -> None:
    targets = draw_targets(levels, 3)
    bound = optimised_edit(policy, levels, targets, "block1", updates=2)
    again = optimised_edit(policy, levels, targets, "block1", updates=2)
    assert bound.delta.equal(again.delta)
    assert not bound.delta.equal(optimised_edit(policy, levels, targets, "block1", updates=2, seed=1).delta)
    assert bound.delta.shape == (24, 8, 7, 7)


def test_a_target_in_a_wall_or_an_unknown_site_is_refused(policy: NetworkPolicy, levels: LevelBatch) -> None:
    with pytest.raises(GoalmazeError, match=r"level 0: target \(0, 0\) lies on a wall"):
        optimised_edit(policy, levels, np.zeros(24, np.int32), "block1")
    with pytest.raises(GoalmazeError, match="unknown site"):
        optimised_edit(policy, levels, draw_targets(levels, 0), "block9")
