"""Edits made of edits: in sequence, and jointly at several sites."""

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
from goalmaze.probes.information import CELLS, TARGET
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.targets import draw_targets


def probabilities(policy: NetworkPolicy, levels: LevelBatch, edits: list[Edit]) -> np.ndarray:
    with applied(policy, edits):
        return policy.probabilities(np.arange(len(levels)), observations_of(policy, levels), levels.start)


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
