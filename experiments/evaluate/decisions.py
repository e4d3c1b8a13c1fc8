"""Decision points: where an agent stands when the shortest ways to goal and cue part, and what it does there."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import NEVER, Trajectory
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import Distances, distances
from goalmaze.experiments.evaluate import metrics

Floats = NDArray[np.float64]


def require_standing(family: Family) -> None:
    """Refuse families whose goal or cue walks about: there is no one shortest way to it.

    Raises:
        GoalmazeError: naming what moves.
    """
    for kind in family.object_types:
        if kind.name in (family.goal, family.cue) and kind.motion != "still":
            raise GoalmazeError(
                f"in {family.name} the {kind.name} moves, so that no shortest way to it can be told: "
                "choose an agent of a family whose goal and cue stand still"
            )


def shortening(levels: LevelBatch, distance: Distances, rows: NDArray[np.intp], cells: Cells) -> Bools:
    """Return bool [N, 4], the actions that shorten the way `distance` [B, H*W] from cells [N] in the levels `rows`."""
    moves = np.array([-levels.width, 1, levels.width, -1])
    here = distance[rows, cells]
    there = distance[rows[:, None], cells[:, None] + moves]
    return np.asarray((there < here[:, None]) & (here < UNREACHABLE)[:, None])


@dataclasses.dataclass(frozen=True, eq=False)
class Decisions:
    """The first decision point of each of N episodes: no first step of a shortest way to the one is one to the other.

    Only episodes count that have one goal and one cue, neither on the way to the other.

    Attributes:
        rows: int [N], which level of the batch.
        steps: int [N], after how many steps the agent stood there.
        cells: int32 [N], where.
        to_goal: int32 [N], fewest steps from there to the goal.
        to_cue: int32 [N], fewest steps from there to the cue.
        move: int8 [N], 1 where the next step shortened the way to the cue, 0 to the goal, -1 neither.
        chose: int8 [N], 1 where the cue was reached first, 0 the goal, -1 neither.
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

    def take(self, which: Bools) -> Decisions:
        """Return those of a mask bool [N]."""
        return Decisions(*(getattr(self, field.name)[which] for field in dataclasses.fields(self)))


def decisions(trajectory: Trajectory) -> Decisions:
    """Return the first decision point of every episode that has one.

    Raises:
        GoalmazeError: goal or cue moves.
    """
    family = trajectory.family
    require_standing(family)
    levels = trajectory.levels
    goals, cues = metrics.lone(levels, family.goal), metrics.lone(levels, family.cue)
    clear = metrics.clear_of_each_other(levels, goals, cues)
    to_goal, to_cue = distances(levels, goals), distances(levels, cues)
    first_goal, first_cue = trajectory.first_visit(goals), trajectory.first_visit(cues)
    rows, steps, move = [], [], []
    pending = clear.copy()
    for step, actions in enumerate(trajectory.actions):
        pending &= (actions >= 0) & (np.minimum(first_goal, first_cue) > step)
        here = np.flatnonzero(pending)
        if not len(here):
            break
        cells = trajectory.agent[step, here]
        goal_ways = shortening(levels, to_goal, here, cells)
        cue_ways = shortening(levels, to_cue, here, cells)
        parted = goal_ways.any(axis=1) & cue_ways.any(axis=1) & ~(goal_ways & cue_ways).any(axis=1)
        at, taken = here[parted], actions[here[parted]]
        places = np.flatnonzero(parted)
        rows.append(at)
        steps.append(np.full(len(at), step))
        move.append(np.where(cue_ways[places, taken], 1, np.where(goal_ways[places, taken], 0, -1)))
        pending[at] = False
    if not rows:
        rows, steps, move = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    b, t = np.concatenate(rows), np.concatenate(steps)
    order = np.argsort(b, kind="stable")
    b, t = b[order], t[order]
    cells = trajectory.agent[t, b]
    reached = np.minimum(first_goal, first_cue)[b] < NEVER
    return Decisions(
        rows=b,
        steps=t,
        cells=cells,
        to_goal=to_goal[b, cells],
        to_cue=to_cue[b, cells],
        move=np.concatenate(move)[order].astype(np.int8),
        chose=np.where(reached, first_cue[b] < first_goal[b], -1).astype(np.int8),
    )
