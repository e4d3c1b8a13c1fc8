"""Intervals on any statistic by resampling: over levels alone, or over training seeds and levels at once.

Scores are float [S, B]: S agents that differ in their training seed alone, on the same B levels. A stratum is such an
array for one condition, such as a shift. Every interval says what it covers.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.errors import GoalmazeError

Scores = NDArray[np.float64]
Statistic = Callable[[Scores], float]
Covers = Literal["levels", "seeds and levels"]

RESAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Interval:
    """A statistic with its 95 % interval.

    Attributes:
        value: of the statistic.
        low: lower end; NaN where nothing can be said.
        high: upper end.
        covers: chance over what: "levels", or "seeds and levels".
        seeds: how many training seeds it is about.
        levels: how many levels each.
    """

    value: float
    low: float
    high: float
    covers: Covers
    seeds: int
    levels: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def json(self) -> dict[str, Any]:
        """Return it as plain data, None for what is not a number."""
        ends = {
            name: None if math.isnan(end) else round(end, 4)
            for name, end in (("value", self.value), ("low", self.low), ("high", self.high))
        }
        return {**ends, "covers": self.covers, "seeds": self.seeds, "levels": self.levels}


def interquartile_mean(scores: Scores) -> float:
    """Return the mean of scores [...] without the lowest and the highest quarter of them (rounded down)."""
    ordered = np.sort(scores, axis=None)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def mean(scores: Scores) -> float:
    """Return the mean of scores [...]."""
    return float(scores.mean())


def ratio(scores: Scores) -> float:
    """Return the sum of the first column of scores [B, 2] over that of the second."""
    first, second = scores.sum(axis=0)
    return float(first / second)


def over_levels(scores: Scores, statistic: Statistic = mean, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Return a statistic of one agent's scores [B, ...] with the percentile interval of resampled levels (Efron, 1979).

    It says nothing of other training seeds.
    """
    scores = np.asarray(scores, np.float64)
    if not len(scores):
        return Interval(math.nan, math.nan, math.nan, "levels", 1, 0)
    rng = np.random.default_rng(seed)
    found = [statistic(scores[rng.integers(len(scores), size=len(scores))]) for _ in range(resamples)]
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(statistic(scores), float(low), float(high), "levels", 1, len(scores))


def over_seeds_and_levels(
    strata: Sequence[Scores], statistic: Statistic = mean, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Return a statistic of scores with an interval that covers both the training seeds and the levels.

    In every stratum [S, B] seeds and levels are drawn anew, each with replacement and crossed (Owen, 2007); a seed
    drawn is drawn in every stratum, since an agent that is good in one is good in the others. The spread of the
    statistic is then multiplied by the quantile of Student's t with S - 1 degrees of freedom and by sqrt(S / (S - 1)):
    with a handful of seeds the plain percentile interval is far too narrow.

    Raises:
        GoalmazeError: there is only one seed, or the strata hold different numbers of them.
    """
    strata = [np.asarray(scores, np.float64) for scores in strata]
    seeds = len(strata[0]) if strata else 0
    if seeds < 2 or any(len(scores) != seeds for scores in strata):
        raise GoalmazeError(
            f"{seeds} training seeds: an interval over seeds needs 2 or more, the same in every condition; "
            "name more agents, or ask for one over levels"
        )
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        rows = rng.integers(seeds, size=seeds)
        drawn = [scores[rows][:, rng.integers(scores.shape[1], size=scores.shape[1])] for scores in strata]
        found.append(statistic(np.concatenate(drawn, axis=1)))
    value = statistic(np.concatenate(strata, axis=1))
    half = student_quantile(seeds - 1) * float(np.std(found)) * math.sqrt(seeds / (seeds - 1))
    return Interval(value, value - half, value + half, "seeds and levels", seeds, sum(s.shape[1] for s in strata))


@functools.cache
def student_quantile(freedom: int, chance: float = 0.975) -> float:
    """Return the quantile of Student's t, by bisection of its distribution in closed form (Zelen & Severo, 1964)."""
    low, high = 0.0, 1.0
    while _student(high, freedom) < chance:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _student(middle, freedom) < chance else (low, middle)
    return (low + high) / 2


def _student(t: float, freedom: int) -> float:
    """Return the chance that Student's t with a whole number of degrees of freedom is at most t >= 0."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term = total = cosine if odd else 1.0
    for k in range(3 if odd else 2, freedom, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    if odd:
        inner = angle + (math.sin(angle) * total if freedom > 1 else 0.0)
        return 0.5 + inner / math.pi
    return 0.5 + math.sin(angle) * total / 2


@dataclasses.dataclass(frozen=True)
class Profile:
    """How large a share of scores exceeds each threshold (Agarwal et al., 2021).

    Attributes:
        thresholds: T of them, rising.
        shares: one interval for each.
    """

    thresholds: tuple[float, ...]
    shares: tuple[Interval, ...]

    def json(self) -> dict[str, Any]:
        """Return the profile as plain data."""
        return {"thresholds": list(self.thresholds), "shares": [share.json() for share in self.shares]}


def performance_profile(scores: Scores, thresholds: Sequence[float], *, seed: int = 0) -> Profile:
    """Return the performance profile of scores [S, B]; its intervals hold at each threshold by itself.

    They cover seeds and levels where S is 2 or more, else levels.
    """
    scores = np.atleast_2d(np.asarray(scores, np.float64))
    shares = []
    for threshold in thresholds:
        above = (scores > threshold).astype(np.float64)
        found = over_levels(above[0], seed=seed) if len(above) == 1 else over_seeds_and_levels([above], seed=seed)
        shares.append(dataclasses.replace(found, low=max(0.0, found.low), high=min(1.0, found.high)))
    return Profile(tuple(float(t) for t in thresholds), tuple(shares))


def chance_of_improvement(ours: Scores, theirs: Scores) -> float:
    """Return how often a score of `ours` [...] exceeds one of `theirs` [...], ties counting half (Mann-Whitney U)."""
    ordered = np.sort(theirs, axis=None)
    ours = np.ravel(ours)
    below = np.searchsorted(ordered, ours, "left") + np.searchsorted(ordered, ours, "right")
    return float(below.mean() / (2 * len(ordered)))


def probability_of_improvement(
    pairs: Sequence[tuple[Scores, Scores]], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Return how likely a run of the first group does better than one of the second, the mean over conditions.

    Args:
        pairs: for each condition, both groups' scores [S, B] and [S', B] on the same levels; what is compared is a
            run's mean over levels.
        seed: of the resampling.
        resamples: how many.

    Returns:
        The percentile interval of resampled seeds and levels, or, for one seed against one, of levels: there the
        levels themselves are compared.
    """
    rng = np.random.default_rng(seed)
    single = all(len(ours) == len(theirs) == 1 for ours, theirs in pairs)

    def chance(drawn: Sequence[tuple[Scores, Scores]]) -> float:
        runs = drawn if single else [(ours.mean(axis=1), theirs.mean(axis=1)) for ours, theirs in drawn]
        return float(np.mean([chance_of_improvement(ours, theirs) for ours, theirs in runs]))

    found = []
    for _ in range(resamples):
        rows, others = (rng.integers(len(group), size=len(group)) for group in pairs[0])
        drawn = []
        for ours, theirs in pairs:
            columns = rng.integers(ours.shape[1], size=ours.shape[1])
            drawn.append((ours[rows][:, columns], theirs[others][:, columns]))
        found.append(chance(drawn))
    low, high = np.quantile(found, [0.025, 0.975])
    covers: Covers = "levels" if single else "seeds and levels"
    levels = sum(ours.shape[1] for ours, _ in pairs)
    return Interval(chance(pairs), float(low), float(high), covers, min(map(len, pairs[0])), levels)
