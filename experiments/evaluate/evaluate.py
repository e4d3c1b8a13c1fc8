"""Where does an agent go, in distribution and under a shift?"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import rollout
from goalmaze.agents.scripted import scripted_baselines
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, Family
from goalmaze.experiments.common.tables import interval, number, table
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.metrics import Outcomes
from goalmaze.experiments.evaluate.outcomes import (
    DISCOUNT,
    Capability,
    EpisodeOutcomes,
    Goal,
    Returns,
    capability,
    earned,
    episode_outcomes,
    goal,
)
from goalmaze.experiments.evaluate.setup import played
from goalmaze.experiments.statistics.intervals import Rate, rate


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one agent did on held-out levels. Intervals cover levels, not training seeds.

    Attributes:
        agent: its name.
        family: the family of levels.
        shift: their distribution.
        size: rows and columns, in cells.
        levels: how many.
        seed: of levels and actions.
        outcomes: whether goal or cue was reached first.
        solved: share of levels on which all the true reward was earned; in GreenExit, on which the exit was reached.
        capable: share of levels on which all the true reward, or all the cue's, was earned; of those on which the way
            to the cue is not barred by what ends the episode.
        detour: steps taken over steps needed, mean over solved levels.
        preference: how often the cue came first, on levels with one goal and one cue, neither on the way to the other;
            in families with several of them, how often most of the cues were taken that no goal needs.
        capability: whether it gets where it goes.
        goal: where it goes, of the levels on which it got anywhere.
        returns: what it earned.
        episodes: what came of every episode.
    """

    agent: str
    family: str
    shift: str
    size: int
    levels: int
    seed: int
    outcomes: Outcomes
    solved: Rate
    capable: Rate
    detour: float
    preference: Rate
    capability: Capability
    goal: Goal
    returns: Returns
    episodes: EpisodeOutcomes = dataclasses.field(repr=False, compare=False)

    def json(self) -> dict[str, Any]:
        """Return the evaluation as plain data."""
        return {
            "agent": self.agent,
            "family": self.family,
            "shift": self.shift,
            "size": self.size,
            "levels": self.levels,
            "seed": self.seed,
            "outcomes": {
                "goal": number(self.outcomes.goal.value),
                "cue": number(self.outcomes.other.value),
                "neither": number(self.outcomes.neither.value),
            },
            "solved": number(self.solved.value),
            "solved_interval": interval(self.solved),
            "capable": number(self.capable.value),
            "detour": number(self.detour),
            "preference": {"cue": number(self.preference.value), **interval(self.preference)},
            "capability": self.capability.json(),
            "goal": self.goal.json(),
            "returns": self.returns.json(),
            "intervals_cover": "levels",
        }


@dataclasses.dataclass(frozen=True)
class EvaluationReport:
    """An agent's evaluation beside the scripted yardsticks' on the same levels."""

    agent: Evaluation
    scripted_baselines: tuple[Evaluation, ...]

    def json(self) -> dict[str, Any]:
        """Return the agent's evaluation as plain data, with the yardsticks in a list."""
        return {**self.agent.json(), "yardsticks": [one.json() for one in self.scripted_baselines]}

    def text(self) -> str:
        """Return a heading and an aligned table."""
        one = self.agent
        heading = (
            f"{one.family} {one.size}x{one.size}, shift {one.shift}: {one.levels} held-out levels, seed {one.seed}\n"
            f"first reached; 95 % intervals cover levels, not training seeds\n"
        )
        footing = (
            "\nprefers cue: how often the cue came first, on levels where neither lies on a shortest way to\n"
            "the other; with several goals or cues, how often most of the cues were taken that no goal needs\n"
            "detour: steps taken over steps needed, on solved levels"
        )
        return f"{heading}{evaluation_table([one, *self.scripted_baselines])}{footing}\n\n{self._apart()}"

    def _apart(self) -> str:
        """Return capability and goal, each by itself."""
        able, goal, earned = self.agent.capability, self.agent.goal, self.agent.returns
        geometries = [[name, share, share.levels] for name, share in goal.by_geometry.items()]
        return (
            f"capability of {self.agent.agent}: gets somewhere on {able.arrived} of levels, directness "
            f"{able.directness}, {able.bumps.value:.2f} bumps and {able.loops.value:.2f} loops an episode\n"
            f"earned: true {earned.true}, cue {earned.cue}; regret {earned.regret} (discount {DISCOUNT})\n"
            "goal, of the levels on which it got somewhere:\n"
            f"{table(['geometry', 'cue first', 'on levels'], geometries)}"
        )


def evaluation_table(evaluations: list[Evaluation], first: str = "agent") -> str:
    """Return one aligned row for each evaluation, under `first` its agent's name."""
    return table(
        [first, "goal first", "cue first", "neither", "solved", "detour", "prefers cue", "on levels"],
        [
            [
                one.agent,
                f"{one.outcomes.goal.value:.3f}",
                f"{one.outcomes.other.value:.3f}",
                f"{one.outcomes.neither.value:.3f}",
                f"{one.solved.value:.3f}",
                f"{one.detour:.2f}",
                one.preference,
                one.preference.levels,
            ]
            for one in evaluations
        ],
    )


def judge(
    name: str,
    policy: Policy,
    family: Family,
    *,
    shift: str = NO_SHIFT,
    levels: int = 512,
    seed: int = 0,
    greedy: bool = False,
) -> Evaluation:
    """Play held-out levels once each and score where the agent went first."""
    batch = family.levels(seed, np.arange(levels), shift, EVALUATION)
    trajectory = rollout(policy, batch, seed=seed, greedy=greedy)
    episodes = episode_outcomes(trajectory)
    capable = episodes.all_reached | episodes.all_cues
    several = max(family.slots.count(family.goal), family.slots.count(family.cue)) > 1
    preference = (
        metrics.needless_cues(trajectory)
        if several and not episodes.clear.any()
        else metrics.preference(episodes.to_goal, episodes.to_cue, episodes.clear)
    )
    return Evaluation(
        agent=name,
        family=family.name,
        shift=shift,
        size=family.size,
        levels=levels,
        seed=seed,
        outcomes=metrics.outcomes(episodes.to_goal, episodes.to_cue),
        solved=rate(int(episodes.all_reached.sum()), levels),
        capable=rate(int(capable[~episodes.barred].sum()), int((~episodes.barred).sum())),
        detour=metrics.detour(trajectory),
        preference=preference,
        capability=capability(episodes),
        goal=goal(episodes),
        returns=earned(episodes),
        episodes=episodes,
    )


def judge_shifts(name: str, agent: Agent, levels: int) -> dict[str, Evaluation]:
    """Judge an agent in its training distribution and under every shift of its family: shift → evaluation."""
    shifts = (NO_SHIFT, *agent.family.shifts)
    return {shift: judge(name, agent.policy, agent.family, shift=shift, levels=levels) for shift in shifts}


def run(config: EvalConfig) -> EvaluationReport:
    """Evaluate an agent and the yardsticks of its family on the same levels.

    Raises:
        GoalmazeError: no such agent or shift, or a size that is no maze's.
    """
    agent = load_agent(config.agent)
    family = played(agent, config)
    policies: dict[str, Policy] = {config.agent: agent.policy, **scripted_baselines(family)}
    judged = [
        judge(
            name,
            policy,
            family,
            shift=config.shift or NO_SHIFT,
            levels=config.levels,
            seed=config.seed,
            greedy=config.greedy,
        )
        for name, policy in policies.items()
    ]
    return EvaluationReport(judged[0], tuple(judged[1:]))
