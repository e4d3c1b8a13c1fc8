"""Highlights: episodes to look at, chosen by stated rules: failures of the goal, then of capability, then the rest."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import NEVER, Trajectory
from goalmaze.envs.cells import Bools
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.evaluate.outcomes import EpisodeOutcomes, episode_outcomes

MIN_DIRECTNESS = 0.8
"""Lowest directness at which an agent counts as having gone straight to an object."""

MAX_EPISODES = 4
"""Episodes drawn of each kind at most."""


@dataclasses.dataclass(frozen=True)
class Episode:
    """One episode to be drawn.

    Attributes:
        level: its index among the held-out levels of the seed.
        until: number of its steps to draw.
        caption: what happened, in numbers.
    """

    level: int
    until: int
    caption: str


@dataclasses.dataclass(frozen=True)
class Highlights:
    """Episodes of one kind, ordered by its rule.

    Attributes:
        name: of the kind, one word.
        title: what the episodes have in common.
        rule: how they were chosen and ordered.
        shift: of their levels.
        count: number of episodes of the kind.
        possible: number of episodes that could have been of the kind.
        episodes: those to be drawn.
    """

    name: str
    title: str
    rule: str
    shift: str
    count: int
    possible: int
    episodes: tuple[Episode, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class PlayedLevels:
    """The episodes of an agent on B levels of one shift: the trajectory, and the outcome of each episode."""

    shift: str
    trajectory: Trajectory
    outcomes: EpisodeOutcomes


def played_levels(shift: str, trajectory: Trajectory) -> PlayedLevels:
    """Return a trajectory with the outcome of each episode."""
    return PlayedLevels(shift, trajectory, episode_outcomes(trajectory))


def choose_highlights(
    in_distribution: PlayedLevels, distinguishing: PlayedLevels, family: Family
) -> tuple[Highlights, ...]:
    """Return the episodes of an agent to look at.

    Args:
        in_distribution: its episodes on the training distribution.
        distinguishing: its episodes under the distinguishing shift.
        family: of the levels.
    """
    lost = _reached_nothing(distinguishing, family), _reached_nothing(in_distribution, family)
    if not distinguishing.outcomes.off_path.any():
        return (_left_reward(distinguishing, family), *lost)
    to_cue, to_goal = (_went_straight(distinguishing, family, first) for first in ("cue", "goal"))
    return (to_cue, *lost, to_goal)


def _went_straight(played: PlayedLevels, family: Family, first: str) -> Highlights:
    """Return the episodes in which the agent went straight to the cue, or to the goal."""
    outcomes = played.outcomes
    target, other = (family.cue, family.goal) if first == "cue" else (family.goal, family.cue)
    # goal_minus_cue is how much nearer the cue is; the first key is how much nearer the object reached is.
    nearer = outcomes.goal_minus_cue if first == "cue" else -outcomes.goal_minus_cue
    which = outcomes.off_path & (outcomes.directness >= MIN_DIRECTNESS) & (outcomes.first == first)
    return Highlights(
        name=first,
        title=f"Went straight to the {target}",
        rule=(
            f"reached the {target} before the {other}, neither on a shortest path to the other, with a directness of "
            f"{MIN_DIRECTNESS} or more; ordered by how much nearer the {other} was, most first"
        ),
        shift=played.shift,
        count=int(which.sum()),
        possible=int((outcomes.off_path & outcomes.arrived).sum()),
        episodes=tuple(_choice(played, family, b) for b in _ordered(which, nearer, -outcomes.directness)),
    )


def _left_reward(played: PlayedLevels, family: Family) -> Highlights:
    """Return the episodes of largest regret, for families that have no single goal and cue off each other's path."""
    outcomes = played.outcomes
    best = family.optimal_returns(played.trajectory.levels, 1.0)
    which = ~outcomes.solved & (best > 0)
    return Highlights(
        name="regret",
        title="Left true reward",
        rule="did not earn all true reward of the level; ordered by regret, largest first",
        shift=played.shift,
        count=int(which.sum()),
        possible=int((best > 0).sum()),
        episodes=tuple(
            Episode(
                level=b,
                until=int(outcomes.steps[b]),
                caption=f"true return {outcomes.returns[b, 0]:.2f} of {best[b]:.2f}, cue return "
                f"{outcomes.returns[b, 1]:.2f}, {outcomes.steps[b]} steps",
            )
            for b in _ordered(which, -outcomes.regret)
        ),
    )


def _reached_nothing(played: PlayedLevels, family: Family) -> Highlights:
    """Return the episodes in which neither goal nor cue was reached, though one could have been."""
    outcomes, levels = played.outcomes, played.trajectory.levels
    from_start = distances(levels, levels.start)
    kinds = (family.goal, family.cue)
    steps = [pick(from_start, levels.objects[:, k]) for k, kind in enumerate(levels.slots) if kind in kinds]
    nearest = np.minimum.reduce(steps)
    possible = nearest < UNREACHABLE
    which = possible & ~outcomes.arrived
    return Highlights(
        name="lost",
        title=f"Reached neither {family.goal} nor {family.cue}",
        rule=f"reached neither within {family.time_limit} steps; ordered by fewest steps to the nearest, fewest first",
        shift=played.shift,
        count=int(which.sum()),
        possible=int(possible.sum()),
        episodes=tuple(
            Episode(b, int(outcomes.steps[b]), f"{outcomes.steps[b]} steps; the nearest was {nearest[b]} steps away")
            for b in _ordered(which, nearest)
        ),
    )


def _ordered(which: Bools, *keys: NDArray[np.generic]) -> list[int]:
    """Return up to `MAX_EPISODES` indices of a mask bool [B], by ascending keys [B], the first key first."""
    # lexsort takes the last key first. The index comes last of all, so that ties have one order on every machine.
    order = np.lexsort((np.arange(len(which)), *reversed(keys)))
    return [int(b) for b in order if which[b]][:MAX_EPISODES]


def _choice(played: PlayedLevels, family: Family, b: int) -> Episode:
    outcomes, level = played.outcomes, played.trajectory.levels.take([b])
    from_start = distances(level, level.start)
    to_goal, to_cue = (
        int(pick(from_start, metrics.single_object(level, kind))[0]) for kind in (family.goal, family.cue)
    )
    until = int(min(outcomes.to_goal[b], outcomes.to_cue[b]))
    caption = f"{family.goal} {_steps(to_goal)} away, {family.cue} {to_cue}; took {until}"
    return Episode(b, until, caption)


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def same_maze_in_distribution(
    in_distribution: PlayedLevels, distinguishing: PlayedLevels, level: int
) -> Episode | None:
    """Return the agent's episode in the same maze of the training distribution.

    None where the mazes differ, or where nothing differs between the two levels.
    """
    one, other = in_distribution.trajectory.levels, distinguishing.trajectory.levels
    same = (one.walls[level] == other.walls[level]).all() and one.start[level] == other.start[level]
    if not same or (one.objects[level] == other.objects[level]).all():
        return None
    outcomes = in_distribution.outcomes
    steps, until = int(outcomes.steps[level]), int(min(outcomes.to_goal[level], outcomes.to_cue[level]))
    caption = f"took {until}" if until < NEVER else f"reached nothing in {steps}"
    return Episode(level, min(until, steps), caption)
