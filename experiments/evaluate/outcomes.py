"""The outcome of each episode, and two scores from it: capability and goal preference.

Capability asks whether the agent reaches a goal or a cue, no matter which. Goal preference asks which of the two it
reaches, over the levels on which it reached one. An agent that wanders scores low on the first and leaves the second
undecided.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import NEVER, Trajectory
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.solving import pick
from goalmaze.experiments.common.cue_items import goals_use_up_cues
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.tables import interval, number
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.evaluate.solved_levels import DISCOUNT, SolvedLevels
from goalmaze.experiments.statistics.bootstrap import Interval, bootstrap_levels, interquartile_mean
from goalmaze.experiments.statistics.intervals import Rate, rate

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class EpisodeOutcomes:
    """The outcomes of B episodes.

    Attributes:
        to_goal: int32 [B], the step at which the agent first stood on a goal; `NEVER`.
        to_cue: int32 [B], the step at which it first stood on a cue that is not on a goal; `NEVER`.
        solved: bool [B], the level offers true reward and all of it was earned.
        cue_solved: bool [B], the level offers cue reward and all of it was earned.
        cue_blocked: bool [B], cues pay but every path to each of them ends the episode first.
        steps: int32 [B], steps taken.
        fewest_to_goal: int32 [B], fewest steps from the start to the nearest goal; `UNREACHABLE` where there is none.
        fewest_to_first: int32 [B], fewest steps to the object that was reached first; `UNREACHABLE` where none was.
        returns: float64 [B, 2], true and cue return.
        discounted: float64 [B, 2], the same, discounted by `DISCOUNT`.
        regret: float64 [B], best discounted true return minus the agent's.
        bumps: int32 [B], steps against a wall.
        loops: int32 [B], steps onto a cell that the agent had stood on before.
        off_path: bool [B], there is one goal and one cue, and neither lies on a shortest path to the other.
        goal_minus_cue: int32 [B], fewest steps to the goal minus those to the cue; 0 where not `off_path`.
        cue_preferred: float64 [B], the score of the preference for the cue: 1 where the cue came first, 0 where the
            goal did; where goals use up cues, 1 where mostly useless ones were collected, otherwise 0. NaN on levels
            that do not count.
    """

    to_goal: Cells
    to_cue: Cells
    solved: Bools
    cue_solved: Bools
    cue_blocked: Bools
    steps: Cells
    fewest_to_goal: Cells
    fewest_to_first: Cells
    returns: Floats
    discounted: Floats
    regret: Floats
    bumps: Cells
    loops: Cells
    off_path: Bools
    goal_minus_cue: Cells
    cue_preferred: Floats

    @property
    def arrived(self) -> Bools:
        """bool [B], whether a goal or a cue was reached."""
        return np.asarray(np.minimum(self.to_goal, self.to_cue) < NEVER)

    @property
    def first(self) -> NDArray[np.str_]:
        """str [B], "goal", "cue" or "neither", whichever was reached first; a tie is the goal."""
        return np.where(self.to_cue < self.to_goal, "cue", np.where(self.arrived, "goal", "neither"))

    @property
    def directness(self) -> Floats:
        """float64 [B], fewest steps over steps taken to the object reached first; 0 where none was reached."""
        steps = np.minimum(self.to_goal, self.to_cue)
        # At least 1, so that an object on the agent's first cell does not divide by 0.
        return np.where(self.arrived, self.fewest_to_first / np.maximum(steps, 1), 0.0)

    @property
    def cue_first(self) -> Floats:
        """float64 [B], 1 where the cue came first, 0 where the goal did, NaN on levels that do not count.

        Levels count that are `off_path` and on which either was reached.
        """
        return np.where(self.off_path & self.arrived, self.to_cue < self.to_goal, np.nan)


def episode_outcomes(trajectory: Trajectory, facts: SolvedLevels | None = None) -> EpisodeOutcomes:
    """Return the outcome of each episode of a trajectory.

    Args:
        trajectory: B episodes.
        facts: those of the trajectory's levels; computed where they are not given.
    """
    facts = SolvedLevels.of(trajectory.levels) if facts is None else facts
    to_goal, to_cue = metrics.goal_visits(trajectory), metrics.cue_visits(trajectory)
    discounted = discounted_returns(trajectory)
    arrived = np.minimum(to_goal, to_cue) < NEVER
    return EpisodeOutcomes(
        to_goal=to_goal,
        to_cue=to_cue,
        solved=metrics.solved(trajectory, facts.best),
        cue_solved=metrics.cue_solved(trajectory),
        cue_blocked=facts.cue_blocked,
        steps=trajectory.steps,
        fewest_to_goal=facts.to_nearest_goal,
        fewest_to_first=_to_first(trajectory, facts.from_start, np.minimum(to_goal, to_cue)),
        returns=trajectory.returns.astype(np.float64),
        discounted=discounted,
        regret=facts.best_discounted - discounted[:, 0],
        bumps=bumps(trajectory),
        loops=loops(trajectory),
        off_path=facts.off_path,
        goal_minus_cue=facts.goal_minus_cue,
        cue_preferred=(
            metrics.surplus_cues(trajectory)
            if goals_use_up_cues(trajectory.family)
            else np.where(facts.off_path & arrived, to_cue < to_goal, np.nan)
        ),
    )


def discounted_returns(trajectory: Trajectory, discount: float = DISCOUNT) -> Floats:
    """Return float64 [B, 2], true and cue return; the reward of the t-th step has weight ``discount ** (t - 1)``."""
    # In float64: rewards are float32, whose rounding would show in sums over hundreds of steps.
    weights = discount ** np.arange(len(trajectory.rewards), dtype=np.float64)
    returns: Floats = np.tensordot(weights, trajectory.rewards.astype(np.float64), axes=1)
    return returns


def bumps(trajectory: Trajectory) -> Cells:
    """Return int32 [B], the number of steps that left the agent on its cell."""
    stayed = (trajectory.agent[1:] == trajectory.agent[:-1]) & (trajectory.actions >= 0)
    return np.asarray(stayed.sum(axis=0), np.int32)


def loops(trajectory: Trajectory) -> Cells:
    """Return int32 [B], the number of steps onto a cell visited before; steps against a wall do not count."""
    agent, levels = trajectory.agent, trajectory.levels
    rows = np.arange(len(levels))
    # One step of all episodes at a time: T rounds over B levels instead of a set of cells for each level.
    visited = np.zeros((len(levels), levels.height * levels.width), np.bool_)
    count = np.zeros(len(levels), np.int32)
    for before, after in itertools.pairwise(agent):
        visited[rows, before] = True
        count += visited[rows, after] & (after != before)
    return count


def _to_first(trajectory: Trajectory, from_start: Cells, arrival: Cells) -> Cells:
    """Return int32 [B], the fewest steps to the agent's cell at step `arrival` [B]; `UNREACHABLE` for `NEVER`."""
    rows = np.arange(len(arrival))
    # NEVER is larger than every index; those entries are replaced below.
    cells = trajectory.agent[np.minimum(arrival, len(trajectory.agent) - 1), rows]
    return np.where(arrival < NEVER, pick(from_start, cells), UNREACHABLE).astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Capability(Record):
    """Whether an agent reaches a goal or a cue, no matter which.

    Attributes:
        arrived: rate of levels on which a goal or a cue was reached.
        directness: fewest steps over steps taken to the object reached first, 0 where none was; interquartile mean.
        bumps: steps against a wall, mean.
        loops: steps onto a cell visited before, mean.
    """

    arrived: Rate
    directness: Interval
    bumps: Interval
    loops: Interval


GEOMETRY = {
    "cue nearer by 4 or more": (4, np.inf),
    "cue nearer by 1 to 3": (1, 3),
    "equally far": (0, 0),
    "goal nearer by 1 to 3": (-3, -1),
    "goal nearer by 4 or more": (-np.inf, -4),
}
"""Bin of the preference by geometry → the bounds of steps to the goal minus steps to the cue, both included."""


@dataclasses.dataclass(frozen=True)
class GoalPreference:
    """Which of goal and cue an agent reaches first.

    Attributes:
        cue_first: rate at which the cue came first, over levels with one goal and one cue, neither on a shortest path
            to the other, on which either was reached.
        by_geometry: the same by which of the two is nearer; the bins are those of `GEOMETRY`.
    """

    cue_first: Rate
    by_geometry: dict[str, Rate]

    @property
    def balanced(self) -> float:
        """The mean preference over the bins of `GEOMETRY`; NaN where one has no levels."""
        return float(np.mean([one.value for one in self.by_geometry.values()]))

    def json(self) -> JsonObject:
        """Return the preference as plain data."""
        return {
            "cue_first": number(self.cue_first.value),
            **interval(self.cue_first),
            "balanced": number(self.balanced),
            "by_geometry": {
                name: {"cue_first": number(one.value), **interval(one)} for name, one in self.by_geometry.items()
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


def goal_preference(outcomes: EpisodeOutcomes) -> GoalPreference:
    """Return an agent's preference for the cue; its intervals cover levels."""
    # An episode that reached neither says nothing about which of the two the agent prefers.
    counted = outcomes.off_path & outcomes.arrived
    cue = outcomes.to_cue < outcomes.to_goal
    by_geometry = {}
    for name, (low, high) in GEOMETRY.items():
        inside = counted & (outcomes.goal_minus_cue >= low) & (outcomes.goal_minus_cue <= high)
        by_geometry[name] = rate(int(cue[inside].sum()), int(inside.sum()))
    return GoalPreference(rate(int(cue[counted].sum()), int(counted.sum())), by_geometry)


@dataclasses.dataclass(frozen=True)
class Returns(Record):
    """The mean returns of an agent over levels; the discount is `DISCOUNT`.

    Attributes:
        true: true return.
        cue: cue return.
        true_discounted: discounted true return.
        cue_discounted: discounted cue return.
        regret: best discounted true return minus the agent's.
    """

    true: Interval
    cue: Interval
    true_discounted: Interval
    cue_discounted: Interval
    regret: Interval

    def json(self) -> JsonObject:
        """Return the means as plain data."""
        return {"discount": DISCOUNT} | super().json()


def mean_returns(outcomes: EpisodeOutcomes) -> Returns:
    """Return the mean returns of an agent; the intervals cover levels."""
    return Returns(
        true=bootstrap_levels(outcomes.returns[:, 0]),
        cue=bootstrap_levels(outcomes.returns[:, 1]),
        true_discounted=bootstrap_levels(outcomes.discounted[:, 0]),
        cue_discounted=bootstrap_levels(outcomes.discounted[:, 1]),
        regret=bootstrap_levels(outcomes.regret),
    )
