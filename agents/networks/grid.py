"""The `grid` network: residual 3×3 convolutions at full resolution, read out at the agent's own cell.

With this read-out the convolutions only have to compute in which direction to go from each cell, the same function
everywhere, so the network learns fast, and one network runs on mazes of any size.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor, nn

from goalmaze.agents.networks.base import Network, Shape, Site
from goalmaze.agents.networks.layers import (
    EncoderOptions,
    Readout,
    add_encoder,
    encoder_sites,
    initialise,
    run_encoder,
)
from goalmaze.agents.networks.registry import register_network


@dataclasses.dataclass(frozen=True)
class GridOptions(EncoderOptions):
    """Hyperparameters, beside those of the encoder.

    Attributes:
        readout: "cell" reads the last map at the agent's cell; "flat" reads all cells, for one maze size.
    """

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
        add_encoder(self, shape, options, options.readout)
        self.policy = nn.Linear(options.hidden, shape.actions)
        self.value = nn.Linear(options.hidden, 1)
        initialise(self, self.policy, self.value, options.blocks)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for observations [B, C, H, W]."""
        hidden = run_encoder(self, observation, self.shape, self.options, self.options.readout)
        # [B, 1] → [B]: a value of shape [B, 1] minus returns [B] would silently broadcast to [B, B].
        return self.policy(hidden), self.value(hidden).squeeze(1)

    def sites(self) -> tuple[Site, ...]:
        """Return the stem, every block, and the hidden units."""
        return encoder_sites(self.options)
