"""Edits that set a few coordinates of two windows: around the target as with a goal, around the goal as without."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.cells import ABSENT
from goalmaze.probes.activations import is_rectified
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, check_channels
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove, level_move
from goalmaze.probes.information import ACTIVATION, CELLS, Facts
from goalmaze.probes.squares import read_window, write_window


class Coordinates(abc.ABC):
    """k numbers that can be read from a window and set in it, while the rest of the window stays as it is."""

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """C*side*side, the numbers in a window."""

    @abc.abstractmethod
    def read(self, windows: Tensor) -> Tensor:
        """Return [..., k], the coordinates of windows [..., C*side*side]."""

    @abc.abstractmethod
    def set(self, windows: Tensor, values: Tensor) -> Tensor:
        """Return windows [..., C*side*side] whose coordinates are `values` [..., k]."""


@dataclasses.dataclass(frozen=True, eq=False)
class SetCoordinates(Edit):
    """Sets the coordinates around the goal's square, then those around the target's square.

    Attributes:
        coordinates: of the windows of this site.
        move: of the goal, in the B levels of the batch.
        absent: float32 [k], the values set around the goal's square.
        present: float32 [k], the values set around the target's square.
        side: rows and columns of a window.
        rectified: whether the site is never negative, as after a ReLU; the result is then clipped at 0.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION}

    coordinates: Coordinates = dataclasses.field(kw_only=True)
    move: GoalMove = dataclasses.field(kw_only=True)
    absent: Tensor = dataclasses.field(kw_only=True)
    present: Tensor = dataclasses.field(kw_only=True)
    side: int = dataclasses.field(default=1, kw_only=True)
    rectified: bool = dataclasses.field(default=False, kw_only=True)

    def check(self, site: Site) -> None:
        """Refuse a site that is not a map, or one with another number of channels."""
        check_channels(site, self.coordinates.width, side=self.side, needs_map=True)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return maps [b, C, H, W] with the coordinates of two windows set."""
        move = level_move(self.move, context, self.site)
        # The target comes last: where the two windows overlap, or the goal stays, its values count.
        for cells, values in ((move.goals, self.absent), (move.targets, self.present)):
            window = self.coordinates.set(read_window(activation, cells, self.side), values)
            activation = write_window(activation, cells, window.relu() if self.rectified else window, self.side)
        return activation


@dataclasses.dataclass(frozen=True, eq=False)
class GoalCoordinates(FittedSiteEdit):
    """Coordinates of a window in which a site represents "the goal is here", with their values with and without it.

    Attributes:
        coordinates: of the site's windows.
        present: float32 [k], their means around a goal.
        absent: float32 [k], their means in the same windows of the levels without the goal.
        rectified: whether the site is never negative, as after a ReLU.
        side: rows and columns of a window.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION}

    coordinates: Coordinates
    present: Tensor
    absent: Tensor
    rectified: bool
    side: int = 1

    def edit(self, move: GoalMove, strength: float = 1.0) -> SetCoordinates:
        """Return the edit that moves the goal in each level."""
        return SetCoordinates(
            self.site,
            coordinates=self.coordinates,
            move=move,
            absent=self.absent,
            present=self.present,
            side=self.side,
            rectified=self.rectified,
            strength=strength,
        )


def fit_goal_coordinates(context: FitContext, site: str, coordinates: Coordinates, side: int) -> GoalCoordinates:
    """Return coordinates with their means around the goals of the fitting levels, with and without these goals."""
    present, absent = (coordinates.read(windows).mean(0) for windows in goal_windows(context, site, side))
    rectified = is_rectified(context.activations(context.levels, site))
    return GoalCoordinates(site, coordinates, present, absent, rectified, side)


def goal_windows(context: FitContext, site: str, side: int) -> tuple[Tensor, Tensor]:
    """Return [N, C*side*side] twice: windows around the goals of the fitting levels, with and without the goals.

    N counts the levels that have a goal.
    """
    has_goal = context.goals != ABSENT
    # The same windows of the same mazes twice: what walls and position contribute cancels in the difference.
    with_goal, without_goal = (
        read_window(maps, context.goals, side)[has_goal] for maps in context.activations_with_and_without_goal(site)
    )
    return with_goal, without_goal
