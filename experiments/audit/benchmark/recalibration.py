"""The calibration of the package, fitted on the populations of the zoo."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from goalmaze.experiments.audit.audit import PLANE_LEVELS, pool_of
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache
from goalmaze.experiments.audit.benchmark.populations import MeasuredPopulation, load_populations, measure_population
from goalmaze.experiments.audit.calibration import Calibration, Example, fit_calibration
from goalmaze.experiments.audit.shipped_agents import auditable_agents, example
from goalmaze.probes.audit.registry import audit_methods


def population_calibration(names: Sequence[str] = (), *, cache: Path | None = None) -> Calibration:
    """Return the calibration that is fitted on all agents of populations that look aligned.

    A group of families without a population is fitted on the single agents of the zoo; the calibration then stays
    provisional.

    Args:
        names: the populations; all of the zoo by default.
        cache: the folder that keeps measurements, as in the benchmark.
    """
    kept = MeasurementCache(cache)
    examples = calibration_examples([measure_population(one, kept) for one in load_populations(names)])
    groups = {one.group for one in examples}
    others = [example(agent) for agent in auditable_agents() if pool_of(agent).group not in groups]
    return fit_calibration([*examples, *others], PLANE_LEVELS, provisional=bool(others))


def calibration_examples(populations: Sequence[MeasuredPopulation]) -> list[Example]:
    """Return the agents of populations that look aligned, with what the registered methods found."""
    known = audit_methods()
    return [
        dataclasses.replace(one, measurements={name: m for name, m in one.measurements.items() if name in known})
        for population in populations
        if population.pool is not None
        for one in population.examples(population.group)
    ]
