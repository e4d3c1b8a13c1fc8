"""DAS: a planted rotation is recovered, and not from interchanges without a meaning."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from one_map import OneMapNetwork, OneMapOptions
from torch import Tensor, nn

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.networks.registry import register_network
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.activations import captured
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.coordinates import GoalCoordinates
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.information import uses_only_cells
from goalmaze.probes.steering.das import (
    Interchange,
    Subspace,
    interchange_loss,
    interchanged,
    learn_subspace,
    search_goal_subspace,
)
from goalmaze.probes.targets import draw_targets

WIDTH = 8


def rotation(seed: int = 0) -> Tensor:
    return torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(seed))).Q


def answer(latent: Tensor) -> Tensor:
    """Return the toy network's output [N, 3] for latents [N, 8]: the first two interact, the others do not."""
    one = torch.sin(2 * latent[:, 0]) + latent[:, 0] * latent[:, 1]
    return torch.stack([one + latent[:, 2].tanh(), latent[:, 3:6].square().sum(1) + one, latent[:, 6]], 1)


@pytest.mark.parametrize("dimensions", [1, 2])
def test_a_planted_rotation_is_recovered(dimensions: int) -> None:
    planted, generator = rotation(), torch.Generator().manual_seed(5)

    def loss(basis: Tensor, meaning: bool = True) -> Tensor:
        base, source = torch.randn(2, 256, WIDTH, generator=generator)
        wanted = base.clone()
        if meaning:
            wanted[:, :dimensions] = source[:, :dimensions]
        swapped = interchanged(base @ planted.T, source @ planted.T, basis)
        return (answer(swapped @ planted) - answer(wanted)).square().mean()

    true = planted[:, :dimensions]

    def overlap(basis: Tensor) -> float:
        """Return the cosine of the largest angle between the two subspaces."""
        return float(torch.linalg.svdvals(basis.T @ true).min())

    found = learn_subspace(WIDTH, dimensions, loss, 600, 0.05, seed=1)
    torch.testing.assert_close(found.T @ found, torch.eye(dimensions), atol=1e-5, rtol=0)
    assert overlap(found) > 0.99
    assert overlap(learn_subspace(WIDTH, dimensions, lambda basis: loss(basis, False), 600, 0.05, seed=1)) < 0.9
    assert overlap(torch.linalg.qr(torch.randn(WIDTH, dimensions, generator=generator)).Q) < 0.9


def test_an_interchange_takes_its_coordinates_and_keeps_the_rest() -> None:
    planted = rotation()
    base, source = torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(0))
    swapped = interchanged(base, source, planted[:, :3]) @ planted
    torch.testing.assert_close(swapped[:, :3], (source @ planted)[:, :3])
    torch.testing.assert_close(swapped[:, 3:], (base @ planted)[:, 3:])
    torch.testing.assert_close(interchanged(base, source, planted), source)


@register_network
class PlantedNetwork(OneMapNetwork):
    """Its map encodes the planes in rotated directions; its logits depend on the goal's direction only."""

    name = "planted-for-tests"

    def __init__(self, shape: Shape, options: OneMapOptions) -> None:
        super().__init__(shape, options)
        self.goal, self.noise = rotation()[:, 0], rotation()[:, 1]
        directions = torch.zeros(WIDTH, shape.planes)
        directions[:, 0], directions[:, 1] = rotation()[:, 2], rotation()[:, 3]
        # The goal shows in the direction that is used and, more strongly, in one that is not.
        directions[:, 2] = self.goal + 3 * self.noise
        self.map.weight.data.copy_(directions[:, :, None, None])
        nn.init.zeros_(self.map.bias)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        activation = torch.einsum("nchw,c->nhw", self.map(observation.float()), self.goal)
        height, width = activation.shape[1:]
        down, across = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)[None]
        pulls = [(activation * weight).sum((1, 2)) for weight in (-down, across, down, -across)]
        return torch.stack(pulls, 1), pulls[0]


@pytest.fixture
def planted_policy(family: Family) -> NetworkPolicy:
    return NetworkPolicy(
        make_network("planted-for-tests", Shape.seeing(make_view(family)), {"channels": WIDTH, "side": 1})
    )


def found_in(policy: NetworkPolicy, family: Family) -> GoalCoordinates:
    return search_goal_subspace(FitContext(policy, family.levels(7, np.arange(100), split="fitting")), "map")


def basis_of(found: GoalCoordinates) -> Tensor:
    assert isinstance(found.coordinates, Subspace)
    return found.coordinates.basis


def test_interchanging_the_subspace_found_moves_the_goal_and_other_directions_do_not(
    planted_policy: NetworkPolicy, family: Family
) -> None:
    training_batch = FitContext(planted_policy, family.levels(9, np.arange(80), split="fitting"))
    targets, found = draw_targets(training_batch.levels, 4), found_in(planted_policy, family)
    bases = [basis_of(found), *rotation().split(1, dim=1)]
    losses = [float(interchange_loss(training_batch, "map", basis, targets).detach()) for basis in bases]
    by_search, by_truth, *others = losses
    assert by_truth < 1e-6
    assert by_search < 0.02 * min(others)
    assert (rotation().T @ basis_of(found))[2:].abs().max() < 0.9


def test_setting_the_coordinates_makes_the_agent_act_as_if_the_goal_were_there(
    planted_policy: NetworkPolicy, family: Family
) -> None:
    levels = family.levels(0, np.arange(60))
    goals, targets, rows = levels.cells("exit"), draw_targets(levels, 3), np.arange(60)
    edit = found_in(planted_policy, family).edit(GoalMove(goals, targets, 7, 7))
    assert uses_only_cells(edit.uses)
    observations = observations_of(planted_policy, levels)
    before = planted_policy.probabilities(rows, observations, levels.start)
    moved = observations_of(planted_policy, levels.with_goal_and_cue_at(targets))
    wanted = planted_policy.probabilities(rows, moved, levels.start)
    with applied(planted_policy, [edit]):
        edited = planted_policy.probabilities(rows, observations, levels.start)
    assert np.abs(edited - wanted).mean() < 0.1 * np.abs(before - wanted).mean()
    none = dataclasses.replace(edit, strength=0.0)
    with applied(planted_policy, [none]):
        np.testing.assert_array_equal(planted_policy.probabilities(rows, observations, levels.start), before)


def test_an_interchange_changes_only_its_squares_and_uses_more_than_cells(
    planted_policy: NetworkPolicy, family: Family
) -> None:
    levels = family.levels(0, np.arange(20))
    cells, other = draw_targets(levels, 1), torch.randn(20, WIDTH, 7, 7)
    basis = rotation()[:, :2]
    with torch.inference_mode(), captured(planted_policy.network, ["map"]) as latest:
        planted_policy.network(torch.from_numpy(observations_of(planted_policy, levels)))
    activation = latest["map"]
    here = Interchange("map", basis=basis, source=other, cells=(cells,))(
        activation, EditContext.at_start(np.arange(20))
    )
    everywhere = Interchange("map", basis=basis, source=other)(activation, EditContext.at_start(np.arange(20)))
    changed = (here != activation).any(dim=1).flatten(1)
    assert [row.nonzero().flatten().tolist() for row in changed] == [[int(cell)] for cell in cells]
    for b, cell in enumerate(cells):
        torch.testing.assert_close(here[b].flatten(1)[:, cell], everywhere[b].flatten(1)[:, cell])
    assert not uses_only_cells(Interchange("map", basis=basis, source=other).uses)


def test_after_a_convolution_a_window_of_three_does_better_than_a_square(policy: NetworkPolicy, family: Family) -> None:
    policy.network.get_parameter("block1.conv.weight").data.mul_(3.0)
    fit = FitContext(policy, family.levels(7, np.arange(100), split="fitting"))
    training_batch = FitContext(policy, family.levels(9, np.arange(100), split="fitting"))
    targets = draw_targets(training_batch.levels, 4)
    losses = {}
    for side in (1, 3):
        found = search_goal_subspace(fit, "stem", 2, side, updates=100)
        assert basis_of(found).shape == (8 * side**2, 2)
        losses[side] = float(interchange_loss(training_batch, "stem", basis_of(found), targets, side).detach())
    assert losses[3] < 0.8 * losses[1]


def test_what_does_not_fit_is_refused(policy: NetworkPolicy, planted_policy: NetworkPolicy, levels: LevelBatch) -> None:
    with pytest.raises(GoalmazeError, match="a subspace of 9 dimensions does not fit 8 channels: choose 1 to 8"):
        learn_subspace(8, 9, lambda basis: basis.sum(), 1, 0.1, 0)
    with pytest.raises(GoalmazeError, match="site 'hidden' is not a map"):
        search_goal_subspace(FitContext(policy, levels), "hidden")
    foreign = GoalCoordinates("stem", Subspace(torch.eye(6)[:, :1]), torch.ones(1), torch.zeros(1), False)
    with (
        pytest.raises(GoalmazeError, match="is for 6 channels, the site has 8; fit it in this network"),
        applied(policy, [foreign.edit(GoalMove(levels.start, levels.start, 7, 7))]),
    ):
        pytest.fail("the context was entered")
    small = Interchange("map", basis=rotation()[:, :1], source=torch.ones(24, WIDTH, 5, 5))
    with (
        pytest.raises(GoalmazeError, match="edit at site 'map' has shape"),
        applied(planted_policy, [small]),
    ):
        planted_policy.logits(np.arange(24), torch.from_numpy(observations_of(planted_policy, levels)))
