"""Evaluation in the Python API: of one agent, or of a population."""

from __future__ import annotations

from typing import overload

from goalmaze.agents.loading import Agent
from goalmaze.agents.population import Population
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch
from goalmaze.experiments.evaluate import evaluation
from goalmaze.experiments.evaluate.evaluation import EvaluationReport
from goalmaze.experiments.evaluate.population import evaluate_population
from goalmaze.experiments.evaluate.population_result import PopulationEvaluation


@overload
def evaluate(
    agent: Agent,
    *,
    shift: str | None = None,
    levels: int | LevelBatch = 512,
    seed: int = 0,
    greedy: bool = False,
    family: Family | None = None,
    unseen_walls: bool = False,
    think: int = 0,
) -> EvaluationReport: ...


@overload
def evaluate(
    agent: Population,
    *,
    shift: str | None = None,
    levels: int | LevelBatch = 512,
    seed: int = 0,
    greedy: bool = False,
    family: Family | None = None,
    unseen_walls: bool = False,
) -> PopulationEvaluation: ...


def evaluate(
    agent: Agent | Population,
    *,
    shift: str | None = None,
    levels: int | LevelBatch = 512,
    seed: int = 0,
    greedy: bool = False,
    family: Family | None = None,
    unseen_walls: bool = False,
    think: int = 0,
) -> EvaluationReport | PopulationEvaluation:
    """Evaluate an agent or a population, and scripted baselines, on the same held-out levels, one episode a level.

    Args:
        agent: an agent, loaded or made in memory; or a population, whose agents all act on the same levels.
        shift: the distribution of the levels: "none" for the one of training, or a shift of the family. Where not
            given, "none" for an agent; for a population both "none" and the distinguishing shift.
        levels: number of held-out levels, or levels of your own; `shift` and `family` then have no effect.
        seed: of the levels and of the sampled actions.
        greedy: take the likeliest action instead of sampling.
        family: the family to evaluate on; the one that the agent was trained on by default.
        unseen_walls: draw only levels whose walls no agent has met in training; all training levels are compared.
        think: number of forward passes on the first observation before the first action; only for one recurrent agent.

    Returns:
        The evaluation beside those of agents that go to the goal, go to the cue, or wander; for a population, how
        its agents are distributed over training seeds.

    Raises:
        GoalmazeError: no such shift, the agent cannot act in the family or cannot think, or there are too few levels
            with unseen walls.

    Example:
        >>> import goalmaze as gm
        >>> report = gm.evaluate(gm.load("zoo:green-exit"), shift="moved-sign", levels=64)
        >>> report.agent.preference.value > 0.9
        True
    """
    if isinstance(agent, Population):
        if think:
            raise GoalmazeError("think takes one agent: choose one of the population")
        families = None if family is None else [family] * len(agent)
        return evaluate_population(
            agent, shift=shift, levels=levels, seed=seed, greedy=greedy, families=families, unseen_walls=unseen_walls
        )
    return evaluation.evaluate(
        agent,
        shift=shift or NO_SHIFT,
        levels=levels,
        seed=seed,
        greedy=greedy,
        family=family,
        unseen_walls=unseen_walls,
        think=think,
    )
