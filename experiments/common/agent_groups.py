"""Results of every agent of a population, gathered over training seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from goalmaze.agents.loading import Agent
from goalmaze.agents.population import Population
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.statistics.over_seeds import ValueDistribution

Report = TypeVar("Report", bound=Result)
Key = TypeVar("Key")

MEDIAN_NOTE = (
    "median: over agents, with a 95 % interval that covers other training seeds of this recipe on the same mazes; it "
    "needs 6 agents"
)


@dataclasses.dataclass(frozen=True)
class AgentReports(Generic[Report]):
    """One report for each agent of a population.

    Attributes:
        population: its name.
        names: the names of the agents.
        seeds: their training seeds.
        parameters: the parameters of their families that differ between them.
        reports: their reports.
    """

    population: str
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    parameters: tuple[JsonObject, ...]
    reports: tuple[Report, ...]

    @property
    def heading(self) -> str:
        """The number of agents and their seeds."""
        return f"{self.population}: {len(self.names)} agents, seeds {min(self.seeds)} to {max(self.seeds)}"

    def groups(self) -> list[tuple[JsonObject, list[Report]]]:
        """Return the parameters and the reports of the agents that differ in their training seed alone, in order."""
        groups: dict[str, tuple[JsonObject, list[Report]]] = {}
        for parameters, report in zip(self.parameters, self.reports, strict=True):
            groups.setdefault(str(parameters), (parameters, []))[1].append(report)
        return list(groups.values())

    def json(self) -> list[JsonObject]:
        """Return one entry for each agent."""
        return [
            {**report.json(), "agent": name, "seed": seed, "parameters": parameters}
            for name, seed, parameters, report in zip(
                self.names, self.seeds, self.parameters, self.reports, strict=True
            )
        ]


class SeedRow(NamedTuple):
    """One row of a figure: one value an agent.

    Attributes:
        label: what was measured.
        values: its distribution over agents.
        reference: what the values are compared with; NaN where there is nothing.
    """

    label: str
    values: ValueDistribution
    reference: float = math.nan


def report_each(population: Population, make: Callable[[Agent], Report]) -> AgentReports[Report]:
    """Return the report of every agent of a population.

    Args:
        population: the population.
        make: returns the report of one agent. It uses all of torch's threads, so agents follow one another.
    """
    reports = tuple(make(agent) for agent in progress(population.agents, "agents", "agent"))
    names = tuple(agent.name for agent in population)
    return AgentReports(population.name, names, population.seeds, population.parameters, reports)


def distribution_of(values: Sequence[float | None]) -> ValueDistribution:
    """Return the distribution of one value an agent; None where an agent has none."""
    return ValueDistribution(tuple(float("nan") if value is None else float(value) for value in values))


def parameter_text(parameters: JsonObject) -> str:
    """Return parameters in words."""
    return ", ".join(f"{name}={value}" for name, value in parameters.items())
