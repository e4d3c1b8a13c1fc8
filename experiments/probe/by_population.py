"""What probes predict in every agent of a population: each site's distribution over training seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

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
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.probe.by_site import ProbeOptions, ProbeReport, SteeredProbe, probe
from goalmaze.experiments.statistics.over_seeds import ValueDistribution
from goalmaze.probes.readout.probe_fitter import ProbeKind

BASELINES = ("observation", "untrained", "shuffled", "majority")
"""Baselines of which the table of a population gives the highest median."""


@dataclasses.dataclass(frozen=True)
class ProbeOverSeeds:
    """One probe of one site in all agents of a group.

    Attributes:
        results: the results, one an agent.
    """

    results: tuple[SteeredProbe, ...]

    @property
    def score(self) -> ValueDistribution:
        """The scores."""
        return distribution_of([one.result.score.value for one in self.results])

    @property
    def steered(self) -> ValueDistribution:
        """The rates at which writing the probe's direction steers the agents."""
        return distribution_of([None if one.steered is None else one.steered.value for one in self.results])

    @property
    def evidence(self) -> int:
        """The number of agents in which the reading is evidence."""
        return sum(one.result.verdict == "evidence" for one in self.results)

    def baseline(self, name: str) -> ValueDistribution:
        """Return the scores of a baseline."""
        return distribution_of([one.result.baselines[name].value for one in self.results])

    @property
    def best_baseline(self) -> float:
        """The highest median of a baseline's scores."""
        return max(float(self.baseline(name).median.value) for name in BASELINES)

    def heading(self, parameters: JsonObject) -> str:
        """Return the target with its measure, and the parameters of the group."""
        result = self.results[0].result
        return ", ".join(filter(None, (f"{result.concept}: {result.metric}", parameter_text(parameters))))

    def json(self) -> JsonObject:
        """Return the distributions as plain data."""
        first = self.results[0].result
        return {
            "site": first.site,
            "target": first.concept,
            "probe": first.kind,
            "measure": first.metric,
            "score": self.score.json(),
            "baselines": {name: self.baseline(name).json() for name in BASELINES},
            "steered": self.steered.json(),
            "evidence": self.evidence,
        }

    def row(self) -> list[object]:
        """Return a row of the table."""
        first = self.results[0].result
        return [
            first.site,
            first.kind,
            self.score.median,
            self.score.range,
            formatted(self.best_baseline, ".2f"),
            formatted(self.steered.median.value, ".2f"),
            f"{self.evidence} of {len(self.results)}",
        ]


@dataclasses.dataclass(frozen=True)
class PopulationProbes(Result):
    """Probes of every agent of a population.

    Attributes:
        reports: one report an agent.
        pictures: the figures that were drawn.
    """

    reports: AgentReports[ProbeReport]
    pictures: tuple[Path, ...] = ()

    def over_seeds(self) -> list[tuple[JsonObject, list[ProbeOverSeeds]]]:
        """Return, for each group of seeds, its parameters and its probes site by site."""
        return [
            (parameters, [ProbeOverSeeds(results) for results in _by_probe(reports)])
            for parameters, reports in self.reports.groups()
        ]

    def json(self) -> JsonObject:
        """Return the reports of the agents and their distribution as plain data."""
        return {
            "population": self.reports.population,
            "agents": self.reports.json(),
            "distribution": [
                {"parameters": parameters, **one.json()} for parameters, probes in self.over_seeds() for one in probes
            ],
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading, a table for each target and group of seeds, and the definitions of the columns."""
        first = self.reports.reports[0]
        header, blocks = first.header, []
        for parameters, probes in self.over_seeds():
            for target in dict.fromkeys(one.results[0].result.concept for one in probes):
                rows = [one for one in probes if one.results[0].result.concept == target]
                headers = ["site", "probe", "median score", "range", "best baseline", "steers", "evidence"]
                blocks.append(Table(headers, [one.row() for one in rows], rows[0].heading(parameters)))
        return [
            f"{self.reports.heading}; {header.family} {header.size}x{header.size}, "
            f"{first.distributions.heading(header.levels, first.fit_levels)}, the same for all agents",
            *blocks,
            MEDIAN_NOTE,
            "best baseline: the highest median of observation, untrained, shuffled and majority; steers: median rate "
            "at which writing the probe's direction steers; evidence: agents in which the score is above its baselines",
            *(f"picture: {path}" for path in self.pictures),
        ]

    def panels(self) -> dict[str, list[SeedRow]]:
        """Return the rows of a figure by their heading: one panel for each group of seeds and target."""
        panels: dict[str, list[SeedRow]] = {}
        for parameters, probes in self.over_seeds():
            for one in probes:
                result = one.results[0].result
                row = SeedRow(f"{result.site}, {result.kind}", one.score, one.best_baseline)
                panels.setdefault(one.heading(parameters), []).append(row)
        return panels


def _by_probe(reports: Sequence[ProbeReport]) -> list[tuple[SteeredProbe, ...]]:
    """Return, for each site, target and kind of probe, the results of the agents that have it."""
    results: dict[tuple[str, str, str], list[SteeredProbe]] = {}
    for report in reports:
        for one in report.probes:
            results.setdefault((one.result.site, one.result.concept, one.result.kind), []).append(one)
    return [tuple(agents) for agents in results.values()]


def probe_population(
    population: Population, *, kind: ProbeKind = "square", **options: Unpack[ProbeOptions]
) -> PopulationProbes:
    """Fit and evaluate probes in every agent of a population, on the same mazes.

    Args:
        population: the population.
        kind: of probe at maps.
        **options: the options of `goalmaze.experiments.probe.by_site.probe`.

    Raises:
        GoalmazeError: a site or target is unknown, or too few levels have a label.
    """

    def make(agent: Agent) -> ProbeReport:
        return probe(agent, probe=kind, **options)

    return PopulationProbes(report_each(population, make))
