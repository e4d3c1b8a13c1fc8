"""What holds for every edit: strength zero changes no bit, it acts, is removed, and states what it uses."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
import torch
from torch import Tensor

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of, rollout
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.edits.cell_table import AddCellEntries
from goalmaze.probes.edits.channels import ClampChannels, MultiplyChannels
from goalmaze.probes.edits.composition import SequentialEdits
from goalmaze.probes.edits.coordinates import SetCoordinates
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.leace import Erase, fit_eraser
from goalmaze.probes.edits.mean_difference import SteeringVector
from goalmaze.probes.edits.noise import EqualNormNoise, PermutedChannels
from goalmaze.probes.edits.patches import Patch
from goalmaze.probes.edits.plan_edit import PlanEdit
from goalmaze.probes.information import CELLS, EVERYTHING, uses_only_cells
from goalmaze.probes.procgen_tools.pixels import ClampPixel
from goalmaze.probes.rewriting.das import SetTargetCoordinates, TakeCoordinates
from goalmaze.probes.rewriting.erase_and_write import WriteErased
from goalmaze.probes.rewriting.patch import PatchByTarget
from goalmaze.probes.steering import steering_methods
from goalmaze.probes.steering.channel_translation import SwapWindows
from goalmaze.probes.steering.das import Interchange, Subspace
from goalmaze.probes.steering.gated_pattern import GatedAdd
from goalmaze.probes.steering.minimal_edit import MinimalEdit
from goalmaze.probes.steering.pointwise_network import PointwiseEdit, PointwiseMLP
from goalmaze.probes.steering.sae import SAEFeatures, train_autoencoder
from goalmaze.probes.targets import draw_targets

CHANNELS = 8
NETWORKS = {
    "grid": ({"channels": CHANNELS, "blocks": 2, "hidden": 16}, "block1"),
    "lstm": ({"channels": CHANNELS, "blocks": 2, "hidden": 16, "units": 8}, "block1"),
    "drc": ({"channels": CHANNELS, "layers": 1, "ticks": 2, "hidden": 16}, "tick1_layer1"),
}
ORACLES = {Add, Interchange, Patch, PlanEdit, TakeCoordinates}


def random(*sides: int) -> Tensor:
    return torch.randn(*sides, generator=torch.Generator().manual_seed(0))


def every_edit(site: str, levels: LevelBatch, strength: float) -> list[Edit]:
    targets = draw_targets(levels, 0)
    basis, move = torch.linalg.qr(random(CHANNELS, 2)).Q, GoalMove.on(levels, targets)
    samples, entries = random(200, CHANNELS), random(49, CHANNELS, 7, 7)
    values = {"absent": torch.zeros(2), "present": torch.full((2,), 5.0)}
    coder = train_autoencoder(samples, 6, updates=2)
    flat = torch.linalg.qr(random(CHANNELS * 49, 2)).Q
    memories = random(60, CHANNELS * 49)
    route = np.tile(np.arange(6, dtype=np.int32), (len(levels), 1))
    shift = Add(site, random(len(levels), CHANNELS, 7, 7), uses=CELLS)
    return [
        Add(site, random(len(levels), CHANNELS, 7, 7), strength=strength),
        ClampChannels(site, (1, 2), values=torch.ones(2), cells=targets, strength=strength),
        MultiplyChannels(site, (0, 3), factor=-2.0, strength=strength),
        Patch(site, source=random(len(levels), CHANNELS, 7, 7), strength=strength),
        SteeringVector(site, vector=random(CHANNELS, 7, 7), strength=strength),
        ClampPixel(site, (1, 2), value=3.0, pixels=np.stack(np.divmod(targets, 7), 1), strength=strength),
        MinimalEdit(site, direction=random(CHANNELS), move=move, strength=strength),
        Interchange(site, basis=basis, source=random(len(levels), CHANNELS, 7, 7), strength=strength),
        SetCoordinates(site, coordinates=Subspace(basis), move=move, **values, strength=strength),
        SetCoordinates(site, coordinates=SAEFeatures(coder, (0, 1)), move=move, **values, strength=strength),
        pointwise(site, len(levels), strength),
        Erase(site, eraser=fit_eraser(samples, samples[:, 0] + samples[:, 1]), strength=strength),
        AddCellEntries(site, at_target=entries, at_goal=-entries, move=move, strength=strength),
        SwapWindows(site, (0, 1, 2, 3), move, side=3, strength=strength),
        GatedAdd(site, *random(2, len(levels), CHANNELS, 7, 7), strength=strength),
        SequentialEdits((shift, MultiplyChannels(site, (1,), factor=3.0)), strength=strength),
        EqualNormNoise(shift, len(levels), 3, strength=strength),
        PermutedChannels(shift, len(levels), 3, strength=strength),
        PlanEdit(
            site,
            directions=random(5, CHANNELS),
            route=route,
            classes=route.astype(np.int64) % 4,
            avoided=np.full((len(levels), 1), ABSENT, np.int32),
            strength=strength,
        ),
        TakeCoordinates(site, basis=flat, source=random(len(levels), CHANNELS, 7, 7), strength=strength),
        SetTargetCoordinates(site, basis=flat, expected=entries, move=move, strength=strength),
        WriteErased(site, eraser=fit_eraser(memories, memories[:, 0]), expected=entries, move=move, strength=strength),
        PatchByTarget(site, stored=entries, move=move, strength=strength),
    ]


def pointwise(site: str, levels: int, strength: float) -> PointwiseEdit:
    network = PointwiseMLP(random(6, CHANNELS), random(CHANNELS, 6) / 10, random(CHANNELS) / 10)
    laid, near = random(levels, CHANNELS, 7, 7) / 10, torch.ones(levels, 1, 7, 7, dtype=torch.bool)
    return PointwiseEdit(site, network, laid, random(levels, 6, 7, 7), near, strength=strength)


def concrete(kind: type[Edit]) -> set[type[Edit]]:
    own = set() if inspect.isabstract(kind) else {kind}
    return own.union(*(concrete(one) for one in kind.__subclasses__()))


@pytest.fixture(params=list(NETWORKS))
def agent(request: pytest.FixtureRequest, family: Family) -> tuple[NetworkPolicy, str]:
    options, site = NETWORKS[request.param]
    torch.manual_seed(0)
    network = make_network(request.param, Shape.seeing(make_view(family)), options)
    torch.nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
    return NetworkPolicy(network), site


def three_steps(policy: NetworkPolicy, levels: LevelBatch) -> list[np.ndarray]:
    """Return the probabilities at three steps with the same observations."""
    actor, observations = policy.begin(levels), observations_of(policy, levels)
    return [actor.probabilities(np.arange(len(levels)), observations, levels.start) for _ in range(3)]


def test_every_class_of_edits_is_tested_here(levels: LevelBatch) -> None:
    steering_methods()
    tested = {type(edit) for edit in every_edit("stem", levels, 1.0)}
    assert tested == {kind for kind in concrete(Edit) if kind.__module__.startswith("goalmaze.")}


def test_strength_zero_is_no_edit_bit_for_bit(agent: tuple[NetworkPolicy, str], levels: LevelBatch) -> None:
    policy, site = agent
    before = three_steps(policy, levels)
    for edit in every_edit(site, levels, 0.0):
        with applied(policy, [edit]):
            np.testing.assert_array_equal(three_steps(policy, levels), before)
    for edit in every_edit(site, levels, 1.0):
        with applied(policy, [edit]):
            assert not np.array_equal(three_steps(policy, levels), before), type(edit)
        np.testing.assert_array_equal(three_steps(policy, levels), before)
    assert not any(module._forward_hooks for module in policy.network.modules())


def test_each_can_be_limited_to_the_first_step(agent: tuple[NetworkPolicy, str], levels: LevelBatch) -> None:
    policy, site = agent
    before = three_steps(policy, levels)
    for edit in every_edit(site, levels, 1.0):
        with applied(policy, [edit]):
            always = three_steps(policy, levels)
        with applied(policy, [dataclasses.replace(edit, first_steps=1)]):
            first = three_steps(policy, levels)
        np.testing.assert_array_equal(first[0], always[0])
        assert not np.array_equal(first[0], before[0])
        if policy.network.name == "grid":
            np.testing.assert_array_equal(first[1:], before[1:])
        else:
            assert not np.array_equal(first[2], always[2]), type(edit)


def test_all_work_together_through_whole_episodes_in_which_levels_finish(
    agent: tuple[NetworkPolicy, str], levels: LevelBatch
) -> None:
    policy, site = agent
    edits = every_edit(site, levels, 0.1)
    with applied(policy, [*edits, *(dataclasses.replace(edit, first_steps=2) for edit in edits)]):
        edited = rollout(policy, levels, seed=2)
    assert len(np.unique(edited.steps)) > 3


def test_each_is_frozen_and_states_what_it_uses(levels: LevelBatch) -> None:
    for edit in every_edit("stem", levels, 1.0):
        with pytest.raises(dataclasses.FrozenInstanceError):
            edit.site = "block1"  # type: ignore[misc]
        assert edit.uses <= EVERYTHING
        assert uses_only_cells(edit.uses) == (type(edit) not in ORACLES)
