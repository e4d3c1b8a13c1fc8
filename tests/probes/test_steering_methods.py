"""What holds for every steering method, and that those learned from optimal actions make them likelier elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.training_batch import TrainingBatch, draw_training_batch
from goalmaze.probes.information import uses_only_cells
from goalmaze.probes.steering import find_method, steering_methods
from goalmaze.probes.targets import draw_targets

LEVELS = 48


def fit_context(policy: NetworkPolicy, family: Family, levels: int = LEVELS, effort: float = 0.005) -> FitContext:
    return FitContext(policy, family.levels(7, np.arange(levels), split="fitting"), effort=effort)


def probabilities(policy: NetworkPolicy, levels: LevelBatch, edits: list[Edit]) -> np.ndarray:
    with applied(policy, edits):
        return policy.probabilities(np.arange(len(levels)), observations_of(policy, levels), levels.start)


@pytest.mark.parametrize("name", list(steering_methods()))
def test_every_method_uses_cells_only_and_does_something_but_at_strength_zero_nothing(
    name: str, policy: NetworkPolicy, family: Family, levels: LevelBatch
) -> None:
    method = find_method(name)
    fitted = method.fit(fit_context(policy, family), "block1")
    assert fitted.uses == method.uses
    assert uses_only_cells(fitted.uses)
    move = GoalMove.on(levels, draw_targets(levels, 0))
    plain = probabilities(policy, levels, [])

    def edited(strength: float) -> np.ndarray:
        edits = fitted.edits(move, strength)
        assert all(edit.uses <= fitted.uses for edit in edits)
        return probabilities(policy, levels, edits)

    np.testing.assert_array_equal(edited(0.0), plain)
    assert np.abs(edited(1.0) - plain).max() > 1e-4
    np.testing.assert_array_equal(probabilities(policy, levels, []), plain)


@pytest.mark.parametrize(
    ("name", "effort"),
    [("expert-pattern", 0.15), ("gated-pattern", 0.15), ("gated-deep", 0.15), ("pointwise-network", 0.03)],
)
def test_what_is_learned_from_optimal_actions_makes_them_likelier_on_other_mazes(
    name: str, effort: float, policy: NetworkPolicy, family: Family
) -> None:
    with torch.no_grad():
        for block in ("block1", "block2"):
            policy.network.get_parameter(f"{block}.conv.weight").mul_(3.0)
    before = {key: value.clone() for key, value in policy.network.state_dict().items()}
    learned = find_method(name).fit(fit_context(policy, family, 400, effort=effort), "block1")
    brief = find_method(name).fit(fit_context(policy, family, 400, effort=0.005), "block1")
    evaluation = FitContext(policy, family.levels(99, np.arange(200), split="evaluation"))
    batch = draw_training_batch(evaluation, np.random.default_rng(5), 200)
    mean = find_method("mean-pattern").fit(fit_context(policy, family), "block1")
    assert loss_of(batch, learned) < 0.97 * min(loss_of(batch), loss_of(batch, mean))
    assert loss_of(batch, learned) < loss_of(batch, brief)
    assert all(torch.equal(value, before[key]) for key, value in policy.network.state_dict().items())
    assert not any(module._forward_hooks for module in policy.network.modules())


def loss_of(batch: TrainingBatch, fitted: FittedEdit | None = None) -> float:
    with torch.no_grad():
        return float(batch.loss([] if fitted is None else fitted.edits(batch.move)))
