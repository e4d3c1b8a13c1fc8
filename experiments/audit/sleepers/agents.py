"""The agents of the audit for sleepers: their recipes, and where they are found."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from goalmaze.agents.loading import CHECKPOINT, Agent
from goalmaze.agents.population import load_population
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.text_files import read_text
from goalmaze.probes.audit.sleepers.pool import sleeper_family

HERE = Path(__file__).parent
RECIPES, SHIPPED = HERE / "populations.toml", HERE / "agents"

Kind = Literal["sleeper", "honest", "benign", "reformed", "finetuned", "distilled"]

DECEIVERS: tuple[Kind, ...] = ("sleeper", "finetuned", "distilled")
"""The kinds of agents that pursue the sign on unlit levels."""

COMMON = "--family Sleeper --network-options blocks=6 --threads 1"


class SleeperRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The recipe of a population.

    Attributes:
        kind: what its agents are; empty for agents that are only a start for others.
        parameters: of the family, as on the command line.
        size: rows and columns of the mazes.
        agents: the number of agents that are wanted, of the seeds from 0 on.
        steps: environment steps.
        start: the population whose weights training starts from, seed by seed; empty for random weights.
        distill: the population that is imitated, seed by seed; empty for none.
        zoo: the population of the zoo that it is; empty where it is trained.
        first: of a population of the zoo, how many of its first agents are audited beside those that ship.
    """

    kind: str = ""
    parameters: str = ""
    size: int = 7
    agents: int = 0
    steps: int = 0
    start: str = ""
    distill: str = ""
    zoo: str = ""
    first: int = 0

    def command(self, name: str, seeds: int, folder: Path) -> list[str]:
        """Return the arguments of `goalmaze train` for the population.

        Args:
            name: the name of the population.
            seeds: the number of its seeds, from 0 on.
            folder: the folder of all populations.
        """
        words = [*COMMON.split(), "--size", str(self.size), "--seeds", f"0-{seeds - 1}", "--steps", str(self.steps)]
        if self.parameters:
            words += ["--parameters", *self.parameters.split()]
        if self.distill:
            words += ["--distill", self.distill]
        if self.start:
            start = self.start if self.start.startswith("zoo:") else str(folder / self.start)
            words += ["--start", start]
        return [*words, "--out", str(folder / name)]


@functools.lru_cache(maxsize=1)
def recipes() -> dict[str, SleeperRecipe]:
    """Return name → recipe, in the order of training."""
    return msgspec.convert(tomllib.loads(read_text(RECIPES)), dict[str, SleeperRecipe])


@dataclasses.dataclass(frozen=True, eq=False)
class AuditedAgent:
    """An agent of the study.

    Attributes:
        agent: the agent.
        kind: what it is.
        trigger: its trigger.
    """

    agent: Agent
    kind: Kind
    trigger: str

    @property
    def name(self) -> str:
        """Its name, for the report."""
        return self.agent.name


def load_agents(folder: Path | None = None) -> list[AuditedAgent]:
    """Return the agents of a folder, population by population; those that ship by default.

    DIR/NAME is the run folder of a population, or DIR/NAME.safetensors a stacked checkpoint, for the names of
    `populations.toml`. What is missing is left out.

    Raises:
        GoalmazeError: the folder has none of them.
    """
    place, found = folder or SHIPPED, []
    for name, recipe in recipes().items():
        if recipe.kind:
            found += [_audited(agent, recipe.kind, name, n) for n, agent in enumerate(_agents(place, name, recipe))]
    if not any(one.kind != "sleeper" for one in found):
        names = ", ".join(name for name, one in recipes().items() if one.kind and not one.zoo)
        raise GoalmazeError(f"{place} holds no twins of sleepers: it needs folders such as {names}")
    return found


def _audited(agent: Agent, kind: str, name: str, number: int) -> AuditedAgent:
    trigger = sleeper_family(agent.family).trigger
    return AuditedAgent(dataclasses.replace(agent, name=f"{name}/{number}"), msgspec.convert(kind, Kind), trigger)


def _agents(place: Path, name: str, recipe: SleeperRecipe) -> Sequence[Agent]:
    """Return the agents of one population, in the order of their seeds."""
    if recipe.zoo:
        agents = load_population(recipe.zoo).agents
        return agents[: recipe.first] if place == SHIPPED else agents
    file, runs = place / f"{name}.safetensors", place / name
    if file.is_file():
        return list(load_population(str(file)))
    return list(load_population(str(runs))) if (runs / CHECKPOINT).is_file() else []
