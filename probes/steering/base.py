"""What a steering method is: from a policy and mazes to something that moves the goal, at a site."""

from __future__ import annotations

import abc
from typing import ClassVar

from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import map_sites
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.composition import Found
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.information import CELLS, Knowledge


class Method(abc.ABC):
    """A way to find what to write; its name is part of every result, and what its edits know goes with it.

    Attributes:
        needs_map: whether it writes squares, and so works at maps of squares alone.
    """

    name: ClassVar[str]
    uses: ClassVar[Knowledge] = CELLS
    needs_map: ClassVar[bool] = True

    def suits(self, network: Network, site: str) -> bool:
        """Return whether it can be tried at a site of a network."""
        return not self.needs_map or site in map_sites(network)

    @abc.abstractmethod
    def find(self, context: FitContext, site: str) -> Found:
        """Return what to write at a site, or from there on."""


class PatternMethod(Method):
    """A method whose finding is a pattern: the same activation added around every target, whatever the maze."""

    @abc.abstractmethod
    def find(self, context: FitContext, site: str) -> GoalPattern:
        """Return the pattern to write at a map site."""
