"""Rival accounts of what an agent wants, each giving a likelihood to every action it took.

An account has a distance of its own, such as the steps to the cue; an action changes it by -1, 0 or 1. The agent is
said to take an action with chance ``(1 - lapse) * softmax(-pull * change) + lapse / 4``. Pull and lapse are fitted on
other levels than those that judge. Since only the change counts, a table of 81 patterns of four changes holds all that
a fit has to know.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import Trajectory
from goalmaze.envs.cells import Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.experiments.evaluate import metrics

Floats = NDArray[np.float64]
Changes = NDArray[np.int8]

ACTIONS = 4
PATTERNS = np.array(list(itertools.product((-1, 0, 1), repeat=ACTIONS)), np.int8)
"""int8 [81, 4], every way in which four actions can change a distance."""

_BASE = np.array([27, 9, 3, 1])
CORNERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}


@dataclasses.dataclass(frozen=True, eq=False)
class Steps:
    """The N steps of a batch of episodes, episode after episode.

    Attributes:
        rows: int [N], which of the B levels.
        times: int [N], how many steps were taken before.
        actions: int8 [N], what was done.
        cells: int32 [N, 5], where the agent stood, and where each action would have led.
        levels: B.

    Every step counts the same. Were every level to count the same, short episodes would weigh more, and an agent that
    wanders would look as if it went where it happened to arrive soon.
    """

    rows: NDArray[np.intp]
    times: NDArray[np.intp]
    actions: NDArray[np.int8]
    cells: Cells
    levels: int

    def by_level(self, values: Floats) -> Floats:
        """Return float64 [B, 2], the sum of values [N] on each level, and its steps."""
        sums = np.bincount(self.rows, values, minlength=self.levels)
        return np.column_stack([sums, np.bincount(self.rows, minlength=self.levels)]).astype(np.float64)


def steps_of(trajectory: Trajectory) -> Steps:
    """Return the steps of a trajectory, episode after episode, until a goal or a cue was reached.

    What an agent does once it is there says little of what it wanted, and training never showed it. Where goals or
    cues vanish or are taken along, it goes on to the next, and all steps count.
    """
    family = trajectory.family
    levels = trajectory.levels
    judged = trajectory.actions >= 0
    if not fleeting(family) & {family.goal, family.cue}:
        arrival = np.minimum(metrics.goal_visits(trajectory), metrics.cue_visits(trajectory))
        judged = judged & (np.arange(len(judged))[:, None] < arrival)
    rows, times = np.nonzero(judged.T)
    here = trajectory.agent[times, rows]
    ahead = here[:, None] + np.array([-levels.width, 1, levels.width, -1], np.int32)
    ahead = np.where(levels.free()[rows[:, None], ahead], ahead, here[:, None])
    return Steps(
        rows=rows,
        times=times,
        actions=trajectory.actions[times, rows],
        cells=np.column_stack([here, ahead]).astype(np.int32),
        levels=len(levels),
    )


def fleeting(family: Family) -> set[str]:
    """Return the kinds of object that are gone once stood on."""
    return {kind.name for kind in family.object_types if kind.vanishes or kind.gives}


Field = Callable[[LevelBatch, Cells], Cells]
"""Distances int32 [B, H*W] from every cell to cells [B]; `UNREACHABLE` where they are absent."""


def taxicab(levels: LevelBatch, cells: Cells) -> Cells:
    """Return int32 [B, H*W], rows and columns between every cell and cells [B], walls or not."""
    row, column = np.divmod(np.arange(levels.height * levels.width), levels.width)
    at = np.divmod(cells, levels.width)
    found = np.abs(row - at[0][:, None]) + np.abs(column - at[1][:, None])
    return np.where((cells >= 0)[:, None], found, UNREACHABLE).astype(np.int32)


def changes_to(
    trajectory: Trajectory, steps: Steps, object_types: tuple[str, ...], field: Field = distances
) -> Changes:
    """Return int8 [N, 4], how each action changes the distance to the nearest object of some kinds that is left.

    Objects that vanish or are taken along are gone once stood on.
    """
    family = trajectory.family
    levels = trajectory.levels
    gone = fleeting(family)
    nearest = np.full(steps.cells.shape, UNREACHABLE, np.int32)
    for k, kind in enumerate(levels.slots):
        if kind in object_types:
            cells = levels.objects[:, k]
            left = (trajectory.first_visit(cells)[steps.rows] > steps.times) | (kind not in gone)
            way = field(levels, cells)[steps.rows[:, None], steps.cells]
            nearest = np.minimum(nearest, np.where(left[:, None], way, UNREACHABLE))
    return _changes(nearest)


def changes_to_corner(levels: LevelBatch, steps: Steps, corner: str) -> Changes:
    """Return int8 [N, 4], how each action changes the steps to the free cell nearest to a corner."""
    down, right = CORNERS[corner]
    row, column = np.divmod(np.arange(levels.height * levels.width), levels.width)
    far = np.abs(row - down * (levels.height - 1)) + np.abs(column - right * (levels.width - 1))
    cells = np.where(levels.free(), far, UNREACHABLE).argmin(axis=1).astype(np.int32)
    return _changes(np.asarray(distances(levels, cells)[steps.rows[:, None], steps.cells]))


def _changes(nearest: Cells) -> Changes:
    return np.asarray(np.clip(nearest[:, 1:] - nearest[:, :1], -1, 1), np.int8)


@dataclasses.dataclass(frozen=True)
class Fit:
    """How strongly, and how often not at all, an agent is said to act by an account.

    Attributes:
        pull: the inverse temperature.
        lapse: how often any action is taken.
    """

    pull: float
    lapse: float

    def chances(self, changes: Changes) -> Floats:
        """Return float64 [N, 4], the chance of each action."""
        table = _table(np.array(self.pull), np.array(self.lapse))
        return np.asarray(table[changes.astype(np.intp) @ _BASE + 40])


def _table(pull: Floats, lapse: Floats) -> Floats:
    """Return float64 [..., 81, 4], the chances of the actions for every pattern, for pulls and lapses [...]."""
    odds = np.exp(-pull[..., None, None] * (PATTERNS + 1))
    soft = odds / odds.sum(axis=-1, keepdims=True)
    found: Floats = (1 - lapse)[..., None, None] * soft + lapse[..., None, None] / ACTIONS
    return found


def fit(changes: Changes, actions: NDArray[np.int8], weights: Floats | None = None) -> Fit:
    """Return the likeliest pull, 0 to 15, and lapse for changes [N, 4], actions [N] weighted [N]; by closing in."""
    pattern = changes.astype(np.intp) @ _BASE + 40
    counts = np.bincount(pattern * ACTIONS + actions, weights, minlength=PATTERNS.size).reshape(PATTERNS.shape)
    seen = counts.sum(axis=1) > 0
    bounds = np.array([[0.0, 15.0], [np.log(1e-6), 0.0]])
    low, high = bounds[:, 0], bounds[:, 1]
    best = low
    for _ in range(12):
        pulls, lapses = np.meshgrid(*np.linspace(low, high, 11).T, indexing="ij")
        chances = np.maximum(_table(pulls, np.exp(lapses))[..., seen, :], 1e-300)
        worth = (counts[seen] * np.log(chances)).sum(axis=(-1, -2))
        at = np.unravel_index(worth.argmax(), worth.shape)
        best = np.array([pulls[at], lapses[at]])
        reach = (high - low) / 5
        low, high = np.maximum(best - reach, bounds[:, 0]), np.minimum(best + reach, bounds[:, 1])
    return Fit(float(best[0]), float(np.exp(best[1])))


@dataclasses.dataclass(frozen=True)
class Mixture:
    """On every level the agent is after one of two things, and stays so.

    Attributes:
        share: of levels on which it is after the second.
        fit: how it acts on either.
    """

    share: float
    fit: Fit

    def chances(self, first: Changes, second: Changes, steps: Steps) -> Floats:
        """Return float64 [N, 4], the chance of each action given what the agent did before in that episode."""
        either = self.fit.chances(first), self.fit.chances(second)
        taken = np.arange(len(steps.actions)), steps.actions
        leaning = _before(np.log(either[1][taken]) - np.log(either[0][taken]), steps.rows)
        prior = np.log(max(self.share, 1e-12)) - np.log(max(1 - self.share, 1e-12))
        weight = 1 / (1 + np.exp(-np.clip(leaning + prior, -500, 500)))[:, None]
        found: Floats = (1 - weight) * either[0] + weight * either[1]
        return found


def _before(values: Floats, rows: NDArray[np.intp]) -> Floats:
    """Return float64 [N], the sum of the earlier values [N] of the same row; equal rows stand together."""
    total = np.cumsum(values) - values
    first = np.r_[True, rows[1:] != rows[:-1]]
    found: Floats = total - total[first][np.cumsum(first) - 1]
    return found


def fit_mixture(first: Changes, second: Changes, steps: Steps, rounds: int = 40) -> Mixture:
    """Return the likeliest mixture by expectation maximisation (Dempster, Laird & Rubin, 1977)."""
    share, found = 0.5, fit(first, steps.actions)
    found = dataclasses.replace(found, pull=max(found.pull, 1.0), lapse=min(found.lapse, 0.5))
    taken = np.arange(len(steps.actions)), steps.actions
    both = np.concatenate([first, second])
    actions = np.concatenate([steps.actions, steps.actions])
    for _ in range(rounds):
        log_ratio = np.log(found.chances(second)[taken]) - np.log(found.chances(first)[taken])
        leaning = np.bincount(steps.rows, log_ratio, minlength=steps.levels)
        odds = leaning + np.log(max(share, 1e-12)) - np.log(max(1 - share, 1e-12))
        belief = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        before = share, found
        share = float(belief.mean())
        toward = belief[steps.rows]
        weights = np.concatenate([1 - toward, toward])
        found = fit(both, actions, weights)
        if abs(share - before[0]) < 1e-5 and abs(found.pull - before[1].pull) < 1e-4:
            break
    return Mixture(share, found)
