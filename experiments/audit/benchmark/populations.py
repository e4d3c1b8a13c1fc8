"""The populations of the benchmark with all that was measured on their agents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import ZOO_PREFIX, Agent
from goalmaze.agents.population import Population, load_population
from goalmaze.agents.training.run import read_recipe
from goalmaze.agents.zoo import population_names, zoo_folder
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.audit.audit import pool_of
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache, digest, weights_digest
from goalmaze.experiments.audit.benchmark.forecasts import LevelInputs
from goalmaze.experiments.audit.benchmark.measurements import (
    AgentRecord,
    Disqualification,
    disqualified,
    measured_agent,
)
from goalmaze.experiments.audit.benchmark.preferences import (
    MeasuredPreference,
    PreferenceLevels,
    make_preference_levels,
    measured_preference,
)
from goalmaze.experiments.audit.calibration import Example
from goalmaze.experiments.audit.truth import LEVELS
from goalmaze.experiments.common.parallel import side_by_side
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.evaluate.agent_label import MIN_CAPABILITY
from goalmaze.probes.audit.method import Measurement
from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.registry import audit_methods
from goalmaze.probes.audit.tiers import Tier

Numbers = NDArray[np.float64]

MIN_AGENTS = 16
"""Fewest agents that look aligned for a test."""

NORMS_AND_MOMENTS = "norms-and-moments"
"""The side channel of `stem-norms` and `weight-moments` together."""

BEHAVIOUR = "training-behaviour"
SIDE_CHANNELS = (NORMS_AND_MOMENTS, BEHAVIOUR)
"""The two side-channel baselines."""


def tiers() -> dict[str, Tier]:
    """Return method → its tier."""
    return {name: method.tier for name, method in audit_methods().items()}


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredAgent:
    """An agent with all that was measured on it.

    Attributes:
        name: its name.
        preference: what it did on distinguishing levels.
        record: what the methods found; None where its family cannot be audited.
    """

    name: str
    preference: MeasuredPreference
    record: AgentRecord | None

    @property
    def looks_aligned(self) -> bool:
        """Whether it completes enough of the played levels of the pool."""
        return self.record is not None and self.record.completed / self.record.played >= MIN_CAPABILITY


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredPopulation:
    """A population with all that was measured on its agents.

    Attributes:
        name: the name that it was loaded by.
        recipe: digest of family, parameters, network and steps: all that the agents share.
        family: name of the family.
        architecture: name of the network.
        pool: the levels of the audit; None where the family cannot be audited.
        refusal: why the family cannot be audited; empty where it can.
        agents: all agents.
    """

    name: str
    recipe: str
    family: str
    architecture: str
    pool: AuditPool | None
    refusal: str
    agents: tuple[MeasuredAgent, ...]

    @property
    def short_name(self) -> str:
        """The name without its folder, or the prefix of the zoo."""
        return PurePath(self.name.removeprefix(ZOO_PREFIX)).name

    @property
    def group(self) -> str:
        """The group of families whose calibration applies."""
        return "" if self.pool is None else self.pool.group

    @cached_property
    def kept(self) -> tuple[MeasuredAgent, ...]:
        """The agents that look aligned and whose preference shows."""
        return tuple(one for one in self.agents if one.looks_aligned and one.preference.levels)

    @property
    def tested(self) -> bool:
        """Whether enough agents are left for a test."""
        return len(self.kept) >= MIN_AGENTS

    @cached_property
    def preferences(self) -> Numbers:
        """float64 [n], the measured preferences of the kept agents."""
        return np.array([one.preference.value for one in self.kept])

    @cached_property
    def disqualified(self) -> dict[str, Disqualification]:
        """Method → why it is disqualified."""
        return disqualified([one.record for one in self.agents if one.record is not None], tiers())

    @cached_property
    def measurements(self) -> dict[str, list[Measurement]]:
        """Method → its measurement of each kept agent, for methods that apply to all and kept to their tier."""
        found = [one.record.measurements for one in self.kept if one.record is not None]
        names = [name for name in audit_methods() if found and all(name in one for one in found)]
        result = {name: [one[name] for one in found] for name in names if name not in self.disqualified}
        if "weight-moments" in result:
            result[NORMS_AND_MOMENTS] = [
                _together(moments, norms)
                for moments, norms in zip(
                    result["weight-moments"],
                    result.get("stem-norms", [None] * len(found)),
                    strict=True,
                )
            ]
        return result

    def reason(self, method: str) -> str:
        """Return why there are no measurements of a method; empty where there are."""
        if self.refusal:
            return self.refusal
        if method in self.disqualified:
            return str(self.disqualified[method])
        records = [one.record.methods[method] for one in self.kept if one.record is not None]
        return next((one.reason for one in records if not one.applies), "")

    def examples(self, group: str) -> list[Example]:
        """Return the kept agents as examples for a calibration, as members of a group of families."""
        return [
            Example(
                one.name, group, one.preference.value, {name: found[i] for name, found in self.measurements.items()}
            )
            for i, one in enumerate(self.kept)
        ]

    def level_inputs(self, method: str) -> LevelInputs | None:
        """Return what a method says about the levels of the pool; None where it scores none, or nothing is known."""
        found = self.measurements.get(method, [])
        agents, inputs, outcomes = [], [], []
        for i, one in enumerate(found):
            levels = one.per_level
            known = self.kept[i].preference.outcomes
            if levels is None or one.score is None or not known:
                return None
            happened = np.array([np.nan if value is None else value for value in known[: len(levels)]], np.float64)
            counted = ~np.isnan(happened)
            outcomes.append(happened[counted])
            inputs.append(np.column_stack([np.full(counted.sum(), one.score), levels[counted] - one.score]))
            agents.append(np.full(counted.sum(), i))
        if not any(map(len, outcomes)):
            return None
        return LevelInputs(np.concatenate(agents), np.concatenate(inputs), np.concatenate(outcomes))

    def seconds(self, method: str) -> float:
        """Return the mean seconds that a method took for one agent."""
        records = [one.record.methods[method].seconds for one in self.agents if one.record is not None]
        return float(np.mean(records)) if records else float("nan")


def _together(moments: Measurement, norms: Measurement | None) -> Measurement:
    """Return weight moments with the norms of the stem as one more feature, where the stem has them."""
    more = {} if norms is None or norms.score is None else {"stem-norms": norms.score}
    return Measurement(None, None, {**moments.features, **more})


LEFT_OUT = ("Glimpse", "ProcgenMaze")
"""Families whose populations ship for other experiments: few seeds, of one behaviour, to order them by a prediction."""


def _family(name: str) -> str:
    """Return the family of a population of the zoo."""
    return read_recipe(zoo_folder(name), 0)[0].family


def load_populations(names: Sequence[str]) -> list[Population]:
    """Return the populations of these names, by default all of the zoo but those of the families `LEFT_OUT`.

    Raises:
        GoalmazeError: there is no such population, a name occurs twice, or the zoo has none.
    """
    names = names or [ZOO_PREFIX + name for name in population_names() if _family(name) not in LEFT_OUT]
    if not names:
        raise GoalmazeError("the zoo has no populations: name some after --populations")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise GoalmazeError(f"{twice} is named twice: name each population once")
    populations = [load_population(name) for name in names]
    for population in populations:
        different = next((one for one in population.parameters if one != population.parameters[0]), None)
        if different is not None:
            raise GoalmazeError(
                f"the agents of {population.name} differ in parameters of their family, such as {different}: "
                "the benchmark compares agents that differ in their seed alone"
            )
    return populations


def measure_population(population: Population, cache: MeasurementCache, levels: int = LEVELS) -> MeasuredPopulation:
    """Measure all agents of a population, from the cache where that is there.

    Args:
        population: the population.
        cache: the cache.
        levels: number of levels on which preferences are measured.
    """
    first, header = population[0], population.header
    refusal, pool = "", None
    try:
        pool = pool_of(first)
    except GoalmazeError as error:
        refusal = str(error)
    distinguishing = make_preference_levels(first.family, pool, levels)
    if pool is not None:
        _prepare(pool, distinguishing)

    def work(agent: Agent) -> MeasuredAgent:
        weights = weights_digest(agent.network)
        record = None if pool is None else measured_agent(agent, weights, pool, cache)
        return MeasuredAgent(agent.name, measured_preference(agent, weights, distinguishing, cache), record)

    audits = side_by_side(work, population.agents)
    bar = progress(population.agents, f"measuring {population.name}", "agent")
    shape = {"network": header.network, "options": header.network_options, "observation": str(first.network.shape)}
    return MeasuredPopulation(
        name=population.name,
        recipe=digest({"family": header.family, "parameters": header.parameters, "steps": header.steps, **shape}),
        family=header.family,
        architecture=header.network,
        pool=pool,
        refusal=refusal,
        agents=tuple(one for one, _ in zip(audits, bar, strict=True)),
    )


def _prepare(pool: AuditPool, levels: PreferenceLevels) -> None:
    """Compute what all agents share before threads need it."""
    pool.observations()
    _ = levels.digest, pool.address, pool.distinguishing
