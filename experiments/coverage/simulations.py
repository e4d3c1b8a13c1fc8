"""How often 95 % intervals contain the true value: simulations at the sizes used, also with seeds in two heaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import scipy

from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.statistics.bootstrap import (
    Interval,
    Scores,
    bootstrap_levels,
    bootstrap_seeds_and_levels,
    paired_difference,
    probability_of_improvement,
)
from goalmaze.experiments.statistics.over_seeds import (
    difference_over_seeds,
    mean_over_seeds,
    median_over_seeds,
    sd_between_seeds,
)

TRIALS, RESAMPLES, LEVELS = 400, 200, 128
SPLITS, POPULATION_TRIALS = 50, 300
COUNTED, SHARED = 0.7, 0.5
"""Fraction of levels that count for an agent, and fraction of a level's difficulty that all agents share."""
MIN_EXISTING = 0.05
"""Fraction of experiments with an interval up to which their coverage is not printed."""

Trial = Callable[[np.random.Generator], Interval]
"""Draws an experiment from a population and returns its interval."""


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How often intervals contain the true value.

    Attributes:
        what: the estimate.
        size: the seeds and levels of one experiment.
        population: what the scores are drawn from.
        exists: fraction of experiments with an interval.
        covered: fraction of these intervals that contain the true value; NaN without any.
    """

    what: str
    size: str
    population: str
    exists: float
    covered: float


def simulate(trial: Trial, truth: float, trials: int = TRIALS, seed: int = 0) -> tuple[float, float]:
    """Return the fraction of experiments that have an interval, and the fraction of these that contain the truth."""
    rng = np.random.default_rng(seed)
    intervals = [one for one in (trial(rng) for _ in range(trials)) if one.exists]
    covered = np.mean([one.low <= truth <= one.high for one in intervals]) if intervals else np.nan
    return len(intervals) / trials, float(covered)


@dataclasses.dataclass(frozen=True)
class Heaps:
    """A population of training seeds: each solves levels at one of two rates.

    Attributes:
        low: the rate of the first heap.
        high: the rate of the second heap.
        upper: the fraction of seeds in the second heap.
        spread: standard deviation of the rates within a heap.
    """

    low: float
    high: float
    upper: float = 0.5
    spread: float = 0.03

    @property
    def mean(self) -> float:
        """The mean rate."""
        return self.low + self.upper * (self.high - self.low)

    def rates(self, rng: np.random.Generator, seeds: int) -> Scores:
        """Return float64 [S], the rates of some seeds."""
        heaps = np.where(rng.random(seeds) < self.upper, self.high, self.low)
        return heaps + rng.normal(0, self.spread, seeds)

    def scores(self, rng: np.random.Generator, seeds: int, levels: int = LEVELS) -> Scores:
        """Return float64 [S, B], 1 where a seed solves a level and 0 where it does not."""
        rates = self.rates(rng, seeds).clip(0, 1)
        return (rng.random((seeds, levels)) < rates[:, None]).astype(np.float64)

    @property
    def sd(self) -> float:
        """The standard deviation of the rates."""
        return float(np.hypot(self.spread, (self.high - self.low) * np.sqrt(self.upper * (1 - self.upper))))

    def counted_scores(self, rng: np.random.Generator, seeds: int, levels: int = LEVELS) -> Scores:
        """Return float64 [S, B], NaN on levels that do not count; easy levels are easy for all agents."""
        rates = self.rates(rng, seeds).clip(0.001, 0.999)
        shared, own = rng.standard_normal(levels), rng.standard_normal((seeds, levels))
        difficulty = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
        scores = (difficulty < scipy.stats.norm.ppf(rates)[:, None]).astype(np.float64)
        return np.where(rng.random((seeds, levels)) < COUNTED, scores, np.nan)

    def superiority(self, other: Heaps) -> float:
        """Return the probability that a seed of this population has a higher rate than one of another."""
        total = 0.0
        for rate, weight in ((self.low, 1 - self.upper), (self.high, self.upper)):
            for other_rate, other_weight in ((other.low, 1 - other.upper), (other.high, other.upper)):
                spread = np.hypot(self.spread, other.spread)
                total += weight * other_weight * float(scipy.stats.norm.cdf((rate - other_rate) / spread))
        return total


ONE_HEAP = Heaps(0.7, 0.7, spread=0.08)
POPULATIONS = {
    "one heap": ONE_HEAP,
    "two equal heaps": Heaps(0.2, 0.9),
    "two heaps, one of 0.2": Heaps(0.2, 0.9, upper=0.2),
}
WIDE_POPULATIONS = POPULATIONS | {"all alike": Heaps(0.9, 0.9, spread=0.0)}
OPPONENTS = {
    "one heap each": Heaps(0.62, 0.62, spread=0.08),
    "two heaps around one": Heaps(0.2, 0.95),
    "two heaps around one, one of 0.1": Heaps(0.2, 0.95, upper=0.1),
}


def rate_of_levels(probability: float, levels: int) -> Trial:
    """Return a trial of a rate of levels."""
    return lambda rng: bootstrap_levels((rng.random(levels) < probability).astype(np.float64))


def rare_counts(probability: float, levels: int) -> Trial:
    """Return a trial of a mean of counts that are 0 on most levels and geometric with mean 5 on the others."""

    def trial(rng: np.random.Generator) -> Interval:
        counts = rng.geometric(0.2, levels) * (rng.random(levels) < probability)
        return bootstrap_levels(counts.astype(np.float64), resamples=RESAMPLES)

    return trial


def rare_difference(gained: float, lost: float, levels: int) -> Trial:
    """Return a trial of a difference of two rates on the same levels."""

    def trial(rng: np.random.Generator) -> Interval:
        uniform = rng.random(levels)
        return paired_difference((uniform < gained).astype(np.float64) - (uniform > 1 - lost))

    return trial


def rate_of_seeds(population: Heaps, seeds: int) -> Trial:
    """Return a trial of a mean over seeds and levels."""
    return lambda rng: bootstrap_seeds_and_levels([population.scores(rng, seeds)], resamples=RESAMPLES)


def mean_of_population(population: Heaps, seeds: int) -> Trial:
    """Return a trial of a mean over seeds where not all levels count and levels differ in difficulty."""
    return lambda rng: mean_over_seeds(population.counted_scores(rng, seeds), resamples=RESAMPLES)


def sd_of_population(population: Heaps, seeds: int) -> Trial:
    """Return a trial of the standard deviation between seeds without the noise of the levels."""
    return lambda rng: sd_between_seeds(population.counted_scores(rng, seeds), splits=SPLITS)


def median_of_population(population: Heaps, seeds: int) -> Trial:
    """Return a trial of a median over seeds."""
    return lambda rng: median_over_seeds(population.rates(rng, seeds))


def difference_of_populations(ours: Heaps, theirs: Heaps, seeds: tuple[int, int]) -> Trial:
    """Return a trial of the difference of the means over seeds of two populations."""

    def trial(rng: np.random.Generator) -> Interval:
        scores = [one.counted_scores(rng, count) for one, count in zip((ours, theirs), seeds, strict=True)]
        return difference_over_seeds(scores[0], scores[1], resamples=RESAMPLES, permutations=1).difference

    return trial


def improvement(ours: Heaps, theirs: Heaps, seeds: int) -> Trial:
    """Return a trial of the probability of improvement of one population of seeds over another."""
    # The rates themselves stand for scores on very many levels.
    return lambda rng: probability_of_improvement(
        [(ours.rates(rng, seeds)[:, None], theirs.rates(rng, seeds)[:, None])]
    )


def rows(trials: int = TRIALS) -> Iterator[Coverage]:
    """Yield the rows of the table."""
    for levels in (128, 512):
        for probability in (0.01, 0.5, 0.99):
            simulated = simulate(rate_of_levels(probability, levels), probability, trials)
            yield Coverage("rate", f"{levels} levels", f"rate {probability}", *simulated)
        simulated = simulate(rare_difference(0.02, 0.01, levels), 0.01, trials)
        yield Coverage("difference of rates", f"{levels} levels", "0.02 gained, 0.01 lost", *simulated)
        for probability in (0.05, 0.3):
            simulated = simulate(rare_counts(probability, levels), 5 * probability, trials)
            yield Coverage("mean of counts", f"{levels} levels", f"0 on {1 - probability:.0%} of levels", *simulated)
    for seeds in (3, 5, 10):
        for name, population in POPULATIONS.items():
            simulated = simulate(rate_of_seeds(population, seeds), population.mean, trials)
            yield Coverage("rate", f"{seeds} seeds, {LEVELS} levels", name, *simulated)
    for seeds in (2, 3, 5, 10):
        for name, theirs in OPPONENTS.items():
            simulated = simulate(improvement(ONE_HEAP, theirs, seeds), ONE_HEAP.superiority(theirs), trials)
            yield Coverage("P(improvement)", f"{seeds} seeds each", name, *simulated)


def population_rows(trials: int = POPULATION_TRIALS) -> Iterator[Coverage]:
    """Yield the rows on populations: many seeds, levels that do not count, levels that differ in difficulty."""
    for seeds in (8, 16, 64):
        for name, population in WIDE_POPULATIONS.items():
            size = f"{seeds} seeds, {LEVELS} levels"
            yield Coverage(
                "mean", size, name, *simulate(mean_of_population(population, seeds), population.mean, trials)
            )
            simulated = simulate(sd_of_population(population, seeds), population.sd, trials)
            yield Coverage("SD between seeds", size, name, *simulated)
        simulated = simulate(median_of_population(ONE_HEAP, seeds), ONE_HEAP.mean, trials)
        yield Coverage("median", f"{seeds} seeds", "one heap", *simulated)
    for counts in ((8, 8), (24, 24), (8, 64)):
        for name, theirs in OPPONENTS.items():
            truth = ONE_HEAP.mean - theirs.mean
            simulated = simulate(difference_of_populations(ONE_HEAP, theirs, counts), truth, trials)
            size = f"{counts[0]} and {counts[1]} seeds, {LEVELS} levels"
            yield Coverage("difference of means", size, name, *simulated)


def table(trials: int = TRIALS) -> Table:
    """Return the table of the documentation."""
    return Table(
        ["estimate", "size", "population", "coverage", "experiments with an interval"],
        [
            [
                one.what,
                one.size,
                one.population,
                formatted(one.covered if one.exists > MIN_EXISTING else None, ".2f"),
                formatted(one.exists, ".2f"),
            ]
            for one in (*rows(trials), *population_rows(min(trials, POPULATION_TRIALS)))
        ],
    )
