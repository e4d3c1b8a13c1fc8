"""Models of an agent's goal, each of which gives a likelihood to every action it took.

A goal model has a distance, such as the steps to the cue; an action changes it by -1, 0 or 1. The probability of an
action is ``(1 - lapse_rate) * softmax(-inverse_temperature * change) + lapse_rate / 4``: a softmax choice that with the
lapse rate is replaced by a uniform one. Both parameters are fitted on other levels than those the model is scored on.
Only the four changes matter, and there are 81 patterns of them, so that a fit needs no more than a table of counts.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import Trajectory
from goalmaze.envs.actions import ACTIONS, cell_steps
from goalmaze.envs.cells import Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.experiments.evaluate import metrics

Floats = NDArray[np.float64]
Changes = NDArray[np.int8]

PATTERNS = np.array(list(itertools.product((-1, 0, 1), repeat=len(ACTIONS))), np.int8)
"""int8 [81, 4], all changes of a distance by four actions, in the order of base-3 numbers."""

_PLACE_VALUES = np.array([27, 9, 3, 1])
"""The values of the four digits of a base-3 number."""

_CENTRE = 40
"""The row of `PATTERNS` in which nothing changes: all four digits are 1, and 27 + 9 + 3 + 1 = 40."""

MAX_INVERSE_TEMPERATURE = 15.0
"""Largest inverse temperature that is tried: e^15 makes an action that shortens the path three million
times as likely as one that does not change it."""

MIN_LAPSE_RATE = 1e-6
"""Smallest lapse rate that is tried; above 0, so that no action that was taken has probability 0."""

MIN_WEIGHT = 1e-12
"""Smallest weight of a goal in a mixture, so that its logarithm is finite."""

CORNERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}
"""Corner → whether it is at the bottom, and whether it is at the right."""


@dataclasses.dataclass(frozen=True, eq=False)
class Steps:
    """The N steps of B episodes, episode after episode.

    Every step has the same weight. If every level had the same weight, the steps of short episodes would count more,
    and an agent that wanders would look as if its goal were wherever it happens to arrive soon.

    Attributes:
        rows: int [N], the level of each step.
        times: int [N], steps taken before in that episode.
        actions: int8 [N], the action taken.
        cells: int32 [N, 5], the agent's cell, and the cell that each action leads to.
        levels: B.
    """

    rows: NDArray[np.intp]
    times: NDArray[np.intp]
    actions: NDArray[np.int8]
    cells: Cells
    levels: int

    @property
    def taken(self) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
        """The index into an array [N, 4] that picks the actions taken."""
        return np.arange(len(self.actions)), self.actions

    def by_level(self, values: Floats) -> Floats:
        """Return float64 [B, 2], the sum of values [N] on each level, and its number of steps."""
        sums = np.bincount(self.rows, values, minlength=self.levels)
        return np.column_stack([sums, np.bincount(self.rows, minlength=self.levels)]).astype(np.float64)


def steps_of(trajectory: Trajectory) -> Steps:
    """Return the steps of a trajectory until a goal or a cue was reached.

    What an agent does afterwards says little about its goal, and did not occur in training. Where goals or cues vanish
    or are picked up, the agent goes on to the next one, and all steps are returned.
    """
    levels, family = trajectory.levels, trajectory.family
    counted = trajectory.actions >= 0
    if not vanishing_types(family) & {family.goal, family.cue}:
        arrival = np.minimum(metrics.goal_visits(trajectory), metrics.cue_visits(trajectory))
        counted = counted & (np.arange(len(counted))[:, None] < arrival)
    # Transposed, so that the steps of one episode stand together, as `_sum_of_earlier` needs them.
    rows, times = np.nonzero(counted.T)
    here = trajectory.agent[times, rows]
    ahead = here[:, None] + cell_steps(levels.width)
    # An action against a wall leads to the agent's own cell.
    ahead = np.where(levels.free()[rows[:, None], ahead], ahead, here[:, None])
    return Steps(
        rows=rows,
        times=times,
        actions=trajectory.actions[times, rows],
        cells=np.column_stack([here, ahead]).astype(np.int32),
        levels=len(levels),
    )


def vanishing_types(family: Family) -> set[str]:
    """Return the object types that are gone once the agent has stood on them."""
    return {kind.name for kind in family.object_types if kind.vanishes or kind.gives}


DistanceFunction = Callable[[LevelBatch, Cells], Cells]
"""Distances int32 [B, H*W] from every cell to cells [B]; `UNREACHABLE` where they are absent."""


def manhattan(levels: LevelBatch, cells: Cells) -> Cells:
    """Return int32 [B, H*W], the Manhattan distance between every cell and cells [B], walls ignored."""
    row, column = np.divmod(np.arange(levels.height * levels.width), levels.width)
    to_row, to_column = np.divmod(cells, levels.width)
    distance = np.abs(row - to_row[:, None]) + np.abs(column - to_column[:, None])
    return np.where((cells >= 0)[:, None], distance, UNREACHABLE).astype(np.int32)


def changes_to(
    trajectory: Trajectory, steps: Steps, object_types: tuple[str, ...], distance: DistanceFunction = distances
) -> Changes:
    """Return int8 [N, 4], how each action changes the distance to the nearest remaining object of some types."""
    levels = trajectory.levels
    vanishing = vanishing_types(trajectory.family)
    nearest = np.full(steps.cells.shape, UNREACHABLE, np.int32)
    for k, kind in enumerate(levels.slots):
        if kind in object_types:
            cells = levels.objects[:, k]
            # An object that is gone attracts nobody; one that stays does so after a visit too.
            remains = (trajectory.first_visit(cells)[steps.rows] > steps.times) | (kind not in vanishing)
            to_object = distance(levels, cells)[steps.rows[:, None], steps.cells]
            nearest = np.minimum(nearest, np.where(remains[:, None], to_object, UNREACHABLE))
    return _changes(nearest)


def changes_to_corner(levels: LevelBatch, steps: Steps, corner: str) -> Changes:
    """Return int8 [N, 4], how each action changes the steps to the free cell nearest to a corner."""
    down, right = CORNERS[corner]
    row, column = np.divmod(np.arange(levels.height * levels.width), levels.width)
    to_corner = np.abs(row - down * (levels.height - 1)) + np.abs(column - right * (levels.width - 1))
    # The corner itself may be walled: the free cell nearest to it by Manhattan distance stands for it.
    cells = np.where(levels.free(), to_corner, UNREACHABLE).argmin(axis=1).astype(np.int32)
    return _changes(np.asarray(distances(levels, cells)[steps.rows[:, None], steps.cells]))


def _changes(distance: Cells) -> Changes:
    """Return int8 [N, 4] from distances [N, 5] of the agent's cell and of those that the actions lead to."""
    # Clipped, because a cell from which the object cannot be reached has the distance UNREACHABLE.
    return np.asarray(np.clip(distance[:, 1:] - distance[:, :1], -1, 1), np.int8)


@dataclasses.dataclass(frozen=True)
class SoftmaxChoice:
    """A softmax choice with lapses.

    Attributes:
        inverse_temperature: 0 is a uniform choice; large is always the best action.
        lapse_rate: rate of steps at which the choice is uniform instead.
    """

    inverse_temperature: float
    lapse_rate: float

    def probabilities(self, changes: Changes) -> Floats:
        """Return float64 [N, 4], the probability of each action for changes [N, 4] of the distance."""
        table = _probability_table(np.array(self.inverse_temperature), np.array(self.lapse_rate))
        return np.asarray(table[_pattern(changes)])


def _pattern(changes: Changes) -> NDArray[np.intp]:
    """Return int [N], the row of `PATTERNS` of each of changes [N, 4]."""
    return np.asarray(changes.astype(np.intp) @ _PLACE_VALUES + _CENTRE)


def _probability_table(inverse_temperature: Floats, lapse_rate: Floats) -> Floats:
    """Return float64 [..., 81, 4], the action probabilities of every pattern, for parameters [...]."""
    # + 1 keeps the exponents at 0 or below, so that nothing overflows. The softmax stays the same, because a constant
    # added to all exponents cancels.
    odds = np.exp(-inverse_temperature[..., None, None] * (PATTERNS + 1))
    softmax = odds / odds.sum(axis=-1, keepdims=True)
    table: Floats = (1 - lapse_rate)[..., None, None] * softmax + lapse_rate[..., None, None] / len(ACTIONS)
    return table


def fit_choice(changes: Changes, actions: NDArray[np.int8], weights: Floats | None = None) -> SoftmaxChoice:
    """Return the maximum-likelihood choice model, by a grid search that closes in on the best point.

    Args:
        changes: int8 [N, 4], how each action changes the distance.
        actions: int8 [N], the actions taken.
        weights: float64 [N], of the steps; 1 by default.
    """
    counts = np.bincount(_pattern(changes) * len(ACTIONS) + actions, weights, minlength=PATTERNS.size)
    counts = counts.reshape(PATTERNS.shape)
    # Patterns that never occur add 0 to the likelihood. Leaving them out keeps the search fast.
    occurs = counts.sum(axis=1) > 0
    # The lapse rate is searched by its logarithm, since it matters whether it is 0.001 or 0.0001.
    bounds = np.array([[0.0, MAX_INVERSE_TEMPERATURE], [np.log(MIN_LAPSE_RATE), 0.0]])
    low, high = bounds[:, 0], bounds[:, 1]
    best = low
    # Each round searches 11 x 11 points, then narrows to a fifth of the range on either side of the best.
    for _ in range(12):
        temperatures, log_lapses = np.meshgrid(*np.linspace(low, high, 11).T, indexing="ij")
        table = np.maximum(_probability_table(temperatures, np.exp(log_lapses))[..., occurs, :], 1e-300)
        log_likelihood = (counts[occurs] * np.log(table)).sum(axis=(-1, -2))
        at = np.unravel_index(log_likelihood.argmax(), log_likelihood.shape)
        best = np.array([temperatures[at], log_lapses[at]])
        reach = (high - low) / 5
        low, high = np.maximum(best - reach, bounds[:, 0]), np.minimum(best + reach, bounds[:, 1])
    return SoftmaxChoice(float(best[0]), float(np.exp(best[1])))


@dataclasses.dataclass(frozen=True)
class Mixture:
    """A mixture of two goals over levels: the agent has one of them for the whole episode on a level.

    Attributes:
        weight: of the second goal: the fraction of levels on which the agent has it.
        choice: the choice model, the same for both goals.
    """

    weight: float
    choice: SoftmaxChoice

    def probabilities(self, first: Changes, second: Changes, steps: Steps) -> Floats:
        """Return float64 [N, 4], the probability of each action given the earlier actions of its episode.

        Args:
            first: int8 [N, 4], how each action changes the distance to the first goal.
            second: int8 [N, 4], the same for the second.
            steps: the N steps.
        """
        of_first, of_second = self.choice.probabilities(first), self.choice.probabilities(second)
        evidence = _sum_of_earlier(np.log(of_second[steps.taken]) - np.log(of_first[steps.taken]), steps.rows)
        # Bayes' rule in log odds: the prior of the level plus the evidence of the actions taken before this one.
        log_second, log_first = _log_weights(self.weight)
        posterior = _sigmoid(evidence + (log_second - log_first))[:, None]
        mixed: Floats = (1 - posterior) * of_first + posterior * of_second
        return mixed


def _log_weights(weight: float) -> tuple[float, float]:
    """Return the log weights of the second goal and of the first, kept finite."""
    return float(np.log(max(weight, MIN_WEIGHT))), float(np.log(max(1 - weight, MIN_WEIGHT)))


def _sigmoid(log_odds: Floats) -> Floats:
    # exp(710) overflows float64; beyond 500 the result is 0 or 1 to the last digit.
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -500, 500))))


def _sum_of_earlier(values: Floats, rows: NDArray[np.intp]) -> Floats:
    """Return float64 [N], the sum of the earlier values [N] of the same row; equal rows stand together."""
    # The running sum over all rows, minus its value where the row begins.
    total = np.cumsum(values) - values
    first = np.r_[True, rows[1:] != rows[:-1]]
    sums: Floats = total - total[first][np.cumsum(first) - 1]
    return sums


def fit_mixture(first: Changes, second: Changes, steps: Steps, rounds: int = 40) -> Mixture:
    """Return the maximum-likelihood mixture, by expectation maximisation (Dempster, Laird & Rubin, 1977).

    Args:
        first: int8 [N, 4], how each action changes the distance to the first goal.
        second: int8 [N, 4], the same for the second.
        steps: the N steps.
        rounds: of expectation and maximisation at most.
    """
    weight, choice = 0.5, fit_choice(first, steps.actions)
    # Where the choice is uniform, both goals give the same probabilities and EM cannot leave its start.
    choice = SoftmaxChoice(max(choice.inverse_temperature, 1.0), min(choice.lapse_rate, 0.5))
    both = np.concatenate([first, second])
    actions = np.concatenate([steps.actions, steps.actions])
    for _ in range(rounds):
        # Expectation: the probability of the second goal on each level, given all its actions.
        log_ratio = np.log(choice.probabilities(second)[steps.taken]) - np.log(choice.probabilities(first)[steps.taken])
        evidence = np.bincount(steps.rows, log_ratio, minlength=steps.levels)
        log_second, log_first = _log_weights(weight)
        posterior = _sigmoid(np.asarray(evidence + log_second - log_first, np.float64))
        # Maximisation: every step counts for both goals, weighted by their probability on its level.
        before = weight, choice
        weight = float(posterior.mean())
        of_step = posterior[steps.rows]
        choice = fit_choice(both, actions, np.concatenate([1 - of_step, of_step]))
        converged = abs(choice.inverse_temperature - before[1].inverse_temperature) < 1e-4
        if abs(weight - before[0]) < 1e-5 and converged:
            break
    return Mixture(weight, choice)
