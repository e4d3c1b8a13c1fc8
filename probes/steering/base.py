"""Steering methods: each fits, for one policy and at one site, an edit that moves the goal."""

from __future__ import annotations

import abc
from typing import ClassVar

from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import is_map_site
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.information import ACTIVATION, CELLS, Facts


class SteeringMethod(abc.ABC):
    """A steering method; `registry.register_method` registers a subclass under its name.

    Attributes:
        name: of the method; part of every result.
        uses: the facts that its edits are given.
        needs_map: whether it edits squares, and so works only at maps of squares.

    Example:
        >>> import goalmaze as gm
        >>> sorted(gm.steering_methods()["mean-pattern"].uses)
        ['goal cell', 'target cell']
    """

    name: ClassVar[str]
    uses: ClassVar[Facts] = CELLS
    needs_map: ClassVar[bool] = True

    def suits(self, network: Network, site: str) -> bool:
        """Return whether the method works at a site of a network."""
        return not self.needs_map or is_map_site(network, site)

    @abc.abstractmethod
    def fit(self, context: FitContext, site: str) -> FittedEdit:
        """Fit an edit at a site, or at that site and others."""


class PatternMethod(SteeringMethod):
    """A method that fits a pattern: the same activation added around every target, in every maze."""

    @abc.abstractmethod
    def fit(self, context: FitContext, site: str) -> GoalPattern:
        """Fit a pattern at a map of squares."""


class ActivationMethod(SteeringMethod):
    """A method whose edits depend, at every step, on the activation that they change."""

    uses: ClassVar[Facts] = CELLS | {ACTIVATION}


class WindowMethod(ActivationMethod):
    """A method whose edits read and write windows around the goal's and the target's square.

    Attributes:
        side: rows and columns of a window; one convolution spreads a goal over 3x3 squares.
    """

    side: ClassVar[int] = 3
