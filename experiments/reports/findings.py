"""All results of a report, for each agent and for the agents of one family together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.rollout import rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import FITTING, NO_SHIFT, Family
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.decisions import require_still
from goalmaze.experiments.evaluate.evaluation import Evaluation
from goalmaze.experiments.evaluate.goal_inference import GoalInference, score_goal_models
from goalmaze.experiments.evaluate.grid import SHIFT, Condition, Grid, grid, read_dials
from goalmaze.experiments.evaluate.setup import evaluation_family
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.reports.highlights import Highlights, PlayedLevels, choose_highlights, played_levels
from goalmaze.experiments.reports.pairs import Pair, compare_pairs
from goalmaze.experiments.reports.summary import Summary, summarise
from goalmaze.experiments.reports.training_log import Origin, origin

FIT_LEVELS = 512
"""Levels that goal models are fitted on, as in `goalmaze eval --hypotheses`."""

Progress = Callable[[], None]
"""Called after every part of the work."""


@dataclasses.dataclass(frozen=True, eq=False)
class AgentFindings:
    """The results of one agent.

    Attributes:
        agent: the agent.
        family: evaluated on, with all dials as in training.
        origin: how the agent was made.
        summary: label and sentence.
        in_distribution: its evaluation on the training distribution.
        distinguishing: its evaluation under the distinguishing shift.
        highlights: episodes to look at.
        played_in_distribution: its episodes on the training distribution.
        played_distinguishing: its episodes under the distinguishing shift.
        goal_inference: the scores of goal models; None where they cannot be scored.
        no_goal_inference: why they cannot be scored.
    """

    agent: Agent
    family: Family
    origin: Origin
    summary: Summary
    in_distribution: Evaluation
    distinguishing: Evaluation
    highlights: tuple[Highlights, ...]
    played_in_distribution: PlayedLevels
    played_distinguishing: PlayedLevels
    goal_inference: GoalInference | None
    no_goal_inference: str

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.agent.name

    def json(self) -> JsonObject:
        """Return the results as plain data."""
        return {
            **self.summary.json(),
            "in_distribution": self.in_distribution.json(),
            "distinguishing": self.distinguishing.json(),
            "goal_inference": None if self.goal_inference is None else self.goal_inference.json(),
            "highlights": [dataclasses.asdict(one) for one in self.highlights],
        }


@dataclasses.dataclass(frozen=True, eq=False)
class FamilyFindings:
    """The results of agents of one family and size, evaluated on the same levels.

    Attributes:
        family: that the first of them was trained on.
        grid: every shift, and the dials.
        agents: one by one.
        pairs: of agents; none where there is only one.
    """

    family: Family
    grid: Grid
    agents: tuple[AgentFindings, ...]
    pairs: tuple[Pair, ...]

    def json(self) -> JsonObject:
        """Return the results as plain data."""
        return {
            "family": self.family.name,
            "size": self.family.size,
            "agents": [one.json() for one in self.agents],
            "grid": self.grid.json(),
            "pairs": [one.json() for one in self.pairs],
        }


def load_groups(names: Sequence[str], device: str = "cpu") -> list[list[Agent]]:
    """Load agents onto a device, and group those of one family and size, in the order of the names.

    Raises:
        GoalmazeError: one is missing or named twice.
    """
    groups: dict[tuple[str, int], list[Agent]] = {}
    for name in names:
        if names.count(name) > 1:
            raise GoalmazeError(f"{name} is named twice; name each agent once")
        agent = load_agent(name, device)
        groups.setdefault((agent.family.name, agent.family.size), []).append(agent)
    return list(groups.values())


def default_dials(family: Family) -> tuple[str, ...]:
    """Return the dials of a report by default: loops in the maze, and other sizes, where the family has these dials."""
    sizes = [size for size in (family.size - 2, family.size + 2, family.size + 4) if size >= 5]
    dials = {"braid": "braid=0,0.5,1", "size": f"size={','.join(map(str, sizes))}"}
    return tuple(text for dial, text in dials.items() if dial in family.dials)


def grid_config(config: ReportConfig, agents: Sequence[Agent]) -> EvalConfig:
    """Return the configuration of `goalmaze eval --grid` that gives the report's grid."""
    names = [agent.name for agent in agents]
    return EvalConfig(
        agent=names[0],
        others=tuple(names[1:]),
        levels=config.levels,
        seed=config.seed,
        size=config.size,
        greedy=config.greedy,
        grid=True,
        dials=config.dials or default_dials(agents[0].family.resized(config.size)),
    )


def find(config: ReportConfig, agents: Sequence[Agent], progress: Progress) -> FamilyFindings:
    """Return all results of agents of one family and size.

    Raises:
        GoalmazeError: a dial is unknown or out of range, or there are too few levels.
    """
    settings = grid_config(config, agents)
    families = [evaluation_family(agent, settings) for agent in agents]
    conditions = grid(
        agents,
        dials=read_dials(settings.dials, families[0]),
        levels=config.levels,
        seed=config.seed,
        greedy=config.greedy,
        families=families,
    )
    progress()
    results = []
    for agent, family in zip(agents, families, strict=True):
        results.append(_find_one(agent, family, conditions, config))
        progress()
    in_distribution = {one.name: one.in_distribution for one in results}
    distinguishing = {one.name: one.distinguishing for one in results}
    pairs = compare_pairs(in_distribution, distinguishing) if len(results) > 1 else ()
    return FamilyFindings(families[0], conditions, tuple(results), pairs)


def _find_one(agent: Agent, family: Family, conditions: Grid, config: ReportConfig) -> AgentFindings:
    shifts = (NO_SHIFT, family.distinguishing_shift)
    in_distribution, distinguishing = (_evaluation(conditions, agent.name, shift) for shift in shifts)
    played_in_distribution, played_distinguishing = (_play(agent, family, shift, config) for shift in shifts)
    inference, reason = _infer_goal(agent, family, played_distinguishing, config)
    return AgentFindings(
        agent=agent,
        family=family,
        origin=origin(agent),
        summary=summarise(in_distribution, distinguishing, family),
        in_distribution=in_distribution,
        distinguishing=distinguishing,
        highlights=choose_highlights(played_in_distribution, played_distinguishing, family),
        played_in_distribution=played_in_distribution,
        played_distinguishing=played_distinguishing,
        goal_inference=inference,
        no_goal_inference=reason,
    )


def _evaluation(conditions: Grid, name: str, shift: str) -> Evaluation:
    cell = conditions.cells[name, Condition(SHIFT, shift, shift)]
    if cell.evaluation is None:
        raise GoalmazeError(f"{name} cannot be evaluated: {cell.reason}")
    return cell.evaluation


def _play(agent: Agent, family: Family, shift: str, config: ReportConfig) -> PlayedLevels:
    # The same levels and seed as in the grid, so that the drawings show the episodes behind its numbers.
    levels = family.levels(config.seed, count=config.levels, shift=shift)
    return played_levels(shift, rollout(agent.policy, levels, seed=config.seed, greedy=config.greedy))


def _infer_goal(
    agent: Agent, family: Family, played: PlayedLevels, config: ReportConfig
) -> tuple[GoalInference | None, str]:
    """Return the scores of goal models, or None and why there are none."""
    try:
        require_still(family)
    except GoalmazeError as error:
        return None, str(error)
    levels = family.levels(config.seed, count=FIT_LEVELS, shift=played.shift, split=FITTING)
    # The held-out episodes are those already played; only the fitting levels need new ones.
    fitting = rollout(agent.policy, levels, seed=config.seed, greedy=config.greedy)
    return score_goal_models(agent.name, fitting, played.trajectory, played.shift, config.seed), ""
