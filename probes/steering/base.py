"""What a steering method is: from a policy and mazes to something that moves the goal, at a site."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

from torch import Tensor

from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.sites import map_sites
from goalmaze.envs.families.base import Family
from goalmaze.envs.levels import Cells, LevelBatch
from goalmaze.probes.activations import read_activations
from goalmaze.probes.combining import Found
from goalmaze.probes.directions import GoalPattern
from goalmaze.probes.knowledge import CELLS, Knowledge


@dataclasses.dataclass(frozen=True)
class Workshop:
    """What a method may look at to find what to write.

    Attributes:
        policy: whose goal is sought.
        family: its world.
        levels: mazes to learn from, goal and cue on one cell, kept apart from all mazes that judge.
        seed: of anything drawn.
        effort: how long a method that learns may do so, as a share of its usual updates.
    """

    policy: NetworkPolicy
    family: Family
    levels: LevelBatch
    seed: int = 0
    effort: float = 1.0

    @property
    def goals(self) -> Cells:
        """int32 [B], the cells of the goal."""
        return self.levels.cells(self.family.goal)

    def cleared(self) -> LevelBatch:
        """Return the levels without goal and cue."""
        return self.levels.removed(self.family.goal).removed(self.family.cue)

    def moved(self, cells: Cells) -> LevelBatch:
        """Return the levels with goal and cue at other cells [B]."""
        return self.levels.moved(self.family.goal, cells).moved(self.family.cue, cells)

    def read(self, levels: LevelBatch, site: str) -> Tensor:
        """Return float32 [B, ...], [B, C, H, W] for a map, what the site holds before the first step."""
        return read_activations(self.policy.network, observations_of(self.policy, self.family, levels), [site])[site]

    def updates(self, usual: int) -> int:
        """Return how many updates a method that usually makes `usual` may make."""
        return max(1, round(usual * self.effort))


class Method(abc.ABC):
    """A way to find what to write; its name is part of every result, and what its edits know goes with it.

    Attributes:
        needs_map: whether it writes squares, and so works at maps of squares alone.
    """

    name: ClassVar[str]
    knows: ClassVar[Knowledge] = CELLS
    needs_map: ClassVar[bool] = True

    def suits(self, network: Network, site: str) -> bool:
        """Return whether it can be tried at a site of a network."""
        return not self.needs_map or site in map_sites(network)

    @abc.abstractmethod
    def find(self, workshop: Workshop, site: str) -> Found:
        """Return what to write at a site, or from there on."""


class PatternMethod(Method):
    """A method whose finding is a pattern: the same activation added around every target, whatever the maze."""

    @abc.abstractmethod
    def find(self, workshop: Workshop, site: str) -> GoalPattern:
        """Return the pattern to write at a map site."""
