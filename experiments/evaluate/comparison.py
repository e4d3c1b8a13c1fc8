"""Several agents on the same levels: each alone, groups that differ in their training seed, and groups in pairs."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import Agent
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.evaluate.evaluation import NOTES, Evaluation, evaluate_policy, evaluation_table
from goalmaze.experiments.evaluate.setup import (
    SeedGroup,
    draw_levels,
    families_of,
    require_comparable,
    require_compatible,
    seed_groups,
)
from goalmaze.experiments.evaluate.training_overlap import TrainingOverlap, quick_overlap
from goalmaze.experiments.statistics.bootstrap import (
    Interval,
    Profile,
    Scores,
    bootstrap_levels,
    bootstrap_seeds_and_levels,
    interquartile_mean,
    mean,
    performance_profile,
    probability_of_improvement,
)
from goalmaze.experiments.statistics.comparisons import ALPHA, holm, permutation_test, sign_flip_test

THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Values of directness at which the performance profile is given."""


@dataclasses.dataclass(frozen=True)
class SeedGroupScore(Record):
    """The scores of agents that differ in their training seed alone.

    Attributes:
        name: of the group.
        agents: their names.
        solved: rate of levels on which all true reward was earned.
        cue_first: rate at which the cue came first, over levels on which goal or cue was reached and neither is on a
            shortest path to the other.
        directness: fewest steps over steps taken to the object reached first, interquartile mean.
        profile: performance profile of directness.
    """

    json_keys: ClassVar = {"name": "seed_group"}

    name: str
    agents: tuple[str, ...]
    solved: Interval
    cue_first: Interval
    directness: Interval
    profile: Profile


@dataclasses.dataclass(frozen=True)
class PairwiseComparison(Record):
    """The directness of two seed groups compared.

    Attributes:
        one: name of the first group.
        other: name of the second.
        improvement: probability that the first does better (Agarwal et al., 2021).
        p_value: of no difference, Holm-adjusted over all pairs.
    """

    one: str
    other: str
    improvement: Interval
    p_value: float


@dataclasses.dataclass(frozen=True)
class Comparison(Record, Result):
    """Evaluations of several agents on the same levels, their seed groups, and the groups in pairs.

    Attributes:
        evaluations: one each.
        seed_groups: the agents that differ in their training seed alone.
        pairs: of seed groups.
        overlaps: how many of the levels each agent has met in training.
    """

    json_keys: ClassVar = {"evaluations": "agents", "overlaps": "training_overlaps"}

    evaluations: tuple[Evaluation, ...]
    seed_groups: tuple[SeedGroupScore, ...]
    pairs: tuple[PairwiseComparison, ...]
    overlaps: tuple[TrainingOverlap, ...]

    def blocks(self) -> list[str | Table]:
        """Return a table of the agents, one of the seed groups and one of the pairs."""
        rows = evaluation_table(self.evaluations)
        heading = "\n".join([self.evaluations[0].heading(), *(one.sentence for one in self.overlaps)])
        return [heading, rows, NOTES, *seed_group_tables(self.seed_groups, self.pairs)]


def seed_group_tables(scores: Sequence[SeedGroupScore], pairs: Sequence[PairwiseComparison]) -> list[Table]:
    """Return a table of seed groups and, where there are pairs, one of them."""
    groups = Table(
        ["seed group", "solved", "cue first", "directness (IQM)", "intervals cover"],
        [
            [
                one.name,
                one.solved,
                one.cue_first if one.cue_first.levels else "no levels",
                one.directness,
                one.directness.note,
            ]
            for one in scores
        ],
    )
    if not pairs:
        return [groups]
    compared = Table(
        ["first more direct than second", "P(improvement)", "p (Holm)", ""],
        [
            [
                f"{one.one} against {one.other}",
                one.improvement,
                formatted(one.p_value, ".4f"),
                "*" * (one.p_value < ALPHA),
            ]
            for one in pairs
        ],
    )
    return [groups, compared]


def compare(
    agents: Sequence[Agent],
    *,
    shift: str = NO_SHIFT,
    levels: int | LevelBatch = 512,
    seed: int = 0,
    greedy: bool = False,
    families: Sequence[Family] | None = None,
    unseen_walls: bool = False,
) -> Comparison:
    """Evaluate several agents on the same held-out levels, one episode a level.

    Args:
        agents: of one family and size; those that differ in their training seed alone are grouped.
        shift: the distribution of the levels: "none" for the one of training, or a shift of the family.
        levels: number of held-out levels, or levels of your own; `shift` and `families` then have no effect.
        seed: of the levels and of the sampled actions.
        greedy: take the likeliest action instead of sampling.
        families: the family that each agent is evaluated on; the ones that they were trained on by default.
        unseen_walls: draw only levels whose walls none of the agents has met in training.

    Raises:
        GoalmazeError: agents are of different families or sizes, one is named twice, no such shift, one cannot act in
            its family, or there are too few levels with unseen walls.

    Example:
        >>> import goalmaze as gm
        >>> agents = [gm.load("zoo:green-exit"), gm.load("zoo:green-exit-early")]
        >>> gm.compare(agents, levels=64).pairs[0].improvement.value > 0.5
        True
    """
    require_comparable(agents)
    # All agents act on the same levels with the same seed, so that tests can pair them level by level.
    evaluations, overlaps = {}, []
    entries = list(zip(agents, families_of(agents, families), strict=True))
    for agent, family in progress(entries, "evaluating", "agent"):
        chosen = levels.family if isinstance(levels, LevelBatch) else family
        require_compatible(agent, chosen)
        batch, name = draw_levels(chosen, levels, shift, seed, agents if unseen_walls else [])
        overlaps.append(quick_overlap(agent, batch))
        evaluations[agent.name] = evaluate_policy(agent.name, agent.policy, batch, shift=name, seed=seed, greedy=greedy)
    by_condition = {name: [one] for name, one in evaluations.items()}
    scores, pairs = compare_seed_groups(seed_groups(agents), by_condition)
    return Comparison(tuple(evaluations.values()), scores, pairs, tuple(overlaps))


def compare_seed_groups(
    groups: Sequence[SeedGroup], evaluations: Mapping[str, Sequence[Evaluation]]
) -> tuple[tuple[SeedGroupScore, ...], tuple[PairwiseComparison, ...]]:
    """Return the scores of seed groups and of their pairs.

    Args:
        groups: the groups.
        evaluations: each agent's evaluations, one a condition, in the same order for all agents.
    """
    directness = {group.name: _strata(group, evaluations, _directness) for group in groups}
    scores = tuple(
        SeedGroupScore(
            name=group.name,
            agents=tuple(agent.name for agent in group.agents),
            solved=_interval(_strata(group, evaluations, _solved)),
            cue_first=_cue_first(group, evaluations),
            directness=_interval(directness[group.name], iqm=True),
            profile=performance_profile(np.concatenate(directness[group.name], axis=1), THRESHOLDS),
        )
        for group in groups
    )
    pairs = list(itertools.combinations(groups, 2))
    # One family of tests: Holm's adjustment covers all pairs of the table.
    p_values = holm([_p_value(directness[one.name], directness[other.name]) for one, other in pairs])
    compared = tuple(
        PairwiseComparison(
            one.name,
            other.name,
            probability_of_improvement(list(zip(directness[one.name], directness[other.name], strict=True))),
            p_value,
        )
        for (one, other), p_value in zip(pairs, p_values, strict=True)
    )
    return scores, compared


def _directness(one: Evaluation) -> NDArray[np.float64]:
    return one.episodes.directness


def _solved(one: Evaluation) -> NDArray[np.float64]:
    return one.episodes.solved.astype(np.float64)


def _strata(
    group: SeedGroup,
    evaluations: Mapping[str, Sequence[Evaluation]],
    score: Callable[[Evaluation], NDArray[np.float64]],
) -> list[Scores]:
    """Return float64 [S, B] for each condition: a score of S agents on B levels."""
    conditions = range(len(evaluations[group.agents[0].name]))
    return [np.stack([score(evaluations[agent.name][i]) for agent in group.agents]) for i in conditions]


def _interval(strata: Sequence[Scores], *, iqm: bool = False) -> Interval:
    return _resampled(strata, interquartile_mean if iqm else mean)


def _cue_first(group: SeedGroup, evaluations: Mapping[str, Sequence[Evaluation]]) -> Interval:
    """Return the rate at which the cue came first; levels that do not count are NaN and left out of the mean."""
    strata = _strata(group, evaluations, lambda one: one.episodes.cue_first)
    if all(np.isnan(scores).all() for scores in strata):
        return Interval(np.nan, np.nan, np.nan, "levels", len(group.agents), 0)

    def counted_mean(scores: Scores) -> float:
        # A resample can hold no level that counts; 0.5 says nothing for either object.
        counted = ~np.isnan(scores)
        return float(scores[counted].mean()) if counted.any() else 0.5

    if len(group.agents) == 1:
        # One agent's levels that do not count are dropped before resampling, which keeps the number of levels fixed.
        # Several agents do not share them, so their resamples carry the NaNs along.
        scores = np.concatenate(strata, axis=1)[0]
        return bootstrap_levels(scores[~np.isnan(scores)])
    return _resampled(strata, counted_mean)


def _resampled(strata: Sequence[Scores], statistic: Callable[[Scores], float]) -> Interval:
    """Return the interval of a rate: over levels for one agent, over seeds and levels for several."""
    if len(strata[0]) == 1:
        interval = bootstrap_levels(np.concatenate(strata, axis=1)[0], statistic)
    else:
        interval = bootstrap_seeds_and_levels(strata, statistic)
    return interval.clipped()


def _p_value(ours: Sequence[Scores], theirs: Sequence[Scores]) -> float:
    """Return the p-value of no difference between scores [S, B] of two groups under every condition.

    Two single agents are compared level by level. With several seeds the runs are the independent units, and levels,
    which all runs share, are averaged first.
    """
    one, other = np.concatenate(ours, axis=1), np.concatenate(theirs, axis=1)
    return (
        sign_flip_test(one[0] - other[0])
        if len(one) == len(other) == 1
        else permutation_test(one.mean(axis=1), other.mean(axis=1))
    )
