"""What several networks are built of: full-resolution residual blocks, and reading out where the agent stands."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import msgspec
import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import Shape, agent_cells
from goalmaze.envs.errors import GoalmazeError

Width = Annotated[int, msgspec.Meta(ge=1, le=1024)]
"""The range of channels and hidden units."""

Depth = Annotated[int, msgspec.Meta(ge=0, le=64)]
"""The range of the number of blocks."""

Readout = Literal["cell", "flat"]
"""What the last map is read out from: the agent's own cell, or all cells, which fixes the maze size."""


class Block(nn.Module):
    """x ← relu(x + conv(x)), at full resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        return torch.relu(x + self.conv(x))


def block_names(blocks: int) -> list[str]:
    """Return `block1` … `blockN`."""
    return [f"block{i + 1}" for i in range(blocks)]


def add_trunk(network: nn.Module, planes: int, channels: int, blocks: int) -> None:
    """Give a network the submodules `stem`, `stem_relu` and `block1` … `blockN`."""
    network.add_module("stem", nn.Conv2d(planes, channels, 3, padding=1))
    network.add_module("stem_relu", nn.ReLU())
    for name in block_names(blocks):
        network.add_module(name, Block(channels))


def run_trunk(network: nn.Module, observation: Tensor, blocks: int) -> Tensor:
    """Return [B, C, H, W], the last map of a network's trunk for observations [B, planes, H, W]."""
    x: Tensor = observation.float()
    for name in ("stem", "stem_relu", *block_names(blocks)):
        x = network.get_submodule(name)(x)
    return x


def features_read(channels: int, shape: Shape, readout: Readout) -> int:
    """Return the number of features that `read_out` gives for maps of some channels."""
    return channels if readout == "cell" else channels * shape.observation[1] * shape.observation[2]


def read_out(maps: Tensor, observation: Tensor, shape: Shape, readout: Readout) -> Tensor:
    """Return [B, F], what maps [B, C, H, W] hold at the agent's cell, or everywhere.

    Raises:
        GoalmazeError: all cells are read, of a maze of another size than the network was made for.
    """
    if readout == "cell":
        rows = torch.arange(len(maps), device=maps.device)
        return maps.flatten(2)[rows, :, agent_cells(observation)]
    made, seen = shape.observation[1:], tuple(maps.shape[2:])
    if made != seen:
        raise GoalmazeError(
            f"the network's flat read-out was made for observations of {made[0]}x{made[1]} cells, not "
            f"{seen[0]}x{seen[1]}: use that size, or train with the network option readout=cell"
        )
    return maps.flatten(1)


def initialise(network: nn.Module, policy: nn.Linear, value: nn.Linear, blocks: int = 0) -> None:
    """Draw orthogonal weights; those of the policy so small that all actions begin about equally likely."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight, 2**0.5)
            if module.bias is not None:
                nn.init.constant_(module.bias, 0.0)
    for name in block_names(blocks):
        block = cast(Block, network.get_submodule(name))
        nn.init.orthogonal_(block.conv.weight, 0.5)
    nn.init.orthogonal_(policy.weight, 0.01)
    nn.init.orthogonal_(value.weight, 1.0)
