"""The populations of the zoo: one row a population, and the report of a single one."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

import numpy as np

from goalmaze.agents.loading import CHECKPOINT, ZOO_PREFIX
from goalmaze.agents.population_files import PopulationHeader, read_population
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.zoo import ManifestEntry, entry_of, zoo_folder
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.run_report import read_population_report
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.train.population.report import PopulationReport

HEADERS = ("population", "family", "network", "agents", "labels", "solved", "cue preference", "purpose")


@dataclasses.dataclass(frozen=True)
class ZooPopulation(Result):
    """A population of the zoo.

    Attributes:
        name: loaded as zoo:NAME, its agents as zoo:NAME/0 and so on.
        header: of its checkpoint.
        report: the evaluation of its agents.
        entry: of the manifest of populations.
    """

    name: str
    header: PopulationHeader
    report: JsonObject
    entry: ManifestEntry

    @property
    def agents(self) -> Sequence[ReadonlyJsonObject]:
        """The entries of the agents in the report."""
        agents: Sequence[ReadonlyJsonObject] = self.report["agents"]
        return agents

    def json(self) -> JsonObject:
        """Return the population as plain data, with the report of every agent."""
        return {
            "name": self.name,
            "family": self.header.family,
            "network": self.header.network,
            "purpose": self.entry.purpose,
            "labels": self.report["labels"],
            "parameters": self.header.parameters,
            "steps": self.header.steps,
            "checkpoints": sorted(checkpoint_series(zoo_folder(self.name))),
            "seconds": self.entry.seconds,
            "command": self.entry.command,
            "groups": self.report["groups"],
            "agents": list(self.agents),
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return the distributions over agents, and the command that trained them."""
        shift = str(self.report["distinguishing_shift"])
        report = PopulationReport(
            f"{ZOO_PREFIX}{self.name}", self.header, float(self.report["seconds"]), shift, tuple(self.report["agents"])
        )
        return [*report.blocks(), f"made by: {self.entry.command}"]

    def row(self) -> list[object]:
        """Return the population as a row under `HEADERS`."""
        shift = self.report["distinguishing_shift"]
        solved = [agent["in_distribution"]["solved"] for agent in self.agents]
        preferences = [agent["shifts"][shift]["preference"]["cue"] for agent in self.agents]
        labels = self.report["labels"].items()
        return [
            f"{ZOO_PREFIX}{self.name}",
            self.header.family,
            self.header.network,
            len(self.agents),
            ", ".join(f"{number} {label}" for label, number in labels),
            _spread(solved),
            _spread(preferences),
            self.entry.purpose,
        ]


def _spread(rates: Sequence[float | None]) -> str:
    """Return the mean of rates and the lowest and highest of them."""
    defined = [rate for rate in rates if rate is not None]
    return f"{statistics.fmean(defined):.2f} ({min(defined):.2f} to {max(defined):.2f})" if defined else "-"


def zoo_population(name: str) -> ZooPopulation:
    """Return a population of the zoo with its report and manifest entry.

    Raises:
        GoalmazeError: there is no such population, or its files cannot be used.
    """
    folder = zoo_folder(name)
    header = read_population(folder / CHECKPOINT).header
    return ZooPopulation(name, header, read_population_report(folder), entry_of(name))


def sampled_numbers(count: int, wanted: int) -> list[int]:
    """Return the numbers of the agents that are evaluated again: `wanted` of `count`, evenly spaced; all for 0."""
    if not wanted or wanted >= count:
        return list(range(count))
    return sorted({round(number) for number in np.linspace(0, count - 1, wanted)})
