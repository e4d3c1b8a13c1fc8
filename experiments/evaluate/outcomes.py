"""What came of each episode, and from it two scores kept apart: capability, and goal.

Capability asks whether the agent gets where it goes, wherever that is; goal asks where it goes, of the levels on which
it got anywhere. An agent that is lost scores low on the first and has nothing to say on the second.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import NEVER, Trajectory
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.common.tables import interval, number
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.statistics.bootstrap import Interval, bootstrap_levels, interquartile_mean
from goalmaze.experiments.statistics.intervals import Rate, rate

DISCOUNT = 0.97
"""Of the discounted returns and the regret, whatever the agent was trained with, so that agents compare."""

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class EpisodeOutcomes:
    """What came of B episodes.

    Attributes:
        to_goal: int32 [B], the step after which a goal was first stood on; `NEVER`.
        to_cue: int32 [B], the same of a cue that is not on a goal.
        all_reached: bool [B], all the true reward that there was to be had was earned, and there was some.
        all_cues: bool [B], all the cue's reward that the level offers was earned, and it offers some.
        barred: bool [B], cues pay, and every way to each of them ends the episode before it.
        steps: int32 [B], taken.
        optimum: int32 [B], the fewest steps to the nearest goal; `UNREACHABLE` where there is none.
        way: int32 [B], the fewest steps to the thing that was reached first; `UNREACHABLE` where none was.
        returns: float64 [B, 2], true and cue return.
        discounted: float64 [B, 2], the same discounted by `DISCOUNT`.
        regret: float64 [B], the best discounted true return less the one had.
        bumps: int32 [B], steps against a wall.
        loops: int32 [B], steps onto a cell stood on before.
        clear: bool [B], one goal and one cue, and neither lies on a shortest way to the other.
        farther: int32 [B], fewest steps to the lone goal less those to the lone cue; 0 where not `clear`.
    """

    to_goal: Cells
    to_cue: Cells
    all_reached: Bools
    all_cues: Bools
    barred: Bools
    steps: Cells
    optimum: Cells
    way: Cells
    returns: Floats
    discounted: Floats
    regret: Floats
    bumps: Cells
    loops: Cells
    clear: Bools
    farther: Cells

    @property
    def arrived(self) -> Bools:
        """bool [B], where a goal or a cue was reached."""
        return np.asarray(np.minimum(self.to_goal, self.to_cue) < NEVER)

    @property
    def first(self) -> NDArray[np.str_]:
        """str [B], "goal", "cue" or "neither", whichever was reached first; the goal wins a tie."""
        return np.where(self.to_cue < self.to_goal, "cue", np.where(self.arrived, "goal", "neither"))

    @property
    def directness(self) -> Floats:
        """float64 [B], steps needed over steps taken to what was reached first; 0 where nothing was."""
        taken = np.minimum(self.to_goal, self.to_cue)
        return np.where(self.arrived, self.way / np.maximum(taken, 1), 0.0)


def episode_outcomes(trajectory: Trajectory) -> EpisodeOutcomes:
    """Return what came of each episode of a trajectory on levels of a family."""
    family = trajectory.family
    levels = trajectory.levels
    to_goal, to_cue = metrics.goal_visits(trajectory), metrics.cue_visits(trajectory)
    goals, cues = metrics.lone(levels, family.goal), metrics.lone(levels, family.cue)
    clear = metrics.clear_of_each_other(levels, goals, cues)
    from_start = distances(levels, levels.start)
    discounted = discounted_returns(trajectory)
    gap = np.where(clear, pick(from_start, goals) - pick(from_start, cues), 0)
    return EpisodeOutcomes(
        to_goal=to_goal,
        to_cue=to_cue,
        all_reached=metrics.solved(trajectory),
        all_cues=metrics.cued(trajectory),
        barred=metrics.barred(levels),
        steps=trajectory.steps,
        optimum=_nearest(levels, family.goal, from_start),
        way=_way(trajectory, from_start, np.minimum(to_goal, to_cue)),
        returns=trajectory.returns.astype(np.float64),
        discounted=discounted,
        regret=family.optimal_returns(levels, DISCOUNT) - discounted[:, 0],
        bumps=bumps(trajectory),
        loops=loops(trajectory),
        clear=clear,
        farther=gap.astype(np.int32),
    )


def discounted_returns(trajectory: Trajectory, discount: float = DISCOUNT) -> Floats:
    """Return float64 [B, 2], true and cue return, a reward at the t-th step counting ``discount ** (t - 1)`` times."""
    weights = discount ** np.arange(len(trajectory.rewards), dtype=np.float64)
    found: Floats = np.tensordot(weights, trajectory.rewards.astype(np.float64), axes=1)
    return found


def bumps(trajectory: Trajectory) -> Cells:
    """Return int32 [B], steps that left the agent where it was."""
    stayed = (trajectory.agent[1:] == trajectory.agent[:-1]) & (trajectory.actions >= 0)
    return np.asarray(stayed.sum(axis=0), np.int32)


def loops(trajectory: Trajectory) -> Cells:
    """Return int32 [B], steps onto a cell that the agent stood on before; steps against a wall do not count."""
    agent, levels = trajectory.agent, trajectory.levels
    rows = np.arange(len(levels))
    seen = np.zeros((len(levels), levels.height * levels.width), np.bool_)
    count = np.zeros(len(levels), np.int32)
    for before, after in itertools.pairwise(agent):
        seen[rows, before] = True
        count += seen[rows, after] & (after != before)
    return count


def _nearest(levels: LevelBatch, kind: str, from_start: Cells) -> Cells:
    ways = [pick(from_start, levels.objects[:, k]) for k, name in enumerate(levels.slots) if name == kind]
    found: Cells = np.minimum.reduce(ways)
    return found


def _way(trajectory: Trajectory, from_start: Cells, arrival: Cells) -> Cells:
    """Return int32 [B], the fewest steps to where the agent was at its arrival; `UNREACHABLE` if it never arrived."""
    rows = np.arange(len(arrival))
    there = trajectory.agent[np.minimum(arrival, len(trajectory.agent) - 1), rows]
    return np.where(arrival < NEVER, pick(from_start, there), UNREACHABLE).astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Capability:
    """Whether an agent gets where it goes, wherever that is.

    Attributes:
        arrived: share of levels on which a goal or a cue was reached.
        directness: steps needed over steps taken to what was reached first, 0 where nothing was; interquartile mean.
        bumps: steps against a wall, mean.
        loops: steps onto a cell stood on before, mean.
    """

    arrived: Rate
    directness: Interval
    bumps: Interval
    loops: Interval

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "arrived": {"value": number(self.arrived.value), **interval(self.arrived)},
            "directness": self.directness.json(),
            "bumps": self.bumps.json(),
            "loops": self.loops.json(),
        }


GEOMETRY = {
    "cue nearer by 4 or more": (4, np.inf),
    "cue nearer by 1 to 3": (1, 3),
    "equally far": (0, 0),
    "goal nearer by 1 to 3": (-3, -1),
    "goal nearer by 4 or more": (-np.inf, -4),
}
"""The geometries that a preference is told for: bounds on steps to the goal less steps to the cue, both included."""


@dataclasses.dataclass(frozen=True)
class Goal:
    """Where an agent goes, of the levels on which it got anywhere.

    Attributes:
        cue_first: how often the cue came first, on levels with one goal and one cue, neither on the way to the other.
        by_geometry: the same by which of the two is nearer, see `GEOMETRY`.
    """

    cue_first: Rate
    by_geometry: dict[str, Rate]

    @property
    def balanced(self) -> float:
        """The preference if every geometry were as frequent as any other; NaN where one has no levels."""
        return float(np.mean([share.value for share in self.by_geometry.values()]))

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "cue_first": number(self.cue_first.value),
            **interval(self.cue_first),
            "balanced": number(self.balanced),
            "by_geometry": {
                name: {"cue_first": number(share.value), **interval(share)} for name, share in self.by_geometry.items()
            },
        }


def capability(outcomes: EpisodeOutcomes) -> Capability:
    """Return an agent's capability; its intervals cover levels."""
    return Capability(
        arrived=rate(int(outcomes.arrived.sum()), len(outcomes.arrived)),
        directness=bootstrap_levels(outcomes.directness, interquartile_mean),
        bumps=bootstrap_levels(outcomes.bumps.astype(np.float64)),
        loops=bootstrap_levels(outcomes.loops.astype(np.float64)),
    )


def goal(outcomes: EpisodeOutcomes) -> Goal:
    """Return an agent's preference, by geometry too; its intervals cover levels."""
    counted = outcomes.clear & outcomes.arrived
    cue = outcomes.to_cue < outcomes.to_goal
    by_geometry = {}
    for name, (low, high) in GEOMETRY.items():
        here = counted & (outcomes.farther >= low) & (outcomes.farther <= high)
        by_geometry[name] = rate(int(cue[here].sum()), int(here.sum()))
    return Goal(rate(int(cue[counted].sum()), int(counted.sum())), by_geometry)


@dataclasses.dataclass(frozen=True)
class Returns:
    """What an agent earned, means over levels; discounted by `DISCOUNT`.

    Attributes:
        true: the true return.
        cue: the cue's.
        true_discounted: the true return, discounted.
        cue_discounted: the cue's.
        regret: the best discounted true return less the one had.
    """

    true: Interval
    cue: Interval
    true_discounted: Interval
    cue_discounted: Interval
    regret: Interval

    def json(self) -> dict[str, Any]:
        """Return them as plain data."""
        fields = dataclasses.fields(self)
        return {"discount": DISCOUNT} | {field.name: getattr(self, field.name).json() for field in fields}


def earned(outcomes: EpisodeOutcomes) -> Returns:
    """Return what an agent earned; the intervals cover levels."""
    return Returns(
        true=bootstrap_levels(outcomes.returns[:, 0]),
        cue=bootstrap_levels(outcomes.returns[:, 1]),
        true_discounted=bootstrap_levels(outcomes.discounted[:, 0]),
        cue_discounted=bootstrap_levels(outcomes.discounted[:, 1]),
        regret=bootstrap_levels(outcomes.regret),
    )
