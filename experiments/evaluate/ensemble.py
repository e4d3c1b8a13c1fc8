"""Ensembles that ask for help when their members disagree: the price in questions against goals that are reached.

Axes: E ensembles, B levels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.asking import AskingEnsemble, When
from goalmaze.agents.loading import Agent
from goalmaze.agents.population import Population
from goalmaze.agents.rollout import rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.experiments.common.parallel import side_by_side
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.evaluate.evaluation import evaluation_of
from goalmaze.experiments.evaluate.setup import draw_levels, require_compatible
from goalmaze.experiments.evaluate.solved_levels import SolvedLevels
from goalmaze.experiments.statistics.bootstrap import Interval
from goalmaze.experiments.statistics.over_seeds import mean_over_seeds

Numbers = NDArray[np.float64]

NEVER, ALWAYS = float("inf"), 0.0
DISAGREEMENTS = (NEVER, 0.3, 0.1, 0.05, 0.02, ALWAYS)
"""Thresholds of the disagreement in nats; two certain halves of an ensemble have log 2 = 0.69."""

ENTROPIES = (0.9, 0.5, 0.2)
"""Thresholds of the entropy of a single agent, in nats; log 4 = 1.39 is that of a random action."""

NOTES = (
    "questions: an overseer is asked for the next action, and takes a shortest path to the goal; goal first: over "
    "levels where neither goal nor cue lies on a shortest path to the other\n"
    "ask by: disagreement of the members; at random, with as many questions a step as the row above; the entropy of "
    "one member, which acts alone\n"
    "95 % intervals cover ensembles of other seeds and other levels"
)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What ensembles reach at one price.

    Attributes:
        by: when they ask.
        members: members of each ensemble.
        threshold: the least number at which they ask; NaN for "random".
        training_questions: mean questions an episode on the training distribution.
        solved: rate of levels solved there, with its interval.
        questions: mean questions an episode under the distinguishing shift.
        goal_first: rate at which the goal came first there, with its interval.
    """

    by: When
    members: int
    threshold: float
    training_questions: float
    solved: Interval
    questions: float
    goal_first: Interval

    def json(self) -> JsonObject:
        """Return the row as plain data; the threshold of one that never asks is null."""
        return {
            "by": self.by,
            "members": self.members,
            "threshold": number(self.threshold) if np.isfinite(self.threshold) else None,
            "training_questions": number(self.training_questions),
            "solved": self.solved.json(),
            "questions": number(self.questions),
            "goal_first": self.goal_first.json(),
        }


@dataclasses.dataclass(frozen=True)
class AskingResult(Result):
    """Ensembles of a population that ask for help.

    Attributes:
        header: what it was measured on.
        shift: the distinguishing shift.
        ensembles: number of ensembles, which share no member.
        rows: one for each way to ask and threshold.
    """

    header: ResultHeader
    shift: str
    ensembles: int
    rows: tuple[Asked, ...]

    def json(self) -> JsonObject:
        """Return the result as plain data."""
        rows = [one.json() for one in self.rows]
        return {**self.header.json(), "shift": self.shift, "ensembles": self.ensembles, "rows": rows}

    def blocks(self) -> list[str | Table]:
        """Return the heading, one row for each price, and the notes."""
        headers = [
            "ask by",
            "members",
            "threshold",
            "questions, none",
            "solved",
            f"questions, {self.shift}",
            "goal first",
        ]
        rows: list[list[object]] = []
        for one in self.rows:
            threshold = "never" if one.threshold == NEVER else formatted(one.threshold, ".2f")
            questions = (formatted(one.training_questions, ".2f"), formatted(one.questions, ".2f"))
            rows.append([one.by, one.members, threshold, questions[0], one.solved, questions[1], one.goal_first])
        heading = f"{self.header.agent}: {self.ensembles} ensembles that share no member, {self.header.levels} levels"
        return [heading, Table(headers, rows), NOTES]


@dataclasses.dataclass(frozen=True, eq=False)
class _Condition:
    """Levels that all ensembles act on."""

    shift: str
    facts: SolvedLevels


@dataclasses.dataclass(frozen=True, eq=False)
class _Played:
    """One ensemble on one condition: scores [B] of 0, 1 or NaN, and questions and steps of all episodes."""

    scores: Numbers
    questions: float
    rate: float


def ask_for_help(
    population: Population,
    members: int,
    *,
    levels: int = 512,
    seed: int = 0,
    greedy: bool = False,
    family: Family | None = None,
) -> AskingResult:
    """Let ensembles of a population ask for help, at several prices and beside two controls.

    Args:
        population: the population; its agents are cut into ensembles that share no member.
        members: number of members of each ensemble, 2 or more.
        levels: number of held-out levels of each distribution.
        seed: of the levels, the sampled actions and the random questions.
        greedy: take the likeliest action instead of sampling.
        family: the family of the levels; that of the population by default.

    Raises:
        GoalmazeError: there are too few agents for an ensemble, or they cannot act in the family.
    """
    if not 2 <= members <= len(population):
        raise GoalmazeError(f"an ensemble has 2 to {len(population)} members in {population.name}, not {members}")
    family = family or population[0].family
    groups = [population.agents[i : i + members] for i in range(0, len(population) - members + 1, members)]
    for agent in population:
        require_compatible(agent, family)
    conditions = []
    for shift in (NO_SHIFT, family.distinguishing_shift):
        batch, name = draw_levels(family, levels, shift, seed, ())
        conditions.append(_Condition(name, SolvedLevels.of(batch)))

    def work(group: Sequence[Agent]) -> list[list[_Played]]:
        return _play_group(group, conditions, seed, greedy)

    bar = progress(groups, "asking", "ensemble")
    played = [one for one, _ in zip(side_by_side(work, groups), bar, strict=True)]
    rows = [
        _row(by, size, threshold, [one[place] for one in played])
        for place, (by, size, threshold) in enumerate(_plan(members))
    ]
    header = ResultHeader(population.name, family.name, family.size, levels, seed)
    return AskingResult(header, conditions[1].shift, len(groups), tuple(rows))


def _plan(members: int) -> list[tuple[When, int, float]]:
    """Return when to ask, members and threshold of every row; "random" follows the row whose rate it takes."""
    rows: list[tuple[When, int, float]] = []
    for threshold in DISAGREEMENTS:
        rows.append(("disagreement", members, threshold))
        if threshold not in (NEVER, ALWAYS):
            rows.append(("random", members, float("nan")))
    return [*rows, *(("entropy", 1, threshold) for threshold in ENTROPIES)]


def _play_group(
    group: Sequence[Agent], conditions: Sequence[_Condition], seed: int, greedy: bool
) -> list[list[_Played]]:
    """Return what one ensemble does: a list for every row of the plan, with one entry for each condition."""
    result: list[list[_Played]] = []
    for by, size, threshold in _plan(len(group)):
        members = [agent.policy for agent in group[:size]]
        played = []
        for place, condition in enumerate(conditions):
            at_least = 1 - result[-1][place].rate if by == "random" else threshold
            policy = AskingEnsemble(members, at_least, by, seed)
            played.append(_play(policy, condition, seed, greedy))
        result.append(played)
    return result


def _play(policy: AskingEnsemble, condition: _Condition, seed: int, greedy: bool) -> _Played:
    trajectory = rollout(policy, condition.facts.levels, seed=seed, greedy=greedy)
    episodes = evaluation_of("ensemble", trajectory, condition.facts, shift=condition.shift, seed=seed).episodes
    in_training = condition.shift == NO_SHIFT
    scores = episodes.solved.astype(np.float64) if in_training else 1 - episodes.cue_preferred
    return _Played(scores, float(policy.questions.mean()), float(policy.questions.sum() / policy.steps.sum()))


def _row(by: When, members: int, threshold: float, played: Sequence[Sequence[_Played]]) -> Asked:
    training, shifted = ([one[place] for one in played] for place in (0, 1))
    return Asked(
        by=by,
        members=members,
        threshold=threshold,
        training_questions=float(np.mean([one.questions for one in training])),
        solved=mean_over_seeds(np.stack([one.scores for one in training])),
        questions=float(np.mean([one.questions for one in shifted])),
        goal_first=mean_over_seeds(np.stack([one.scores for one in shifted])),
    )
