"""The networks: no maze size inside, sites of the shapes they claim, read out where the agent stands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from goalmaze.agents.networks import known_networks, make_network
from goalmaze.agents.networks.base import Network, Shape, agent_cells
from goalmaze.agents.sites import find_map_site, find_site, map_sites
from goalmaze.envs.episodes import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families.base import Family
from goalmaze.probes.activations import captured


def seen(family: Family, size: int = 7, levels: int = 6) -> Tensor:
    world = family.resized(size)
    return torch.from_numpy(first_observations(world, world.levels(0, np.arange(levels), "moved-sign")))


@pytest.mark.parametrize("size", [7, 9, 13])
def test_the_same_weights_run_at_any_size_with_the_site_shapes_they_claim(
    family: Family, network: Network, size: int
) -> None:
    names = [site.name for site in network.sites()]
    with torch.inference_mode(), captured(network, names) as latest:
        logits, values = network(seen(family, size))
    assert logits.shape == (6, 4)
    assert values.shape == (6,)
    assert names == ["stem", "stem_relu", "block1", "block2", "hidden"]
    for site in network.sites():
        expected = (6, site.channels, size, size) if site.is_map else (6, site.channels)
        assert latest[site.name].shape == expected


def test_moving_the_whole_picture_moves_nothing_in_the_answer(family: Family, network: Network) -> None:
    picture = seen(family)

    def framed(down: int, right: int) -> Tensor:
        canvas = torch.zeros(len(picture), family.planes, 21, 21, dtype=torch.uint8)
        canvas[:, :, down : down + 7, right : right + 7] = picture
        return canvas

    with torch.inference_mode():
        here, there = network(framed(7, 7)), network(framed(5, 9))
        changed = framed(7, 7)
        changed[:, 2] = framed(7, 8)[:, 2]
        differs = network(changed)
    for one, other in zip(here, there, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert (here[0] - differs[0]).abs().max() > 1e-2


def test_the_answer_is_read_where_the_agent_stands(family: Family, network: Network) -> None:
    world = family.levels(1, np.arange(20))
    observations = first_observations(family, world)
    with torch.inference_mode(), captured(network, ["block2", "hidden"]) as latest:
        logits, values = network(torch.from_numpy(observations))
    last = latest["block2"].numpy()
    own = np.stack([last[b, :, cell // 7, cell % 7] for b, cell in enumerate(world.start.tolist())])
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    hidden = np.maximum(own @ weights["hidden.0.weight"].T + weights["hidden.0.bias"], 0)
    np.testing.assert_allclose(latest["hidden"].numpy(), hidden, atol=1e-5)
    np.testing.assert_allclose(logits.numpy(), hidden @ weights["policy.weight"].T, atol=1e-4)
    np.testing.assert_allclose(values.numpy(), (hidden @ weights["value.weight"].T)[:, 0], atol=1e-4)


def test_a_change_elsewhere_in_the_last_map_is_not_read_out(family: Family, network: Network) -> None:
    observation = seen(family)
    cells = agent_cells(observation)

    def logits_with(change: Tensor) -> Tensor:
        handle = network.get_submodule("block2").register_forward_hook(lambda _m, _i, output: output + change)
        with torch.inference_mode():
            result: Tensor = network(observation)[0]
        handle.remove()
        return result

    elsewhere = torch.ones(len(observation), 1, 49)
    elsewhere[torch.arange(len(observation)), 0, cells] = 0
    with torch.inference_mode():
        untouched = network(observation)[0]
    assert torch.equal(logits_with(elsewhere.reshape(-1, 1, 7, 7)), untouched)
    assert not torch.equal(logits_with(1 - elsewhere.reshape(-1, 1, 7, 7)), untouched)


def test_the_agents_cell_is_where_the_level_says(family: Family) -> None:
    levels = family.levels(2, np.arange(30))
    found = agent_cells(torch.from_numpy(first_observations(family, levels)))
    np.testing.assert_array_equal(found.numpy(), levels.start)


def test_a_network_is_found_by_name_and_keeps_its_options() -> None:
    network = make_network("grid", Shape(4, 4), {"channels": 6, "blocks": 1})
    assert (network.options.channels, network.options.blocks) == (6, 1)
    assert network.parameters_count() == sum(
        {
            "stem": 4 * 6 * 9 + 6,
            "block": 6 * 6 * 9 + 6,
            "hidden": 6 * network.options.hidden + network.options.hidden,
            "policy": network.options.hidden * 4 + 4,
            "value": network.options.hidden + 1,
        }.values()
    )
    assert all(name == network.name for name, network in known_networks().items())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gird", {}, r"unknown network 'gird' \(did you mean 'grid'\?\)"),
        ("grid", {"chanels": 8}, r"unknown option of network grid 'chanels' \(did you mean 'channels'\?\)"),
        ("grid", {"channels": "8"}, r"network grid: Expected `int`, got `str` - at `\$\.channels`"),
    ],
)
def test_a_wrong_name_or_option_is_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        make_network(name, Shape(4, 4), options)


def test_the_address_book_finds_sites_and_names_mistakes(network: Network) -> None:
    assert map_sites(network) == ["stem", "stem_relu", "block1", "block2"]
    site, module = find_site(network, "block1")
    assert site.name == "block1"
    assert module is network.get_submodule("block1")
    with pytest.raises(GoalmazeError, match=r"unknown site of network grid 'blok1' \(did you mean 'block1'\?\)"):
        find_site(network, "blok1")
    with pytest.raises(
        GoalmazeError, match="site 'hidden' is not a map of squares; choose one of stem, stem_relu, block1"
    ):
        find_map_site(network, "hidden")
    with pytest.raises(GoalmazeError, match="unknown site"):
        find_site(network, "policy")
