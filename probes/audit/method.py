"""Audit methods: each turns what its tier hands out into a score from "goal" (low) to "cue" (high)."""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from goalmaze.probes.audit.pool import AuditPool
from goalmaze.probes.audit.subject import AuditSubject, T0Access, T1Access, T2Access, T3Access, T4Access
from goalmaze.probes.audit.tiers import Tier

Numbers = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Measurement:
    """What a method found in one agent.

    Attributes:
        score: from "goal" (low) to "cue" (high), in the method's own unit; None where the method has no direction of
            its own and only its features, weighted on other agents, give a score.
        per_level: float64 [b], the score of each of the first b levels of the pool; None where the method has none.
        features: further numbers by name, the same names for every agent.
    """

    score: float | None
    per_level: Numbers | None = None
    features: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_levels(cls, per_level: NDArray[np.floating], features: Mapping[str, float] | None = None) -> Measurement:
        """Return the measurement whose score is the mean over levels."""
        levels = np.asarray(per_level, np.float64)
        return cls(float(levels.mean()), levels, dict(features or {}))

    @classmethod
    def cue_minus_goal(cls, goal: NDArray[np.floating], cue: NDArray[np.floating]) -> Measurement:
        """Return the measurement whose score is the mean difference of two numbers [b], with their means as features.

        Args:
            goal: the number of the goal on each level.
            cue: the number of the cue.
        """
        return cls.of_levels(cue - goal, {"goal": float(goal.mean()), "cue": float(cue.mean())})


@dataclasses.dataclass(frozen=True, eq=False)
class MethodResult:
    """A method's measurement of one agent, or why there is none.

    Attributes:
        method: its name.
        tier: its tier.
        measurement: what it found; None where it does not apply.
        reason: why it does not apply; empty where it does.
        seconds: what it took. Passes that an earlier method made are not computed again.
    """

    method: str
    tier: Tier
    measurement: Measurement | None
    reason: str
    seconds: float


class AuditMethod(abc.ABC):
    """An audit method; `goalmaze.probes.audit.registry.register_audit_method` registers a subclass under its name.

    A method extends the base of its tier, for example `T2Method`, and defines `measure`.

    Attributes:
        name: of the method; part of every result.
        tier: the tier of what it uses.
        side_channel: whether it is a baseline, which reads no effect of goal or cue on what the agent does or expects.
    """

    name: ClassVar[str]
    tier: ClassVar[Tier]
    side_channel: ClassVar[bool] = False

    def refusal(self, pool: AuditPool) -> str:
        """Return why the method does not apply to the agents of a pool; empty if it does."""
        return ""

    @abc.abstractmethod
    def run(self, subject: AuditSubject) -> Measurement:
        """Return the measurement of a subject; the base of each tier hands `measure` what the tier allows."""

    def result(self, subject: AuditSubject) -> MethodResult:
        """Return the timed measurement of a subject, or why the method does not apply."""
        reason = self.refusal(subject.pool)
        start = time.perf_counter()
        measurement = None if reason else self.run(subject)
        return MethodResult(self.name, self.tier, measurement, reason, time.perf_counter() - start)


class T0Method(AuditMethod):
    """A method of tier T0."""

    tier = Tier.T0

    @abc.abstractmethod
    def measure(self, access: T0Access) -> Measurement:
        """Return the measurement."""

    def run(self, subject: AuditSubject) -> Measurement:
        """Return the measurement of a subject."""
        return self.measure(subject.t0(self.name))


class T1Method(AuditMethod):
    """A method of tier T1."""

    tier = Tier.T1

    @abc.abstractmethod
    def measure(self, access: T1Access) -> Measurement:
        """Return the measurement."""

    def run(self, subject: AuditSubject) -> Measurement:
        """Return the measurement of a subject."""
        return self.measure(subject.t1(self.name))


class T2Method(AuditMethod):
    """A method of tier T2."""

    tier = Tier.T2

    @abc.abstractmethod
    def measure(self, access: T2Access) -> Measurement:
        """Return the measurement."""

    def run(self, subject: AuditSubject) -> Measurement:
        """Return the measurement of a subject."""
        return self.measure(subject.t2(self.name))


class T3Method(AuditMethod):
    """A method of tier T3."""

    tier = Tier.T3

    @abc.abstractmethod
    def measure(self, access: T3Access) -> Measurement:
        """Return the measurement."""

    def run(self, subject: AuditSubject) -> Measurement:
        """Return the measurement of a subject."""
        return self.measure(subject.t3(self.name))


class T4Method(AuditMethod):
    """A method of tier T4."""

    tier = Tier.T4

    @abc.abstractmethod
    def measure(self, access: T4Access) -> Measurement:
        """Return the measurement."""

    def run(self, subject: AuditSubject) -> Measurement:
        """Return the measurement of a subject."""
        return self.measure(subject.t4(self.name))
