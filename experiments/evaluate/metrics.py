"""From trajectories to numbers: pure functions, no environment asked again."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.agents.rollout import NEVER, Trajectory
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.engine import rules
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.optimal_returns import acting, paying
from goalmaze.envs.solving import distances, lies_on_shortest_path, pick
from goalmaze.experiments.statistics.intervals import Rate, rate


def goal_visits(trajectory: Trajectory) -> Cells:
    """Return int32 [B], when the agent first stood on a goal; `NEVER` if it did not."""
    family = trajectory.family
    levels = trajectory.levels
    slots = [k for k, kind in enumerate(levels.slots) if kind == family.goal]
    first: Cells = np.minimum.reduce([trajectory.first_visit(levels.objects[:, k]) for k in slots])
    return first


def cue_visits(trajectory: Trajectory) -> Cells:
    """Return int32 [B], when the agent first stood on a cue that is not on a goal; `NEVER` if it did not."""
    family = trajectory.family
    levels = trajectory.levels
    goals = [k for k, kind in enumerate(levels.slots) if kind == family.goal]
    first = np.full(len(levels), NEVER, np.int32)
    for k, kind in enumerate(levels.slots):
        if kind == family.cue:
            on_goal = (levels.objects[:, goals] == levels.objects[:, k : k + 1]).any(axis=1)
            first = np.minimum(first, trajectory.first_visit(np.where(on_goal, ABSENT, levels.objects[:, k])))
    return first


def solved(trajectory: Trajectory) -> Bools:
    """Return bool [B], True where the agent earned all the true reward there was to be had, and there was some."""
    family = trajectory.family
    best = family.optimal_returns(trajectory.levels, 1.0)
    return np.asarray((best > 0) & (trajectory.returns[:, 0] >= best - 1e-4))


def cued(trajectory: Trajectory) -> Bools:
    """Return bool [B], True where the agent earned all the cue's reward that the level offers, and it offers some."""
    family = trajectory.family
    offers = paying(family.table, trajectory.levels.objects, rules.CUE_REWARD)
    most = (offers * family.table[:, rules.CUE_REWARD]).sum(axis=1)
    return np.asarray((most > 0) & (trajectory.returns[:, 1] >= most - 1e-4))


def barred(levels: LevelBatch) -> Bools:
    """Return bool [B], True where cues pay and every way to each of them ends the episode before it."""
    family = levels.family
    ends = acting(family.table, levels.objects) & (family.table[:, rules.ENDS] > 0)
    walls = levels.walls.copy()
    rows, slots = np.nonzero(ends)
    walls.reshape(len(levels), -1)[rows, levels.objects[rows, slots]] = True
    open_ways = distances(dataclasses.replace(levels, walls=walls), levels.start)
    entered = (open_ways < UNREACHABLE).reshape(walls.shape)
    beside = np.zeros_like(entered)
    beside[:, 1:] |= entered[:, :-1]
    beside[:, :-1] |= entered[:, 1:]
    beside[:, :, 1:] |= entered[:, :, :-1]
    beside[:, :, :-1] |= entered[:, :, 1:]
    offers = paying(family.table, levels.objects, rules.CUE_REWARD)
    had = np.take_along_axis(beside.reshape(len(levels), -1), np.maximum(levels.objects, 0), axis=1) & offers
    return np.asarray(offers.any(axis=1) & ~had.any(axis=1))


def lone(levels: LevelBatch, kind: str) -> Cells:
    """Return int32 [B], the cell of the only object of a kind; `ABSENT` where there is none, or more than one."""
    slots = [k for k, name in enumerate(levels.slots) if name == kind]
    there = levels.objects[:, slots] != ABSENT
    return np.where(there.sum(axis=1) == 1, levels.objects[:, slots].max(axis=1), ABSENT).astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """Which of two places was reached first, as shares of all levels that sum to 1.

    Attributes:
        goal: the goal first.
        other: the other place first: the cue, or a target.
        neither: none of them within the time limit.
    """

    goal: Rate
    other: Rate
    neither: Rate


def outcomes(to_goal: Cells, to_other: Cells) -> Outcomes:
    """Return who was first, from first visits int32 [B] of the goal and of another place; the goal wins a tie."""
    levels = len(to_goal)
    other = int((to_other < to_goal).sum())
    neither = int((np.minimum(to_goal, to_other) == NEVER).sum())
    return Outcomes(rate(levels - other - neither, levels), rate(other, levels), rate(neither, levels))


def clear_of_each_other(levels: LevelBatch, goals: Cells, others: Cells) -> Bools:
    """Return bool [B], True where both are in the level, apart, and neither lies on a shortest path to the other."""
    present = (goals != ABSENT) & (others != ABSENT) & (goals != others)
    other_in_way = lies_on_shortest_path(levels, levels.start, goals, others)
    goal_in_way = lies_on_shortest_path(levels, levels.start, others, goals)
    return np.asarray(present & ~other_in_way & ~goal_in_way)


def preference(to_goal: Cells, to_other: Cells, clear: Bools) -> Rate:
    """Return how often the other place came first, among `clear` levels bool [B] where either was reached."""
    counted = clear & (np.minimum(to_goal, to_other) < NEVER)
    return rate(int((to_other < to_goal)[counted].sum()), int(counted.sum()))


def needless_cues(trajectory: Trajectory) -> Rate:
    """Return how often more than half of the cues were entered that no goal needs, on levels with such cues.

    The measure of what is wanted where there are several goals and cues, such as chests and keys; levels on which
    neither was entered do not count.
    """
    family = trajectory.family
    levels = trajectory.levels
    entered = {
        kind: np.stack(
            [
                trajectory.first_visit(levels.objects[:, k]) < NEVER
                for k, name in enumerate(levels.slots)
                if name == kind
            ]
        ).sum(axis=0)
        for kind in (family.goal, family.cue)
    }
    there = {kind: _count(levels, kind) for kind in entered}
    surplus = there[family.cue] - there[family.goal]
    counted = (surplus > 0) & (entered[family.goal] + entered[family.cue] > 0)
    wanted = 2 * (entered[family.cue] - there[family.goal]) > surplus
    return rate(int(wanted[counted].sum()), int(counted.sum()))


def _count(levels: LevelBatch, kind: str) -> Cells:
    slots = [k for k, name in enumerate(levels.slots) if name == kind]
    counts: Cells = (levels.objects[:, slots] != ABSENT).sum(axis=1)
    return counts


def detour(trajectory: Trajectory) -> float:
    """Return steps taken over steps needed, the mean over solved levels with one goal; NaN where there are none."""
    family = trajectory.family
    levels = trajectory.levels
    goals = lone(levels, family.goal)
    counted = solved(trajectory) & (goals != ABSENT)
    optimum = pick(distances(levels, levels.start), goals)
    return float((trajectory.steps[counted] / optimum[counted]).mean()) if counted.any() else float("nan")
