"""Fitted edits: what a steering method returns. They make the edits that move the goal in any maze."""

from __future__ import annotations

import abc
import dataclasses

from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.information import CELLS, NOTHING, Facts


@dataclasses.dataclass(frozen=True, eq=False)
class FittedEdit(abc.ABC):
    """What a steering method has fitted, at one site or at several.

    Attributes:
        site: name of the site; of several, joined by +.
        method: name of the steering method that fitted it; empty where it was made by hand.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> fitted = gm.fit_edit(agent, "mean-pattern", site="block1", levels=64)
        >>> levels = agent.family.levels(seed=0, count=2)
        >>> [edit.site for edit in fitted.edits(gm.GoalMove.on(levels, targets=10))]
        ['block1']
        >>> fitted.method
        'mean-pattern'
    """

    site: str
    method: str = dataclasses.field(default="", kw_only=True)

    @property
    def uses(self) -> Facts:
        """The facts that its edits are given: the goal's and the target's cell, unless a subclass states others."""
        return CELLS

    @abc.abstractmethod
    def edits(self, move: GoalMove, strength: float = 1.0) -> list[Edit]:
        """Return the edits, one a site, that move the goal in each level of a batch."""


@dataclasses.dataclass(frozen=True, eq=False)
class FittedSiteEdit(FittedEdit):
    """What a steering method has fitted at one site."""

    @abc.abstractmethod
    def edit(self, move: GoalMove, strength: float = 1.0) -> Edit:
        """Return the edit that moves the goal in each level of a batch."""

    def edits(self, move: GoalMove, strength: float = 1.0) -> list[Edit]:
        """Return the one edit that moves the goal in each level of a batch."""
        return [self.edit(move, strength)]


@dataclasses.dataclass(frozen=True, eq=False)
class JointEdit(FittedEdit):
    """Fitted edits of several sites, applied together.

    Attributes:
        parts: one for each site.
    """

    site: str = dataclasses.field(init=False)
    parts: tuple[FittedSiteEdit, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise GoalmazeError("a joint edit has no parts: give one or more")
        object.__setattr__(self, "site", "+".join(part.site for part in self.parts))

    @property
    def uses(self) -> Facts:
        """The facts that any of its parts uses."""
        return NOTHING.union(*(part.uses for part in self.parts))

    def edits(self, move: GoalMove, strength: float = 1.0) -> list[Edit]:
        """Return the edits, one a site, that move the goal in each level of a batch."""
        return [part.edit(move, strength) for part in self.parts]
