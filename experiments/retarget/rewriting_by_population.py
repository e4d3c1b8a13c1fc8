"""Rewriting the memory of every agent of a population: each condition's mean over training seeds, and every agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

from goalmaze.agents.loading import Agent
from goalmaze.agents.population import Population
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.agent_groups import AgentReports, parameter_text, report_each
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.seed_means import MeanOverSeeds, mean_over_seeds
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.retarget.rewrite_report import RewriteReport
from goalmaze.experiments.retarget.rewrite_rows import (
    EDIT,
    EVERY,
    NONE,
    ONCE,
    OTHER_MAZE,
    OTHER_TARGET,
    RANDOM,
    REFERENCE,
    STAY,
    SWAP,
)

COLUMNS = {
    "no edit": (NONE, ONCE),
    RANDOM: (RANDOM, ONCE),
    OTHER_MAZE: (OTHER_MAZE, ONCE),
    OTHER_TARGET: (OTHER_TARGET, ONCE),
    "edit, once": (EDIT, ONCE),
    "every step": (EDIT, EVERY),
    SWAP: (SWAP, ONCE),
    REFERENCE: (REFERENCE, ONCE),
}
"""Column of the table of agents → its condition and steps."""


class Condition(NamedTuple):
    """One condition in the agents of a group.

    Attributes:
        name: the condition; of edits, that of the method chosen for each agent.
        steps: "once" or "every" step.
        after: number of the step behind which the memory was rewritten.
    """

    name: str
    steps: str
    after: int

    def rates(self, reports: Sequence[RewriteReport]) -> MeanOverSeeds:
        """Return the rates of targets off the path, one an agent."""
        rows = [report.row(self.name, self.steps, self.after) for report in reports]
        return mean_over_seeds([row.outcomes.off_path.other.value for row in rows])


@dataclasses.dataclass(frozen=True)
class PopulationRewriting(Result):
    """The memory of every agent of a population rewritten once.

    Attributes:
        reports: one report an agent.
    """

    reports: AgentReports[RewriteReport]

    def conditions(self) -> list[Condition]:
        """Return the conditions that all agents share, in the order of their rows; `STAY` has no other target."""
        first = self.reports.reports[0]
        rows = [one for one in (*first.rows, *first.checks) if one.condition != STAY]
        every = [Condition(one.condition, one.steps, one.after) for one in rows]
        return list(dict.fromkeys(every))

    def json(self) -> JsonObject:
        """Return the reports of the agents and the means over seeds as plain data."""
        return {
            "population": self.reports.population,
            "agents": self.reports.json(),
            "distribution": [
                {
                    "parameters": parameters,
                    "of_reference": _of_reference(reports).json(),
                    "owed_to_target": _owed_to_target(reports).json(),
                    "target_is_goal": _staying(reports).json(),
                    "rows": [
                        {**one._asdict(), "target_off_path": one.rates(reports).json()} for one in self.conditions()
                    ],
                }
                for parameters, reports in self.reports.groups()
            ],
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading, the means over seeds of each group, the agents, and the definitions of the columns."""
        header = self.reports.reports[0].header
        blocks: list[str | Table] = [
            f"{self.reports.heading}; {header.family} {header.size}x{header.size}, memories rewritten after step "
            f"{self.reports.reports[0].after}, in up to {header.levels} held-out mazes, the same for all agents\n"
            "rate of targets reached before the goal where the goal lies on no shortest path to the target"
        ]
        for parameters, reports in self.reports.groups():
            rows = [self._cells(one, reports) for one in self.conditions()]
            headers = ["condition", "steps", "mean over seeds", "least", "most"]
            blocks.append(Table(headers, rows, parameter_text(parameters)))
            blocks.append(
                f"edit over reference: {_of_reference(reports)}; "
                f"edit minus {OTHER_TARGET}: {_owed_to_target(reports)}\n"
                f"goal reached first where the edit's target is the goal, in all mazes: {_staying(reports)}"
            )
        blocks.append(
            Table(["agent", *COLUMNS, "edit / reference"], list(map(self._agent, range(len(self.reports.names)))))
        )
        blocks.append(
            "95 % intervals cover training seeds, by Student's t, on the same mazes; they need 5 agents\n"
            "edits are those of the method that did best on fitting mazes, chosen for each agent"
        )
        return blocks

    def _cells(self, condition: Condition, reports: Sequence[RewriteReport]) -> list[object]:
        rates = condition.rates(reports)
        least, most = min(rates.values), max(rates.values)
        steps = f"{condition.steps}, {condition.after}"
        return [condition.name, steps, rates, formatted(least, ".2f"), formatted(most, ".2f")]

    def _agent(self, number: int) -> list[object]:
        report = self.reports.reports[number]
        rows = [report.row(name, steps).outcomes.off_path.other.value for name, steps in COLUMNS.values()]
        cells = [formatted(value, ".2f") for value in (*rows, report.of_reference)]
        return [self.reports.names[number], *cells]


def _of_reference(reports: Sequence[RewriteReport]) -> MeanOverSeeds:
    """Return the rate that the edit reaches over that of the reference."""
    return mean_over_seeds([report.of_reference for report in reports], is_rate=False)


def _owed_to_target(reports: Sequence[RewriteReport]) -> MeanOverSeeds:
    """Return what the right target adds to an edit over another one."""
    differences = [
        report.row(EDIT, ONCE).outcomes.off_path.other.value
        - report.row(OTHER_TARGET, ONCE).outcomes.off_path.other.value
        for report in reports
    ]
    return mean_over_seeds(differences, is_rate=False)


def _staying(reports: Sequence[RewriteReport]) -> MeanOverSeeds:
    """Return the rate of goals that are reached first where the edit's target is the goal itself."""
    return mean_over_seeds([report.row(STAY).outcomes.overall.goal.value for report in reports])


def rewrite_population(population: Population, make: Callable[[Agent], RewriteReport]) -> PopulationRewriting:
    """Rewrite the memory of every agent of a population on the same mazes.

    Args:
        population: the population.
        make: rewrites the memory of one agent, see `goalmaze.experiments.retarget.rewriting.rewrite_memory`.

    Raises:
        GoalmazeError: no such site or method, or the agents have no memory.
    """
    return PopulationRewriting(report_each(population, make))
