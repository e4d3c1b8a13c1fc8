"""Patterns: exact where the network is linear; learning one beats the mean pattern and changes no weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.cells import Cells
from goalmaze.envs.engines import first_observations
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.activations import captured, level_activations
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering import learned_pattern
from goalmaze.probes.steering.learned_pattern import LearnedPatternMethod
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.steering.probe_direction import ProbeDirectionMethod, direction_pattern
from goalmaze.probes.targets import draw_targets


def fit_context(policy: NetworkPolicy, family: Family, levels: int = 40) -> FitContext:
    return FitContext(policy, family.levels(7, np.arange(levels), split="fitting"))


def edited_activations(policy: NetworkPolicy, levels: LevelBatch, pattern: GoalPattern, targets: Cells) -> Tensor:
    """Return the activation at the site under the edit that moves the goal to `targets`."""
    edit = pattern.edit(GoalMove.on(levels, targets))
    with torch.inference_mode(), applied(policy, [edit]), captured(policy.network, [pattern.site]) as latest:
        policy.logits(np.arange(len(levels)), torch.from_numpy(first_observations(levels)))
    return latest[pattern.site]


def divergence(policy: NetworkPolicy, levels: LevelBatch, pattern: GoalPattern, seed: int) -> float:
    """Return the mean KL divergence of the edited agent from the agent with goal and cue really moved, by hand."""
    targets, rows = draw_targets(levels, seed), np.arange(len(levels))
    edit = pattern.edit(GoalMove.on(levels, targets))
    moved = first_observations(levels.with_goal_and_cue_at(targets))
    teacher = policy.probabilities(rows, moved, levels.start).astype(float)
    with applied(policy, [edit]):
        student = policy.probabilities(rows, first_observations(levels), levels.start).astype(float)
    return float((teacher * np.log(teacher / student)).sum(axis=1).mean())


@pytest.mark.parametrize("side", [1, 3])
def test_the_mean_pattern_of_a_linear_site_is_its_kernel(family: Family, side: int) -> None:
    linear = NetworkPolicy(
        make_network("linear-for-tests", Shape.seeing(make_view(family)), {"channels": 5, "side": side})
    )
    pattern = MeanPatternMethod().fit(fit_context(linear, family), "map")
    kernel = linear.network.get_parameter("map.weight").detach()
    by_hand = (kernel[:, 2] + family.values()["sign"] * kernel[:, 3]).flip(1, 2)
    middle = slice(6 - side // 2, 7 + side // 2)
    torch.testing.assert_close(pattern.at_target[:, middle, middle], by_hand, atol=1e-5, rtol=0)
    rest = pattern.at_target.clone()
    rest[:, middle, middle] = 0
    assert rest.abs().max() < 1e-6
    assert torch.equal(pattern.at_target, pattern.at_goal)


def test_at_a_linear_site_an_edit_equals_moving_goal_and_cue(linear: NetworkPolicy, family: Family) -> None:
    pattern = MeanPatternMethod().fit(fit_context(linear, family), "map")
    levels = family.levels(0, np.arange(60))
    targets = draw_targets(levels, 3)
    edited = edited_activations(linear, levels, pattern, targets)
    moved = level_activations(linear, levels.with_goal_and_cue_at(targets), "map")
    torch.testing.assert_close(edited, moved, atol=1e-5, rtol=0)
    assert (level_activations(linear, levels, "map") - moved).abs().max() > 0.1


def test_a_pattern_applies_to_other_maze_sizes(linear: NetworkPolicy, family: Family) -> None:
    pattern = MeanPatternMethod().fit(fit_context(linear, family), "map")
    larger = family.resized(13)
    levels = larger.levels(0, np.arange(20))
    targets = draw_targets(levels, 3)
    edited = edited_activations(linear, levels, pattern, targets)
    torch.testing.assert_close(
        edited, level_activations(linear, levels.with_goal_and_cue_at(targets), "map"), atol=1e-5, rtol=0
    )


def test_after_a_nonlinearity_an_edit_is_not_the_same_as_moving(policy: NetworkPolicy, family: Family) -> None:
    levels = family.levels(0, np.arange(60))
    targets = draw_targets(levels, 3)

    def miss(site: str) -> float:
        pattern = MeanPatternMethod().fit(fit_context(policy, family), site)
        assert pattern.rectified == (site != "stem")
        edited = edited_activations(policy, levels, pattern, targets)
        return float((edited - level_activations(policy, levels.with_goal_and_cue_at(targets), site)).abs().max())

    assert miss("stem") < 1e-4
    assert miss("stem_relu") > 0.1


def test_a_probe_direction_has_the_length_of_the_goals_own_component() -> None:
    choice = torch.Generator().manual_seed(0)
    planted, cells = torch.tensor([1.0, -2.0, 0.5]), torch.randint(0, 25, (300,), generator=choice)
    maps = 0.1 * torch.randn(300, 3, 25, generator=choice) + 3.0
    maps[torch.arange(300), :, cells] += planted
    for length in (1.0, 10.0):
        pattern = direction_pattern("stem", length * planted, maps.reshape(300, 3, 5, 5), cells)
        torch.testing.assert_close(pattern.at_target, planted[:, None, None], atol=0.03, rtol=0)
    assert torch.equal(pattern.at_target, pattern.at_goal)


def test_the_probe_direction_of_a_pointwise_site_moves_the_probes_reading(family: Family) -> None:
    linear = NetworkPolicy(
        make_network("linear-for-tests", Shape.seeing(make_view(family)), {"channels": 5, "side": 1})
    )
    pattern = ProbeDirectionMethod().fit(fit_context(linear, family), "map")
    levels = family.levels(0, np.arange(60))
    targets = draw_targets(levels, 3)
    direction = pattern.at_target[:, 0, 0]

    def read(maps: Tensor) -> np.ndarray:
        return torch.einsum("nchw,c->nhw", maps, direction).flatten(1).argmax(dim=1).numpy()

    np.testing.assert_array_equal(read(level_activations(linear, levels, "map")), levels.cells("exit"))
    np.testing.assert_array_equal(read(edited_activations(linear, levels, pattern, targets)), targets)


def test_a_learned_pattern_beats_the_mean_pattern_on_other_levels_and_changes_no_weight(
    policy: NetworkPolicy, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned_pattern, "UPDATES", 250)
    monkeypatch.setattr(learned_pattern, "BATCH", 64)
    network = policy.network
    for block in ("block1", "block2"):
        network.get_parameter(f"{block}.conv.weight").data.mul_(3.0)
    network.get_submodule("value").requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    wanted = {name: parameter.requires_grad for name, parameter in network.named_parameters()}
    context = fit_context(policy, family, 600)
    mean, learned = MeanPatternMethod().fit(context, "block1"), LearnedPatternMethod().fit(context, "block1")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert {name: parameter.requires_grad for name, parameter in network.named_parameters()} == wanted
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
    assert not learned.at_target.requires_grad
    assert not torch.equal(learned.at_target, learned.at_goal)
    evaluation = family.levels(99, np.arange(200), split="evaluation")
    by_mean, by_learned = (divergence(policy, evaluation, pattern, 5) for pattern in (mean, learned))
    nothing = GoalPattern("block1", torch.zeros_like(mean.at_target), torch.zeros_like(mean.at_goal), rectified=True)
    assert by_learned < 0.85 * min(by_mean, divergence(policy, evaluation, nothing, 5))


def test_learning_repeats_and_depends_on_its_seed(
    policy: NetworkPolicy, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned_pattern, "UPDATES", 3)
    levels = family.levels(7, np.arange(200), split="fitting")
    one, again, other = (
        LearnedPatternMethod().fit(FitContext(policy, levels, seed), "stem").at_target for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_levels_lose_and_move_goal_and_cue_together(family: Family) -> None:
    levels = family.levels(7, np.arange(5), split="fitting")
    assert (levels.without_goal_and_cue().objects == -1).all()
    targets = draw_targets(levels, 0)
    for kind in (family.goal, family.cue):
        np.testing.assert_array_equal(levels.with_goal_and_cue_at(targets).cells(kind), targets)
    np.testing.assert_array_equal(levels.with_goal_and_cue_at(targets).walls, levels.walls)
