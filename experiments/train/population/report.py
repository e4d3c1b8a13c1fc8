"""The report of a population: the behaviour of every agent, and its distribution over the training seeds."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from goalmaze.agents.files import write_atomically
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.population import Population, load_population
from goalmaze.agents.population_files import PopulationHeader, read_population
from goalmaze.envs.extensions import import_flags
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.parallel import side_by_side
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.run_report import REPORT
from goalmaze.experiments.common.seed_means import MeanOverSeeds, mean_over_seeds
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate_policy
from goalmaze.experiments.evaluate.solved_levels import SolvedLevels
from goalmaze.experiments.evaluate.training_overlap import quick_overlap
from goalmaze.experiments.jobs.report import REPORT_LEVELS
from goalmaze.experiments.statistics.over_seeds import QUANTILES, quantiles

MEASURES = {"solved": ("solved",), "cue_preference": ("preference", "cue")}
"""Measure → its path in the evaluation of an agent."""


@dataclasses.dataclass(frozen=True)
class RatesOverSeeds:
    """One rate of every agent.

    Attributes:
        mean: its mean with an interval over seeds.
        sd: its standard deviation; NaN for fewer than two agents.
        quantiles: name → its quantile; NaN where no agent has the rate.
    """

    mean: MeanOverSeeds
    sd: float
    quantiles: dict[str, float]

    @classmethod
    def of(cls, rates: Sequence[float | None]) -> RatesOverSeeds:
        """Return the distribution of rates; None where an agent has none."""
        defined = [rate for rate in rates if rate is not None]
        sd = statistics.stdev(defined) if len(defined) > 1 else math.nan
        return cls(mean_over_seeds(rates), sd, quantiles(np.array(defined, np.float64)))

    def json(self) -> JsonObject:
        """Return the distribution as plain data, without the rates of single agents."""
        mean = self.mean.json()
        del mean["values"]
        return {
            "agents": len(self.mean.values),
            **mean,
            "sd": number(self.sd),
            "quantiles": {name: number(value) for name, value in self.quantiles.items()},
        }


@dataclasses.dataclass(frozen=True)
class PopulationReport(Result):
    """A population and the evaluation of its agents.

    Attributes:
        folder: its run folder, or its name in the zoo.
        header: the header of its checkpoint.
        seconds: seconds of training, the sum over agents that were trained side by side.
        distinguishing_shift: of its family.
        agents: the entries of the agents, as they are written into the run folder.
    """

    folder: Path | str
    header: PopulationHeader
    seconds: float
    distinguishing_shift: str
    agents: tuple[JsonObject, ...]

    @property
    def labels(self) -> dict[str, int]:
        """Label → number of agents, the most common first."""
        return dict(Counter(agent["label"] for agent in self.agents).most_common())

    @property
    def stopped(self) -> dict[int, str]:
        """Agent number → why its training stopped early."""
        return {agent["agent"]: agent["stopped"] for agent in self.agents if agent["stopped"]}

    def json(self) -> JsonObject:
        """Return the report as plain data, as it is written into the run folder."""
        return {
            "run": str(self.folder),
            "steps": self.header.steps,
            "checkpoint": self.header.digest,
            "seconds": round(self.seconds, 1),
            "interrupted": False,
            "levels": REPORT_LEVELS,
            "distinguishing_shift": self.distinguishing_shift,
            "labels": self.labels,
            "stopped": {str(agent): reason for agent, reason in self.stopped.items()},
            "groups": [
                {
                    "parameters": group[0]["parameters"],
                    "agents": len(group),
                    "shifts": {
                        shift: {name: rates.json() for name, rates in measures.items()}
                        for shift, measures in self._distributions(group).items()
                    },
                }
                for group in self._groups()
            ],
            "agents": list(self.agents),
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return a heading, one row for each measure and shift, the labels, and the next command."""
        count, folder = len(self.agents), shlex.quote(str(self.folder))
        heading = (
            f"{self.folder}: {count} agents trained for {self.header.steps:,} steps each, {self.seconds:.0f} s in all\n"
            f"{REPORT_LEVELS} held-out levels a shift, the same for all agents; 'none' is the training distribution. "
            "Quantiles are over agents; the interval of a mean covers training seeds"
        )
        labels = "labels: " + ", ".join(f"{number} {label}" for label, number in self.labels.items())
        stopped = [f"agent {agent} stopped early: {reason}" for agent, reason in self.stopped.items()]
        shift, imports = self.distinguishing_shift, import_flags()
        return [
            heading,
            *(self._table(group) for group in self._groups()),
            "\n".join([labels, *stopped]),
            f"next: goalmaze eval {folder} --shift {shift}{imports}; one agent: goalmaze eval {folder}/0{imports}",
        ]

    def _groups(self) -> list[list[JsonObject]]:
        """Return the agents by their parameters, in order."""
        groups: dict[str, list[JsonObject]] = {}
        for agent in self.agents:
            groups.setdefault(json.dumps(agent["parameters"], sort_keys=True), []).append(agent)
        return list(groups.values())

    def _distributions(self, group: Sequence[ReadonlyJsonObject]) -> dict[str, dict[str, RatesOverSeeds]]:
        """Return shift → measure → its distribution over agents."""
        paths = list(MEASURES.items())
        shifts = [{NO_SHIFT: agent["in_distribution"], **agent["shifts"]} for agent in group]
        return {
            shift: {name: RatesOverSeeds.of([_lookup(one[shift], path) for one in shifts]) for name, path in paths}
            for shift in shifts[0]
        }

    def _table(self, group: Sequence[ReadonlyJsonObject]) -> Table:
        rows: list[list[object]] = []
        for shift, measures in self._distributions(group).items():
            for name, rates in measures.items():
                if rates.mean.values:
                    cells = [formatted(value, ".2f") for value in rates.quantiles.values()]
                    rows.append([shift, name.replace("_", " "), rates.mean, formatted(rates.sd, ".2f"), *cells])
        parameters = " ".join(f"{name}={value}" for name, value in group[0]["parameters"].items())
        return Table(["shift", "rate", "mean", "SD", *QUANTILES], rows, title=parameters)


def _lookup(evaluation: ReadonlyJsonObject, path: Sequence[str]) -> float | None:
    value: object = evaluation
    for key in path:
        value = value[key] if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None


def gathered_report(folder: Path, reports: Sequence[ReadonlyJsonObject], shift: str) -> PopulationReport:
    """Write the report of a population from those of its agents, and return it.

    Args:
        folder: the run folder, which holds the checkpoint.
        reports: the report of every agent's run.
        shift: the distinguishing shift of the family.
    """
    header = read_population(folder / CHECKPOINT).header
    agents = [_entry(header, number, report, str(folder)) for number, report in enumerate(reports)]
    seconds = sum(float(report["seconds"]) for report in reports)
    return _written(PopulationReport(folder, header, seconds, shift, tuple(agents)), folder)


def evaluated_report(folder: Path, seconds: float, name: str = "") -> PopulationReport:
    """Evaluate the agents of a population on the same levels, write their report and return it.

    Args:
        folder: the run folder, which holds the checkpoint.
        seconds: seconds of training, in all.
        name: the name of the population in the report; the folder by default.
    """
    population = load_population(str(folder))
    family = population[0].family
    results = {shift: _evaluations(population, shift) for shift in (NO_SHIFT, *family.shifts)}
    agents = []
    for position, agent in enumerate(population):
        evaluations = {shift: result[position] for shift, result in results.items()}
        overlap = quick_overlap(agent, agent.family.levels(0, count=REPORT_LEVELS))
        decision = label(evaluations[NO_SHIFT], evaluations[family.distinguishing_shift])
        report = {
            "seconds": round(seconds / len(population), 1),
            "label": decision.label,
            "label_reason": decision.reason or None,
            "in_distribution": evaluations.pop(NO_SHIFT).json(),
            "shifts": {shift: evaluation.json() for shift, evaluation in evaluations.items()},
            "training_overlap": overlap.json(),
        }
        agents.append(_entry(population.header, position, report, name or str(folder)))
    shift = family.distinguishing_shift
    return _written(PopulationReport(name or folder, population.header, seconds, shift, tuple(agents)), folder)


def _evaluations(population: Population, shift: str) -> list[Evaluation]:
    """Return the evaluation of every agent under a shift; levels that agents share are solved once."""
    facts: dict[str, SolvedLevels] = {}
    keys = [json.dumps(agent.family.parameters, sort_keys=True) for agent in population]
    for key, agent in zip(keys, population, strict=True):
        if key not in facts:
            facts[key] = SolvedLevels.of(agent.family.levels(0, count=REPORT_LEVELS, shift=shift))

    def evaluate(number: int) -> Evaluation:
        agent, known = population[number], facts[keys[number]]
        return evaluate_policy(agent.name, agent.policy, known.levels, shift=shift, facts=known)

    work = side_by_side(evaluate, range(len(population)))
    return list(tqdm(work, total=len(population), desc=f"shift {shift}", unit="agent", leave=False, disable=None))


def _entry(header: PopulationHeader, number: int, report: ReadonlyJsonObject, name: str) -> JsonObject:
    """Return what the report of a population of some name holds for one agent, given the report of its own run."""
    agent, whose = header.agents[number], {"agent": f"{name}/{number}"}
    return {
        "agent": number,
        "seed": agent.seed,
        "parameters": agent.parameters,
        "steps": agent.steps,
        "seconds": report["seconds"],
        "stopped": agent.stopped or None,
        "label": report["label"],
        "label_reason": report["label_reason"],
        "in_distribution": report["in_distribution"] | whose,
        "shifts": {shift: evaluation | whose for shift, evaluation in report["shifts"].items()},
        "training_overlap": report["training_overlap"] | whose,
    }


def _written(report: PopulationReport, folder: Path) -> PopulationReport:
    # One agent a line: indented like that of a single run, the report of hundreds of agents would be many megabytes.
    content = report.json()
    agents = ",\n".join(json.dumps(agent) for agent in content.pop("agents"))
    text = json.dumps(content, indent=1)
    write_atomically(folder / REPORT, f'{text[:-2]},\n "agents": [\n{agents}\n]}}\n'.encode())
    return report
