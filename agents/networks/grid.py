"""The `grid` network: residual 3×3 convolutions at full resolution, read out at the agent's own cell.

The read-out at the agent's cell makes it learn fast: the convolutions only have to compute, for every cell, which way
to go. With this read-out one network runs on mazes of any size.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor, nn

from goalmaze.agents.networks.base import Network, NetworkOptions, Shape, Site
from goalmaze.agents.networks.layers import (
    Depth,
    Readout,
    Width,
    add_trunk,
    block_names,
    initialise,
    read_out,
    readout_features,
    run_trunk,
)
from goalmaze.agents.networks.registry import register_network


@dataclasses.dataclass(frozen=True)
class GridOptions(NetworkOptions):
    """Hyperparameters.

    Attributes:
        channels: channels of every convolution.
        blocks: number of residual blocks.
        hidden: hidden units of the read-out.
        readout: "cell" reads the last map at the agent's cell; "flat" reads all cells, for one maze size.
    """

    channels: Width = 16
    blocks: Depth = 8
    hidden: Width = 64
    readout: Readout = "cell"


@register_network
class GridNetwork(Network):
    """A residual network at full resolution.

    Its sites are `stem` before and `stem_relu` after the first ReLU, and `block1` … `blockN`, all maps [B, C, H, W];
    then `hidden` [B, F], the read-out.
    """

    name = "grid"
    Options = GridOptions
    variants: ClassVar = ({}, {"readout": "flat"})

    options: GridOptions

    def __init__(self, shape: Shape, options: GridOptions | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.options = options = options or GridOptions()
        add_trunk(self, shape.planes, options.channels, options.blocks)
        features = readout_features(options.channels, shape, options.readout)
        self.hidden = nn.Sequential(nn.Linear(features, options.hidden), nn.ReLU())
        self.policy = nn.Linear(options.hidden, shape.actions)
        self.value = nn.Linear(options.hidden, 1)
        initialise(self, self.policy, self.value, options.blocks)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for observations [B, C, H, W]."""
        maps = run_trunk(self, observation, self.options.blocks)
        hidden = self.hidden(read_out(maps, observation, self.shape, self.options.readout))
        return self.policy(hidden), self.value(hidden).squeeze(1)

    def sites(self) -> tuple[Site, ...]:
        """Return the stem, every block, and the hidden units."""
        names = ("stem", "stem_relu", *block_names(self.options.blocks))
        maps = (Site(name, self.options.channels, is_map=True) for name in names)
        return (*maps, Site("hidden", self.options.hidden, is_map=False))
