"""A population evaluated at once: every agent acts on the same levels, which are generated and solved once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tqdm import tqdm

from goalmaze.agents.loading import Agent
from goalmaze.agents.population import Population
from goalmaze.agents.reuse import reusing
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.agents.scripted import scripted_baselines
from goalmaze.agents.stacked_policy import population_rollout
from goalmaze.envs.levels import NO_SHIFT, Family, LevelBatch
from goalmaze.experiments.common.parallel import side_by_side
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate_policy, evaluation_of
from goalmaze.experiments.evaluate.population_result import EvaluatedAgent, PopulationEvaluation, SeedGroup
from goalmaze.experiments.evaluate.setup import draw_levels, require_compatible
from goalmaze.experiments.evaluate.solved_levels import SolvedLevels
from goalmaze.experiments.evaluate.training_overlap import quick_overlap


@dataclasses.dataclass(frozen=True, eq=False)
class Condition:
    """Levels that all agents of one family are evaluated on, with all that does not depend on the agent.

    Attributes:
        shift: the name of their distribution.
        facts: the levels with their shortest paths, optimal returns and masks.
        baselines: the evaluations of the scripted baselines.
    """

    shift: str
    facts: SolvedLevels
    baselines: tuple[Evaluation, ...]


def evaluate_population(
    population: Population,
    *,
    shift: str | None = None,
    levels: int | LevelBatch = 512,
    seed: int = 0,
    greedy: bool = False,
    families: Sequence[Family] | None = None,
    unseen_walls: bool = False,
) -> PopulationEvaluation:
    """Evaluate all agents of a population on the same levels, as each of them is evaluated alone.

    Args:
        population: of a run folder or the zoo.
        shift: the distribution of the levels: "none" for the one of training, or a shift of the family. Where not
            given, both the training distribution and the distinguishing shift, which together give each agent a label.
        levels: number of held-out levels, or levels of your own; `shift` and `families` then have no effect.
        seed: of the levels and of the sampled actions.
        greedy: take the likeliest action instead of sampling.
        families: the family that each agent is evaluated on; the one that it was trained on by default.
        unseen_walls: draw only levels whose walls none of the agents has met in training.

    Raises:
        GoalmazeError: no such shift, an agent cannot act in its family, or there are too few levels with unseen walls.
    """
    if isinstance(levels, LevelBatch):
        families = [levels.family] * len(population)
    chosen = [agent.family for agent in population] if families is None else list(families)
    unseen_by = population.agents if unseen_walls else ()
    conditions: dict[str, tuple[Condition, ...]] = {}
    for agent, family in zip(population, chosen, strict=True):
        if _key(family) not in conditions:
            require_compatible(agent, family)
            conditions[_key(family)] = _conditions(family, shift, levels, seed, greedy, unseen_by)

    played = _stacked_trajectories(population, [conditions[_key(family)] for family in chosen], seed, greedy)

    def evaluate_one(number: int) -> EvaluatedAgent:
        return _evaluated(population, number, conditions[_key(chosen[number])], played.get(number), seed, greedy)

    count = len(population)
    # One agent for each thread: two forward passes side by side take less time than two threads in one after another.
    work = side_by_side(evaluate_one, range(count))
    agents = tuple(tqdm(work, total=count, desc="evaluating", unit="agent", leave=False, disable=None))
    groups: dict[str, list[int]] = {}
    for number, parameters in enumerate(population.parameters):
        groups.setdefault(str(parameters), []).append(number)
    return PopulationEvaluation(
        name=population.name,
        agents=agents,
        groups=tuple(
            _group([agents[number] for number in numbers], conditions[_key(chosen[numbers[0]])])
            for numbers in groups.values()
        ),
        stopped=population.stopped,
    )


def _key(family: Family) -> str:
    """Return a text that is equal for families of one kind with equal parameters."""
    return f"{family.name} {family.parameters}"


def _conditions(
    family: Family, shift: str | None, levels: int | LevelBatch, seed: int, greedy: bool, unseen_by: Sequence[Agent]
) -> tuple[Condition, ...]:
    """Return the conditions of a family; arguments as `evaluate_population`."""
    both = shift is None and not isinstance(levels, LevelBatch)
    shifts = (NO_SHIFT, family.distinguishing_shift) if both else (shift or NO_SHIFT,)
    conditions = []
    for wanted in shifts:
        batch, name = draw_levels(family, levels, wanted, seed, unseen_by)
        facts = SolvedLevels.of(batch)
        baselines = tuple(
            evaluate_policy(baseline, policy, batch, shift=name, seed=seed, greedy=greedy, facts=facts)
            for baseline, policy in scripted_baselines(family).items()
        )
        conditions.append(Condition(name, facts, baselines))
    return tuple(conditions)


def _stacked_trajectories(
    population: Population, conditions: Sequence[tuple[Condition, ...]], seed: int, greedy: bool
) -> dict[int, list[Trajectory]]:
    """Return agent number → its episodes in every condition, for agents that act in stacked forward passes.

    These are agents on a GPU that no edit is applied to, in families whose episodes the compiled engine runs.
    """
    together: dict[int, list[int]] = {}
    for number, agent in enumerate(population):
        compiled = agent.family.engine_entry_point == Family.engine_entry_point
        if agent.device.type != "cpu" and compiled and not agent.policy.edits:
            # Agents share their conditions exactly if they share their family.
            together.setdefault(id(conditions[number]), []).append(number)
    played: dict[int, list[Trajectory]] = {}
    for numbers in together.values():
        networks = [population[number].network for number in numbers]
        for condition in conditions[numbers[0]]:
            trajectories = population_rollout(networks, condition.facts.levels, seed=seed, greedy=greedy)
            for number, trajectory in zip(numbers, trajectories, strict=True):
                played.setdefault(number, []).append(trajectory)
    return played


def _evaluated(
    population: Population,
    number: int,
    conditions: Sequence[Condition],
    played: Sequence[Trajectory] | None,
    seed: int,
    greedy: bool,
) -> EvaluatedAgent:
    """Return one agent of a population, evaluated in every condition; its episodes are played where not given."""
    agent = population[number]
    evaluations = []
    for position, one in enumerate(conditions):
        if played is None:
            trajectory = rollout(reusing(agent.policy), one.facts.levels, seed=seed, greedy=greedy)
        else:
            trajectory = played[position]
        evaluations.append(evaluation_of(agent.name, trajectory, one.facts, shift=one.shift, seed=seed))
    return EvaluatedAgent(
        name=agent.name,
        seed=population.seeds[number],
        parameters=population.parameters[number],
        evaluations=tuple(evaluations),
        label=label(*evaluations) if len(evaluations) == 2 else None,
        overlap=quick_overlap(agent, conditions[0].facts.levels),
    )


def _group(agents: Sequence[EvaluatedAgent], conditions: Sequence[Condition]) -> SeedGroup:
    """Return agents that differ in their training seed alone, with their distributions."""
    return SeedGroup(agents[0].parameters, tuple(agents), tuple(one.baselines for one in conditions))
