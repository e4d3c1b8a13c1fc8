"""The single agents of the zoo under audit: what the methods find in them, what they do, and what the verdicts say."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from goalmaze.agents.loading import ZOO_PREFIX, Agent, load_agent
from goalmaze.agents.zoo import zoo_names
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.audit.audit import pool_of
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache, weights_digest
from goalmaze.experiments.audit.benchmark.measurements import measured_agent
from goalmaze.experiments.audit.benchmark.populations import MeasuredAgent
from goalmaze.experiments.audit.benchmark.preferences import (
    PreferenceLevels,
    make_preference_levels,
    measured_preference,
)
from goalmaze.experiments.audit.benchmark.stages import StagedAgent, staged_agent
from goalmaze.experiments.audit.calibration import Calibration, Example, fit_method, interval_of
from goalmaze.experiments.audit.truth import LEVELS
from goalmaze.experiments.audit.verdict import Verdicts, verdicts_on
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.statistics.intervals import rate
from goalmaze.probes.audit.methods.reference_difference import REFERENCES
from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.registry import audit_methods
from goalmaze.probes.audit.tiers import Tier

SINGLE = "single agents"
"""What stands for the population of agents that belong to none."""


@dataclasses.dataclass(frozen=True, eq=False)
class SingleAgent:
    """A single agent of the zoo with all that was measured on it.

    Attributes:
        agent: the agent.
        pool: the pool on which it is audited.
        measured: what the methods found and what it did.
    """

    agent: Agent
    pool: AuditPool
    measured: MeasuredAgent

    @property
    def preference(self) -> float:
        """Its measured preference for the cue."""
        return self.measured.preference.value

    def example(self) -> Example:
        """Return it as an example for a calibration."""
        measurements = {} if self.measured.record is None else self.measured.record.measurements
        if self.agent.name.removeprefix(ZOO_PREFIX) in REFERENCES.get(self.agent.family.name, ()):
            # Its divergence from itself is 0 by construction.
            measurements.pop("reference-difference", None)
        network = self.agent.network
        # Agents that differ by their seed, their number of steps or their reward alone are left out together.
        recipe = f"{self.agent.family} {network.name} {network.options}"
        return Example(self.agent.name, self.pool.group, self.preference, measurements, recipe)

    def verdicts(self, calibration: Calibration) -> Verdicts:
        """Return the verdicts on it at T3."""
        record = self.measured.record
        assert record is not None
        return verdicts_on(
            self.pool,
            Tier.T3,
            record.measurements,
            calibration,
            completed=rate(record.completed, record.played),
            steps=record.steps,
        )

    def staged(self, calibration: Calibration) -> StagedAgent:
        """Return how far it comes."""
        return staged_agent(SINGLE, self.measured, self.pool, calibration)


def auditable_agents() -> list[Agent]:
    """Return the single agents of the zoo whose family can be audited."""
    return [load_agent(ZOO_PREFIX + name) for name in zoo_names() if auditable(ZOO_PREFIX + name)]


def auditable(name: str) -> bool:
    """Return whether the family of an agent can be audited."""
    try:
        return bool(pool_of(load_agent(name)).group)
    except GoalmazeError:
        return False


def measure_single_agents(
    cache: MeasurementCache, agents: Sequence[Agent] | None = None, levels: int = LEVELS
) -> list[SingleAgent]:
    """Measure agents, from the cache where that is there.

    Args:
        cache: the cache.
        agents: the agents; all single agents of the zoo that can be audited by default.
        levels: number of levels on which preferences are measured.
    """
    distinguishing: dict[AuditPool, PreferenceLevels] = {}
    measured = []
    for agent in progress(auditable_agents() if agents is None else agents, "measuring", "agent"):
        pool, weights = pool_of(agent), weights_digest(agent.network)
        # Agents whose families differ in dials of the training distribution alone share pool and levels.
        if pool not in distinguishing:
            distinguishing[pool] = make_preference_levels(pool.family, pool, levels)
        played = distinguishing[pool]
        found = MeasuredAgent(
            agent.name,
            measured_preference(agent, weights, played, cache),
            measured_agent(agent, weights, pool, cache),
        )
        measured.append(SingleAgent(agent, pool, found))
    return measured


def shipped_table(agents: Sequence[SingleAgent], calibration: Calibration) -> Table:
    """Return the measured and the predicted preference, and the verdicts at T3, of single agents."""
    rows = []
    for one in agents:
        verdicts = one.verdicts(calibration)
        rows.append(
            [
                f"`{one.agent.name.removeprefix(ZOO_PREFIX)}`",
                formatted(one.preference, ".2f"),
                verdicts.predicted.text(),
                "yes" if verdicts.looks_aligned else "no",
                "yes" if verdicts.verified else "no",
            ]
        )
    return Table(["agent", "measured", "predicted", "looks aligned", "verified"], rows)


def prediction_errors(examples: Sequence[Example], calibration: Calibration) -> Table:
    """Return how far predictions at T3 are off for agents of recipes that a calibration does not know.

    Every agent is predicted by a fit without the agents of its recipe. Columns: the method, agents, recipes, the mean
    absolute error, how many 95 % intervals hold what was measured, and the errors of the side channels.
    """
    side_channels = [name for name, method in audit_methods().items() if method.side_channel]
    rows: list[list[object]] = []
    for group in calibration.groups:
        members = [one for one in examples if one.group == group]
        available = {name: one for example in members for name, one in example.measurements.items()}
        method = calibration.best(group, Tier.T3, available)
        fit = None if method is None else fit_method(method, members)
        if method is None or fit is None:
            continue
        known = [one for one in members if one.agent in fit.left_out]
        ends = [interval_of(fit.left_out[one.agent], fit.calibration.spread) for one in known]
        inside = sum(low <= one.preference <= high for one, (_, low, high) in zip(known, ends, strict=True))
        rivals = [(name, calibration.find(group, name)) for name in side_channels]
        errors = [f"{name} {rival.error:.3f}" for name, rival in rivals if rival is not None]
        recipes = len({one.recipe for one in known})
        error = formatted(fit.calibration.error, ".3f")
        rows.append([group, f"`{method}`", len(known), recipes, error, f"{inside} of {len(known)}", ", ".join(errors)])
    return Table(["families", "method", "agents", "recipes", "error", "in the interval", "side channels"], rows)
