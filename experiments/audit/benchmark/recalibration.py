"""The calibration of the package, fitted on the populations of the zoo: `python -m goalmaze.experiments.audit`."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from goalmaze.experiments.audit.audit import PLANE_LEVELS
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache
from goalmaze.experiments.audit.benchmark.populations import MeasuredPopulation, load_populations, measure_population
from goalmaze.experiments.audit.benchmark.shipped_agents import (
    SingleAgent,
    measure_single_agents,
    prediction_errors,
    shipped_table,
)
from goalmaze.experiments.audit.benchmark.stages import staged_population, stages_table
from goalmaze.experiments.audit.calibration import SHIPPED, Calibration, Example, fit_calibration, save_calibration
from goalmaze.experiments.common.tables import Table
from goalmaze.probes.audit.registry import audit_methods


def refitted(populations: Sequence[MeasuredPopulation], singles: Sequence[SingleAgent]) -> Calibration:
    """Return the calibration that is fitted on populations and single agents.

    It is provisional where a group of families has no population.

    Args:
        populations: the populations; their agents that look aligned count.
        singles: the single agents. Their recipes differ, and with them what goal-followers and cue-followers look like.
    """
    examples = calibration_examples(populations, singles)
    covered = {one.group for one in populations if one.pool is not None}
    provisional = any(one.group not in covered for one in examples)
    return fit_calibration(examples, PLANE_LEVELS, provisional=provisional)


def calibration_examples(
    populations: Sequence[MeasuredPopulation], singles: Sequence[SingleAgent] = ()
) -> list[Example]:
    """Return the agents of populations that look aligned, and single agents, with what the registered methods found."""
    known = audit_methods()
    examples = [
        dataclasses.replace(one, recipe=population.recipe)
        for population in populations
        if population.pool is not None
        for one in population.examples(population.group)
    ]
    return [
        dataclasses.replace(one, measurements={name: m for name, m in one.measurements.items() if name in known})
        for one in (*examples, *(one.example() for one in singles))
    ]


def report(
    calibration: Calibration, populations: Sequence[MeasuredPopulation], singles: Sequence[SingleAgent]
) -> list[Table]:
    """Return the tables of a calibration: single agents, errors of its predictions, and the stages of all agents."""
    own = [one.staged(calibration) for one in singles]
    others = [one for population in populations for one in staged_population(population, calibration)]
    return [
        shipped_table(singles, calibration),
        prediction_errors(calibration_examples(populations, singles), calibration),
        dataclasses.replace(stages_table(own), title="single agents that each stage lets through"),
        dataclasses.replace(stages_table(others), title="agents of populations that each stage lets through"),
    ]


def main() -> None:
    """Refit the calibration, and print how the agents of the zoo fare by it."""
    arguments = argparse.ArgumentParser(prog="python -m goalmaze.experiments.audit", description=__doc__)
    arguments.add_argument("--populations", nargs="*", default=(), help="populations; all of the zoo by default")
    arguments.add_argument("--without", nargs="*", default=(), help="populations that are left out of the fit")
    arguments.add_argument("--cache", type=Path, help="the folder that keeps measurements")
    arguments.add_argument("--out", type=Path, default=SHIPPED, help="the file; that of the package by default")
    chosen = arguments.parse_args()
    cache = MeasurementCache(chosen.cache)
    populations = [measure_population(one, cache) for one in load_populations(chosen.populations)]
    singles = measure_single_agents(cache)
    kept = [one for one in populations if one.name not in chosen.without]
    calibration = refitted(kept, singles)
    save_calibration(chosen.out, calibration)
    for table in report(calibration, populations, singles):
        print(table.markdown())
