"""The `grid` network: residual 3×3 convolutions at full resolution, read out at the agent's own cell.

Reading out where the agent stands is what makes it learn fast: the convolutions only have to carry the goal's pull to
every cell. It holds no maze size, so one network runs on mazes of any size.
"""

from __future__ import annotations

import dataclasses
from typing import cast

import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import Network, Shape, Site, agent_cells


@dataclasses.dataclass(frozen=True)
class GridOptions:
    """Hyperparameters: channels of every convolution, number of residual blocks, hidden units of the read-out."""

    channels: int = 16
    blocks: int = 8
    hidden: int = 64


class Block(nn.Module):
    """x ← relu(x + conv(x)), at full resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        return torch.relu(x + self.conv(x))


class GridNetwork(Network):
    """Sites: `stem` before and `stem_relu` after its rectifier, `block1` … `blockN`, then `hidden` at the agent's cell.

    All are maps [B, C, H, W] but `hidden` [B, F].
    """

    name = "grid"
    Options = GridOptions

    def __init__(self, shape: Shape, options: GridOptions | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.options = options = options or GridOptions()
        self.stem = nn.Conv2d(shape.planes, options.channels, 3, padding=1)
        self.stem_relu = nn.ReLU()
        self.block_names = [f"block{i + 1}" for i in range(options.blocks)]
        for name in self.block_names:
            self.add_module(name, Block(options.channels))
        self.hidden = nn.Sequential(nn.Linear(options.channels, options.hidden), nn.ReLU())
        self.policy = nn.Linear(options.hidden, shape.actions)
        self.value = nn.Linear(options.hidden, 1)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(module.weight, 2**0.5)
                nn.init.constant_(cast(Tensor, module.bias), 0.0)
        for name in self.block_names:
            nn.init.orthogonal_(self.get_submodule(name).conv.weight, 0.5)  # type: ignore[arg-type, union-attr]
        nn.init.orthogonal_(self.policy.weight, 0.01)
        nn.init.orthogonal_(self.value.weight, 1.0)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for observations [B, C, H, W]."""
        x = self.stem_relu(self.stem(observation.float()))
        for name in self.block_names:
            x = self.get_submodule(name)(x)
        rows = torch.arange(len(x), device=x.device)
        hidden = self.hidden(x.flatten(2)[rows, :, agent_cells(observation)])
        return self.policy(hidden), self.value(hidden).squeeze(1)

    def sites(self) -> tuple[Site, ...]:
        """Return the stem, every block, and the hidden units at the agent's cell."""
        maps = (Site(name, self.options.channels, is_map=True) for name in ["stem", "stem_relu", *self.block_names])
        return (*maps, Site("hidden", self.options.hidden, is_map=False))
