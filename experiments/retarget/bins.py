"""Where a target lies: how far, how far off the agent's own way, and whether the goal lies on the way there."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Bools, Cells
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.retarget.task import Errand

ALL, CLEAR, BLOCKED = "all", "goal-off-way", "goal-on-way"
DISTANCE, OFF_PATH = "distance", "off-path-distance"
DISTANCES = (1, 5, 9, 13, 17)
OFF_PATHS = (0, 1, 3, 5, 9)
"""The least steps in each bin; the last has no end."""


@dataclasses.dataclass(frozen=True, eq=False)
class Bin:
    """Some of an errand's mazes.

    Attributes:
        name: `ALL`, `CLEAR` or `BLOCKED` by the goal, or of what `low` and `high` are bounds.
        low: least steps; None where nothing is measured.
        high: most steps, included; None where there is no end.
        mazes: bool [B].
    """

    name: str
    low: int | None
    high: int | None
    mazes: Bools


def bins_of(errand: Errand) -> list[Bin]:
    """Return all bins of an errand; those of one name part its mazes."""
    everything = np.ones(len(errand.levels), np.bool_)
    found = [
        Bin(ALL, None, None, everything),
        Bin(CLEAR, None, None, errand.off_path),
        Bin(BLOCKED, None, None, ~errand.off_path),
    ]
    for name, steps, bounds in (
        (DISTANCE, target_distances(errand), DISTANCES),
        (OFF_PATH, off_path_distances(errand), OFF_PATHS),
    ):
        for low, end in zip(bounds, (*bounds[1:], None), strict=True):
            inside = (steps >= low) & (steps < (UNREACHABLE if end is None else end))
            found.append(Bin(name, low, None if end is None else end - 1, inside))
    return found


def target_distances(errand: Errand) -> Cells:
    """Return int32 [B], steps from start to target."""
    return pick(distances(errand.levels, errand.levels.start), errand.targets)


def off_path_distances(errand: Errand) -> Cells:
    """Return int32 [B], steps from the target to the nearest cell on a shortest way from the start to the goal."""
    levels = errand.levels
    from_start, to_goal = distances(levels, levels.start), distances(levels, errand.goals)
    on_way = (from_start + to_goal == pick(from_start, errand.goals)[:, None]) & (to_goal < UNREACHABLE)
    off = np.where(on_way, distances(levels, errand.targets), UNREACHABLE)
    nearest: Cells = off.min(axis=1)
    return nearest
