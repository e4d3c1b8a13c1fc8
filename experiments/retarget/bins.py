"""Bins of targets: by distance, by distance from the agent's own path, and by whether the goal lies on the path."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.retarget.task import RetargetingTask

ALL, GOAL_OFF_PATH, GOAL_ON_PATH = "all", "goal-off-path", "goal-on-path"
DISTANCE, OFF_PATH = "distance", "off-path-distance"
DISTANCES = (1, 5, 9, 13, 17)
OFF_PATHS = (0, 1, 3, 5, 9)
"""The fewest steps in each bin; the last bin has no upper end."""


@dataclasses.dataclass(frozen=True, eq=False)
class Bin:
    """Some mazes of a task.

    Attributes:
        name: `ALL`; `GOAL_OFF_PATH` or `GOAL_ON_PATH`, by whether the goal lies on a shortest path to the target; or
            the distance that `low` and `high` bound, `DISTANCE` or `OFF_PATH`.
        low: fewest steps; None where no distance is measured.
        high: most steps, included; None where there is no upper end.
        mazes: bool [B].
    """

    name: str
    low: int | None
    high: int | None
    mazes: Bools

    def text(self) -> str:
        """Return the name and the range of steps."""
        if self.low is None:
            return self.name
        return f"{self.name} {self.low}-{'' if self.high is None else self.high}"


def target_bins(task: RetargetingTask) -> list[Bin]:
    """Return all bins of a task. Every maze is in exactly one bin of each distance."""
    everything = np.ones(len(task.levels), np.bool_)
    bins = [
        Bin(ALL, None, None, everything),
        Bin(GOAL_OFF_PATH, None, None, task.off_path),
        Bin(GOAL_ON_PATH, None, None, ~task.off_path),
    ]
    for name, steps, edges in (
        (DISTANCE, target_distances(task), DISTANCES),
        (OFF_PATH, off_path_distances(task), OFF_PATHS),
    ):
        for low, end in zip(edges, (*edges[1:], None), strict=True):
            # `UNREACHABLE` as the upper end of the last bin leaves out targets without a path.
            inside = (steps >= low) & (steps < (UNREACHABLE if end is None else end))
            bins.append(Bin(name, low, None if end is None else end - 1, inside))
    return bins


def target_distances(task: RetargetingTask) -> Cells:
    """Return int32 [B], steps from start to target."""
    return pick(distances(task.levels, task.levels.start), task.targets)


def off_path_distances(task: RetargetingTask) -> Cells:
    """Return int32 [B], steps from the target to the nearest cell on a shortest path from the start to the goal."""
    levels = task.levels
    from_start, to_goal = distances(levels, levels.start), distances(levels, task.goals)
    # A cell lies on a shortest path exactly if its distances from both ends add up to the distance of the ends.
    on_path = (from_start + to_goal == pick(from_start, task.goals)[:, None]) & (to_goal < UNREACHABLE)
    off = np.where(on_path, distances(levels, task.targets), UNREACHABLE)
    nearest: Cells = off.min(axis=1)
    return nearest
