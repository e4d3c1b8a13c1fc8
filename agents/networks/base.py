"""What every network is: observations in, action logits and a value out, with its configuration as plain data."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import View, make_view

PLANES = ("planes", "crop", "partial")
"""The observation modes that are planes uint8 [C, H, W] with the agent on the second one."""

PICTURES = ("rgb64", "rgb")
"""The observation modes that are pictures uint8 [h, w, 3]."""

MAX_OBSERVATION = 2**22
MAX_ACTIONS = 256


@dataclasses.dataclass(frozen=True)
class Shape:
    """The shape of what a network sees and does. One that holds no maze size runs on mazes of any other size too.

    Attributes:
        observation: of one observation as its `View` draws it: (C, H, W) for planes, (h, w, 3) for pictures.
        actions: number A of actions.
        mode: the observation mode, one of `goalmaze.envs.observations.views.MODES`.
        pixels: per cell, in mode "rgb".
        radius: of what is seen around the agent, in modes "crop" and "partial".
    """

    observation: tuple[int, ...]
    actions: int
    mode: str = "planes"
    pixels: int = 8
    radius: int = 3

    def __post_init__(self) -> None:
        sides = self.observation
        if len(sides) != 3 or min(sides) < 1 or sides[0] * sides[1] * sides[2] > MAX_OBSERVATION:
            raise GoalmazeError(
                f"no network sees observations of shape {sides}: give three sides, {MAX_OBSERVATION} values at most"
            )
        if not 1 <= self.actions <= MAX_ACTIONS:
            raise GoalmazeError(f"actions is {self.actions}: choose 1 to {MAX_ACTIONS}")

    @classmethod
    def seeing(cls, view: View, actions: int = 4) -> Shape:
        """Return the shape of a network that sees what a view draws."""
        sides = tuple(int(side) for side in view.space.shape)
        return cls(sides, actions, view.mode, view.pixels, view.radius)

    @property
    def planes(self) -> int:
        """C, the number of planes where the observation is planes, of colours where it is a picture."""
        return self.observation[-1] if self.mode in PICTURES else self.observation[0]

    def view(self, family: Family) -> View:
        """Return what draws the observations in levels of a family, at its size."""
        return make_view(family, self.mode, self.pixels, self.radius)


@dataclasses.dataclass(frozen=True)
class Site:
    """A named place in a network: the output of the submodule of that name.

    Attributes:
        name: of site and submodule.
        channels: C of a map [B, C, h, w], or F of features [B, F].
        is_map: whether it is a map with one value for every square of the maze; maps of other sides, such as those of a
            network that looks at pictures, are not.
    """

    name: str
    channels: int
    is_map: bool


class Network(nn.Module, abc.ABC):
    """A policy and value network whose interesting activations are the outputs of named submodules (sites).

    A subclass sets `name`, `Options` (a frozen dataclass of its hyperparameters, with their ranges) and `sites`.

    Attributes:
        modes: the observation modes it can see, the usual one first.
        variants: the options under which `goalmaze networks` shows it.
    """

    name: ClassVar[str]
    Options: ClassVar[type]
    modes: ClassVar[tuple[str, ...]] = PLANES
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    shape: Shape
    options: Any

    @abc.abstractmethod
    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for observations [B, *shape.observation] of any number type."""

    @abc.abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """Return the network's sites in order of depth."""

    def parameters_count(self) -> int:
        """Return the number of trainable numbers."""
        return sum(p.numel() for p in self.parameters())


class RecurrentNetwork(Network):
    """A network with a memory, one tensor, which it is handed at every step and hands back changed."""

    @abc.abstractmethod
    def blank(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        """Return zeros [B, ...], the memory before an episode, for observations of a shape without B."""

    def perceive(self, observation: Tensor) -> Tensor:
        """Return what needs no memory of observations [N, ...]; learning does it for whole sequences at once."""
        return observation

    @abc.abstractmethod
    def recall(self, perceived: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory for what was perceived [B, ...] and a memory [B, ...]."""

    def advance(self, observation: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory for observations [B, ...] and a memory [B, ...]."""
        return self.recall(self.perceive(observation), memory)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for the first observations of episodes."""
        logits, values, _ = self.advance(observation, self.blank(len(observation), tuple(observation.shape[1:])))
        return logits, values

    def _zeros(self, *sides: int) -> Tensor:
        return torch.zeros(sides, device=next(self.parameters()).device)


def agent_cells(observation: Tensor) -> Tensor:
    """Return int64 [B], the cell of each agent, from the agent plane of observations [B, C, H, W]."""
    return torch.argmax(observation[:, 1].flatten(1), dim=1)
