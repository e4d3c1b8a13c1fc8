"""Edits of channels, patches and steering vectors: exact on tensors by hand, and refused where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.probes.activations import captured, level_activations
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.channels import ClampChannels, MultiplyChannels, goal_channels, mean_ablation, zero_ablation
from goalmaze.probes.edits.mean_difference import SteeringVector, mean_difference
from goalmaze.probes.edits.patches import Patch, patch_from, resample_ablation
from goalmaze.probes.information import EVERYTHING, NOTHING, TARGET
from goalmaze.probes.steering.aligned_vector import aligned_vector
from goalmaze.probes.targets import draw_targets


def edited_activations(policy: NetworkPolicy, levels: LevelBatch, edit: Edit) -> Tensor:
    """Return the activation at the edit's site under the edit."""
    with torch.inference_mode(), applied(policy, [edit]), captured(policy.network, [edit.site]) as latest:
        policy.logits(np.arange(len(levels)), torch.from_numpy(first_observations(levels)))
    return latest[edit.site]


def fit_context(policy: NetworkPolicy, family: Family, levels: int = 40) -> FitContext:
    return FitContext(policy, family.levels(7, np.arange(levels), split="fitting"))


def test_clamping_and_multiplying_change_only_their_channels_and_squares(
    policy: NetworkPolicy, levels: LevelBatch
) -> None:
    before, targets = level_activations(policy, levels, "block1"), draw_targets(levels, 0)
    squares = [(int(cell) // 7, int(cell) % 7) for cell in targets]
    values = torch.tensor([3.0, -2.0])
    clamped = edited_activations(policy, levels, ClampChannels("block1", (5, 1), values=values, cells=targets))
    doubled = edited_activations(policy, levels, MultiplyChannels("block1", (5,), factor=2.0))
    expected = before.clone()
    for b, (row, column) in enumerate(squares):
        expected[b, 5, row, column], expected[b, 1, row, column] = 3.0, -2.0
    assert torch.equal(clamped, expected)
    expected = before.clone()
    expected[:, 5] *= 2
    assert torch.equal(doubled, expected)
    assert not torch.equal(clamped, before)


def test_ablations_set_channels_to_zero_and_to_their_mean(policy: NetworkPolicy, levels: LevelBatch) -> None:
    before = level_activations(policy, levels, "block1")
    gone = edited_activations(policy, levels, zero_ablation("block1", [2, 4]))
    mean = edited_activations(policy, levels, mean_ablation("block1", [2, 4], before))
    kept = [c for c in range(8) if c not in (2, 4)]
    assert not gone[:, [2, 4]].any()
    assert torch.equal(gone[:, kept], before[:, kept])
    for channel in (2, 4):
        np.testing.assert_allclose(mean[:, channel], before[:, channel].numpy().mean(), rtol=1e-5)
    assert torch.equal(mean[:, kept], before[:, kept])


def test_an_ablation_of_features_needs_no_squares(policy: NetworkPolicy, levels: LevelBatch) -> None:
    before = level_activations(policy, levels, "hidden")
    after = edited_activations(policy, levels, zero_ablation("hidden", [0, 3]))
    assert not after[:, [0, 3]].any()
    assert torch.equal(after[:, [1, 2, *range(4, 16)]], before[:, [1, 2, *range(4, 16)]])


@pytest.mark.parametrize("strength", [0.0, -0.0, 1.0, 0.25, 2.0])
def test_strength_interpolates_between_the_activation_and_the_clamp(
    policy: NetworkPolicy, levels: LevelBatch, strength: float
) -> None:
    before = level_activations(policy, levels, "block1")
    edit = ClampChannels("block1", (1,), values=torch.tensor([5.0]), strength=strength)
    after = edited_activations(policy, levels, edit)[:, 1]
    torch.testing.assert_close(after, before[:, 1] + strength * (5.0 - before[:, 1]))
    if strength in (0, 1):
        assert torch.equal(after, before[:, 1] if strength == 0 else torch.full_like(after, 5.0))


def test_goal_channels_are_those_that_the_goal_changes() -> None:
    generator = torch.Generator().manual_seed(0)
    differences, goals = 0.1 * torch.randn(60, 6, 5, 5, generator=generator), np.arange(60, dtype=np.int32) % 25
    for b, cell in enumerate(goals):
        differences[b, 4, cell // 5, cell % 5] += 2.0
        differences[b, 1, cell // 5, cell % 5] -= 1.0
    differences[:, 3] += 3.0 * torch.randn(60, 5, 5, generator=generator)
    assert goal_channels(differences, goals, 2) == (4, 1)
    assert goal_channels(differences, goals[::-1].copy(), 2) != (4, 1)


def test_a_patch_from_other_levels_replaces_the_activation(policy: NetworkPolicy, levels: LevelBatch) -> None:
    targets = draw_targets(levels, 1)
    moved = levels.with_goal_and_cue_at(targets)
    patch = patch_from(policy, moved, "block2")
    assert patch.uses == EVERYTHING
    assert torch.equal(edited_activations(policy, levels, patch), level_activations(policy, moved, "block2"))
    part = patch_from(policy, moved, "block2", [3])
    expected = level_activations(policy, levels, "block2")
    expected[:, 3] = level_activations(policy, moved, "block2")[:, 3]
    assert torch.equal(edited_activations(policy, levels, part), expected)
    rows, seen = np.arange(24), first_observations(levels)
    with applied(policy, [patch]):
        edited = policy.probabilities(rows, seen, levels.start)
    # The read-out looks at the agent's cell in the observation, which the two levels share.
    np.testing.assert_array_equal(edited, policy.probabilities(rows, first_observations(moved), levels.start))
    assert not np.array_equal(edited, policy.probabilities(rows, seen, levels.start))


def test_resampling_gives_what_other_mazes_held_and_says_nothing_of_this_one(
    policy: NetworkPolicy, family: Family, levels: LevelBatch
) -> None:
    others = level_activations(policy, family.levels(9, np.arange(50)), "block1")
    patch = resample_ablation("block1", others, 24, 0, [2, 6])
    assert patch.uses == NOTHING
    after, before = edited_activations(policy, levels, patch), level_activations(policy, levels, "block1")
    kept = [0, 1, 3, 4, 5, 7]
    assert torch.equal(after[:, kept], before[:, kept])
    origin = [next(i for i in range(50) if torch.equal(others[i, [2, 6]], one[[2, 6]])) for one in after]
    assert len(set(origin)) > 10
    again = resample_ablation("block1", others, 24, 0, [2, 6])
    assert torch.equal(again.source, patch.source)
    assert not torch.equal(resample_ablation("block1", others, 24, 1, [2, 6]).source, patch.source)


def test_the_goal_vector_is_the_mean_difference_by_hand(policy: NetworkPolicy, family: Family) -> None:
    context = fit_context(policy, family)
    cleared = context.levels.without_goal_and_cue()
    vector, aligned = mean_difference(policy, context.levels, cleared, "block1"), aligned_vector(context, "block1")
    present, absent = (level_activations(policy, some, "block1") for some in (context.levels, cleared))
    difference = (present - absent).numpy()
    np.testing.assert_allclose(vector.vector, difference.mean(axis=0), atol=1e-6)
    own = [difference[b, :, cell // 7, cell % 7] for b, cell in enumerate(context.goals)]
    np.testing.assert_allclose(aligned.at_target[:, 0, 0], np.mean(own, axis=0), atol=1e-6)
    assert vector.uses == NOTHING
    assert np.abs(own).mean() > 1e-3


def test_subtracting_a_vector_is_a_strength_of_minus_one(policy: NetworkPolicy, levels: LevelBatch) -> None:
    vector = torch.randn(8, 7, 7, generator=torch.Generator().manual_seed(0))
    before = level_activations(policy, levels, "block1")
    for rectified in (False, True):
        edit = SteeringVector("block1", vector=vector, rectified=rectified, strength=-1.0)
        expected = (before - vector).relu() if rectified else before - vector
        torch.testing.assert_close(edited_activations(policy, levels, edit), expected)
    features = mean_difference(policy, levels, levels.without_goal_and_cue(), "hidden")
    assert features.vector.shape == (16,)
    edited_activations(policy, levels, features)


def test_after_an_edit_the_agent_is_the_same_bit_for_bit(policy: NetworkPolicy, levels: LevelBatch) -> None:
    before = rollout(policy, levels, seed=1)
    with applied(policy, [zero_ablation("block1", range(8)), MultiplyChannels("stem", (0,), factor=-3.0)]):
        during = rollout(policy, levels, seed=1)
    after = rollout(policy, levels, seed=1)
    np.testing.assert_array_equal(before.agent, after.agent)
    assert before.agent.shape != during.agent.shape or (before.agent != during.agent).any()


def test_a_clamp_uses_the_target_where_it_edits_one_square(levels: LevelBatch) -> None:
    assert ClampChannels("stem", (0,), values=torch.ones(1)).uses == NOTHING
    assert ClampChannels("stem", (0,), values=torch.ones(1), cells=levels.start).uses == {TARGET}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (zero_ablation("block1", [8]), "site 'block1' has no channel 8: it has 8, numbered from 0 to 7"),
        (zero_ablation("block1", [-1]), "site 'block1' has no channel -1"),
        (
            ClampChannels("hidden", (0,), values=torch.ones(1), cells=np.zeros(24, np.int32)),
            "'hidden' writes squares, but the site is no map",
        ),
        (
            ClampChannels("stem", (0,), values=torch.ones(1), cells=np.full(20, 8, np.int32)),
            "edit at site 'stem' is for 20 levels, level 23 is being played",
        ),
        (
            ClampChannels("stem", (0,), values=torch.ones(1), cells=np.full(24, 81, np.int32)),
            "level 0: cell 81 is outside the 7x7 maze",
        ),
        (Patch("stem", source=torch.ones(24, 8, 9, 9)), "edit at site 'stem' has shape .*for this network"),
        (Patch("stem", source=torch.ones(7, 8, 7, 7)), "for 7 levels, level 23 is being played"),
        (Patch("stem", source=torch.ones(24, 8, 7, 7), channels=(9,)), "site 'stem' has no channel 9"),
        (SteeringVector("stem", vector=torch.ones(16, 7, 7)), "is for 16 channels, the site has 8"),
        (
            SteeringVector("stem", vector=torch.ones(8, 9, 9)),
            "the activation of a level .*for this network",
        ),
        (
            SteeringVector("hidden", vector=torch.ones(16, 7, 7)),
            "the activation of a level .*for this network",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    policy: NetworkPolicy, levels: LevelBatch, edit: Edit, message: str
) -> None:
    with pytest.raises(GoalmazeError, match=message) as caught:
        edited_activations(policy, levels, edit)
    assert "\n" not in str(caught.value)
    assert not any(module._forward_hooks for module in policy.network.modules())


def test_values_that_do_not_fit_and_invalid_levels_are_refused(policy: NetworkPolicy, levels: LevelBatch) -> None:
    with pytest.raises(GoalmazeError, match=r"has values of shape .* for 2 channels; give one for each"):
        ClampChannels("stem", (0, 1), values=torch.ones(3))
    walled = LevelBatch(levels.walls, levels.start, np.zeros_like(levels.objects), levels.family)
    with pytest.raises(GoalmazeError, match=r"level 0: exit \(0, 0\) lies on a wall"):
        patch_from(policy, walled, "stem")
    with pytest.raises(GoalmazeError, match="no fitting level has a goal"):
        aligned_vector(FitContext(policy, levels.removed("exit")), "stem")
