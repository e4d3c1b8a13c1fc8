"""What windows of a map hold, in coordinates found by a search, and edits that set them around goal and target."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Protocol

from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Rewrite, check_channels
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import is_rectified
from goalmaze.probes.information import CELLS, Knowledge
from goalmaze.probes.squares import around, cells_of, put_around


class Coordinates(Protocol):
    """k numbers that can be read from a window, and written into it while all else that it holds stays."""

    @property
    def width(self) -> int:
        """The numbers that a window holds, C*side*side."""

    def read(self, window: Tensor) -> Tensor:
        """Return [..., k], the coordinates of windows [..., C*side*side]."""

    def written(self, window: Tensor, values: Tensor) -> Tensor:
        """Return windows [..., C*side*side] with their coordinates at `values` [..., k]."""


@dataclasses.dataclass(frozen=True, eq=False)
class SetCoordinates(Rewrite):
    """Gives the coordinates around the goal's and the target's squares the values they have without and with a goal.

    Attributes:
        coordinates: of windows of this site.
        goals: int32 [B], `ABSENT` where there is none.
        targets: int32 [B].
        absent: float32 [k], put around the goal's square.
        present: float32 [k], put around the target's square.
        side: of the window around a square.
        rectified: whether the site never holds negative values; the edited one then neither.
    """

    coordinates: Coordinates = dataclasses.field(kw_only=True)
    goals: Cells = dataclasses.field(kw_only=True)
    targets: Cells = dataclasses.field(kw_only=True)
    absent: Tensor = dataclasses.field(kw_only=True)
    present: Tensor = dataclasses.field(kw_only=True)
    side: int = dataclasses.field(default=1, kw_only=True)
    rectified: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """Goal and target."""
        return CELLS

    def check(self, site: Site) -> None:
        """Refuse a site that is no map, or one of other channels."""
        check_channels(site, self.coordinates.width, side=self.side, needs_map=True)

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return maps [b, C, H, W] with the coordinates of two windows set; the target's come last."""
        for cells, values in ((self.goals, self.absent), (self.targets, self.present)):
            here = cells_of(cells, rows, self.site)
            own = self.coordinates.written(around(activation, here, self.side), values)
            activation = put_around(activation, here, own.relu() if self.rectified else own, self.side)
        return activation


@dataclasses.dataclass(frozen=True, eq=False)
class GoalCoordinates:
    """Coordinates of a window in which a site holds "the goal is here", and their values with and without one.

    Attributes:
        site: the map they were found in.
        coordinates: of its windows.
        present: float32 [k], their means around a goal.
        absent: float32 [k], their means in the same windows without the goal.
        rectified: whether the site never holds negative values.
        side: of the window.
    """

    uses: ClassVar[Knowledge] = CELLS

    site: str
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
            goals=move.goals,
            targets=move.targets,
            absent=self.absent,
            present=self.present,
            side=self.side,
            rectified=self.rectified,
            strength=strength,
        )


def goal_coordinates(context: FitContext, site: str, coordinates: Coordinates, side: int) -> GoalCoordinates:
    """Return coordinates with the means they have around the goals of a workshop's levels, there and taken away."""
    present, absent = (coordinates.read(windows).mean(0) for windows in goal_windows(context, site, side))
    rectified = is_rectified(context.read(context.levels, site))
    return GoalCoordinates(site, coordinates, present, absent, rectified, side)


def goal_windows(context: FitContext, site: str, side: int) -> tuple[Tensor, Tensor]:
    """Return [N, C*side*side] twice: the windows around the goals of a workshop's levels, and the same without them."""
    standing = context.goals != ABSENT
    maps = (context.read(levels, site) for levels in (context.levels, context.levels.without_goal_and_cue()))
    with_goal, without = (around(one, context.goals, side)[standing] for one in maps)
    return with_goal, without
