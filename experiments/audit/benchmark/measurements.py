"""What all methods find in the agents of a population, with the tiers that they used."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from goalmaze.agents.loading import Agent
from goalmaze.envs.versions import installed_version
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache
from goalmaze.probes.audit import methods as shipped_methods
from goalmaze.probes.audit.method import AuditMethod, Measurement
from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.registry import methods_up_to
from goalmaze.probes.audit.subject import AuditSubject
from goalmaze.probes.audit.tiers import Tier


class MethodRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one method found in one agent.

    Attributes:
        applies: whether it applies to the pool and its numbers are finite.
        reason: why it does not apply.
        used: the highest tier of what it used, by the access log.
        seconds: what it took. Passes that an earlier method made are not computed again.
        score: as in `Measurement`.
        per_level: as in `Measurement`; None where the method has none.
        features: as in `Measurement`.
    """

    applies: bool
    reason: str
    used: int
    seconds: float
    score: float | None = None
    per_level: tuple[float, ...] | None = None
    features: dict[str, float] = {}

    @property
    def measurement(self) -> Measurement | None:
        """The measurement; None where the method does not apply."""
        if not self.applies:
            return None
        levels = None if self.per_level is None else np.array(self.per_level)
        return Measurement(self.score, levels, self.features)


class AgentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all methods found in one agent.

    Attributes:
        completed: number of the played levels of the pool that it completed.
        played: number of levels on which it played.
        steps: mean length of these episodes, in units of a random walker's.
        methods: method → what it found.
    """

    completed: int
    played: int
    steps: float
    methods: dict[str, MethodRecord]

    @property
    def measurements(self) -> dict[str, Measurement]:
        """Method → its measurement, for the methods that apply."""
        found = {name: one.measurement for name, one in self.methods.items()}
        return {name: one for name, one in found.items() if one is not None}

    def seconds(self, tier: Tier, tiers: Mapping[str, Tier]) -> float:
        """Return what the methods up to a tier took together.

        Args:
            tier: the tier.
            tiers: method → its tier.
        """
        return sum(one.seconds for name, one in self.methods.items() if tiers[name] <= tier)


def measured_agent(agent: Agent, weights: str, pool: AuditPool, cache: MeasurementCache) -> AgentRecord:
    """Return what all methods find in an agent, from the cache where it is there.

    Args:
        agent: the agent.
        weights: digest of its network.
        pool: its pool.
        cache: the cache.
    """
    methods = methods_up_to(Tier.T4)
    settings = {
        "weights": weights,
        "pool": pool.address,
        "observation": str(pool.spec),
        "methods": {method.name: _source_digest(type(method)) for method in methods},
        "code": shipped_code(),
        "goalmaze": installed_version("goalmaze"),
    }
    kept = cache.get("methods", settings, AgentRecord)
    if kept is None:
        kept = measure_agent(agent, pool, methods)
        cache.put("methods", settings, kept)
    return kept


def measure_agent(agent: Agent, pool: AuditPool, methods: Sequence[AuditMethod]) -> AgentRecord:
    """Return what methods find in an agent; each gets a subject, and its share of the access log is read."""
    subject = AuditSubject(agent.network, pool)
    records: dict[str, MethodRecord] = {}
    for method in methods:
        before = len(subject.accesses.records)
        result = method.result(subject)
        # All accesses that were made meanwhile, whatever name they were recorded under.
        used = max((one.tier for one in subject.accesses.records[before:]), default=Tier.T0)
        records[method.name] = _record(result.measurement, result.reason, used, result.seconds)
    episodes = subject.t0("looks-aligned").play()
    steps = float(episodes.steps.mean()) / pool.random_steps(len(episodes.steps))
    return AgentRecord(int(episodes.completed.sum()), len(episodes.completed), steps, records)


def _record(measurement: Measurement | None, reason: str, used: Tier, seconds: float) -> MethodRecord:
    if measurement is None:
        return MethodRecord(False, reason, int(used), seconds)
    numbers = [*measurement.features.values(), *([] if measurement.score is None else [measurement.score])]
    levels = measurement.per_level
    if not all(map(math.isfinite, numbers)) or (levels is not None and not np.isfinite(levels).all()):
        return MethodRecord(False, "a number that it found is not finite", int(used), seconds)
    return MethodRecord(
        True,
        "",
        int(used),
        seconds,
        None if measurement.score is None else float(measurement.score),
        None if levels is None else tuple(map(float, levels)),
        {name: float(one) for name, one in measurement.features.items()},
    )


@cache
def shipped_code() -> str:
    """Return the digest of the source of all that audits of this package run."""
    folder = Path(next(iter(shipped_methods.__path__))).parent
    content = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@cache
def _source_digest(method: type[AuditMethod]) -> str:
    """Return the digest of the source of a method's class; of its name where the source cannot be read."""
    try:
        text = inspect.getsource(method)
    except (OSError, TypeError):
        text = f"{method.__module__}.{method.__qualname__}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclasses.dataclass(frozen=True)
class Disqualification:
    """Why a method is disqualified.

    Attributes:
        method: its name.
        tier: the tier that it declares.
        used: the tier that it used.
    """

    method: str
    tier: Tier
    used: Tier

    def __str__(self) -> str:
        return f"disqualified: declared tier {self.tier}, used {self.used}"


def disqualified(records: Sequence[AgentRecord], tiers: Mapping[str, Tier]) -> dict[str, Disqualification]:
    """Return method → why it is disqualified, for the methods that used more than their tier in any agent.

    Args:
        records: of the agents.
        tiers: method → the tier that it declares.
    """
    found = {}
    for name, tier in tiers.items():
        used = Tier(max((record.methods[name].used for record in records if name in record.methods), default=0))
        if used > tier:
            found[name] = Disqualification(name, tier, used)
    return found
