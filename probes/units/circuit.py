"""Edges between channels of consecutive residual blocks: weight × activation, and what the policy loses without one."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Network, device_of
from goalmaze.agents.networks.layers import Block
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.sites import find_site, map_sites
from goalmaze.probes.activations import read_activations
from goalmaze.probes.edits.patches import Patch
from goalmaze.probes.units.interventions import Field, divergence, probabilities


@dataclasses.dataclass(frozen=True)
class Edge:
    """What one channel adds to another in the block above it.

    Attributes:
        site: the site below.
        channel: its channel.
        above: the site above.
        onto: its channel.
        strength: standard deviation over squares and states of what is added: weight × activation.
        kl: KL of the policy where this addition is replaced by its mean, in nats; NaN where it was not tested.
    """

    site: str
    channel: int
    above: str
    onto: int
    strength: float
    kl: float = float("nan")


def block_pairs(network: Network) -> list[tuple[str, str]]:
    """Return the pairs of consecutive map sites of which the second is the output of a residual block."""
    sites = map_sites(network)
    return [
        (below, above) for below, above in itertools.pairwise(sites) if isinstance(find_site(network, above)[1], Block)
    ]


def edges(network: Network, field: Field, sites: Sequence[str]) -> list[Edge]:
    """Return every edge between channels of consecutive blocks among some sites, strongest first."""
    pairs = [pair for pair in block_pairs(network) if set(pair) <= set(sites)]
    maps = read_activations(network, field.observations, [below for below, _ in pairs]) if pairs else {}
    found = []
    for below, above in pairs:
        for channel in range(maps[below].shape[1]):
            added = added_by(network, above, maps[below], channel)
            spread = added.std(dim=(0, 2, 3))
            found += [Edge(below, channel, above, onto, float(spread[onto])) for onto in range(len(spread))]
    return sorted(found, key=lambda edge: -edge.strength)


def tested(policy: NetworkPolicy, field: Field, chosen: Sequence[Edge]) -> Iterator[Edge]:
    """Yield edges with the KL of the policy where what each adds is replaced by its mean over squares and states."""
    before = probabilities(policy, field)
    network = policy.network
    for edge in chosen:
        maps = read_activations(network, field.observations, [edge.site])[edge.site]
        block = _block(network, edge.above)
        with torch.inference_mode():
            kernel = block.conv.weight[edge.onto : edge.onto + 1].float().cpu()
            bias = block.conv.bias
            whole = torch.nn.functional.conv2d(maps, kernel, padding=1) + maps[:, edge.onto : edge.onto + 1]
            whole = whole + (0 if bias is None else float(bias[edge.onto]))
            added = added_by(network, edge.above, maps, edge.channel)[:, edge.onto : edge.onto + 1]
            source = torch.zeros((len(maps), len(block.conv.weight), *maps.shape[2:]))
            source[:, edge.onto] = (whole - added + added.mean()).relu()[:, 0]
        after = probabilities(policy, field, [Patch(edge.above, source=source, channels=(edge.onto,))])
        yield dataclasses.replace(edge, kl=divergence(before, after))


def test_set(every: Sequence[Edge], strongest: int, others: int, seed: int) -> list[Edge]:
    """Return the strongest edges and as many others, drawn at random, as a control."""
    rest = every[strongest:]
    drawn = np.random.default_rng(seed).permutation(len(rest))[:others]
    return [*every[:strongest], *(rest[i] for i in drawn)]


def _block(network: Network, site: str) -> Block:
    module = find_site(network, site)[1]
    assert isinstance(module, Block)
    return module


def added_by(network: Network, above: str, maps: Tensor, channel: int) -> Tensor:
    """Return float32 [S, C, H, W], what a channel of maps adds to each channel of the block above."""
    weight = _block(network, above).conv.weight.detach().float()
    part = maps[:, channel : channel + 1].to(device_of(network))
    with torch.inference_mode():
        added = torch.nn.functional.conv2d(part, weight[:, channel : channel + 1], padding=1)
        # The skip connection adds the channel to itself.
        added[:, channel] += part[:, 0]
    return added.cpu()
