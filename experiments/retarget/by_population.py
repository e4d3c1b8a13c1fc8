"""Retargeting of every agent of a population: each condition's distribution over training seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from goalmaze.agents.loading import Agent
from goalmaze.agents.population import Population
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.agent_groups import (
    MEDIAN_NOTE,
    AgentReports,
    SeedRow,
    distribution_of,
    parameter_text,
    report_each,
)
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.retarget.comparison import RetargetReport, Row
from goalmaze.experiments.retarget.trials import COMPASS, EDIT
from goalmaze.experiments.statistics.over_seeds import ValueDistribution


@dataclasses.dataclass(frozen=True)
class RowOverSeeds:
    """One condition in all agents of a group.

    Attributes:
        rows: the condition, one row an agent.
        compasses: the rate at which the compass reaches the target first on the same mazes, one an agent.
    """

    rows: tuple[Row, ...]
    compasses: tuple[float, ...]

    @property
    def name(self) -> str:
        """The condition with its site and method."""
        first = self.rows[0]
        return ", ".join(filter(None, (first.condition, first.site, first.method)))

    @property
    def target(self) -> ValueDistribution:
        """The rates of mazes on which the target was reached first."""
        return distribution_of([row.target_rate for row in self.rows])

    @property
    def off_path(self) -> ValueDistribution:
        """The same, over mazes where the goal lies on no shortest path to the target."""
        return distribution_of([row.outcomes.off_path.other.value for row in self.rows])

    @property
    def above_compass(self) -> int:
        """The number of agents that reach the target more often than the compass."""
        return sum(row.target_rate > compass for row, compass in zip(self.rows, self.compasses, strict=True))

    def json(self) -> JsonObject:
        """Return the distributions as plain data."""
        first = self.rows[0]
        return {
            "condition": first.condition,
            "site": first.site,
            "method": first.method,
            "target": self.target.json(),
            "target_off_path": self.off_path.json(),
            "above_compass": self.above_compass if first.condition == EDIT else None,
        }

    def row(self) -> list[object]:
        """Return a row of the table."""
        first = self.rows[0]
        return [
            first.condition,
            first.site or "",
            first.method or "",
            self.target.median,
            self.target.range,
            self.off_path.median,
            f"{self.above_compass} of {len(self.rows)}" if first.condition == EDIT else "",
        ]


@dataclasses.dataclass(frozen=True)
class PopulationRetargeting(Result):
    """Retargeting of every agent of a population.

    Attributes:
        reports: one report an agent.
        pictures: the figures that were drawn.
    """

    reports: AgentReports[RetargetReport]
    pictures: tuple[Path, ...] = ()

    def over_seeds(self) -> list[tuple[JsonObject, list[RowOverSeeds]]]:
        """Return, for each group of seeds, its parameters and its conditions."""
        groups = []
        for parameters, reports in self.reports.groups():
            compasses = tuple(report.row(COMPASS).target_rate for report in reports)
            # All agents have the same network, and so the same conditions in the same order.
            rows = [RowOverSeeds(agents, compasses) for agents in zip(*(one.rows for one in reports), strict=True)]
            groups.append((parameters, rows))
        return groups

    def json(self) -> JsonObject:
        """Return the reports of the agents and their distribution as plain data."""
        return {
            "population": self.reports.population,
            "agents": self.reports.json(),
            "distribution": [
                {"parameters": parameters, **one.json()} for parameters, rows in self.over_seeds() for one in rows
            ],
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading, a table for each group of seeds, and the definitions of its columns."""
        header = self.reports.reports[0].header
        columns = ["condition", "site", "method", "target, median", "range", "off path, median", "above compass"]
        return [
            f"{self.reports.heading}; {header.family} {header.size}x{header.size}, sent to a random cell of each of "
            f"{header.levels} held-out mazes, the same for all agents",
            *(
                Table(columns, [one.row() for one in rows], parameter_text(parameters))
                for parameters, rows in self.over_seeds()
            ),
            "target: rate of mazes on which the target was reached before the goal; off path: only mazes where the "
            "goal lies on no shortest path to the target\n" + MEDIAN_NOTE + "\n"
            "above compass: agents whose edit reaches more targets than the compass, which uses no wall",
            *(f"picture: {path}" for path in self.pictures),
        ]

    def panels(self) -> dict[str, list[SeedRow]]:
        """Return the rows of a figure by their heading: one panel for each group of seeds."""
        return {
            parameter_text(parameters): [SeedRow(one.name, one.target) for one in rows]
            for parameters, rows in self.over_seeds()
        }


def retarget_population(population: Population, make: Callable[[Agent], RetargetReport]) -> PopulationRetargeting:
    """Retarget every agent of a population on the same mazes.

    Args:
        population: the population.
        make: retargets one agent, see `goalmaze.experiments.retarget.comparison.retarget`.

    Raises:
        GoalmazeError: no such site or method, or a site that a method does not fit.
    """
    return PopulationRetargeting(report_each(population, make))
