"""`goalmaze train --watch-goal`: the preference that the inside forecasts while an agent trains, and when to stop.

The forecast is that of the audit: the calibrated method with the smallest error that needs no distinguishing level,
on training levels of the audit pool.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Literal, Self, get_args

from goalmaze.agents.networks.base import Network
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.experiments.audit.calibration import MethodCalibration, interval_of, shipped_calibration
from goalmaze.experiments.formation.registration import registered
from goalmaze.probes.audit.method import Measurement
from goalmaze.probes.audit.pool import AuditPool, make_pool
from goalmaze.probes.audit.registry import audit_methods, find_audit_method
from goalmaze.probes.audit.subject import AuditSubject
from goalmaze.probes.audit.tiers import Tier

Pursued = Literal["cue", "goal"]

FIRST, RATIO = 0.02, 1.2
"""The fraction of training at which the watch looks first, and the factor from each look to the next."""


@dataclasses.dataclass(frozen=True)
class StopRule:
    """Stop where the forecast preference for the cue, or for the goal, is at least a threshold.

    Attributes:
        pursued: the cue or the goal.
        threshold: from 0 to 1.
    """

    pursued: Pursued
    threshold: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rule of a text such as "cue=0.8".

        Raises:
            GoalmazeError: it is something else.
        """
        name, _, value = text.partition("=")
        try:
            threshold = float(value)
        except ValueError:
            threshold = -1.0
        if name not in get_args(Pursued) or not 0 < threshold <= 1:
            raise GoalmazeError(f"--stop-if is {text!r}: write cue=0.8 or goal=0.8, with a number from 0 to 1")
        return cls("cue" if name == "cue" else "goal", threshold)

    def applies(self, preference: float) -> bool:
        """Return whether to stop at a forecast preference for the cue."""
        return (preference if self.pursued == "cue" else 1 - preference) >= self.threshold

    def __str__(self) -> str:
        return f"{self.pursued}={self.threshold:g}"


@dataclasses.dataclass(frozen=True)
class Forecaster:
    """A calibrated audit method.

    Attributes:
        method: its name.
        calibration: from its score to a preference.
    """

    method: str
    calibration: MethodCalibration

    def preference(self, score: float) -> tuple[float, float, float]:
        """Return the forecast preference for the cue and the ends of its 95 % prediction interval."""
        return interval_of(self.calibration.logit(Measurement(score)), self.calibration.spread)


def forecaster_for(pool: AuditPool) -> Forecaster:
    """Return the calibrated method with the smallest error that needs no distinguishing level and applies to a pool.

    Raises:
        GoalmazeError: no method is calibrated for the pool's group of families.
    """
    known = audit_methods()
    fits = {
        name: fit
        for name, fit in shipped_calibration().groups.get(pool.group, {}).items()
        if name in known
        and known[name].tier <= Tier.T3
        and not known[name].side_channel
        and fit.features == ("score",)
        and not known[name].refusal(pool)
    }
    if not fits:
        raise GoalmazeError(f"no audit method is calibrated for {pool.family.name}: train without --watch-goal")
    name = min(fits, key=lambda one: fits[one].error)
    return Forecaster(name, fits[name])


class GoalWatch:
    """Forecasts the preference of a network that trains; a `TrainingWatch`.

    Args:
        family: of the training levels.
        spec: the observation mode.
        steps: environment steps of the whole training.
        rule: when to stop; None for never.

    Attributes:
        forecasts: environment steps → forecast preference for the cue, of every look so far.

    Raises:
        GoalmazeError: the family cannot be audited, or no method is calibrated for it.
    """

    def __init__(self, family: Family, spec: ObservationSpec, steps: int, rule: StopRule | None = None) -> None:
        self._pool = make_pool(family, spec, registered().pool_levels)
        self._forecaster = forecaster_for(self._pool)
        self._steps, self._rule, self._reason = steps, rule, ""
        self._next = FIRST * steps
        self.forecasts: dict[int, float] = {}

    @property
    def stop_reason(self) -> str:
        """Why training is to stop; empty while it is to go on."""
        return self._reason

    def is_due(self, steps: int) -> bool:
        """Return whether it looks after so many environment steps."""
        return steps >= self._next

    def look(self, network: Network, steps: int) -> dict[str, str]:
        """Forecast the preference and return it for the progress bar."""
        while self._next <= steps:
            self._next *= RATIO
        # A copy on the CPU: an audit sets the network to evaluation and reads observations that are there.
        subject = AuditSubject(copy.deepcopy(network).cpu().float(), self._pool)
        score = find_audit_method(self._forecaster.method).run(subject).score
        assert score is not None, "the calibration reads a score"
        value, low, high = self._forecaster.preference(score)
        self.forecasts[steps] = value
        if self._rule is not None and self._rule.applies(value):
            self._reason = (
                f"--stop-if {self._rule}: the forecast preference for the {self._pool.family.cue} is {value:.2f} "
                f"[{low:.2f}, {high:.2f}] after {steps:,} of {self._steps:,} steps, "
                f"so {1 - steps / self._steps:.0%} of the steps are saved"
            )
        return {"cue": f"{value:.2f} [{low:.2f}, {high:.2f}]"}
