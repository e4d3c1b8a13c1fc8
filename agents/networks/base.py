"""What every network is: planes in, action logits and a value out, with its configuration as plain data."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class Shape:
    """The shape of what a network sees and does: C planes in, A actions out. Mazes may be of any size."""

    planes: int
    actions: int


@dataclasses.dataclass(frozen=True)
class Site:
    """A named place in a network: the output of the submodule of that name.

    Attributes:
        name: of site and submodule.
        channels: C of a map [B, C, H, W], or F of features [B, F].
        is_map: whether it has a value for every square of the maze.
    """

    name: str
    channels: int
    is_map: bool


class Network(nn.Module, abc.ABC):
    """A policy and value network whose interesting activations are the outputs of named submodules (sites).

    A subclass sets `name`, `Options` (a frozen dataclass of its hyperparameters) and `sites`.
    """

    name: ClassVar[str]
    Options: ClassVar[type]

    shape: Shape
    options: Any

    @abc.abstractmethod
    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for observations [B, C, H, W] of any number type."""

    @abc.abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """Return the network's sites in order of depth."""

    def parameters_count(self) -> int:
        """Return the number of trainable numbers."""
        return sum(p.numel() for p in self.parameters())


def agent_cells(observation: Tensor) -> Tensor:
    """Return int64 [B], the cell of each agent, from the agent plane of observations [B, C, H, W]."""
    return torch.argmax(observation[:, 1].flatten(1), dim=1)
