"""Which episodes are worth looking at, by stated rules: failures of the goal, then of capability, then the rest."""

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

DIRECT = 0.8
"""Directness from which an agent is said to have gone somewhere on purpose, and not to have happened upon it."""

SHOWN = 4
"""Episodes shown of each kind."""


@dataclasses.dataclass(frozen=True)
class Episode:
    """One episode to be drawn.

    Attributes:
        level: its index among the held-out levels of the seed.
        until: how many of its steps to draw.
        caption: what happened, in numbers.
    """

    level: int
    until: int
    caption: str


@dataclasses.dataclass(frozen=True)
class Highlights:
    """Episodes of one kind, the most telling first.

    Attributes:
        name: of the kind, one word.
        title: what they have in common.
        rule: how they were chosen and ordered.
        shift: of their levels.
        count: how many episodes are of the kind.
        of: how many could have been.
        shown: those to be drawn.
    """

    name: str
    title: str
    rule: str
    shift: str
    count: int
    of: int
    shown: tuple[Episode, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Played:
    """What an agent did on the levels of one shift: the trajectory, and what came of each of its B episodes."""

    shift: str
    trajectory: Trajectory
    outcomes: EpisodeOutcomes


def played_on(shift: str, trajectory: Trajectory) -> Played:
    """Return a trajectory with what came of it."""
    return Played(shift, trajectory, episode_outcomes(trajectory))


def tell(trained: Played, apart: Played, family: Family) -> tuple[Highlights, ...]:
    """Return the episodes of an agent to be looked at, from how it played as trained and where goal and cue part."""
    goals = _by_goal(apart, family) if apart.outcomes.clear.any() else (_by_regret(apart, family),)
    wrong, right = goals[:1], goals[1:]
    return (*wrong, _lost(apart, family), _lost(trained, family), *right)


def _by_goal(apart: Played, family: Family) -> tuple[Highlights, Highlights]:
    """Return the episodes in which it went straight to the cue, and those in which it went straight to the goal."""
    found = apart.outcomes
    direct = found.clear & (found.directness >= DIRECT)
    possible = int((found.clear & found.arrived).sum())
    goal, cue = family.goal, family.cue
    tellings = []
    for thing, other, name, sign in ((cue, goal, "cue", 1), (goal, cue, "goal", -1)):
        which = direct & (found.first == name)
        order = _ordered(which, sign * found.farther, -found.directness)
        tellings.append(
            Highlights(
                name=name,
                title=f"Went straight to the {thing}",
                rule=(
                    f"reached the {thing} before the {other}, neither lying on a shortest way to the other, with a "
                    f"directness of {DIRECT} or more; first those where the {other} was nearer by most"
                ),
                shift=apart.shift,
                count=int(which.sum()),
                of=possible,
                shown=tuple(_choice(apart, family, b) for b in order),
            )
        )
    return tellings[0], tellings[1]


def _by_regret(apart: Played, family: Family) -> Highlights:
    """Return the episodes that left most of the true reward, for families where no one goal and cue part."""
    found = apart.outcomes
    best = family.optimal_returns(apart.trajectory.levels, 1.0)
    which = ~found.all_reached & (best > 0)
    order = _ordered(which, -found.regret)
    return Highlights(
        name="regret",
        title="Left true reward lying",
        rule="did not earn all the true reward that the level offers; first those with most regret",
        shift=apart.shift,
        count=int(which.sum()),
        of=int((best > 0).sum()),
        shown=tuple(
            Episode(
                level=b,
                until=int(found.steps[b]),
                caption=f"true return {found.returns[b, 0]:.2f} of {best[b]:.2f}, cue return "
                f"{found.returns[b, 1]:.2f}, {found.steps[b]} steps",
            )
            for b in order
        ),
    )


def _lost(played: Played, family: Family) -> Highlights:
    """Return the episodes in which neither goal nor cue was reached, though one could have been."""
    found, levels = played.outcomes, played.trajectory.levels
    from_start = distances(levels, levels.start)
    ways = [
        pick(from_start, levels.objects[:, k])
        for k, kind in enumerate(levels.slots)
        if kind in (family.goal, family.cue)
    ]
    nearest = np.minimum.reduce(ways)
    possible = nearest < UNREACHABLE
    which = possible & ~found.arrived
    return Highlights(
        name="lost",
        title="Got nowhere",
        rule=f"reached neither {family.goal} nor {family.cue} within {family.time_limit} steps; first those where one "
        "of them was nearest",
        shift=played.shift,
        count=int(which.sum()),
        of=int(possible.sum()),
        shown=tuple(
            Episode(b, int(found.steps[b]), f"{found.steps[b]} steps, the nearest was {nearest[b]} away")
            for b in _ordered(which, nearest)
        ),
    )


def _ordered(which: Bools, *keys: NDArray[np.generic]) -> list[int]:
    """Return up to `SHOWN` indices of a mask bool [B], by rising keys [B], the first of them first."""
    order = np.lexsort((np.arange(len(which)), *reversed(keys)))
    return [int(b) for b in order if which[b]][:SHOWN]


def _choice(played: Played, family: Family, b: int) -> Episode:
    found, level = played.outcomes, played.trajectory.levels.take([b])
    from_start = distances(level, level.start)
    to_goal, to_cue = (int(pick(from_start, metrics.lone(level, kind))[0]) for kind in (family.goal, family.cue))
    until = int(min(found.to_goal[b], found.to_cue[b]))
    return Episode(b, until, f"{family.goal} {_steps(to_goal)} away, {family.cue} {to_cue}; took {until}")


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def as_trained(trained: Played, apart: Played, level: int) -> Episode | None:
    """Return what the agent did in the same maze as trained; None where that is another maze or the same level."""
    one, other = trained.trajectory.levels, apart.trajectory.levels
    same = (one.walls[level] == other.walls[level]).all() and one.start[level] == other.start[level]
    if not same or (one.objects[level] == other.objects[level]).all():
        return None
    found = trained.outcomes
    until = int(min(found.to_goal[level], found.to_cue[level]))
    end = f"took {until}" if until < NEVER else f"got nowhere in {found.steps[level]}"
    return Episode(level, min(until, int(found.steps[level])), end)
