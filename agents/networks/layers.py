"""Parts that several networks share: residual blocks at full resolution, and the read-out at the agent's cell."""

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
"""Where the last map is read out: at the agent's cell, or at all cells, which fixes the maze size."""


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
    """Add the submodules `stem`, `stem_relu` and `block1` … `blockN` to a network."""
    network.add_module("stem", nn.Conv2d(planes, channels, 3, padding=1))
    network.add_module("stem_relu", nn.ReLU())
    for name in block_names(blocks):
        network.add_module(name, Block(channels))


def run_trunk(network: nn.Module, observation: Tensor, blocks: int) -> Tensor:
    """Return [B, C, H, W], the last map of the trunk for observations [B, planes, H, W]."""
    x: Tensor = observation.float()
    for name in ("stem", "stem_relu", *block_names(blocks)):
        x = network.get_submodule(name)(x)
    return x


def readout_features(channels: int, shape: Shape, readout: Readout) -> int:
    """Return F, the number of features that `read_out` returns for maps of C channels."""
    return channels if readout == "cell" else channels * shape.observation[1] * shape.observation[2]


def read_out(maps: Tensor, observation: Tensor, shape: Shape, readout: Readout) -> Tensor:
    """Return features [B, F]: maps [B, C, H, W] at the agent's cell, or at all cells.

    Raises:
        GoalmazeError: all cells are read, and the maze has another size than the network was made for.
    """
    if readout == "cell":
        rows = torch.arange(len(maps), device=maps.device)
        return maps.flatten(2)[rows, :, agent_cells(observation)]
    expected, given = shape.observation[1:], tuple(maps.shape[2:])
    if expected != given:
        raise GoalmazeError(
            f"the network's flat read-out was made for observations of {expected[0]}x{expected[1]} cells, not "
            f"{given[0]}x{given[1]}: use that size, or train with the network option readout=cell"
        )
    return maps.flatten(1)


def initialise(network: nn.Module, policy: nn.Linear, value: nn.Linear, blocks: int = 0) -> None:
    """Initialise with orthogonal weights; small ones for the policy, so that all actions start about equally likely."""
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
