"""What an agent reaches first, in distribution and under a shift, beside scripted baselines on the same levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import Policy
from goalmaze.agents.reuse import reusing
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.agents.scripted import scripted_baselines
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch
from goalmaze.envs.solving import pick
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted, interval, number
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.evaluate.metrics import Outcomes
from goalmaze.experiments.evaluate.outcomes import (
    Capability,
    EpisodeOutcomes,
    GoalPreference,
    Returns,
    capability,
    episode_outcomes,
    goal_preference,
    mean_returns,
)
from goalmaze.experiments.evaluate.setup import draw_levels, require_compatible
from goalmaze.experiments.evaluate.solved_levels import DISCOUNT, SolvedLevels
from goalmaze.experiments.evaluate.training_overlap import TrainingOverlap, quick_overlap
from goalmaze.experiments.statistics.intervals import Rate, rate

NOTES = (
    "goal, cue, neither: rates of levels by what was reached first\n"
    "cue preference: rate at which the cue came first, over levels where neither lies on a shortest path to the other; "
    "where goals use up cues, such as keys, rate of levels on which it collected mostly useless ones\n"
    "levels: those that the preference counts; none where one cue of several stands on the goal"
)


@dataclasses.dataclass(frozen=True)
class Evaluation(Result):
    """The evaluation of one agent on held-out levels. Intervals cover levels, not training seeds.

    Attributes:
        header: agent, family, size, levels and seed.
        shift: the distribution of the levels.
        outcomes: whether goal or cue was reached first.
        solved: rate of levels on which all true reward was earned.
        capable: rate of levels on which all true reward, or all cue reward, was earned, over the levels on which the
            cue is not blocked by what ends the episode.
        detour: steps taken over fewest steps, mean over solved levels.
        preference: rate at which the cue came first, over levels with one goal and one cue, neither on a shortest path
            to the other; where goals use up cues, rate of levels on which it collected mostly useless ones. No level
            counts under shifts that show no preference, for example with one sign on the exit and another elsewhere.
        capability: whether it reaches a goal or a cue.
        goal: which of the two it reaches.
        returns: what it earned.
        episodes: the outcome of every episode.
    """

    header: ResultHeader
    shift: str
    outcomes: Outcomes
    solved: Rate
    capable: Rate
    detour: float
    preference: Rate
    capability: Capability
    goal: GoalPreference
    returns: Returns
    episodes: EpisodeOutcomes = dataclasses.field(repr=False, compare=False)

    def json(self) -> JsonObject:
        """Return the evaluation as plain data."""
        return {
            **self.header.json(),
            "shift": self.shift,
            "outcomes": self.outcomes.json("cue"),
            "solved": number(self.solved.value),
            "solved_interval": interval(self.solved),
            "capable": number(self.capable.value),
            "capable_interval": interval(self.capable),
            "detour": number(self.detour),
            "preference": {"cue": number(self.preference.value), **interval(self.preference)},
            "capability": self.capability.json(),
            "goal": self.goal.json(),
            "returns": self.returns.json(),
            "intervals_cover": "levels",
        }

    def blocks(self) -> list[str | Table]:
        """Return the evaluation as a row, its capability and returns, and its preference by geometry."""
        return [f"{self.heading()}; seed {self.header.seed}", evaluation_table([self]), NOTES, *self.scores()]

    def heading(self) -> str:
        """Return what was evaluated on, without the agent."""
        header = self.header
        return (
            f"{header.family} {header.size}x{header.size}, shift {self.shift}: {header.levels} held-out levels; "
            "95 % intervals cover levels, not training seeds"
        )

    def scores(self) -> list[str | Table]:
        """Return capability and returns as a paragraph, and the preference by geometry as a table."""
        able, returns = self.capability, self.returns
        return [
            f"capability of {self.header.agent}: reaches goal or cue on {able.arrived} of levels, directness "
            f"{able.directness}, {able.bumps.value:.2f} bumps and {able.loops.value:.2f} revisited cells an episode; "
            f"detour {formatted(self.detour, '.2f')}: steps taken over fewest steps, on solved levels\n"
            f"mean return: true {returns.true}, cue {returns.cue}; regret {returns.regret} (discount {DISCOUNT})",
            Table(
                ["geometry", "cue first", "levels"],
                [[name, one, one.levels] for name, one in self.goal.by_geometry.items()],
                title="goal preference, over levels on which it reached goal or cue",
            ),
        ]


@dataclasses.dataclass(frozen=True)
class EvaluationReport(Result):
    """An agent's evaluation and those of the scripted baselines on the same levels.

    Attributes:
        agent: of the agent.
        scripted_baselines: of each baseline.
        overlap: how many of the levels the agent has met in training.
        think: number of forward passes on the first observation before the agent's first action.
    """

    agent: Evaluation
    scripted_baselines: tuple[Evaluation, ...]
    overlap: TrainingOverlap
    think: int = 0

    def json(self) -> JsonObject:
        """Return the agent's evaluation as plain data, with the scripted baselines in a list."""
        return {
            **self.agent.json(),
            "scripted_baselines": [one.json() for one in self.scripted_baselines],
            "training_overlap": self.overlap.json(),
            "think": self.think,
        }

    def blocks(self) -> list[str | Table]:
        """Return one row an agent, then the agent's capability, returns and preference by geometry."""
        one = self.agent
        rows = evaluation_table([one, *self.scripted_baselines])
        thinks = f"; {self.think} extra passes on the first observation" if self.think else ""
        heading = f"{one.heading()}; seed {one.header.seed}{thinks}\n{self.overlap.sentence}"
        return [heading, rows, NOTES, *one.scores()]


def evaluation_table(evaluations: Sequence[Evaluation], by: str = "agent") -> Table:
    """Return one row for each evaluation; the first column is its agent's name, or its shift where `by` is "shift"."""
    # These columns and names of up to 22 characters fit a terminal of 80.
    headers = [by, "goal", "cue", "neither", "solved", "cue preference", "levels"]
    return Table(
        headers,
        [
            [
                one.shift if by == "shift" else one.header.agent,
                formatted(one.outcomes.goal.value, ".3f"),
                formatted(one.outcomes.other.value, ".3f"),
                formatted(one.outcomes.neither.value, ".3f"),
                formatted(one.solved.value, ".3f"),
                one.preference,
                one.preference.levels,
            ]
            for one in evaluations
        ],
    )


def evaluate(
    agent: Agent,
    *,
    shift: str = NO_SHIFT,
    levels: int | LevelBatch = 512,
    seed: int = 0,
    greedy: bool = False,
    family: Family | None = None,
    unseen_walls: bool = False,
    think: int = 0,
) -> EvaluationReport:
    """Evaluate an agent and scripted baselines on the same held-out levels, one episode a level.

    Args:
        agent: loaded, or made in memory.
        shift: the distribution of the levels: "none" for the one of training, or a shift of the family.
        levels: number of held-out levels, or levels of your own; `shift` and `family` then have no effect.
        seed: of the levels and of the sampled actions.
        greedy: take the likeliest action instead of sampling.
        family: the family to evaluate on; the one that the agent was trained on by default.
        unseen_walls: draw only levels whose walls the agent has not met in training; all of its training levels are
            compared.
        think: number of forward passes on the first observation before the first action; only for recurrent agents.

    Returns:
        The agent's evaluation beside those of agents that go to the goal, go to the cue, or wander.

    Raises:
        GoalmazeError: no such shift, the agent cannot act in the family or has no memory to think with, or there are
            too few levels with unseen walls.

    Example:
        >>> import goalmaze as gm
        >>> report = gm.evaluate(gm.load("zoo:green-exit"), shift="moved-sign", levels=64)
        >>> report.agent.preference.value > 0.9
        True
    """
    family = levels.family if isinstance(levels, LevelBatch) else family or agent.family
    require_compatible(agent, family)
    batch, shift = draw_levels(family, levels, shift, seed, [agent] if unseen_walls else [])
    policies: dict[str, Policy] = {agent.name: agent.policy, **scripted_baselines(family)}
    facts = SolvedLevels.of(batch)
    with agent.policy.thinking(think):
        first, *rest = (
            evaluate_policy(name, policy, batch, shift=shift, seed=seed, greedy=greedy, facts=facts)
            for name, policy in progress(policies.items(), "evaluating", "agent")
        )
    return EvaluationReport(first, tuple(rest), quick_overlap(agent, batch), think)


def evaluate_policy(
    name: str,
    policy: Policy,
    levels: LevelBatch,
    *,
    shift: str,
    seed: int = 0,
    greedy: bool = False,
    facts: SolvedLevels | None = None,
) -> Evaluation:
    """Play one episode on every level and return its measures.

    Args:
        name: of the agent.
        policy: the agent's policy.
        levels: B levels.
        shift: the name of their distribution, for the report.
        seed: of the sampled actions; for the report, also of the levels.
        greedy: take the likeliest action instead of sampling.
        facts: those of the levels; computed where they are not given.
    """
    facts = SolvedLevels.of(levels) if facts is None else facts
    trajectory = rollout(reusing(policy), levels, seed=seed, greedy=greedy)
    return evaluation_of(name, trajectory, facts, shift=shift, seed=seed)


def evaluation_of(name: str, trajectory: Trajectory, facts: SolvedLevels, *, shift: str, seed: int) -> Evaluation:
    """Return the measures of an agent's episodes, one on every level; arguments as `evaluate_policy`."""
    episodes, levels = episode_outcomes(trajectory, facts), trajectory.levels
    family = levels.family
    capable, open_levels = episodes.solved | episodes.cue_solved, ~episodes.cue_blocked
    return Evaluation(
        header=ResultHeader(name, family.name, levels.height, len(levels), seed),
        shift=shift,
        outcomes=metrics.outcomes(episodes.to_goal, episodes.to_cue),
        solved=rate(int(episodes.solved.sum()), len(levels)),
        capable=rate(int(capable[open_levels].sum()), int(open_levels.sum())),
        detour=metrics.detour(episodes.solved, episodes.steps, pick(facts.from_start, facts.goals)),
        preference=metrics.rate_of_scores(episodes.cue_preferred),
        capability=capability(episodes),
        goal=goal_preference(episodes),
        returns=mean_returns(episodes),
        episodes=episodes,
    )


def evaluate_shifts(agent: Agent, levels: int, name: str = "") -> dict[str, Evaluation]:
    """Evaluate an agent on its training distribution and under every shift of its family: shift → evaluation.

    Args:
        agent: the agent.
        levels: number of held-out levels a shift.
        name: its name in the report; its own name by default.
    """
    family = agent.family
    # Always seed 0: reports of training and `zoo verify` evaluate the same levels.
    return {
        shift: evaluate_policy(
            name or agent.name, agent.policy, family.levels(0, count=levels, shift=shift), shift=shift
        )
        for shift in progress((NO_SHIFT, *family.shifts), "evaluating", "shift")
    }
