"""Maps of pictures with one square for every cell of the level, also where the pictures leave out its closed wall."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from goalmaze.agents.checkpoints import load_checkpoint, save_checkpoint
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.sites import find_site, map_sites, with_border, without_border
from goalmaze.agents.training.directional_ablation import DirectionalAblation, span
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.activations import captured, level_activations
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.edits.noise import EqualNormNoise, NormMatchedControl, PermutedChannels
from goalmaze.probes.penalties.directions import site_features

SITE = "embedder.block1.res2"
FIRST = [*(f"embedder.block1.{part}" for part in ("conv", "maxpool", "res1", "res2")), "embedder.block2.conv"]
PICTURES = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LEVEL, CELLS = 17, 15


def network_of(level: int, cells: int = CELLS, name: str = "impala") -> Network:
    torch.manual_seed(1)
    shape = Shape((64, 64, 3), 4, ObservationSpec("rgb64"), level)
    return make_network(name, shape, {"cells": cells, "centred": True}).eval()


def logits(network: Network) -> Tensor:
    with torch.inference_mode():
        policy = NetworkPolicy(network)
        return policy.logits(np.arange(len(PICTURES)), PICTURES)


def edited(network: Network, edit: Edit) -> tuple[Tensor, Tensor]:
    """Return the logits with an edit, and what the module after the site received."""
    policy = NetworkPolicy(network)
    received: list[Tensor] = []
    handle = network.get_submodule("embedder.block2").register_forward_pre_hook(
        lambda _, inputs: received.append(*inputs)
    )
    try:
        with torch.inference_mode(), applied(policy, [edit]):
            return policy.logits(np.arange(len(PICTURES)), PICTURES), received[0]
    finally:
        handle.remove()


@dataclasses.dataclass(frozen=True, eq=False)
class Written(Edit):
    """Writes a number into all channels of one square."""

    row: int
    column: int
    value: float

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        result = activation.clone()
        result[:, :, self.row, self.column] = self.value
        return result


@pytest.mark.parametrize("name", ["impala", "impala-lstm"])
@pytest.mark.parametrize(
    ("level", "cells", "maps", "border"),
    [
        (17, 15, FIRST, 1),
        (15, 15, FIRST, 0),
        (0, 15, [], 0),
        (19, 15, [], 0),
        (16, 15, [], 0),
        (13, 15, [], 0),
        (9, 0, [], 0),
    ],
)
def test_only_maps_with_the_sides_of_the_level_are_maps_of_it(
    name: str, level: int, cells: int, maps: list[str], border: int
) -> None:
    network = network_of(level, cells, name)
    assert map_sites(network) == maps
    assert {site.border for site in network.sites() if site.is_map} <= {border}
    with torch.inference_mode(), captured(network, [site.name for site in network.sites()]) as seen:
        network(PICTURES)
    assert [one for one in seen if tuple(seen[one].shape[2:]) == (level, level)] == maps


def test_the_border_is_zeros_around_the_output_of_the_submodule() -> None:
    network = network_of(LEVEL)
    outputs: list[Tensor] = []
    site, module = find_site(network, SITE)
    handle = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    with torch.inference_mode(), captured(network, [SITE]) as seen:
        network(PICTURES)
    handle.remove()
    assert torch.equal(seen[SITE][:, :, 1:-1, 1:-1], outputs[0])
    border = torch.ones(LEVEL, LEVEL, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert not seen[SITE][:, :, border].any()
    assert torch.equal(without_border(with_border(outputs[0], site), site), outputs[0])


def test_an_edit_writes_the_square_of_its_cell_and_a_border_is_not_written() -> None:
    network = network_of(LEVEL)
    before, untouched = edited(network, Written(SITE, 3, 5, 9.0, strength=0.0))
    assert torch.equal(before, logits(network)), "strength 0 changes no bit"
    after, received = edited(network, Written(SITE, 3, 5, 9.0))
    changed = (received != untouched).any(dim=1)
    assert changed.nonzero().tolist() == [[b, 2, 4] for b in range(len(PICTURES))]
    assert (received[:, :, 2, 4] == 9).all()
    assert (after - before).abs().max() > 1e-4
    for row, column in ((0, 5), (LEVEL - 1, 5), (5, 0), (5, LEVEL - 1)):
        assert torch.equal(edited(network, Written(SITE, row, column, 9.0))[0], before)


def test_directions_are_read_and_removed_with_the_border() -> None:
    network = network_of(LEVEL)
    with torch.inference_mode(), captured(network, [SITE]) as seen:
        features = site_features(network, PICTURES, SITE)
    assert torch.equal(features, seen[SITE].flatten(1))
    direction = torch.randn(features.shape[1], generator=torch.Generator().manual_seed(2))
    direction = with_border(
        without_border(direction.view(16, LEVEL, LEVEL), find_site(network, SITE)[0]), find_site(network, SITE)[0]
    )
    ablation = DirectionalAblation(network, SITE, span(direction.flatten()[:, None]))
    try:
        with torch.inference_mode():
            left = site_features(network, PICTURES, SITE)
    finally:
        ablation.remove()
    unit = direction.flatten() / direction.norm()
    assert (features @ unit).abs().min() > 1e-3
    assert (left @ unit).abs().max() < 1e-3


def test_a_checkpoint_knows_the_sides_of_its_levels_and_squares_are_cells(tmp_path: Path) -> None:
    family = make_family("GreenExit", {"size": 9})
    view = make_view(family, ObservationSpec("rgb64"))
    network = make_network("impala", Shape.seeing(view), {"cells": 9, "centred": True}).eval()
    assert map_sites(network) == FIRST
    save_checkpoint(tmp_path / "it.safetensors", network, family, 0)
    loaded = load_checkpoint(tmp_path / "it.safetensors")[0]
    assert (loaded.shape, loaded.shape.level, map_sites(loaded)) == (network.shape, 9, FIRST)
    levels = family.levels(0, np.arange(32), "moved-sign")
    without = levels.removed("sign")
    signs = levels.cells("sign")
    assert (signs != ABSENT).all()
    shown = [level_activations(NetworkPolicy(loaded), one, "embedder.block1.conv") for one in (levels, without)]
    change = (shown[0] - shown[1]).abs().sum(dim=1).flatten(1)
    assert (change.argmax(dim=1).numpy() == signs).all()


@pytest.mark.parametrize("control", [EqualNormNoise, PermutedChannels])
def test_controls_have_the_norm_of_what_the_network_receives(control: type[NormMatchedControl]) -> None:
    """An edit that writes a line across the border: what it writes there never reaches the network."""
    network = network_of(LEVEL)
    delta = torch.zeros(len(PICTURES), 16, LEVEL, LEVEL)
    delta[:, :5, 4] = 0.7
    delta[:, :, 0] = 30.0
    line = Add(SITE, delta)
    untouched = edited(network, dataclasses.replace(line, strength=0.0))[1]
    wanted, found = (
        (edited(network, one)[1] - untouched).flatten(1).norm(dim=1) for one in (line, control(line, len(PICTURES), 3))
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    if control is PermutedChannels:
        return
    # Negative control: noise that ignores the border has the line's norm there, and reaches the network with another.
    with torch.inference_mode(), captured(network, [SITE]) as seen:
        network(PICTURES)
    naive = control(line, len(PICTURES), 3)(seen[SITE], EditContext.at_start(np.arange(len(PICTURES)))) - seen[SITE]
    reached = naive[:, :, 1:-1, 1:-1].flatten(1).norm(dim=1)
    assert (reached / wanted).min() > 2
