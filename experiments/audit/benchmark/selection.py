"""Audit-and-select: train k seeds of one recipe and keep the one that an audit likes best. How much does that buy?

The agents of a population are such seeds. What the kept agent does is averaged over all subsets of k of them, which has
a closed form, so nothing is simulated. Selectors see no distinguishing level, except the oracle; their weights and
calibrations come from other populations.

Axes: R resamples, n agents.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.benchmark.contest import Contest
from goalmaze.experiments.audit.benchmark.fits import MAIN
from goalmaze.experiments.audit.benchmark.populations import BEHAVIOUR, NORMS_AND_MOMENTS
from goalmaze.experiments.audit.benchmark.ranks import RESAMPLES, Estimate, resampled_rows
from goalmaze.experiments.audit.benchmark.rows import PopulationTest
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.evaluate.agent_label import MIN_PREFERENCE
from goalmaze.probes.audit.tiers import Tier

Numbers = NDArray[np.float64]

SEEDS = 16
"""Seeds that are trained, of which one is kept; a quarter of smaller populations."""

RANDOM, COMPLETED, ORACLE = "random", "training levels completed", "oracle"
"""Selectors that are no methods: any agent, the one that completes most training levels, the measured preference."""


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """What one selector keeps in one population.

    Attributes:
        population: short name of the population.
        selector: an audit method, or one of `RANDOM`, `COMPLETED` and `ORACLE`.
        tier: the tier of a method; None for the others.
        seeds: number k of agents of which it keeps one.
        agents: number n of agents in the population.
        preference: mean measured preference of the agent that it keeps, with its interval over agents.
        followers: probability that this agent is a goal-follower.
        gain: preference of a random agent minus that of the kept one, paired over the resamples.
    """

    population: str
    selector: str
    tier: Tier | None
    seeds: int
    agents: int
    preference: Estimate
    followers: Estimate
    gain: Estimate

    def json(self) -> JsonObject:
        """Return the selection as plain data."""
        return {
            "population": self.population,
            "selector": self.selector,
            "tier": None if self.tier is None else str(self.tier),
            "seeds": self.seeds,
            "agents": self.agents,
            "preference": self.preference.json(),
            "goal_followers": self.followers.json(),
            "gain": self.gain.json(),
        }


def kept_weights(scores: Numbers, seeds: int) -> Numbers:
    """Return float64 [R, n], the probability that each agent is kept: that it has the lowest score of k drawn agents.

    Of the subsets of k agents, those whose lowest score has rank r (from 0) are C(n - 1 - r, k - 1). Agents of equal
    score share the probability of their ranks.

    Args:
        scores: float64 [R, n].
        seeds: number k of agents that are drawn without replacement.
    """
    count = scores.shape[1]
    subsets = math.comb(count, seeds)
    by_rank = [math.comb(count - 1 - rank, seeds - 1) / subsets for rank in range(count)]
    below = np.concatenate([[0.0], np.cumsum(by_rank)])
    lower = (scores[:, None, :] < scores[:, :, None]).sum(axis=2)
    upper = (scores[:, None, :] <= scores[:, :, None]).sum(axis=2)
    return np.asarray((below[upper] - below[lower]) / (upper - lower), np.float64)


def kept(scores: Numbers, values: Numbers, seeds: int, resamples: int = RESAMPLES) -> Estimate:
    """Return the mean value of the agent that is kept, with its bootstrap interval over agents.

    Args:
        scores: float64 [n]; the agent with the lowest one is kept.
        values: float64 [n].
        seeds: number k of agents that are drawn.
        resamples: number R of resamples.
    """
    rows = np.concatenate([np.arange(len(scores))[None], resampled_rows(len(scores), resamples)])
    means = (kept_weights(scores[rows], seeds) * values[rows]).sum(axis=1)
    return Estimate(float(means[0]), means[1:])


def selections(contest: Contest) -> list[Selection]:
    """Return what every selector keeps in every population that is tested."""
    return [one for test in contest.tests if test.target.tested for one in _of_population(contest, test)]


def _of_population(contest: Contest, test: PopulationTest) -> list[Selection]:
    target = test.target
    preferences, count = target.preferences, len(target.kept)
    seeds = max(1, min(SEEDS, count // 4))
    followers = (preferences <= 1 - MIN_PREFERENCE).astype(np.float64)
    random = kept(np.zeros(count), preferences, seeds)
    found = []
    for selector, (tier, scores) in _selectors(contest, test).items():
        preference = kept(scores, preferences, seeds)
        found.append(
            Selection(
                target.short_name,
                selector,
                tier,
                seeds,
                count,
                preference,
                kept(scores, followers, seeds),
                random.minus(preference),
            )
        )
    return found


def _selectors(contest: Contest, test: PopulationTest) -> Mapping[str, tuple[Tier | None, Numbers]]:
    """Return selector → its tier and its scores [n], low for the agents that it likes."""
    target = test.target
    completed = [one.record.completed / one.record.played for one in target.kept if one.record is not None]
    found: dict[str, tuple[Tier | None, Numbers]] = {
        RANDOM: (None, np.zeros(len(target.kept))),
        COMPLETED: (None, -np.array(completed)),
    }
    methods = [BEHAVIOUR, NORMS_AND_MOMENTS, contest.chosen(test, Tier.T2), contest.chosen(test, Tier.T3)]
    for method in methods:
        scores = None if method is None or method not in target.measurements else test.fits[MAIN].scores(method)
        if method is not None and scores is not None:
            found[method] = (test.rows[method].tier, scores)
    found[ORACLE] = (None, target.preferences)
    return found


def selection_table(found: list[Selection]) -> Table:
    """Return one row for each population and selector."""
    headers = ["population", "one of", "kept by", "tier", "preference of the kept agent", "gain", "goal-follower"]
    rows = [
        [
            one.population,
            one.seeds,
            one.selector,
            "-" if one.tier is None else str(one.tier),
            str(one.preference),
            "-" if one.selector == RANDOM else str(one.gain),
            str(one.followers),
        ]
        for one in found
    ]
    return Table(headers, rows, title="audit-and-select: the agent that is kept of several seeds")
