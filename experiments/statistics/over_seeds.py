"""How a score is distributed over the training seeds of one recipe.

Scores are float64 [S, B]: S agents on the same B levels, NaN on levels that do not count for an agent. A seed's rate is
its mean over the levels that count. `goalmaze.experiments.coverage` simulates the coverage of the intervals.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.statistics.bootstrap import MIN_DIFFERENT, MIN_SEEDS, RESAMPLES, Interval, Scores
from goalmaze.experiments.statistics.comparisons import permutation_test
from goalmaze.experiments.statistics.intervals import rate

QUANTILES = {"min": 0.0, "10%": 0.1, "25%": 0.25, "median": 0.5, "75%": 0.75, "90%": 0.9, "max": 1.0}
"""Name → the quantiles that tables and JSON give."""

PERMUTATIONS = 10_000
"""Assignments of seeds to two populations that a permutation test compares."""

SPLITS = 100
"""Random halves of the levels over which the variance between seeds is averaged."""

GROUPS = 20
"""Groups of levels that the jackknife leaves out one at a time."""

MAX_SD = 0.75
"""Above the largest standard deviation of rates: 0.71 for two seeds, one at 0 and one at 1."""

MAX_LOG = 20.0
"""Bound of an exponent, so that the upper end of an interval stays finite."""

Rates = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class SeedDistribution:
    """A score of S training seeds of one recipe on the same levels.

    Attributes:
        rates: the S rates; NaN for a seed without a level that counts.
        mean: mean over seeds; its interval covers seeds and levels.
        median: median over seeds; its interval covers seeds.
        sd: standard deviation of the rates that were measured; NaN for fewer than two.
        sd_between: standard deviation between the seeds, without the noise of measuring on finitely many levels; its
            interval covers seeds and levels.
    """

    rates: tuple[float, ...]
    mean: Interval
    median: Interval
    sd: float
    sd_between: Interval

    @property
    def counted(self) -> Rates:
        """The rates that exist, float64 [n]."""
        rates: Rates = np.array(self.rates, np.float64)
        return rates[~np.isnan(rates)]

    @property
    def quantiles(self) -> dict[str, float]:
        """The quantiles of the measured rates by their names; NaN without any."""
        return quantiles(self.counted)

    def json(self) -> JsonObject:
        """Return the distribution as plain data, without the rates of single seeds."""
        return {
            "agents": len(self.counted),
            "quantiles": {name: _number(value) for name, value in self.quantiles.items()},
            "mean": self.mean.json(),
            "median": self.median.json(),
            "sd": _number(self.sd),
            "sd_between_seeds": self.sd_between.json(),
        }


def seed_distribution(scores: Scores) -> SeedDistribution:
    """Return the distribution over seeds of scores [S, B] of 0, 1 or NaN."""
    rates = rates_of_seeds(scores)
    counted = rates[~np.isnan(rates)]
    return SeedDistribution(
        rates=tuple(float(rate) for rate in rates),
        mean=mean_over_seeds(scores),
        median=median_over_seeds(counted),
        sd=float(np.std(counted, ddof=1)) if len(counted) > 1 else math.nan,
        sd_between=sd_between_seeds(scores),
    )


def rates_of_seeds(scores: Scores) -> Rates:
    """Return float64 [S], the mean of scores [S, B] over the levels that count; NaN where none does."""
    counts = (~np.isnan(scores)).sum(axis=1)
    return _divided(np.nansum(scores, axis=1), counts)


def quantiles(values: Rates) -> dict[str, float]:
    """Return the quantiles of values [n] by their names; NaN where there is none."""
    if not len(values):
        return dict.fromkeys(QUANTILES, math.nan)
    return dict(zip(QUANTILES, (float(one) for one in np.quantile(values, list(QUANTILES.values()))), strict=True))


def mean_over_seeds(scores: Scores, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Return the mean over seeds of their rates, with an interval that covers both the training seeds and the levels.

    It is the interval of `bootstrap_seeds_and_levels` for scores that may be NaN: seeds and levels are resampled and
    crossed, and the half-width is the standard deviation of the resampled means times Student's quantile with S - 1
    degrees of freedom, times sqrt(S / (S - 1)). Where a seed has the rarer score on fewer than `MIN_DIFFERENT` levels,
    it is at least as wide as Wilson's interval over the levels of one seed. There is none for fewer than `MIN_SEEDS`
    seeds.

    Args:
        scores: float64 [S, B], 0, 1 or NaN.
        seed: of the resampling.
        resamples: number of bootstrap samples.
    """
    scores = _with_counted_seeds(scores)
    seeds = len(scores)
    if not seeds:
        return Interval(math.nan, math.nan, math.nan, "seeds and levels", 0, 0)
    value, levels = float(rates_of_seeds(scores).mean()), _levels(scores)
    if seeds < MIN_SEEDS:
        return Interval(value, math.nan, math.nan, "seeds and levels", seeds, levels)
    rng = np.random.default_rng(seed)
    samples = _resampled_means(scores, _weights(rng, resamples, scores.shape[1]), rng)
    quantile = float(scipy.stats.t.ppf(0.975, seeds - 1))
    half_width = quantile * float(np.nanstd(samples)) * math.sqrt(seeds / (seeds - 1))
    low, high = value - half_width, value + half_width
    if _rarely_differ(scores):
        over_levels = rate(round(value * levels), levels)
        low, high = min(low, over_levels.low), max(high, over_levels.high)
    return Interval(value, low, high, "seeds and levels", seeds, levels).clipped()


def median_over_seeds(values: Rates) -> Interval:
    """Return the median of one value a seed [S], with an interval over seeds that holds for any distribution.

    Its ends are two of the values. The binomial distribution gives the probability that they enclose the median, at
    least 0.95 (Thompson, 1936). There is none for fewer than 6 seeds. It covers other seeds on the same levels.
    """
    seeds = len(values)
    value = float(np.median(values)) if seeds else math.nan
    # The largest number of values that may lie outside on each side. ppf returns the smallest count whose cumulative
    # probability reaches 0.025, so that the one before it has less.
    outside = int(scipy.stats.binom.ppf(0.025, seeds, 0.5)) - 1 if seeds else -1
    if outside < 0:
        return Interval(value, math.nan, math.nan, "seeds", seeds, 0)
    ordered = np.sort(values)
    return Interval(value, float(ordered[outside]), float(ordered[seeds - 1 - outside]), "seeds", seeds, 0)


def sd_between_seeds(scores: Scores, *, seed: int = 0, splits: int = SPLITS) -> Interval:
    """Return the standard deviation between seeds without the noise of the levels, with its interval.

    A measured rate is the seed's own rate plus noise. The noise of two halves of the levels is independent, so the
    covariance over seeds of the rates on both halves is the variance between seeds alone, whatever the distribution of
    the noise. It is averaged over random halves, and 0 where it is negative. The standard error of the variance is that
    of two jackknives (Miller, 1968), of the seeds and of `GROUPS` groups of levels. The upper end is that of the
    logarithm of the variance, the lower end the smaller one of both scales: it is 0 where the seeds may be all alike.
    There is no interval for fewer than `MIN_SEEDS` seeds.

    Args:
        scores: float64 [S, B], 0, 1 or NaN.
        seed: of the random halves.
        splits: number of random halves.
    """
    scores = _with_counted_seeds(scores)
    seeds, levels = len(scores), _levels(scores)
    none = Interval(math.nan, math.nan, math.nan, "seeds and levels", seeds, levels)
    if seeds < 2 or levels < 2:
        return none
    halves = _halves(scores.shape[1], seed, splits)
    first, second = (_weighted_rates(scores, half) for half in halves)
    variance = _covariance(first, second)
    value = math.sqrt(max(0.0, variance))
    if seeds < MIN_SEEDS or scores.shape[1] < GROUPS:
        return dataclasses.replace(none, value=value)
    without_seed = [_covariance(np.delete(first, s, 1), np.delete(second, s, 1)) for s in range(seeds)]
    group = np.random.default_rng(seed + 1).permutation(scores.shape[1]) % GROUPS
    without_levels = [
        _covariance(*(_weighted_rates(scores, half * (group != one)) for half in halves)) for one in range(GROUPS)
    ]
    error = math.hypot(_jackknife_error(without_seed), _jackknife_error(without_levels))
    half_width = float(scipy.stats.t.ppf(0.975, seeds - 1)) * error
    if variance <= 0:
        return dataclasses.replace(none, value=value, low=0.0, high=math.sqrt(max(0.0, half_width)))
    factor = math.exp(min(half_width / variance, MAX_LOG))
    low, high = min(variance / factor, max(0.0, variance - half_width)), variance * factor
    return dataclasses.replace(none, value=value, low=math.sqrt(low), high=min(MAX_SD, math.sqrt(high)))


def _jackknife_error(values: Sequence[float]) -> float:
    """Return the standard error of a statistic from its n values without one of n parts of the data each."""
    return float(np.std(values)) * math.sqrt(len(values) - 1)


@dataclasses.dataclass(frozen=True)
class MeanDifference:
    """The means over seeds of two populations compared.

    Attributes:
        difference: the mean rate of the first minus that of the second; the interval covers seeds and levels.
        p_value: permutation test over seeds that both have the same mean.
    """

    difference: Interval
    p_value: float

    def json(self) -> JsonObject:
        """Return the comparison as plain data."""
        return {**self.difference.json(), "p": _number(self.p_value)}


def difference_over_seeds(
    ours: Scores, theirs: Scores, *, seed: int = 0, resamples: int = RESAMPLES, permutations: int = PERMUTATIONS
) -> MeanDifference:
    """Return the difference of the means over seeds of two populations on the same levels.

    The bootstrap resamples the seeds of each population and, for both together, the levels. The half-width is its
    standard deviation times Student's quantile with Welch's degrees of freedom, times sqrt(S / (S - 1)) for the smaller
    population. Where a seed has the rarer score on fewer than `MIN_DIFFERENT` levels, it is at least as wide as
    Newcombe's interval over the levels. There is none where one population has fewer than `MIN_SEEDS` seeds.

    Args:
        ours: float64 [S, B], 0, 1 or NaN.
        theirs: float64 [S', B], on the same levels.
        seed: of the resampling.
        resamples: number of bootstrap samples.
        permutations: number of assignments of the seeds to two populations in the test.
    """
    groups = [_with_counted_seeds(ours), _with_counted_seeds(theirs)]
    fewest, levels = min(map(len, groups)), min(map(_levels, groups))
    if not fewest:
        nothing = Interval(math.nan, math.nan, math.nan, "seeds and levels", 0, 0)
        return MeanDifference(nothing, 1.0)
    rates = [rates_of_seeds(scores) for scores in groups]
    value = float(rates[0].mean() - rates[1].mean())
    p_value = permutation_test(*rates, seed=seed, resamples=permutations)
    none = Interval(value, math.nan, math.nan, "seeds and levels", fewest, levels)
    if fewest < MIN_SEEDS:
        return MeanDifference(none, p_value)
    rng = np.random.default_rng(seed)
    weights = _weights(rng, resamples, ours.shape[1])
    one, other = (_resampled_means(scores, weights, rng) for scores in groups)
    quantile = float(scipy.stats.t.ppf(0.975, _welch_degrees(rates)))
    half_width = quantile * float(np.nanstd(one - other)) * math.sqrt(fewest / (fewest - 1))
    low, high = value - half_width, value + half_width
    if any(_rarely_differ(scores) for scores in groups):
        first, second = (rate(round(float(one.mean()) * levels), levels) for one in rates)
        # Newcombe's (1998) interval of a difference of two rates over levels.
        low = min(low, value - math.hypot(first.value - first.low, second.high - second.value))
        high = max(high, value + math.hypot(first.high - first.value, second.value - second.low))
    low, high = max(-1.0, low), min(1.0, high)
    return MeanDifference(dataclasses.replace(none, low=low, high=high), p_value)


def _welch_degrees(groups: Sequence[Rates]) -> float:
    """Return the degrees of freedom of a difference of two means (Welch, 1947); those of the smaller group at least."""
    parts = [float(np.var(rates, ddof=1)) / len(rates) for rates in groups]
    fewest = min(len(rates) - 1 for rates in groups)
    if not sum(parts):
        return fewest
    return sum(parts) ** 2 / sum(part**2 / (len(rates) - 1) for part, rates in zip(parts, groups, strict=True))


def _with_counted_seeds(scores: Scores) -> Scores:
    """Return the scores [S, B] of the seeds for which a level counts."""
    scores = np.asarray(scores, np.float64)
    return scores[~np.isnan(scores).all(axis=1)]


def _rarely_differ(scores: Scores) -> bool:
    """Return whether a seed has the rarer of both scores on few levels only.

    Resamples of few such levels do not show how far a mean can be off.
    """
    rarer = float(np.nanmean(scores) < 0.5)
    return bool((scores == rarer).any(axis=0).sum() < MIN_DIFFERENT)


def _levels(scores: Scores) -> int:
    """Return the number of levels that count for a seed, the mean over the seeds of scores [S, B]."""
    return round(float((~np.isnan(scores)).sum(axis=1).mean())) if len(scores) else 0


def _weights(rng: np.random.Generator, resamples: int, count: int) -> NDArray[np.float64]:
    """Return float64 [R, n], how often each of n things is in each of R samples of n with replacement."""
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)


def _resampled_means(scores: Scores, weights: NDArray[np.float64], rng: np.random.Generator) -> Rates:
    """Return float64 [R], the mean over resampled seeds of rates over resampled levels.

    Args:
        scores: float64 [S, B].
        weights: float64 [R, B], how often each level is in each resample.
        rng: draws the seeds.
    """
    rates = _weighted_rates(scores, weights)
    chosen = _weights(rng, len(weights), len(scores))
    # A resample may hold no level that counts for a seed; the seed is left out of it then.
    present = chosen * ~np.isnan(rates)
    return _divided((chosen * np.nan_to_num(rates)).sum(axis=1), present.sum(axis=1))


def _weighted_rates(scores: Scores, weights: NDArray[np.float64]) -> Rates:
    """Return float64 [R, S], each seed's rate over weighted levels; NaN where no level counts."""
    # Products of matrices: the rates of all seeds in all resamples at once.
    return _divided(weights @ np.nan_to_num(scores).T, weights @ (~np.isnan(scores)).astype(np.float64).T)


def _halves(levels: int, seed: int, splits: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two float64 [R, B], 1 for the levels in the first and in the second half of R random splits."""
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(levels), (splits, 1)), axis=1)
    first = (order < levels // 2).astype(np.float64)
    return first, 1 - first


def _covariance(first: Rates, second: Rates) -> float:
    """Return the covariance over seeds of two rates [R, S], the mean over R splits."""
    # Seeds without a level that counts in one of the halves are left out of that split.
    both = ~np.isnan(first) & ~np.isnan(second)
    count = both.sum(axis=1, keepdims=True)
    deviations = [np.where(both, rates - _split_means(rates, both, count), 0.0) for rates in (first, second)]
    covariances = _divided((deviations[0] * deviations[1]).sum(axis=1), count[:, 0] - 1)
    return float(np.nanmean(covariances)) if (count > 1).any() else math.nan


def _split_means(rates: Rates, both: NDArray[np.bool_], count: NDArray[np.integer]) -> Rates:
    return _divided(np.where(both, rates, 0.0).sum(axis=1, keepdims=True), count)


def _divided(sums: NDArray[np.float64], counts: NDArray[np.number]) -> Rates:
    """Return sums / counts of one shape, NaN where the count is 0 or less."""
    quotients: Rates = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return quotients


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


@dataclasses.dataclass(frozen=True)
class ValueDistribution:
    """One value of each of S training seeds, such as the score of a probe.

    Attributes:
        values: the S values; NaN for a seed without one.
    """

    values: tuple[float, ...]

    @property
    def counted(self) -> Rates:
        """The values that exist, float64 [n]."""
        values = np.array(self.values, np.float64)
        return values[~np.isnan(values)]

    @property
    def median(self) -> Interval:
        """The median with its interval over seeds, see `median_over_seeds`."""
        return median_over_seeds(self.counted)

    @property
    def range(self) -> str:
        """The smallest and the largest value, as tables print them; a dash without any."""
        return f"{self.counted.min():.2f} to {self.counted.max():.2f}" if len(self.counted) else "-"

    def json(self) -> JsonObject:
        """Return the distribution as plain data."""
        return {
            "agents": len(self.counted),
            "median": self.median.json(),
            "quantiles": {name: _number(value) for name, value in quantiles(self.counted).items()},
        }
