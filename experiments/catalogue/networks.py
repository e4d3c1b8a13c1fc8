"""`goalmaze networks`: size, cost, receptive field and sites of every network."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from goalmaze.agents.networks import known_networks, make_meta_network, make_network
from goalmaze.agents.networks.base import PICTURES, Network, RecurrentNetwork, Shape, Site
from goalmaze.agents.sites import find_site, with_border
from goalmaze.envs.errors import unknown
from goalmaze.envs.families import make_family
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.catalogue.config import NetworksConfig
from goalmaze.experiments.common.assignments import assignments
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Number, Table, formatted

CANVAS = 41
"""Rows and columns of the planes on which a receptive field is measured, in cells."""

SAMPLES = 8
"""Random observations whose absolute gradients are added up: a derivative can be 0 by chance on one of them."""


@dataclasses.dataclass(frozen=True)
class NetworkSummary(Record):
    """One network under one set of options.

    Attributes:
        network: its name.
        options: its hyperparameters that are not the default.
        mode: its observation mode.
        observation: the shape of one observation.
        recurrent: whether it has a recurrent state.
        parameters: number of trainable parameters.
        flops: floating-point operations of one forward pass on one observation, a multiplication and an addition being
            two.
        receptive_field: side of the square around the agent that the output of the first step depends on, in cells, or
            in pixels for pictures; None where it depends on the whole observation.
        sites: the shape of each site's activation for one observation, in order of depth.
    """

    network: str
    options: ReadonlyJsonObject
    mode: str
    observation: tuple[int, ...]
    recurrent: bool
    parameters: int
    flops: int
    receptive_field: int | None
    sites: Mapping[str, tuple[int, ...]]

    def json(self) -> JsonObject:
        """Return the summary as plain data; a receptive field of `null` is the whole observation."""
        # The options are those that were given: they are not rounded as measurements are.
        return super().json() | {"options": dict(self.options)}


@dataclasses.dataclass(frozen=True)
class NetworksReport(Record, Result):
    """The networks for the levels of one family and size."""

    family: str
    size: int
    networks: tuple[NetworkSummary, ...]

    def blocks(self) -> list[str | Table]:
        """Return a table of the networks, and one of the sites where there is one network."""
        rows = [
            [
                one.network,
                " ".join(f"{key}={value}" for key, value in one.options.items()) or "-",
                f"{one.mode} {_times(one.observation)}",
                "yes" if one.recurrent else "no",
                formatted(one.parameters, ","),
                Number(one.flops, f"{one.flops / 1e6:,.2f}M"),
                "all" if one.receptive_field is None else _times((one.receptive_field,) * 2),
                len(one.sites),
            ]
            for one in self.networks
        ]
        headers = ["network", "options", "observation", "recurrent", "parameters", "FLOPs", "receptive field", "sites"]
        blocks: list[str | Table] = [
            f"networks for {self.family} at {self.size}x{self.size}; FLOPs of a forward pass on one observation",
            Table(headers, rows),
        ]
        if len({one.network for one in self.networks}) == 1:
            blocks.append(Table(["site", "shape"], [[s, _times(shape)] for s, shape in self.networks[0].sites.items()]))
        return blocks


def run(config: NetworksConfig) -> NetworksReport:
    """Describe every network, or the one that is named.

    Raises:
        GoalmazeError: no such network, option, family or observation mode, or they do not fit.
    """
    networks = known_networks()
    if config.network and config.network not in networks:
        raise unknown("network", config.network, networks)
    family = make_family(config.family, {"size": config.size})
    chosen = [networks[config.network]] if config.network else list(networks.values())
    options_given = assignments(config.network_options, "--network-options")
    summaries = [
        describe_network(kind.name, family, config.observation or kind.modes[0], options)
        for kind in chosen
        for options in ([options_given] if options_given else kind.variants)
        if config.network or not config.observation or config.observation in kind.modes
    ]
    return NetworksReport(family.name, family.size, tuple(summaries))


def describe_network(name: str, family: Family, mode: str, options: ReadonlyJsonObject) -> NetworkSummary:
    """Describe an untrained network with some options for the levels of a family."""
    shape = Shape.seeing(make_view(family, ObservationSpec(mode)))
    network = make_meta_network(name, shape, options).eval()
    # On the device "meta" tensors have shapes and no values: nothing is computed, however large the network is.
    observation = torch.zeros(1, *shape.observation, dtype=torch.uint8, device="meta")
    sides = _sides(network, observation)
    return NetworkSummary(
        network=name,
        options=options,
        mode=mode,
        observation=shape.observation,
        recurrent=isinstance(network, RecurrentNetwork),
        parameters=network.parameters_count(),
        flops=flops(network, observation),
        receptive_field=receptive_field(name, shape, options),
        sites=sides,
    )


def _sides(network: Network, observation: Tensor) -> dict[str, tuple[int, ...]]:
    """Return the shape of the activation at every site, without the axis of the batch, on any device."""
    sides: dict[str, tuple[int, ...]] = {}

    def keep(site: Site) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            sides[site.name] = tuple(with_border(output, site).shape[1:])

        return hook

    with torch.inference_mode(), contextlib.ExitStack() as stack:
        for site in network.sites():
            _, module = find_site(network, site.name)
            stack.callback(module.register_forward_hook(keep(site)).remove)
        network(observation)
    # In the order of the sites, which a network may compute in another one.
    return {site.name: sides[site.name] for site in network.sites()}


def flops(network: Network, observation: Tensor) -> int:
    """Return the floating-point operations of the convolutions and matrix products of one forward pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(observation)
    return int(counter.get_total_flops())


def receptive_field(name: str, shape: Shape, options: ReadonlyJsonObject) -> int | None:
    """Return the side of the square around the agent that the output depends on; None for the whole observation.

    Measured by gradients on random observations: a cell, or pixel, counts where a derivative of the output is not zero.
    Planes have `CANVAS` cells a side.
    """
    if shape.spec.mode not in PICTURES:
        shape = dataclasses.replace(shape, observation=(shape.planes, CANVAS, CANVAS))
    # The caller's random state stays as it is, and the answer is the same every time.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make_network(name, shape, options).eval()
        observation = torch.rand(SAMPLES, *shape.observation)
        weights = torch.randn(SAMPLES, shape.actions)
    if shape.spec.mode not in PICTURES:
        # Plane 1 is the agent's: it stands in the middle.
        observation[:, 1] = 0
        observation[:, 1, CANVAS // 2, CANVAS // 2] = 1
    observation.requires_grad_()
    # Random weights, so that derivatives of different actions do not cancel in the sum.
    logits, values = network(observation)
    (gradient,) = torch.autograd.grad((logits * weights).sum() + values.sum(), observation)
    nonzero = gradient.abs().sum(0).sum(2 if shape.spec.mode in PICTURES else 0) > 0
    return _side(nonzero)


def _side(nonzero: Tensor) -> int | None:
    """Return the side of the smallest square around the middle that holds all of `nonzero` bool [h, w].

    None where it reaches the border.
    """
    rows, columns = (nonzero.any(1), nonzero.any(0))
    reach = 0
    for line in (rows, columns):
        indices = line.nonzero().flatten()
        reach = max(reach, len(line) // 2 - int(indices.min()), int(indices.max()) - len(line) // 2)
    return None if bool(rows[0] | rows[-1] | columns[0] | columns[-1]) else 2 * reach + 1


def _times(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))
