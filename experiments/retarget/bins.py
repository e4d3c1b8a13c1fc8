"""Where a target lies: how far, how far off the agent's own way, and whether the goal lies on the way there."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.retarget.task import RetargetingTask

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


def bins_of(task: RetargetingTask) -> list[Bin]:
    """Return all bins of an errand; those of one name part its mazes."""
    everything = np.ones(len(task.levels), np.bool_)
    found = [
        Bin(ALL, None, None, everything),
        Bin(CLEAR, None, None, task.off_path),
        Bin(BLOCKED, None, None, ~task.off_path),
    ]
    for name, steps, bounds in (
        (DISTANCE, target_distances(task), DISTANCES),
        (OFF_PATH, off_path_distances(task), OFF_PATHS),
    ):
        for low, end in zip(bounds, (*bounds[1:], None), strict=True):
            inside = (steps >= low) & (steps < (UNREACHABLE if end is None else end))
            found.append(Bin(name, low, None if end is None else end - 1, inside))
    return found


def target_distances(task: RetargetingTask) -> Cells:
    """Return int32 [B], steps from start to target."""
    return pick(distances(task.levels, task.levels.start), task.targets)


def off_path_distances(task: RetargetingTask) -> Cells:
    """Return int32 [B], steps from the target to the nearest cell on a shortest way from the start to the goal."""
    levels = task.levels
    from_start, to_goal = distances(levels, levels.start), distances(levels, task.goals)
    on_way = (from_start + to_goal == pick(from_start, task.goals)[:, None]) & (to_goal < UNREACHABLE)
    off = np.where(on_way, distances(levels, task.targets), UNREACHABLE)
    nearest: Cells = off.min(axis=1)
    return nearest
