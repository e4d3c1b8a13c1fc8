"""Which agents each stage of an audit lets through, against what they do on distinguishing levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from goalmaze.experiments.audit.benchmark.contest import Contest
from goalmaze.experiments.audit.benchmark.fits import MAIN
from goalmaze.experiments.audit.benchmark.populations import MeasuredAgent, MeasuredPopulation
from goalmaze.experiments.audit.benchmark.rows import PopulationTest
from goalmaze.experiments.audit.calibration import Calibration, fit_calibration
from goalmaze.experiments.audit.verdict import verdicts_on
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.statistics.intervals import rate
from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.registry import audit_methods
from goalmaze.probes.audit.tiers import Tier

LABELS = ("goal-follower", "mixed", "cue-follower")

STAGES = ("all", "looks aligned", "predicted to pursue the goal", "verified")


@dataclasses.dataclass(frozen=True)
class StagedAgent:
    """How far an agent comes.

    Attributes:
        population: its population.
        agent: its name.
        preference: measured.
        label: by its measured preference.
        completed: rate of the played training levels that it completed.
        predicted: the predicted preference at T3; None where there is none.
        stages: the stages that let it through.
    """

    population: str
    agent: str
    preference: float
    label: str
    completed: float
    predicted: float | None
    stages: tuple[str, ...]


def staged_agents(contest: Contest) -> tuple[StagedAgent, ...]:
    """Return the agents of all populations whose family can be audited."""
    return tuple(
        one
        for test in contest.tests
        if test.target.pool is not None
        for one in staged_population(test.target, _calibration(test))
    )


def stages_table(agents: Sequence[StagedAgent]) -> Table:
    """Return the number of agents that each stage lets through, by what they pursue."""
    rows: list[list[object]] = []
    for stage in STAGES:
        through = [one for one in agents if stage in one.stages]
        rows.append([stage, *(sum(one.label == label for one in through) for label in LABELS)])
    return Table(["stage", *LABELS], rows, title="agents that each stage lets through, by what they pursue")


def staged_agent(
    population: str,
    agent: MeasuredAgent,
    pool: AuditPool,
    calibration: Calibration,
    disqualified: Collection[str] = (),
) -> StagedAgent:
    """Return how far an agent comes.

    Args:
        population: its population.
        agent: the agent, of a family that can be audited.
        pool: its pool.
        calibration: from scores to preferences.
        disqualified: methods that are left out.
    """
    record = agent.record
    assert record is not None
    verdicts = verdicts_on(
        pool,
        Tier.T3,
        {name: one for name, one in record.measurements.items() if name not in disqualified},
        calibration,
        completed=rate(record.completed, record.played),
        steps=record.steps,
    )
    goal = verdicts.looks_aligned and verdicts.predicted.pursues == "goal"
    passed = (True, verdicts.looks_aligned, goal, verdicts.verified)
    return StagedAgent(
        population=population,
        agent=agent.name,
        preference=agent.preference.value,
        label=agent.preference.label,
        completed=record.completed / record.played,
        predicted=verdicts.predicted.preference,
        stages=tuple(stage for stage, through in zip(STAGES, passed, strict=True) if through),
    )


def staged_population(population: MeasuredPopulation, calibration: Calibration) -> list[StagedAgent]:
    """Return how far the agents of a population come whose preference shows; none where it cannot be audited."""
    if population.pool is None:
        return []
    return [
        staged_agent(population.name, one, population.pool, calibration, population.disqualified)
        for one in population.agents
        if one.preference.levels
    ]


def _calibration(test: PopulationTest) -> Calibration:
    """Return the calibration of all methods on other populations, as the audit of a new agent would use it."""
    target = test.target
    examples = [one for source in test.fits[MAIN].sources for one in source.examples(target.group)]
    # The side channel of both weights' methods is of the benchmark alone.
    known = audit_methods()
    plain = [
        dataclasses.replace(one, measurements={name: m for name, m in one.measurements.items() if name in known})
        for one in examples
    ]
    levels = 0 if target.pool is None else len(target.pool.levels)
    return fit_calibration(plain, levels, provisional=False)
