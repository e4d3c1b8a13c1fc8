"""Edits made of edits: in sequence, jointly at several sites, and noise of the same norm."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.edits.composition import SequentialEdits
from goalmaze.probes.edits.fitted import JointEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.noise import EqualNormNoise
from goalmaze.probes.information import CELLS, TARGET
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.targets import draw_targets


def probabilities(policy: NetworkPolicy, levels: LevelBatch, edits: list[Edit]) -> np.ndarray:
    with applied(policy, edits):
        return policy.probabilities(np.arange(len(levels)), observations_of(policy, levels), levels.start)


@pytest.mark.parametrize("shape", [(8, 7, 7), (16,)])
def test_noise_has_the_norm_of_the_edit_in_each_level_and_no_other_likeness(shape: tuple[int, ...]) -> None:
    generator, count, ones = torch.Generator().manual_seed(0), 24, [1] * len(shape)
    activation, delta = (torch.randn((count, *shape), generator=generator) for _ in range(2))
    edit = Add("block1", delta * torch.linspace(0, 5, count).reshape(-1, *ones), strength=0.7)
    context = EditContext.at_start(np.arange(count))
    change, again, other = (EqualNormNoise(edit, count, seed)(activation, context) - activation for seed in (3, 3, 4))
    torch.testing.assert_close(change.flatten(1).norm(dim=1), 0.7 * edit.delta.flatten(1).norm(dim=1))
    assert not change[0].any()
    assert torch.equal(change, again)
    for one, another in ((change, edit.delta), (change, other)):
        cosine = torch.cosine_similarity(one.flatten(), another.flatten(), dim=0)
        assert abs(cosine) < 5 / delta.numel() ** 0.5


def test_noise_belongs_to_the_level_and_keeps_an_activation_rectified(levels: LevelBatch) -> None:
    generator = torch.Generator().manual_seed(0)
    maps, delta = (torch.randn((len(levels), 5, 7, 7), generator=generator) for _ in range(2))
    noise, rows, few = EqualNormNoise(Add("stem", delta), len(levels), 3), np.arange(len(levels)), np.array([5, 2])
    change = noise(maps, EditContext.at_start(rows)) - maps
    torch.testing.assert_close(change.flatten(1).norm(dim=1), delta.flatten(1).norm(dim=1))
    cosines = torch.nn.functional.cosine_similarity(change.flatten(1), delta.flatten(1)).abs()
    assert cosines.max() < 0.3
    torch.testing.assert_close(noise(maps[few], EditContext.at_start(few)) - maps[few], change[few])
    assert bool((noise(maps.relu(), EditContext.at_start(rows)) >= 0).all())
    assert noise.uses == noise.edit.uses
    assert noise.site == "stem"


def test_sequential_edits_are_applied_in_order_at_one_site() -> None:
    maps = torch.randn((4, 8, 7, 7), generator=torch.Generator().manual_seed(0))
    double = Add("stem", maps.clone(), uses=CELLS)
    shift = Add("stem", torch.ones_like(maps), uses=frozenset({TARGET}))
    both = SequentialEdits((double, shift))
    torch.testing.assert_close(both(maps, EditContext.at_start(np.arange(4))), 2 * maps + 1)
    assert (both.site, both.uses) == ("stem", CELLS)
    with pytest.raises(GoalmazeError, match="sequential edits need one site, these have: stem, block1"):
        SequentialEdits((double, dataclasses.replace(shift, site="block1")))
    with pytest.raises(GoalmazeError, match="these have: none"):
        SequentialEdits(())


def test_a_joint_edit_makes_the_edits_of_all_its_sites(
    policy: NetworkPolicy, family: Family, levels: LevelBatch
) -> None:
    context = FitContext(policy, family.levels(7, np.arange(48), split="fitting"))
    joint = JointEdit(tuple(MeanPatternMethod().fit(context, site) for site in ("stem", "block2")))
    assert (joint.site, joint.uses) == ("stem+block2", CELLS)
    edits = joint.edits(GoalMove.on(levels, draw_targets(levels, 0)))
    assert [edit.site for edit in edits] == ["stem", "block2"]
    together = probabilities(policy, levels, edits)
    assert all(np.abs(together - probabilities(policy, levels, [edit])).max() > 1e-4 for edit in edits)
    with pytest.raises(GoalmazeError, match="a joint edit has no parts: give one or more"):
        JointEdit(())
