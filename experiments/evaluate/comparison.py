"""Several agents on the same levels: each by itself, and those that differ in their training seed alone together."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.tables import table
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.evaluate import Evaluation, evaluation_table, judge
from goalmaze.experiments.evaluate.setup import SeedGroup, cohorts, load_together, played
from goalmaze.experiments.statistics.bootstrap import (
    Interval,
    Profile,
    Scores,
    bootstrap_levels,
    bootstrap_seeds_and_levels,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)
from goalmaze.experiments.statistics.comparisons import ALPHA, holm, permutation_test, sign_flip_test

THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclasses.dataclass(frozen=True)
class SeedGroupScore:
    """What agents that differ in their training seed alone have in common.

    Attributes:
        name: of the cohort.
        agents: their names.
        solved: share of levels on which all the true reward was earned.
        cue_first: how often the cue came first on levels that part the two and where either was reached.
        directness: steps needed over steps taken to what was reached first, interquartile mean.
        profile: of directness.
    """

    name: str
    agents: tuple[str, ...]
    solved: Interval
    cue_first: Interval
    directness: Interval
    profile: Profile

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "cohort": self.name,
            "agents": list(self.agents),
            "solved": self.solved.json(),
            "cue_first": self.cue_first.json(),
            "directness": self.directness.json(),
            "profile": self.profile.json(),
        }


@dataclasses.dataclass(frozen=True)
class PairwiseComparison:
    """One cohort against another, by directness.

    Attributes:
        one: name of the first.
        other: name of the second.
        improvement: how likely the first does better.
        p_value: that they are alike, corrected for the number of duels (Holm).
    """

    one: str
    other: str
    improvement: Interval
    p_value: float

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "one": self.one,
            "other": self.other,
            "improvement": self.improvement.json(),
            "p_value": round(self.p_value, 4),
        }


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Several agents' evaluations, their cohorts, and the cohorts against each other."""

    evaluations: tuple[Evaluation, ...]
    cohorts: tuple[SeedGroupScore, ...]
    duels: tuple[PairwiseComparison, ...]

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "agents": [one.json() for one in self.evaluations],
            "cohorts": [one.json() for one in self.cohorts],
            "duels": [one.json() for one in self.duels],
        }

    def text(self) -> str:
        """Return a table of the agents, one of the cohorts and one of their duels."""
        first = self.evaluations[0]
        heading = f"{first.family} {first.size}x{first.size}, shift {first.shift}: {first.levels} held-out levels"
        return f"{heading}\n{evaluation_table(list(self.evaluations))}\n\n{cohort_text(self.cohorts, self.duels)}"


def cohort_text(scores: Sequence[SeedGroupScore], duels: Sequence[PairwiseComparison]) -> str:
    """Return tables of cohorts and duels."""
    rows = [[one.name, one.solved, one.cue_first, one.directness, one.directness.covers] for one in scores]
    text = table(["trained alike", "solved", "cue first", "directness (IQM)", "intervals cover"], rows)
    if not duels:
        return text
    fights = [
        [f"{one.one} against {one.other}", one.improvement, f"{one.p_value:.4f}", "*" * (one.p_value < ALPHA)]
        for one in duels
    ]
    return f"{text}\n\n{table(['more direct', 'chance of improvement', 'p (Holm)', ''], fights)}"


def run(config: EvalConfig) -> Comparison:
    """Judge several agents on the same levels.

    Raises:
        GoalmazeError: one is not there or named twice, or they are of different families or sizes.
    """
    agents = load_together(config.agents)
    shift = config.shift or NO_SHIFT
    judged = {
        agent.name: judge(
            agent.name,
            agent.policy,
            played(agent, config),
            shift=shift,
            levels=config.levels,
            seed=config.seed,
            greedy=config.greedy,
        )
        for agent in agents
    }
    groups = cohorts(agents)
    per_agent = {name: [one] for name, one in judged.items()}
    return Comparison(tuple(judged.values()), *summarise(groups, per_agent))


def summarise(
    groups: Sequence[SeedGroup], judged: Mapping[str, Sequence[Evaluation]]
) -> tuple[tuple[SeedGroupScore, ...], tuple[PairwiseComparison, ...]]:
    """Return the cohorts' scores and duels from each agent's evaluations, one a condition, the same for all."""
    directness = {group.name: _strata(group, judged, _direct) for group in groups}
    scores = tuple(
        SeedGroupScore(
            name=group.name,
            agents=tuple(agent.name for agent in group.agents),
            solved=_interval(_strata(group, judged, _solved)),
            cue_first=_preference(group, judged),
            directness=_interval(directness[group.name], iqm=True),
            profile=performance_profile(np.concatenate(directness[group.name], axis=1), THRESHOLDS),
        )
        for group in groups
    )
    pairs = list(itertools.combinations(groups, 2))
    p_values = holm([_alike(directness[one.name], directness[other.name]) for one, other in pairs])
    duels = tuple(
        PairwiseComparison(
            one.name,
            other.name,
            probability_of_improvement(list(zip(directness[one.name], directness[other.name], strict=True))),
            p_value,
        )
        for (one, other), p_value in zip(pairs, p_values, strict=True)
    )
    return scores, duels


def _direct(one: Evaluation) -> NDArray[np.float64]:
    return one.episodes.directness


def _solved(one: Evaluation) -> NDArray[np.float64]:
    return one.episodes.all_reached.astype(np.float64)


def _strata(group: SeedGroup, judged: Mapping[str, Sequence[Evaluation]], what: Any) -> list[Scores]:
    """Return float64 [S, B] for each condition, what a function tells of each agent's evaluation."""
    conditions = range(len(judged[group.agents[0].name]))
    return [np.stack([what(judged[agent.name][i]) for agent in group.agents]) for i in conditions]


def _interval(strata: Sequence[Scores], *, iqm: bool = False) -> Interval:
    statistic = interquartile_mean if iqm else np.mean
    if len(strata[0]) == 1:
        found = bootstrap_levels(np.concatenate(strata, axis=1)[0], lambda scores: float(statistic(scores)))
    else:
        found = bootstrap_seeds_and_levels(strata, lambda scores: float(statistic(scores)))
    return dataclasses.replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def _preference(group: SeedGroup, judged: Mapping[str, Sequence[Evaluation]]) -> Interval:
    """Return how often the cue came first; levels that do not count are not numbers, and left out of the mean."""

    def counted(one: Evaluation) -> NDArray[np.float64]:
        episodes = one.episodes
        return np.where(episodes.clear & episodes.arrived, episodes.to_cue < episodes.to_goal, np.nan)

    strata = _strata(group, judged, counted)
    if all(np.isnan(scores).all() for scores in strata):
        return Interval(np.nan, np.nan, np.nan, "levels", len(group.agents), 0)

    def mean(scores: Scores) -> float:
        there = ~np.isnan(scores)
        return float(scores[there].mean()) if there.any() else 0.5

    if len(group.agents) == 1:
        scores = np.concatenate(strata, axis=1)[0]
        return bootstrap_levels(scores[~np.isnan(scores)], mean)
    found = bootstrap_seeds_and_levels(strata, mean)
    return dataclasses.replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def _alike(ours: Sequence[Scores], theirs: Sequence[Scores]) -> float:
    one, other = np.concatenate(ours, axis=1), np.concatenate(theirs, axis=1)
    return (
        sign_flip_test(one[0] - other[0])
        if len(one) == len(other) == 1
        else permutation_test(one.mean(axis=1), other.mean(axis=1))
    )
