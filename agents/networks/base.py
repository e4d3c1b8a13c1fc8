"""The base classes of networks, which map observations to action logits and values, and their configuration."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.spec import DEFAULT_SPEC, ObservationSpec
from goalmaze.envs.observations.views import View, make_view

PLANES = ("planes", "crop", "partial")
"""Observation modes with planes uint8 [C, H, W], of which the second shows the agent."""

PICTURES = ("rgb64", "rgb")
"""Observation modes with pictures uint8 [h, w, 3]."""

MAX_OBSERVATION = 2**22
"""Largest number of values in one observation. Checkpoints may come from anyone and must not claim huge networks."""

MAX_ACTIONS = 256
"""Largest number of actions."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """The shape of a network's input and output. Networks that read out one cell run on other maze sizes too.

    Attributes:
        observation: shape of one observation: (C, H, W) for planes, (h, w, 3) for pictures.
        actions: number A of actions.
        spec: the observation mode with its options.
        level: rows and columns of the levels that the network was made for, in cells; 0 where that is unknown. It does
            not count where shapes are compared.
    """

    observation: tuple[int, ...]
    actions: int
    spec: ObservationSpec = DEFAULT_SPEC
    level: int = dataclasses.field(default=0, compare=False, repr=False)

    def __post_init__(self) -> None:
        sides = self.observation
        if len(sides) != 3 or min(sides) < 1 or sides[0] * sides[1] * sides[2] > MAX_OBSERVATION:
            raise GoalmazeError(
                f"no network takes observations of shape {sides}: give three axes and at most {MAX_OBSERVATION} values"
            )
        if not 1 <= self.actions <= MAX_ACTIONS:
            raise GoalmazeError(f"actions is {self.actions}: choose 1 to {MAX_ACTIONS}")

    @classmethod
    def seeing(cls, view: View, actions: int = 4) -> Shape:
        """Return the shape of a network that receives the observations of a view."""
        sides = tuple(int(side) for side in view.space.shape)
        return cls(sides, actions, view.spec, view.family.size)

    @property
    def planes(self) -> int:
        """C, the number of planes, or of colours in a picture."""
        return self.observation[-1] if self.spec.mode in PICTURES else self.observation[0]

    def view(self, family: Family) -> View:
        """Return the view that draws the observations in levels of a family, at its size."""
        return make_view(family, self.spec)


@dataclasses.dataclass(frozen=True)
class Site:
    """A named activation of a network: the output of one submodule.

    Attributes:
        name: the name, in most networks also the path of the submodule.
        channels: C of a map [B, C, h, w], or F of features [B, F].
        is_map: whether the activation has one square for every cell of the level. This is False for the smaller maps of
            networks that pool, and for most maps of pictures.
        path: the path of the submodule; empty if it equals the name.
        border: width of the border around the level, in cells, that the submodule's map leaves out. Those who read or
            write the site see zeros there, so that the map has the sides of the level.
    """

    name: str
    channels: int
    is_map: bool
    path: str = ""
    border: int = 0


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """Hyperparameters of a network: in a subclass, one field for each, with its default and range."""


class Network(nn.Module, abc.ABC):
    """A policy and value network whose activations of interest are the outputs of named submodules (sites).

    A subclass sets `name`, `Options` and `options`, and takes `(shape, options)`. The decorator
    `goalmaze.agents.networks.registry.register_network` makes it available by its name.

    Attributes:
        name: the name under which `make_network` finds it.
        Options: the class of its hyperparameters.
        modes: the observation modes it accepts, the default first.
        variants: the options under which `goalmaze networks` lists it.
        former_sites: sites that earlier versions named otherwise, former name → name.
        shape: shape of its input and output.
        options: its hyperparameters.

    Example:
        >>> import goalmaze as gm
        >>> [site.name for site in gm.load("zoo:green-exit").network.sites()][:3]
        ['stem', 'stem_relu', 'block1']
    """

    name: str
    Options: ClassVar[type[NetworkOptions]]
    modes: ClassVar[tuple[str, ...]] = PLANES
    variants: ClassVar[tuple[JsonObject, ...]] = ({},)
    former_sites: ClassVar[Mapping[str, str]] = {}

    shape: Shape
    options: NetworkOptions

    @abc.abstractmethod
    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for observations [B, *shape.observation] of any number type."""

    @abc.abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """Return the network's sites in order of depth."""

    def memory_sites(self) -> tuple[Site, ...]:
        """Return the sites of the memory between two steps; none for a network without memory."""
        return ()

    def untrained(self, seed: int) -> Network:
        """Return a network of the same class, shape, options and device with fresh weights, in evaluation mode."""
        # Without touching the global generator, from which training or sampling may be drawing.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return type(self)(self.shape, self.options).eval().to(device_of(self))

    def resampled_from(self, other: Network) -> dict[str, Tensor] | None:
        """Return weights of this network that do about what another one's do at its size; None if there are none.

        Training starts from them where `other` is of the same network, made for levels or pictures of another size.
        """
        return None

    def parameters_count(self) -> int:
        """Return the number of trainable parameters."""
        return sum(p.numel() for p in self.parameters())


class RecurrentNetwork(Network):
    """A network with a memory: one tensor [B, ...] that every step takes and returns updated.

    Its `memory_sites` are parts of the memory that a step returns, as outputs of identities behind everything that the
    step computes. An edit there leaves the action of the step as it is, and changes what the next step remembers.
    """

    @abc.abstractmethod
    def initial_memory(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        """Return zeros [B, ...], the memory at the start of an episode.

        Args:
            batch: number B of episodes.
            observation_shape: shape of one observation, without the axis B.
        """

    def encode(self, observation: Tensor) -> Tensor:
        """Return features [N, ...] of observations [N, ...], the part of the network that does not use the memory.

        Training computes them for all steps of a sequence at once, which is faster than step by step.
        """
        return observation

    @abc.abstractmethod
    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory, from features [B, ...] of `encode` and a memory."""

    def step(self, observation: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, A], values [B] and the new memory for observations [B, ...] and a memory [B, ...]."""
        return self.recur(self.encode(observation), memory)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for the first observations of episodes."""
        logits, values, _ = self.step(observation, self.initial_memory(len(observation), tuple(observation.shape[1:])))
        return logits, values

    def _zeros(self, *sides: int) -> Tensor:
        return torch.zeros(sides, device=device_of(self))


def device_of(network: nn.Module) -> torch.device:
    """Return the device of a network's parameters; the CPU for a network without any."""
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def agent_cells(observation: Tensor) -> Tensor:
    """Return int64 [B], the cell of each agent, read from the second plane of observations [B, C, H, W]."""
    return torch.argmax(observation[:, 1].flatten(1), dim=1)
