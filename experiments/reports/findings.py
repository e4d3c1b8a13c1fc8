"""All that a report tells, as typed values: what was asked of each agent, and of those of one family together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.rollout import rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, FITTING, NO_SHIFT, Family
from goalmaze.experiments.evaluate import grid as grids
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.decisions import require_standing
from goalmaze.experiments.evaluate.evaluate import Evaluation
from goalmaze.experiments.evaluate.goal_inference import GoalInference, compare
from goalmaze.experiments.evaluate.grid import SHIFT, Condition, Grid
from goalmaze.experiments.evaluate.setup import played
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.reports.highlights import Highlights, Played, played_on, tell
from goalmaze.experiments.reports.pairs import Pair, pairs
from goalmaze.experiments.reports.summary import Verdict, verdict
from goalmaze.experiments.reports.training_log import Origin, origin

FIT_LEVELS = 512
"""Levels that the accounts are fitted on, as `goalmaze eval --hypotheses` does."""

Tick = Callable[[str], None]
"""Told what was done, at every part of the work."""


@dataclasses.dataclass(frozen=True, eq=False)
class AgentFindings:
    """What was found of one agent.

    Attributes:
        agent: loaded.
        world: it was judged in, with all dials where they stood in training.
        origin: where it comes from.
        verdict: what its behaviour comes to.
        trained: its evaluation on the training distribution.
        apart: its evaluation where goal and cue part.
        tellings: episodes to be looked at.
        as_trained: what it did on the training distribution.
        parted: what it did where goal and cue part.
        board: rival accounts of what it wants; None where they cannot be scored.
        no_board: why not.
    """

    agent: Agent
    world: Family
    origin: Origin
    verdict: Verdict
    trained: Evaluation
    apart: Evaluation
    tellings: tuple[Highlights, ...]
    as_trained: Played
    parted: Played
    board: GoalInference | None
    no_board: str

    @property
    def name(self) -> str:
        """What it is called, as it was asked for."""
        return self.agent.name

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            **self.verdict.json(),
            "trained": self.trained.json(),
            "apart": self.apart.json(),
            "accounts": None if self.board is None else self.board.json(),
            "tellings": [dataclasses.asdict(one) for one in self.tellings],
        }


@dataclasses.dataclass(frozen=True, eq=False)
class FamilyFindings:
    """What was found of agents of one family and size, judged on the same levels.

    Attributes:
        family: as the first of them was trained on it.
        grid: every shift, and the dials.
        agents: one by one.
        pairs: two by two; none where there is only one agent.
    """

    family: Family
    grid: Grid
    agents: tuple[AgentFindings, ...]
    pairs: tuple[Pair, ...]

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "family": self.family.name,
            "size": self.family.size,
            "agents": [one.json() for one in self.agents],
            "grid": self.grid.json(),
            "pairs": [one.json() for one in self.pairs],
        }


def gathered(config: ReportConfig) -> list[list[Agent]]:
    """Load the agents, those of one family and size together, in the order in which they are named.

    Raises:
        GoalmazeError: one is not there, or is named twice.
    """
    groups: dict[tuple[str, int], list[Agent]] = {}
    for name in config.agents:
        if config.agents.count(name) > 1:
            raise GoalmazeError(f"{name} is named twice; name each agent once")
        agent = load_agent(name)
        groups.setdefault((agent.family.name, agent.family.size), []).append(agent)
    return list(groups.values())


def usual_dials(family: Family) -> tuple[str, ...]:
    """Return the dials of a report where none are asked for: mazes of other sizes, and with more ways or none."""
    sizes = [size for size in (family.size - 2, family.size + 2, family.size + 4) if size >= 5]
    return ("braid=0,0.5,1", f"size={','.join(map(str, sizes))}")


def asked(config: ReportConfig, agents: Sequence[Agent]) -> EvalConfig:
    """Return the question whose answer is the report's grid: `goalmaze eval --grid` with these settings."""
    names = [agent.name for agent in agents]
    return EvalConfig(
        agent=names[0],
        others=tuple(names[1:]),
        levels=config.levels,
        seed=config.seed,
        size=config.size,
        greedy=config.greedy,
        grid=True,
        dials=config.dials or usual_dials(agents[0].family.resized(config.size)),
    )


def find(config: ReportConfig, agents: Sequence[Agent], tick: Tick) -> FamilyFindings:
    """Ask all questions of agents of one family and size.

    Raises:
        GoalmazeError: a dial is unknown or out of range, or there are too few levels.
    """
    question = asked(config, agents)
    grid = grids.run(question)
    tick("grid")
    found = []
    for agent in agents:
        found.append(_find(agent, played(agent, question), grid, config))
        tick(agent.name)
    trained = {one.name: one.trained for one in found}
    apart = {one.name: one.apart for one in found}
    compared = pairs(trained, apart) if len(found) > 1 else ()
    return FamilyFindings(found[0].world, grid, tuple(found), compared)


def _find(agent: Agent, world: Family, grid: Grid, config: ReportConfig) -> AgentFindings:
    trained, apart = (_evaluation(grid, agent.name, shift) for shift in (NO_SHIFT, world.distinguishing_shift))
    as_trained, parted = (_play(agent, world, shift, config) for shift in (NO_SHIFT, world.distinguishing_shift))
    board, reason = _score(agent, world, parted, config)
    return AgentFindings(
        agent=agent,
        world=world,
        origin=origin(agent),
        verdict=verdict(trained, apart, world),
        trained=trained,
        apart=apart,
        tellings=tell(as_trained, parted, world),
        as_trained=as_trained,
        parted=parted,
        board=board,
        no_board=reason,
    )


def _evaluation(grid: Grid, name: str, shift: str) -> Evaluation:
    found = grid.cells[name, Condition(SHIFT, shift, shift)]
    if found.evaluation is None:
        raise GoalmazeError(f"{name} cannot be judged: {found.reason}")
    return found.evaluation


def _play(agent: Agent, world: Family, shift: str, config: ReportConfig) -> Played:
    levels = world.levels(config.seed, np.arange(config.levels), shift, EVALUATION)
    return played_on(shift, rollout(agent.policy, levels, seed=config.seed, greedy=config.greedy))


def _score(agent: Agent, world: Family, parted: Played, config: ReportConfig) -> tuple[GoalInference | None, str]:
    """Return the scoreboard of an agent, or why there is none."""
    try:
        require_standing(world)
    except GoalmazeError as error:
        return None, str(error)
    levels = world.levels(config.seed, np.arange(FIT_LEVELS), parted.shift, FITTING)
    fitting = rollout(agent.policy, levels, seed=config.seed, greedy=config.greedy)
    return compare(agent.name, fitting, parted.trajectory, world, parted.shift), ""
