"""The channels of a network as samples: at every square of its maps, at the agent's cell for everything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch

from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.sites import find_site, is_map_site
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import read_activations
from goalmaze.probes.units.library import Library
from goalmaze.probes.units.states import Values

Scope = Literal["squares", "maze"]
"""What a channel has a value of: every square of a maze, or the maze as a whole, described from the agent's cell."""


@dataclasses.dataclass(frozen=True, eq=False)
class Channels:
    """The channels of one site on B states.

    Attributes:
        site: the site.
        scope: squares for a map of cells; otherwise maze, and a smaller map counts with its mean over squares.
        values: float32 [B, N, C] for squares, [B, C] for a maze.
    """

    site: str
    scope: Scope
    values: Values

    @property
    def count(self) -> int:
        """C, the number of channels."""
        return int(self.values.shape[-1])

    @property
    def rectified(self) -> bool:
        """Whether no value is negative."""
        return bool((self.values >= 0).all())


def scope_of(network: Network, site: str) -> Scope:
    """Return whether a site's channels have a value at every square."""
    return "squares" if is_map_site(network, find_site(network, site)[0].name) else "maze"


def read_channels(
    policy: NetworkPolicy, network: Network, states: LevelBatch, sites: Sequence[str]
) -> dict[str, Channels]:
    """Return the channels of sites before the first step of states.

    Args:
        policy: whose view draws the observations.
        network: the network that is read; the policy's own, or an untrained one of the same shape.
        states: B levels.
        sites: names of sites.
    """
    result = {}
    for site, tensor in read_activations(network, observations_of(policy, states), sites).items():
        scope = scope_of(network, site)
        array = tensor.numpy()
        if scope == "squares":
            values = array.transpose(0, 2, 3, 1).reshape(len(array), -1, array.shape[1])
        else:
            # A memory of several parts can have axes behind the channels, as a pooled map has.
            values = array.reshape(len(array), array.shape[1], -1).mean(axis=2) if array.ndim > 2 else array
        result[site] = Channels(site, scope, np.ascontiguousarray(values))
    return result


def columns_for(library: Library, states: LevelBatch, scope: Scope) -> Mapping[str, Values]:
    """Return the features that channels of a scope are explained with: [B, N] of squares, or [B] at the agent."""
    return library.columns() if scope == "squares" else library.columns_at(states.start)


def as_tensor(values: Values, height: int) -> torch.Tensor:
    """Return float32 [B, H, W] of squares [B, N], or [B] of mazes [B]."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.reshape(len(tensor), height, -1) if tensor.dim() == 2 else tensor
