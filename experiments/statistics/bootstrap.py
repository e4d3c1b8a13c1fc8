"""Intervals of any statistic: over levels alone, or over training seeds and levels together.

Scores are float64 [S, B]: S agents that differ only in their training seed, on the same B levels. A stratum is one such
array for one condition, such as a shift. Every interval states what it covers. Where no interval reaches its coverage,
its ends are NaN. `goalmaze.experiments.coverage` simulates the coverage at the sizes used.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.statistics.intervals import Z_95, rate

Scores = NDArray[np.float64]
Statistic = Callable[[Scores], float]
Covers = Literal["levels", "seeds", "seeds and levels"]

RESAMPLES = 1000

MAX_DRAWN = 4_000_000
"""Most random row numbers that are drawn at once, 16 MB; larger samples are resampled one by one."""

MIN_SEEDS = 5
"""Fewest training seeds for an interval over seeds. Where training has two equally likely results, 3 seeds have the
same one in 1 of 4 experiments and 5 seeds in 1 of 16; such seeds look alike and their interval misses the mean."""

MIN_SEEDS_FOR_MEDIAN = 6
"""Fewest training seeds for an interval of their median: of five, all lie on one side of it in 1 of 16 experiments."""

MIN_DIFFERENT = 20
"""Fewest levels whose score differs from the most common one, for an interval of a mean that is not a rate. With fewer,
resamples hold too few of the rare scores to show how far the mean can be off."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A statistic with its 95 % interval.

    Attributes:
        value: the statistic.
        low: lower end of the interval; NaN where there is none.
        high: upper end of the interval; NaN where there is none.
        covers: which sampling the interval covers, "levels", "seeds" (on the same levels) or "seeds and levels".
        seeds: number of training seeds.
        levels: number of levels of each seed.
    """

    value: float
    low: float
    high: float
    covers: Covers
    seeds: int
    levels: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]" if self.exists else f"{self.value:.3f}"

    @property
    def exists(self) -> bool:
        """Whether there is an interval around the value."""
        return not math.isnan(self.low)

    @property
    def note(self) -> str:
        """What the interval covers, or what would give one."""
        if self.exists:
            return self.covers
        if self.covers != "levels":
            fewest = MIN_SEEDS_FOR_MEDIAN if self.covers == "seeds" else MIN_SEEDS
            return f"no interval: train {fewest} or more seeds, not {self.seeds}"
        return "no interval: evaluate on more levels"

    def clipped(self) -> Interval:
        """Return the interval without what lies outside [0, 1]: a symmetric interval can leave it, a rate cannot."""
        # NaN stays NaN, which `max` and `min` would replace by an end.
        low, high = (float(np.clip(end, 0.0, 1.0)) for end in (self.low, self.high))
        return dataclasses.replace(self, low=low, high=high)

    def json(self) -> JsonObject:
        """Return the interval as plain data, with None for NaN."""
        ends = {
            name: None if math.isnan(end) else round(end, 4)
            for name, end in (("value", self.value), ("low", self.low), ("high", self.high))
        }
        return {**ends, "covers": self.covers, "seeds": self.seeds, "levels": self.levels}


@dataclasses.dataclass(frozen=True)
class Profile:
    """A performance profile: the fraction of scores above each threshold (Agarwal et al., 2021).

    Attributes:
        thresholds: T ascending thresholds.
        rates: T intervals, one for each threshold.
    """

    thresholds: tuple[float, ...]
    rates: tuple[Interval, ...]

    def json(self) -> JsonObject:
        """Return the profile as plain data."""
        return {"thresholds": list(self.thresholds), "rates": [rate.json() for rate in self.rates]}


def mean(scores: Scores) -> float:
    """Return the mean of scores [...]."""
    return float(scores.mean())


def ratio(scores: Scores) -> float:
    """Return the sum of the first column of scores [B, 2] divided by the sum of the second."""
    first, second = scores.sum(axis=0)
    return float(first / second)


def interquartile_mean(scores: Scores) -> float:
    """Return the mean of scores [...] without the lowest and the highest quarter (Agarwal et al., 2021).

    A quarter is rounded down to whole scores.
    """
    # scipy.stats.trim_mean takes 0.31 ms instead of 0.013 ms, and a bootstrap calls this a thousand times.
    return float(_row_interquartile_means(np.reshape(scores, (1, -1)))[0])


def _row_means(scores: Scores) -> Scores:
    """Return float64 [R], the mean of each row of scores [R, B]."""
    means: Scores = scores.mean(axis=1)
    return means


def _row_interquartile_means(scores: Scores) -> Scores:
    """Return float64 [R], the interquartile mean of each row of scores [R, B]."""
    ordered = np.sort(scores, axis=1)
    # In units of whole scores, as `scipy.stats.trim_mean`; the exact definition would weight the two outermost scores.
    cut = ordered.shape[1] // 4
    # A copy, because a sum over contiguous rows rounds as the sum of a single row does.
    return _row_means(np.ascontiguousarray(ordered[:, cut : ordered.shape[1] - cut]))


ROW_STATISTICS: Mapping[Statistic, Callable[[Scores], Scores]] = {
    mean: _row_means,
    interquartile_mean: _row_interquartile_means,
}
"""Statistic of scores [B] → the same statistic of every row of scores [R, B], which saves a call for each resample."""


def bootstrap_levels(
    scores: Scores, statistic: Statistic = mean, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Return a statistic of one agent's scores [B, ...] with its interval over levels.

    The mean of scores of 0 and 1 has Wilson's interval. Every other statistic has that of the percentile bootstrap
    (Efron, 1979), and another mean has none where fewer than `MIN_DIFFERENT` scores differ from the most common one.
    The interval does not cover other training seeds.
    """
    scores = np.asarray(scores, np.float64)
    if not len(scores):
        return Interval(math.nan, math.nan, math.nan, "levels", 1, 0)
    ends = _ends_of_mean(scores) if statistic is mean and scores.ndim == 1 else None
    low, high = ends or _percentiles(scores, statistic, seed, resamples)
    return Interval(statistic(scores), low, high, "levels", 1, len(scores))


def _ends_of_mean(scores: Scores) -> tuple[float, float] | None:
    """Return the ends of the interval of the mean of scores [B] where the bootstrap would be too narrow, else None."""
    values, counts = np.unique(scores, return_counts=True)
    if np.isin(values, (0, 1)).all():
        one = rate(int(scores.sum()), len(scores))
        return one.low, one.high
    return (math.nan, math.nan) if len(scores) - counts.max() < MIN_DIFFERENT else None


def _percentiles(scores: Scores, statistic: Statistic, seed: int, resamples: int) -> tuple[float, float]:
    # scipy.stats.bootstrap draws the same numbers and gives the same interval, after an import that every command would
    # pay for.
    samples: Sequence[float] | Scores
    if statistic in ROW_STATISTICS and scores.ndim == 1 and len(scores) * resamples <= MAX_DRAWN:
        samples = ROW_STATISTICS[statistic](scores[_resample_rows(len(scores), seed, resamples)])
    else:
        rng = np.random.default_rng(seed)
        samples = [statistic(scores[rng.integers(len(scores), size=len(scores))]) for _ in range(resamples)]
    low, high = np.quantile(samples, [0.025, 0.975])
    return float(low), float(high)


@functools.lru_cache(maxsize=4)
def _resample_rows(count: int, seed: int, resamples: int) -> NDArray[np.int32]:
    """Return int32 [R, B], the rows of R resamples of B scores; the same numbers as one draw for each resample."""
    # Kept, because an evaluation makes eight intervals for each agent, all on the same number of levels.
    rows = np.random.default_rng(seed).integers(count, size=(resamples, count)).astype(np.int32)
    rows.flags.writeable = False
    return rows


def paired_difference(differences: Scores) -> Interval:
    """Return the difference of two rates on the same levels, with its interval over levels (Agresti & Min, 2005).

    Args:
        differences: float64 [B], the first score minus the second on each level; scores are 0 or 1.
    """
    levels = len(differences)
    if not levels:
        return Interval(math.nan, math.nan, math.nan, "levels", 1, 0)
    # Half a level is added to each of the four cells of the table of both scores. Without it the interval of agents
    # that never differ has no width.
    gained, lost = ((differences == sign).sum() + 0.5 for sign in (1, -1))
    count = levels + 2
    middle = (gained - lost) / count
    half_width = Z_95 * math.sqrt(((gained + lost) / count - middle**2) / count)
    low, high = max(-1.0, middle - half_width), min(1.0, middle + half_width)
    return Interval(float(differences.mean()), float(low), float(high), "levels", 1, levels)


def bootstrap_seeds_and_levels(
    strata: Sequence[Scores], statistic: Statistic = mean, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Return a statistic of scores with an interval that covers both the training seeds and the levels.

    In every stratum [S, B], seeds and levels are resampled with replacement and crossed (Owen, 2007). All strata share
    the resampled seeds, because one agent's scores in different conditions are correlated. The half-width is the
    standard deviation of the resampled statistic, times the 0.975 quantile of Student's t with S - 1 degrees of
    freedom, times sqrt(S / (S - 1)): with few seeds the percentile interval is much too narrow. The interval of a rate
    is at least as wide as Wilson's over the levels: where all agents score 0, or all score 1, the bootstrap has no
    width. There is no interval for fewer than `MIN_SEEDS` seeds.

    Raises:
        GoalmazeError: there is only one seed, or the strata have different numbers of seeds.
    """
    strata = [np.asarray(scores, np.float64) for scores in strata]
    seeds = len(strata[0]) if strata else 0
    if seeds < 2 or any(len(scores) != seeds for scores in strata):
        raise GoalmazeError(
            f"{seeds} training seeds: an interval over seeds needs 2 or more, the same in every condition; "
            "name more agents, or use an interval over levels"
        )
    # The statistic of the scores themselves; the mean over resamples would be biased for statistics that are not
    # linear.
    pooled = np.concatenate(strata, axis=1)
    value, levels = statistic(pooled), pooled.shape[1]
    if seeds < MIN_SEEDS:
        return Interval(value, math.nan, math.nan, "seeds and levels", seeds, levels)
    # Written out: scipy.stats.bootstrap resamples one axis and cannot cross two.
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(resamples):
        # The same agents in every stratum: an agent that is good in one condition tends to be good in others.
        rows = rng.integers(seeds, size=seeds)
        drawn = [scores[rows][:, rng.integers(scores.shape[1], size=scores.shape[1])] for scores in strata]
        samples.append(statistic(np.concatenate(drawn, axis=1)))
    # A bootstrap with S seeds underestimates the variance by the factor (S - 1) / S and ignores that few
    # seeds leave few degrees of freedom; both are corrected here.
    quantile = float(scipy.stats.t.ppf(0.975, seeds - 1))
    half_width = quantile * float(np.std(samples)) * math.sqrt(seeds / (seeds - 1))
    low, high = value - half_width, value + half_width
    if statistic is mean and np.isin(pooled, (0, 1)).all():
        over_levels = rate(round(value * levels), levels)
        low, high = min(low, over_levels.low), max(high, over_levels.high)
    return Interval(value, low, high, "seeds and levels", seeds, levels)


def performance_profile(scores: Scores, thresholds: Sequence[float], *, seed: int = 0) -> Profile:
    """Return the performance profile of scores [S, B], with pointwise intervals.

    The intervals cover levels where S is 1, and seeds and levels where it is `MIN_SEEDS` or more. In between there are
    none.
    """
    scores = np.atleast_2d(np.asarray(scores, np.float64))
    rates = []
    for threshold in thresholds:
        above = (scores > threshold).astype(np.float64)
        if len(above) == 1:
            interval = bootstrap_levels(above[0], seed=seed)
        else:
            interval = bootstrap_seeds_and_levels([above], seed=seed)
        rates.append(interval.clipped())
    return Profile(tuple(float(threshold) for threshold in thresholds), tuple(rates))


def probability_of_superiority(ours: Scores, theirs: Scores) -> float:
    """Return the probability that a score of `ours` [...] exceeds one of `theirs` [...], with ties counted half."""
    # scipy.stats.mannwhitneyu(...).statistic / (m * n) takes 80 times as long (1.6 ms), and a bootstrap calls this a
    # thousand times.
    ordered = np.sort(theirs, axis=None)
    ours = np.ravel(ours)
    # Left counts the scores that are lower, right those that are lower or equal; the mean of both counts ties half.
    below = np.searchsorted(ordered, ours, "left") + np.searchsorted(ordered, ours, "right")
    return float(below.mean() / (2 * len(ordered)))


def probability_of_improvement(
    pairs: Sequence[tuple[Scores, Scores]], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Return the probability that a run of the first group beats one of the second (Agarwal et al., 2021).

    Args:
        pairs: for each condition, the scores [S, B] and [S', B] of both groups on the same levels. A run's score is its
            mean over levels, and the probability is the mean over conditions.
        seed: of the resampling of levels.
        resamples: number of bootstrap samples.

    Returns:
        The probability with its interval over seeds: that of Clopper & Pearson (1934) for as many runs as the smaller
        group has. It covers the probability for every distribution of the runs' scores, also where they fall into two
        groups. It contains 0.5 for fewer than six seeds, whatever the scores. With one seed in each group it is the
        percentile interval over levels, and the scores of single levels are compared.
    """
    levels = sum(ours.shape[1] for ours, _ in pairs)
    runs = min(map(len, pairs[0]))
    # With one run on each side the comparison of runs is 0 or 1, which has no distribution.
    if all(len(ours) == len(theirs) == 1 for ours, theirs in pairs):
        value, low, high = _superiority_over_levels(pairs, seed, resamples)
        return Interval(value, low, high, "levels", runs, levels)
    value = _mean_superiority([(ours.mean(axis=1), theirs.mean(axis=1)) for ours, theirs in pairs])
    # For a given probability, the estimate varies most where the runs of one group lie between two heaps of the other.
    # Each run of the smaller group is then one Bernoulli trial (Birnbaum & Klose, 1957). A bootstrap of seeds covers
    # 0.65 with two of them and 0.85 with three.
    wins = value * runs
    low = float(scipy.stats.beta.ppf(0.025, wins, runs - wins + 1)) if wins > 0 else 0.0
    high = float(scipy.stats.beta.ppf(0.975, wins + 1, runs - wins)) if wins < runs else 1.0
    return Interval(value, low, high, "seeds and levels", runs, levels)


def _superiority_over_levels(
    pairs: Sequence[tuple[Scores, Scores]], seed: int, resamples: int
) -> tuple[float, float, float]:
    """Return the mean probability of superiority of single levels, and the ends of its percentile interval."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(resamples):
        drawn = []
        for ours, theirs in pairs:
            # The levels are shared.
            columns = rng.integers(ours.shape[1], size=ours.shape[1])
            drawn.append((ours[:, columns], theirs[:, columns]))
        samples.append(_mean_superiority(drawn))
    low, high = np.quantile(samples, [0.025, 0.975])
    return _mean_superiority(pairs), float(low), float(high)


def _mean_superiority(pairs: Sequence[tuple[Scores, Scores]]) -> float:
    return float(np.mean([probability_of_superiority(ours, theirs) for ours, theirs in pairs]))
