"""The networks: no maze size inside, sites of the shapes they claim, read out where the agent stands."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from goalmaze.agents.networks import known_networks, make_meta_network, make_network, register_network
from goalmaze.agents.networks.base import Network, Shape, agent_cells
from goalmaze.agents.networks.grid import GridNetwork
from goalmaze.agents.sites import find_map_site, find_site, map_sites
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.activations import captured


def seen(family: Family, size: int = 7, levels: int = 6) -> Tensor:
    world = family.resized(size)
    return torch.from_numpy(first_observations(world.levels(0, np.arange(levels), "moved-sign")))


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
    observations = first_observations(world)
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
    found = agent_cells(torch.from_numpy(first_observations(levels)))
    np.testing.assert_array_equal(found.numpy(), levels.start)


def test_a_network_is_found_by_name_and_keeps_its_options() -> None:
    network = make_network("grid", Shape((4, 9, 9), 4), {"channels": 6, "blocks": 1})
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
        ("grid", {"channels": 0}, r"network grid: Expected `int` >= 1 - at `\$\.channels`"),
        ("grid", {"blocks": 10**9}, r"network grid: Expected `int` <= 64 - at `\$\.blocks`"),
        ("grid", {"hidden": 2**70}, r"network grid: Expected `int` <= 1024 - at `\$\.hidden`"),
        ("grid", {"readout": "flt"}, "network grid: Invalid enum value 'flt'"),
        ("drc", {"layers": -1}, r"network drc: Expected `int` >= 1 - at `\$\.layers`"),
        ("drc", {"ticks": 10**6}, r"network drc: Expected `int` <= 16 - at `\$\.ticks`"),
        ("impala", {"scale": 0}, r"network impala: Expected `int` >= 1 - at `\$\.scale`"),
        ("lstm", {"units": 0}, r"network lstm: Expected `int` >= 1 - at `\$\.units`"),
    ],
)
def test_a_wrong_name_or_option_is_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        make_network(name, Shape((4, 9, 9), 4), options)


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


@pytest.mark.parametrize(
    ("observation", "actions", "mode", "message"),
    [
        ((4, 9), 4, "planes", "no network takes observations of shape"),
        ((4, 0, 9), 4, "planes", "no network takes observations of shape"),
        ((4, 2**20, 2**20), 4, "planes", "no network takes observations of shape"),
        ((4, 9, 9), 0, "planes", "actions is 0: choose 1 to 256"),
        ((64, 64, 3), 4, "rgb64", r"network grid does not accept observation mode 'rgb64': choose planes, .* impala"),
    ],
)
def test_an_unsupported_observation_shape_is_named(
    observation: tuple[int, ...], actions: int, mode: str, message: str
) -> None:
    with pytest.raises(GoalmazeError, match=message):
        make_network("grid", Shape(observation, actions, ObservationSpec(mode)))


def test_a_flat_readout_reads_every_cell_of_one_size_and_refuses_others(family: Family) -> None:
    torch.manual_seed(0)
    options = {"channels": 6, "blocks": 1, "hidden": 16, "readout": "flat"}
    network = make_network("grid", Shape.seeing(make_view(family)), options).eval()
    observation = seen(family)
    with torch.inference_mode(), captured(network, ["block1", "hidden"]) as latest:
        logits, values = network(observation)
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    last = latest["block1"].numpy().reshape(len(observation), -1)
    hidden = np.maximum(last @ weights["hidden.0.weight"].T + weights["hidden.0.bias"], 0)
    np.testing.assert_allclose(logits.numpy(), hidden @ weights["policy.weight"].T, atol=1e-4)
    np.testing.assert_allclose(values.numpy(), (hidden @ weights["value.weight"].T)[:, 0], atol=1e-4)
    with pytest.raises(GoalmazeError, match=r"made for observations of 7x7 cells, not 9x9: .*readout=cell"):
        network(seen(family, 9))


@pytest.mark.parametrize("mode", ["planes", "crop", "partial"])
@pytest.mark.parametrize("name", ["grid", "lstm", "drc", "impala", "impala-lstm"])
def test_every_network_sees_every_mode_of_planes(family: Family, name: str, mode: str) -> None:
    torch.manual_seed(0)
    view = make_view(family, ObservationSpec(mode, radius=2))
    network = make_network(name, Shape.seeing(view), {} if name.startswith("impala") else {"channels": 4}).eval()
    levels = family.levels(0, np.arange(5))
    observation = view.buffer(5)
    view.draw(MazeEngine.from_levels(levels).state, observation)
    names = [site.name for site in network.sites()]
    assert len(set(names)) == len(names)
    with torch.inference_mode(), captured(network, names) as latest:
        logits, values = network(torch.from_numpy(observation))
    assert (logits.shape, values.shape) == ((5, 4), (5,))
    assert len(logits.unique(dim=0)) > 1
    for site in network.sites():
        assert latest[site.name].shape[:2] == (5, site.channels)
        assert latest[site.name].shape[2:] == (observation.shape[2:] if site.is_map else latest[site.name].shape[2:])


def test_a_meta_network_has_all_shapes_and_no_memory() -> None:
    shape = Shape((4, 9, 9), 4)
    state = torch.random.get_rng_state()
    meta = make_meta_network("grid", shape, {"channels": 1024, "blocks": 64})
    assert torch.equal(torch.random.get_rng_state(), state)
    assert meta.parameters_count() > 6e8
    assert all(parameter.is_meta for parameter in meta.parameters())
    for name in ("grid", "lstm", "drc", "impala", "impala-lstm"):
        real, meta = make_network(name, shape), make_meta_network(name, shape)
        assert {k: v.shape for k, v in real.state_dict().items()} == {k: v.shape for k, v in meta.state_dict().items()}


@pytest.mark.parametrize(("name", "mode"), [("grid", "crop"), ("impala", "rgb64"), ("impala", "planes")])
def test_a_network_without_a_value_for_every_square_has_no_maps(family: Family, name: str, mode: str) -> None:
    network = make_network(name, Shape.seeing(make_view(family, ObservationSpec(mode))))
    assert map_sites(network) == []
    first = network.sites()[0].name
    with pytest.raises(GoalmazeError, match=f"site '{first}' is not a map of squares; this network has none"):
        find_map_site(network, first)
    assert map_sites(make_network("grid", Shape.seeing(make_view(family, ObservationSpec("partial")))))[0] == "stem"


def define(name: str, qualname: str) -> type[Network]:
    """Return a new class of networks; a class defined again in a notebook has the same module and qualified name."""
    return type("Defined", (GridNetwork,), {"name": name, "__module__": __name__, "__qualname__": qualname})


def test_a_name_used_twice_is_refused_where_it_is_registered() -> None:
    with pytest.raises(
        GoalmazeError,
        match=r"network name 'grid' is in use by goalmaze\.agents\.networks\.grid\.GridNetwork: cho",
    ):
        register_network(define("grid", "Defined"))
    assert known_networks()["grid"] is GridNetwork


def test_a_class_that_is_defined_again_replaces_itself() -> None:
    first, second = (register_network(define("twice", "Defined")) for _ in range(2))
    assert known_networks()["twice"] is second is not first
    assert type(make_network("twice", Shape((4, 9, 9), 4))) is second


def test_a_class_without_the_decorator_is_named() -> None:
    forgotten = define("forgotten", "Forgotten")
    with pytest.raises(GoalmazeError, match="network 'forgotten' is not registered: put @register_network above"):
        make_network("forgotten", Shape((4, 9, 9), 4))
    assert forgotten.name == "forgotten"


def test_importing_the_package_imports_no_network() -> None:
    script = "import sys, goalmaze.agents.networks as n; print('goalmaze.agents.networks.drc' in sys.modules); "
    script += "print(sorted(n.known_networks()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "['drc', 'grid', 'impala', 'impala-lstm', 'lstm']"]


def test_an_untrained_network_has_the_shape_of_its_original_and_leaves_the_generator_alone(network: Network) -> None:
    state = torch.random.get_rng_state()
    fresh, again = network.untrained(5), network.untrained(5)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (fresh.shape, fresh.options) == (network.shape, network.options)
    for name, tensor in fresh.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(fresh.state_dict()["stem.weight"], network.state_dict()["stem.weight"])
    assert not torch.equal(fresh.state_dict()["stem.weight"], network.untrained(6).state_dict()["stem.weight"])
