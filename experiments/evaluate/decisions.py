"""Decision points: cells where the shortest paths to goal and cue begin with different actions."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import NEVER, Trajectory
from goalmaze.envs.actions import cell_steps
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import Distances, distances
from goalmaze.experiments.evaluate import metrics

Floats = NDArray[np.float64]


def require_still(family: Family) -> None:
    """Refuse a family whose goal or cue moves, because there is no fixed shortest path to it.

    Raises:
        GoalmazeError: naming what moves.
    """
    for kind in family.object_types:
        if kind.name in (family.goal, family.cue) and kind.motion != "still":
            raise GoalmazeError(
                f"in {family.name} the {kind.name} moves, so that there is no fixed shortest path to it: "
                "choose an agent of a family whose goal and cue stand still"
            )


def shortening(levels: LevelBatch, distance: Distances, rows: NDArray[np.intp], cells: Cells) -> Bools:
    """Return bool [N, 4], the actions that shorten the path.

    Args:
        levels: B levels.
        distance: int32 [B, H*W], steps from every cell to a target.
        rows: int [N], the level of each decision.
        cells: int32 [N], the agent's cell.
    """
    here = distance[rows, cells]
    # Unreachable cells, walls among them, have the largest distance: a step into one shortens no path.
    ahead = distance[rows[:, None], cells[:, None] + cell_steps(levels.width)]
    return np.asarray((ahead < here[:, None]) & (here < UNREACHABLE)[:, None])


@dataclasses.dataclass(frozen=True, eq=False)
class Decisions:
    """The first decision point of each of N episodes.

    A decision point is a cell from which no shortest path to the goal begins with the same action as one to the cue.
    Only episodes with one goal and one cue count, neither on a shortest path to the other.

    Attributes:
        rows: int [N], the level in the batch.
        steps: int [N], steps taken before.
        cells: int32 [N], the agent's cell.
        to_goal: int32 [N], fewest steps from there to the goal.
        to_cue: int32 [N], fewest steps from there to the cue.
        move: int8 [N], 1 where the next action shortens the path to the cue, 0 to the goal, -1 to neither.
        chose: int8 [N], 1 where the cue was reached first, 0 where the goal was, -1 where neither was.
    """

    rows: NDArray[np.intp]
    steps: NDArray[np.intp]
    cells: Cells
    to_goal: Cells
    to_cue: Cells
    move: NDArray[np.int8]
    chose: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, mask: Bools) -> Decisions:
        """Return those where the mask bool [N] is True."""
        return Decisions(*(getattr(self, field.name)[mask] for field in dataclasses.fields(self)))


def decisions(trajectory: Trajectory) -> Decisions:
    """Return the first decision point of every episode that has one.

    Raises:
        GoalmazeError: goal or cue moves.
    """
    family, levels = trajectory.family, trajectory.levels
    require_still(family)
    goals, cues = metrics.single_object(levels, family.goal), metrics.single_object(levels, family.cue)
    to_goal, to_cue = distances(levels, goals), distances(levels, cues)
    first_goal, first_cue = trajectory.first_visit(goals), trajectory.first_visit(cues)
    arrival = np.minimum(first_goal, first_cue)
    rows, steps, move = [], [], []
    # Levels that still wait for their first decision point; all of them are advanced one step at a time.
    pending = metrics.off_each_others_path(levels, goals, cues)
    for step, actions in enumerate(trajectory.actions):
        pending &= (actions >= 0) & (arrival > step)
        active = np.flatnonzero(pending)
        if not len(active):
            break
        cells = trajectory.agent[step, active]
        for_goal = shortening(levels, to_goal, active, cells)
        for_cue = shortening(levels, to_cue, active, cells)
        deciding = for_goal.any(axis=1) & for_cue.any(axis=1) & ~(for_goal & for_cue).any(axis=1)
        decided = active[deciding]
        chosen, which = actions[decided], np.flatnonzero(deciding)
        rows.append(decided)
        steps.append(np.full(len(decided), step))
        move.append(np.where(for_cue[which, chosen], 1, np.where(for_goal[which, chosen], 0, -1)))
        pending[decided] = False
    empty = [np.zeros(0, np.intp)]
    b, t = np.concatenate(rows or empty), np.concatenate(steps or empty)
    # Found in the order of steps; returned in the order of levels.
    order = np.argsort(b, kind="stable")
    b, t = b[order], t[order]
    cells = trajectory.agent[t, b]
    return Decisions(
        rows=b,
        steps=t,
        cells=cells,
        to_goal=to_goal[b, cells],
        to_cue=to_cue[b, cells],
        move=np.concatenate(move or empty)[order].astype(np.int8),
        chose=np.where(arrival[b] < NEVER, first_cue[b] < first_goal[b], -1).astype(np.int8),
    )
