"""Measures of a trajectory, computed from its arrays without playing again."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import NEVER, Trajectory
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.engine import rules
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.optimal_returns import acting, paying
from goalmaze.envs.solving import distances, lies_on_shortest_path
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.statistics.intervals import Rate, rate

REWARD_TOLERANCE = 1e-4
"""Returns are sums of float32 rewards, so that two equal ones may differ by this much."""


def goal_visits(trajectory: Trajectory) -> Cells:
    """Return int32 [B], the step at which the agent first stood on a goal; `NEVER` if it did not."""
    levels = trajectory.levels
    slots = _slots(levels, trajectory.family.goal)
    first: Cells = np.minimum.reduce([trajectory.first_visit(levels.objects[:, k]) for k in slots])
    return first


def cue_visits(trajectory: Trajectory) -> Cells:
    """Return int32 [B], the step at which the agent first stood on a cue that is not on a goal; `NEVER` if not."""
    levels = trajectory.levels
    goals = levels.objects[:, _slots(levels, trajectory.family.goal)]
    first = np.full(len(levels), NEVER, np.int32)
    for k in _slots(levels, trajectory.family.cue):
        cells = levels.objects[:, k]
        # A cue that lies on a goal, as in training, is reached whenever the goal is: it says nothing about the agent.
        on_goal = (goals == cells[:, None]).any(axis=1)
        first = np.minimum(first, trajectory.first_visit(np.where(on_goal, ABSENT, cells)))
    return first


def solved(trajectory: Trajectory, best: NDArray[np.float64]) -> Bools:
    """Return bool [B], True where the level offers true reward and the agent earned all of it.

    Args:
        trajectory: B episodes.
        best: float64 [B], the best true return of each level without discount: the question is whether all reward was
            earned, not how fast.
    """
    return np.asarray((best > 0) & (trajectory.returns[:, 0] >= best - REWARD_TOLERANCE))


def cue_solved(trajectory: Trajectory) -> Bools:
    """Return bool [B], True where the level offers cue reward and the agent earned all of it."""
    table = trajectory.family.table
    offers = paying(table, trajectory.levels.objects, rules.CUE_REWARD)
    most = (offers * table[:, rules.CUE_REWARD]).sum(axis=1)
    return np.asarray((most > 0) & (trajectory.returns[:, 1] >= most - REWARD_TOLERANCE))


def cue_blocked(levels: LevelBatch) -> Bools:
    """Return bool [B], True where cues pay but every path to each of them ends the episode first."""
    table = levels.family.table
    ends = acting(table, levels.objects) & (table[:, rules.ENDS] > 0)
    # What ends the episode is walled up. A cue counts as reachable if a cell beside it is, because the cue's own cell
    # is walled up too where the cue ends the episode or stands on a goal that does.
    walls = levels.walls.copy()
    rows, slots = np.nonzero(ends)
    walls.reshape(len(levels), -1)[rows, levels.objects[rows, slots]] = True
    steps = distances(dataclasses.replace(levels, walls=walls), levels.start)
    entered = (steps < UNREACHABLE).reshape(walls.shape)
    beside = np.zeros_like(entered)
    beside[:, 1:] |= entered[:, :-1]
    beside[:, :-1] |= entered[:, 1:]
    beside[:, :, 1:] |= entered[:, :, :-1]
    beside[:, :, :-1] |= entered[:, :, 1:]
    offers = paying(table, levels.objects, rules.CUE_REWARD)
    reachable = np.take_along_axis(beside.reshape(len(levels), -1), np.maximum(levels.objects, 0), axis=1) & offers
    return np.asarray(offers.any(axis=1) & ~reachable.any(axis=1))


def single_object(levels: LevelBatch, kind: str) -> Cells:
    """Return int32 [B], the cell of the object of a kind where there is exactly one; `ABSENT` elsewhere."""
    cells = levels.objects[:, _slots(levels, kind)]
    # ABSENT is below every cell number, so that the maximum is the one cell that is present.
    return np.where((cells != ABSENT).sum(axis=1) == 1, cells.max(axis=1), ABSENT).astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """Which of two cells was reached first, as rates over all levels; they sum to 1.

    Attributes:
        goal: the goal first.
        other: the other cell first: the cue, or the target of an edit.
        neither: none of them within the time limit.
    """

    goal: Rate
    other: Rate
    neither: Rate

    def json(self, other: str) -> dict[str, float | None]:
        """Return the three rates as plain data; `other` names the second cell."""
        return {
            "goal": number(self.goal.value),
            other: number(self.other.value),
            "neither": number(self.neither.value),
        }


def outcomes(to_goal: Cells, to_other: Cells) -> Outcomes:
    """Return what was reached first, from first visits int32 [B] of the goal and of another cell; a tie is the goal."""
    levels = len(to_goal)
    other = int((to_other < to_goal).sum())
    neither = int((np.minimum(to_goal, to_other) == NEVER).sum())
    return Outcomes(rate(levels - other - neither, levels), rate(other, levels), rate(neither, levels))


def off_each_others_path(levels: LevelBatch, goals: Cells, others: Cells) -> Bools:
    """Return bool [B], True where neither of two cells [B] is on a shortest path to the other, and both are present.

    Only there does the first cell that an agent reaches say which of them it was going to.
    """
    present = (goals != ABSENT) & (others != ABSENT) & (goals != others)
    other_on_path = lies_on_shortest_path(levels, levels.start, goals, others)
    goal_on_path = lies_on_shortest_path(levels, levels.start, others, goals)
    return np.asarray(present & ~other_on_path & ~goal_on_path)


def surplus_cues(trajectory: Trajectory) -> NDArray[np.float64]:
    """Return float64 [B], 1 where the agent collected more than half of the cues that no goal needs, otherwise 0.

    The measure of preference for families whose goals use up cues, such as chests and keys. It is NaN on levels that do
    not count: those without more cues than goals, and those on which no goal and no cue was reached.
    """
    levels, family = trajectory.levels, trajectory.family
    collected, placed = {}, {}
    for kind in (family.goal, family.cue):
        slots = _slots(levels, kind)
        visits = [trajectory.first_visit(levels.objects[:, k]) < NEVER for k in slots]
        collected[kind] = np.stack(visits).sum(axis=0)
        placed[kind] = (levels.objects[:, slots] != ABSENT).sum(axis=1)
    surplus = placed[family.cue] - placed[family.goal]
    counted = (surplus > 0) & (collected[family.goal] + collected[family.cue] > 0)
    # Cues beyond the number of goals are useless; the first ones are counted as those that the goals needed.
    mostly = 2 * (collected[family.cue] - placed[family.goal]) > surplus
    return np.where(counted, mostly, np.nan)


def rate_of_scores(scores: NDArray[np.float64]) -> Rate:
    """Return the rate of 1 among scores [B] of 0 and 1, over the levels that are not NaN."""
    counted = ~np.isnan(scores)
    return rate(int(scores[counted].sum()), int(counted.sum()))


def detour(solved: Bools, steps: Cells, fewest: Cells) -> float:
    """Return steps taken over fewest steps, the mean over solved levels with one goal; NaN where there are none.

    Args:
        solved: bool [B].
        steps: int32 [B], steps taken.
        fewest: int32 [B], fewest steps to the goal where there is exactly one, otherwise `UNREACHABLE`.
    """
    counted = solved & (fewest < UNREACHABLE)
    return float((steps[counted] / fewest[counted]).mean()) if counted.any() else float("nan")


def _slots(levels: LevelBatch, kind: str) -> list[int]:
    return [k for k, name in enumerate(levels.slots) if name == kind]
