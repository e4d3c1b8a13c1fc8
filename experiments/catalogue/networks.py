"""What networks are there: how large, how costly, how far do they see, and where can they be read?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from goalmaze.agents.networks import known_networks, make_meta_network, make_network
from goalmaze.agents.networks.base import PICTURES, Network, RecurrentNetwork, Shape
from goalmaze.envs.errors import unknown
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.catalogue.config import NetworksConfig
from goalmaze.experiments.common.assignments import assignments
from goalmaze.experiments.common.tables import table
from goalmaze.probes.activations import captured

CANVAS = 41
"""The side of the picture of planes on which a receptive field is measured."""

SAMPLES = 8


@dataclasses.dataclass(frozen=True)
class NetworkSummary:
    """One network under one set of options.

    Attributes:
        network: its name.
        options: its hyperparameters that are not the default.
        mode: the observation mode it sees.
        observation: the shape of one observation.
        recurrent: whether it keeps a memory.
        parameters: trainable numbers.
        flops: floating-point operations of one forward pass on one observation, a multiplication and an addition being
            two.
        field: rows and columns around the agent that its first step depends on, `None` where it is all there is.
        sites: the shape of each site's activation for one observation, in order of depth.
    """

    network: str
    options: Mapping[str, Any]
    mode: str
    observation: tuple[int, ...]
    recurrent: bool
    parameters: int
    flops: int
    field: int | None
    sites: Mapping[str, tuple[int, ...]]

    def json(self) -> dict[str, Any]:
        """Return the portrait as plain data; a field of `null` is all there is to see."""
        return {
            "network": self.network,
            "options": dict(self.options),
            "mode": self.mode,
            "observation": list(self.observation),
            "recurrent": self.recurrent,
            "parameters": self.parameters,
            "flops": self.flops,
            "receptive_field": self.field,
            "sites": {name: list(shape) for name, shape in self.sites.items()},
        }


@dataclasses.dataclass(frozen=True)
class NetworksReport:
    """The networks for the mazes of one family and size."""

    family: str
    size: int
    portraits: tuple[NetworkSummary, ...]

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {"family": self.family, "size": self.size, "networks": [one.json() for one in self.portraits]}

    def text(self) -> str:
        """Return a table, and the sites where only one network was asked for."""
        rows = [
            [
                one.network,
                " ".join(f"{key}={value}" for key, value in one.options.items()) or "-",
                f"{one.mode} {_times(one.observation)}",
                "yes" if one.recurrent else "no",
                f"{one.parameters:,}",
                f"{one.flops / 1e6:,.2f}M",
                "all" if one.field is None else f"{one.field}x{one.field}",
                len(one.sites),
            ]
            for one in self.portraits
        ]
        headers = ["network", "options", "sees", "memory", "parameters", "FLOPs", "receptive field", "sites"]
        parts = [
            f"networks for {self.family} at {self.size}x{self.size}; FLOPs of a forward pass on one observation",
            table(headers, rows),
        ]
        if len({one.network for one in self.portraits}) == 1:
            parts.append(table(["site", "shape"], [[s, _times(shape)] for s, shape in self.portraits[0].sites.items()]))
        return "\n\n".join(parts)


def run(config: NetworksConfig) -> NetworksReport:
    """Describe every network, or the one asked for.

    Raises:
        GoalmazeError: no such network, option, family or observation mode, or they do not go together.
    """
    networks = known_networks()
    if config.network and config.network not in networks:
        raise unknown("network", config.network, networks)
    family = make_family(config.family, {"size": config.size})
    chosen = [networks[config.network]] if config.network else list(networks.values())
    asked = assignments(config.network_options, "--network-options")
    portraits = [
        portrait(kind.name, family, config.observation or kind.modes[0], options)
        for kind in chosen
        for options in ([asked] if asked else kind.variants)
        if config.network or not config.observation or config.observation in kind.modes
    ]
    return NetworksReport(family.name, family.size, tuple(portraits))


def portrait(name: str, family: Family, mode: str, options: Mapping[str, Any]) -> NetworkSummary:
    """Describe an untrained network of some options in the mazes of a family."""
    shape = Shape.seeing(make_view(family, mode))
    network = make_meta_network(name, shape, options).eval()
    observation = torch.zeros(1, *shape.observation, dtype=torch.uint8, device="meta")
    with torch.inference_mode(), captured(network, [site.name for site in network.sites()]) as latest:
        network(observation)
    return NetworkSummary(
        network=name,
        options=options,
        mode=mode,
        observation=shape.observation,
        recurrent=isinstance(network, RecurrentNetwork),
        parameters=network.parameters_count(),
        flops=flops(network, observation),
        field=receptive_field(name, shape, options),
        sites={site.name: tuple(latest[site.name].shape[1:]) for site in network.sites()},
    )


def flops(network: Network, observation: Tensor) -> int:
    """Return the operations of one forward pass: those of convolutions and matrix products, which are nearly all."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(observation)
    return int(counter.get_total_flops())


def receptive_field(name: str, shape: Shape, options: Mapping[str, Any]) -> int | None:
    """Return the side of the square around the agent that the answer depends on, or None where that is everything.

    Measured by gradients on random observations: a place counts where any of the answer's derivatives is not zero.
    Planes are those of `CANVAS` cells a side.
    """
    if shape.mode not in PICTURES:
        shape = dataclasses.replace(shape, observation=(shape.planes, CANVAS, CANVAS))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make_network(name, shape, options).eval()
        observation = torch.rand(SAMPLES, *shape.observation)
        weights = torch.randn(SAMPLES, shape.actions)
    if shape.mode not in PICTURES:
        observation[:, 1] = 0
        observation[:, 1, CANVAS // 2, CANVAS // 2] = 1
    observation.requires_grad_()
    logits, values = network(observation)
    (slope,) = torch.autograd.grad((logits * weights).sum() + values.sum(), observation)
    counts = slope.abs().sum(0).sum(2 if shape.mode in PICTURES else 0) > 0
    return _side(counts)


def _side(counts: Tensor) -> int | None:
    """Return the side of the smallest square around the middle of `counts` [h, w] with all that counts, None if all."""
    rows, columns = (counts.any(1), counts.any(0))
    reach = 0
    for line in (rows, columns):
        found = line.nonzero().flatten()
        reach = max(reach, len(line) // 2 - int(found.min()), int(found.max()) - len(line) // 2)
    return None if bool(rows[0] | rows[-1] | columns[0] | columns[-1]) else 2 * reach + 1


def _times(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))
