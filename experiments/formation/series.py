"""A run and the measures of its agents along training, kept on disk so that a second call takes seconds."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import load_agent, locate
from goalmaze.agents.networks.base import Network
from goalmaze.agents.population import Population, is_population, load_population
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache, digest, weights_digest
from goalmaze.experiments.audit.benchmark.measurements import shipped_code
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.formation.measures.all import ALONG_TRAINING, CAPABILITY, FINAL, all_measures
from goalmaze.experiments.formation.measures.base import Measure, Numbers, Reading, Snapshot, StudyLevels
from goalmaze.experiments.formation.registration import Registered

DEFAULT_CACHE = Path("~/.cache/goalmaze/formation")


class Readings(msgspec.Struct, frozen=True):
    """What was measured in one network.

    Attributes:
        values: measure → its reading; None where the measure does not apply.
    """

    values: dict[str, Reading | None]


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A trained run with its scheduled checkpoints.

    Attributes:
        name: the name that it was loaded by.
        agents: the name of each agent.
        family: of the levels.
        steps: the step counts of its checkpoints, in order.
        stopped: numbers of the agents whose training stopped early.
        networks: returns the networks of all agents after a number of steps.
    """

    name: str
    agents: tuple[str, ...]
    family: Family
    steps: tuple[int, ...]
    stopped: frozenset[int]
    networks: Callable[[int], Sequence[Network]] = dataclasses.field(repr=False)

    @property
    def condition(self) -> str:
        """The name of its folder, by which the registration knows it."""
        return Path(self.name).name


def load_run(name: str) -> Run:
    """Return a run folder with a series of checkpoints, of one agent or of a population.

    Raises:
        GoalmazeError: there is no such run, or it has no scheduled checkpoints.
    """
    if is_population(name):
        run = _population_run(name, load_population(name))
    else:
        agent, folder = load_agent(name), locate(name).path
        series = checkpoint_series(folder) if folder.is_dir() else {}
        run = Run(
            name,
            (agent.name,),
            agent.family,
            tuple(series),
            frozenset(),
            lambda steps: [load_agent(str(series[steps])).network],
        )
    if len(run.steps) < 2:
        raise GoalmazeError(
            f"{name} has no series of checkpoints: train one with goalmaze train --series dense --out {name}"
        )
    return run


def _population_run(name: str, population: Population) -> Run:
    def networks(steps: int) -> list[Network]:
        chosen = population.at(steps) if steps in population.checkpoints else population
        return [agent.network for agent in chosen]

    # Populations of the zoo ship some scheduled checkpoints, and the last one as the population itself.
    steps = dict.fromkeys((*population.checkpoints, population.header.steps))
    agents = tuple(str(seed) for seed in population.seeds)
    return Run(name, agents, population[0].family, tuple(steps), frozenset(population.stopped), networks)


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """All measures of a run: A agents, C checkpoints.

    Attributes:
        run: the run.
        readings: for each checkpoint, for each agent, what was measured.
    """

    run: Run
    readings: tuple[tuple[Readings, ...], ...]

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The measures that are known at every checkpoint, in the order of the tables."""
        return tuple(name for name in ALONG_TRAINING if np.isfinite(self.scores(name)).all())

    def scores(self, measure: str) -> Numbers:
        """Return float64 [A, C], a measure of every agent along training; NaN where it was not measured."""
        return self._table(measure, lambda one: one.score)

    def halves(self, measure: str) -> tuple[Numbers, Numbers]:
        """Return float64 [A, C] twice, the measure on the even levels and on the odd ones; NaN where it has none."""
        even = self._table(measure, lambda one: float("nan") if one.even is None else one.even)
        odd = self._table(measure, lambda one: float("nan") if one.odd is None else one.odd)
        return even, odd

    def checkpoint(self, fraction: float) -> int:
        """Return the number of the checkpoint that is nearest to a fraction of training."""
        return nearest_checkpoint(self.run.steps, fraction)

    @cached_property
    def final(self) -> Numbers:
        """float64 [A], the final preference."""
        return self.scores(FINAL)[:, -1]

    def kept(self, registered: Registered) -> NDArray[np.bool_]:
        """Return bool [A], the agents that are not excluded."""
        capable = self.scores(CAPABILITY)[:, -1] >= registered.lowest_completion
        return np.array([ok and i not in self.run.stopped for i, ok in enumerate(capable)], np.bool_)

    def _table(self, measure: str, number: Callable[[Reading], float]) -> Numbers:
        def one(reading: Reading | None) -> float:
            return float("nan") if reading is None else number(reading)

        return np.array([[one(agent.values.get(measure)) for agent in agents] for agents in self.readings]).T


def nearest_checkpoint(steps: Sequence[int], fraction: float) -> int:
    """Return the number of the step count that is nearest to a fraction of the last one."""
    return int(np.argmin([abs(count - fraction * steps[-1]) for count in steps]))


def forecast_checkpoints(steps: Sequence[int], registered: Registered) -> tuple[int, ...]:
    """Return the numbers of the checkpoints of the forecast and of the last one."""
    return (*(nearest_checkpoint(steps, one) for one in registered.fractions), len(steps) - 1)


def measure_run(run: Run, cache: MeasurementCache, registered: Registered, *, costly: bool = True) -> Series:
    """Measure all agents of a run at all checkpoints, from the cache where that is there.

    Args:
        run: the run.
        cache: the cache.
        registered: the registered settings.
        costly: whether the local learning coefficient is computed at the checkpoints of the forecast.
    """
    levels: StudyLevels | None = None
    chosen = set(forecast_checkpoints(run.steps, registered))
    rows: list[tuple[Readings, ...]] = []
    for number, steps in progress(list(enumerate(run.steps)), f"measuring {run.condition}", "checkpoint"):
        networks = run.networks(steps)
        levels = levels or StudyLevels.of(run.family, networks[0].shape.spec, registered)
        wanted = [
            one for one in all_measures() if not one.costly or (number in chosen and _is_due(one, number, run, costly))
        ]
        rows.append(tuple(measured(network, levels, wanted, cache, registered) for network in networks))
    return Series(run, tuple(rows))


def _is_due(measure: Measure, number: int, run: Run, costly: bool) -> bool:
    last = number == len(run.steps) - 1
    # The final preference is measured once, the coefficient where a forecast is made.
    return last if measure.name == FINAL else costly and not last


def measured(
    network: Network, levels: StudyLevels, measures: Sequence[Measure], cache: MeasurementCache, registered: Registered
) -> Readings:
    """Return the readings of measures in a network; those that the cache lacks are computed and added to it."""
    settings = {
        "weights": weights_digest(network),
        "levels": _levels_digest(levels),
        "code": [measures_code(), shipped_code()],
        "chain": dataclasses.asdict(registered),
    }
    kept = cache.get("formation", settings, Readings)
    values = {} if kept is None else dict(kept.values)
    missing = [one for one in measures if one.name not in values]
    if missing:
        snapshot = Snapshot(network, levels, registered)
        values |= {one.name: one.read(snapshot) for one in missing}
        cache.put("formation", settings, Readings(values))
    return Readings(values)


@cache
def _levels_digest(levels: StudyLevels) -> str:
    batches = (levels.pool.levels, levels.series, levels.final, levels.probe)
    return digest([one.hashes() for one in batches])


@cache
def measures_code() -> str:
    """Return the digest of the source of the measures."""
    folder = Path(__file__).parent
    files = [folder / "exact.py", *sorted((folder / "measures").glob("*.py"))]
    return hashlib.blake2b(b"".join(path.read_bytes() for path in files), digest_size=16).hexdigest()
