"""Steering methods: each fits, for one policy and at one site, an edit that moves the goal."""

from __future__ import annotations

import abc
from typing import ClassVar

from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import map_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.information import CELLS, Facts

_NAMED: dict[str, type[SteeringMethod]] = {}


class SteeringMethod(abc.ABC):
    """A steering method. A subclass with a `name` is found by that name once its module has been imported.

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

    def __init_subclass__(cls) -> None:
        """Register the class under its name, and refuse a name that another method has.

        A class that is defined again, as by a notebook cell that runs twice, replaces itself.
        """
        super().__init_subclass__()
        if "name" not in vars(cls):
            return
        other = _NAMED.get(cls.name, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise GoalmazeError(
                f"steering method name '{cls.name}' is used by {other.__module__}.{other.__qualname__}: choose another"
            )
        _NAMED[cls.name] = cls

    def suits(self, network: Network, site: str) -> bool:
        """Return whether the method works at a site of a network."""
        return not self.needs_map or site in map_sites(network)

    @abc.abstractmethod
    def fit(self, context: FitContext, site: str) -> FittedEdit:
        """Fit an edit at a site, or at that site and others."""


class PatternMethod(SteeringMethod):
    """A method that fits a pattern: the same activation added around every target, in every maze."""

    @abc.abstractmethod
    def fit(self, context: FitContext, site: str) -> GoalPattern:
        """Fit a pattern at a map of squares."""


def named_methods() -> list[type[SteeringMethod]]:
    """Return every class of methods that has a name, in alphabetical order."""
    return [_NAMED[name] for name in sorted(_NAMED)]
