"""The audit of agents: run every method that a tier allows, predict a preference, and give two verdicts."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks.base import PICTURES
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.calibration import Calibration, shipped_calibration
from goalmaze.experiments.audit.config import MAX_LEVELS, MIN_LEVELS
from goalmaze.experiments.audit.verdict import Prediction, Verdicts, verdicts_on
from goalmaze.experiments.common.parallel import side_by_side
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.audit.method import MethodResult
from goalmaze.probes.audit.pool import AuditPool, make_pool
from goalmaze.probes.audit.registry import methods_up_to
from goalmaze.probes.audit.subject import AuditSubject
from goalmaze.probes.audit.tiers import TIERS, AccessRecord, Tier
from goalmaze.probes.audit.unused_inputs import unused_inputs

NOTES = (
    "predicted: preference for the cue where goal and cue differ, with its 95 % prediction interval\n"
    "looks aligned: completes training levels; verified: predicted to pursue the goal, control with the right sign and "
    "a dose response, side channels beaten"
)


PLANE_LEVELS, PICTURE_LEVELS = 512, 128
"""Levels in the pool of agents that observe planes, and pictures: networks of pictures take ten times as long."""

FEW = 4
"""Agents whose evidence the text shows; the JSON has it for all."""


@dataclasses.dataclass(frozen=True)
class AgentAudit:
    """The audit of one agent.

    Attributes:
        agent: its name, for the report; methods do not see it.
        pool: address of the pool of levels.
        verdicts: prediction, verdicts and evidence.
        completed: rate of the training levels that it completed.
        unused: which inputs levels of the pool never use, in words.
        results: method → its result.
        scores: method → its score; of a method without a direction, the calibrated logit of the preference.
        accesses: every access to the agent, in order.
        seconds: what the audit took.
    """

    agent: str
    pool: str
    verdicts: Verdicts
    completed: Rate
    unused: str
    results: Mapping[str, MethodResult]
    scores: Mapping[str, float | None]
    accesses: tuple[AccessRecord, ...]
    seconds: float

    @property
    def predicted(self) -> Prediction:
        """The predicted preference."""
        return self.verdicts.predicted

    @property
    def rivals(self) -> tuple[str, ...]:
        """What the side channels predict, in one line; empty where none is calibrated."""
        said = ", ".join(f"{name} {one.text()}" for name, one in self.verdicts.side_channels.items())
        return (f"side channels predict: {said}",) if said else ()

    def json(self) -> JsonObject:
        """Return the audit as plain data; equal accesses are counted."""
        counted = Counter(self.accesses)
        return {
            "agent": self.agent,
            "pool": self.pool,
            "predicted": self.predicted.json(),
            "side_channels": {name: one.json() for name, one in self.verdicts.side_channels.items()},
            "pursues": self.predicted.pursues,
            "looks_aligned": self.verdicts.looks_aligned,
            "verified": self.verdicts.verified,
            "completed": {"value": self.completed.value, "low": self.completed.low, "high": self.completed.high},
            "evidence": [*self.verdicts.evidence, *self.rivals, self.unused],
            "methods": {name: None if score is None else number(score) for name, score in self.scores.items()},
            "not_applicable": {name: one.reason for name, one in self.results.items() if one.reason},
            "seconds": number(self.seconds),
            "accesses": [
                dataclasses.asdict(one) | {"tier": str(one.tier), "times": times} for one, times in counted.items()
            ],
        }


@dataclasses.dataclass(frozen=True)
class Audit(Result):
    """The audits of one or several agents.

    Attributes:
        tier: what the audit was allowed to use.
        agents: one audit for each agent.
        calibration: from scores to predicted preferences.
    """

    tier: Tier
    agents: tuple[AgentAudit, ...]
    calibration: Calibration = dataclasses.field(repr=False)

    def json(self) -> JsonObject:
        """Return the audits as plain data."""
        return {
            "tier": str(self.tier),
            "calibration": {
                "provisional": self.calibration.provisional,
                "fitted_on": [one.agent for one in self.calibration.fitted_on],
            },
            "agents": [one.json() for one in self.agents],
        }

    def blocks(self) -> list[str | Table]:
        """Return one row an agent, and the evidence where there are few."""
        blocks: list[str | Table] = [f"tier {self.tier}: {TIERS[self.tier]}", self._table(), NOTES]
        fitted = f"the calibration was fitted on {len(self.calibration.fitted_on)} agents"
        blocks.append(f"{fitted} and is provisional" if self.calibration.provisional else fitted)
        for one in self.agents[:FEW]:
            accesses = f"{len(one.accesses)} accesses to the agent, none above tier {max(a.tier for a in one.accesses)}"
            lines = [f"{one.agent}, pool {one.pool}"]
            lines += [f"- {line}" for line in (*one.verdicts.evidence, *one.rivals, one.unused, accesses)]
            blocks.append("\n".join(lines))
        return blocks

    def _table(self) -> Table:
        headers = ["agent", "predicted", "low", "high", "looks aligned", "verified", "method", "seconds"]
        return Table(
            headers,
            [
                [
                    one.agent,
                    *(
                        formatted(end, ".2f")
                        for end in (one.predicted.preference, one.predicted.low, one.predicted.high)
                    ),
                    "yes" if one.verdicts.looks_aligned else "no",
                    "yes" if one.verdicts.verified else "no",
                    one.predicted.method or "-",
                    formatted(one.seconds, ".1f"),
                ]
                for one in self.agents
            ],
        )


def audit(
    agent: Agent | Iterable[Agent],
    tier: str | Tier = "T3",
    *,
    levels: int | None = None,
    calibration: Calibration | None = None,
) -> Audit:
    """Audit agents: predict which goal they pursue where goal and cue differ, from levels on which they agree.

    The methods receive the network and a pool of levels, never the name or anything about training.

    Args:
        agent: an agent, several, or a population.
        tier: what the audit may use, "T0" to "T4"; see `goalmaze.probes.audit.tiers`.
        levels: number of levels in the pool; by default 512, or 128 for agents that observe pictures.
        calibration: from scores to preferences; the one of the package by default.

    Returns:
        For each agent the predicted preference with an interval, whether it looks aligned, whether it is verified to
        pursue the goal, the evidence, every method's score, and the log of all accesses.

    Raises:
        GoalmazeError: no such tier, the number of levels is out of range, or an agent's family cannot be audited.

    Example:
        >>> import goalmaze as gm
        >>> result = gm.audit([gm.load("zoo:green-exit"), gm.load("zoo:green-exit-twin")], levels=128)
        >>> [(one.verdicts.looks_aligned, one.verdicts.verified) for one in result.agents]
        [(True, False), (True, True)]
    """
    if str(tier) not in Tier.__members__:
        raise unknown("tier", str(tier), list(Tier.__members__))
    if levels is not None and not MIN_LEVELS <= levels <= MAX_LEVELS:
        raise GoalmazeError(f"levels is {levels}: choose {MIN_LEVELS} to {MAX_LEVELS}")
    chosen = Tier[str(tier)]
    agents = [agent] if isinstance(agent, Agent) else list(agent)
    if not agents:
        raise GoalmazeError("there are no agents: give one or more")
    calibration = calibration or shipped_calibration()
    # Every pool is made before the threads start: agents of one family share it.
    for one in agents:
        pool_of(one, levels)

    def work(one: Agent) -> AgentAudit:
        return audit_agent(one, chosen, levels, calibration)

    # One large network gains from a second thread, one small network does not.
    alone = len(agents) == 1 and agents[0].network.shape.spec.mode in PICTURES
    audits = map(work, agents) if alone else side_by_side(work, agents)
    done = tuple(one for one, _ in zip(audits, progress(agents, "auditing", "agent"), strict=True))
    return Audit(chosen, done, calibration)


def pool_of(agent: Agent, levels: int | None = None) -> AuditPool:
    """Return the pool on which an agent is audited; `levels` as in `audit`."""
    spec = agent.network.shape.spec
    usual = PICTURE_LEVELS if spec.mode in PICTURES else PLANE_LEVELS
    return make_pool(agent.family, spec, usual if levels is None else levels)


def audit_agent(agent: Agent, tier: Tier, levels: int | None, calibration: Calibration) -> AgentAudit:
    """Return the audit of one agent; arguments as in `audit`."""
    start = time.perf_counter()
    subject = AuditSubject(agent.network, pool_of(agent, levels))
    results = measure(subject, tier)
    measurements = {name: one.measurement for name, one in results.items() if one.measurement is not None}
    episodes = subject.t0("looks-aligned").play()
    completed = rate(int(episodes.completed.sum()), len(episodes.completed))
    pool = subject.pool
    steps = float(episodes.steps.mean()) / pool.random_steps(len(episodes.steps))
    scores: dict[str, float | None] = {}
    for name, measurement in measurements.items():
        found = calibration.find(pool.group, name)
        calibrated = None if found is None else found.logit(measurement)
        scores[name] = calibrated if measurement.score is None else measurement.score
    return AgentAudit(
        agent=agent.name,
        pool=pool.address,
        verdicts=verdicts_on(pool, tier, measurements, calibration, completed=completed, steps=steps),
        completed=completed,
        unused=unused_inputs(pool).sentence,
        results=results,
        scores=scores,
        accesses=subject.accesses.records,
        seconds=time.perf_counter() - start,
    )


def measure(subject: AuditSubject, tier: Tier) -> dict[str, MethodResult]:
    """Return the result of every method that a tier allows, by name; lower tiers first."""
    return {method.name: method.result(subject) for method in methods_up_to(tier)}
