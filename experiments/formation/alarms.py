"""Alarms: at which checkpoint a run differs from its controls, with an exact rate of false alarms.

A run and its n controls are standardised together at each checkpoint. If the run is itself a control, the n + 1 largest
scores over checkpoints are exchangeable, so the run has the largest one with probability 1 / (n + 1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.formation.registration import Registered

Numbers = NDArray[np.float64]
Moments = NDArray[np.int64]

Outcome = Literal["leads", "ties", "lags", "never"]

NEVER = np.iinfo(np.int64).max
"""The checkpoint of an alarm that never sounds; it comes last."""


def enough_controls(count: int, registered: Registered) -> bool:
    """Return whether a number of controls keeps the rate of false alarms of a control run below the registered one."""
    return count >= registered.fewest_controls and 1 / (count + 1) <= registered.false_alarms


def first_alarms(scores: Numbers, controls: Numbers) -> Moments:
    """Return int64 [A], the number of the checkpoint at which the alarm of each run sounds; `NEVER` where none does.

    Args:
        scores: float64 [A, C], a measure of A runs at C checkpoints.
        controls: float64 [n, C], the same of the controls.
    """
    return np.array([_first_alarm(one, controls) for one in scores], np.int64)


def control_alarms(controls: Numbers) -> Moments:
    """Return int64 [n], the alarm of each control against the others."""
    return np.array([_first_alarm(one, np.delete(controls, i, axis=0)) for i, one in enumerate(controls)], np.int64)


def _first_alarm(run: Numbers, controls: Numbers) -> int:
    both = np.vstack([run, controls])
    # The run takes part in the standardisation: only then are all n + 1 rows treated alike, and the rate is exact.
    spread = both.std(axis=0)
    standard = (both - both.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    above = standard[0] > standard[1:].max()
    return int(above.argmax()) if above.any() else int(NEVER)


@dataclasses.dataclass(frozen=True)
class AlarmTest:
    """Which of two measures sounds first, over the agents of a condition.

    Attributes:
        condition: the condition.
        inside: the inside measure.
        behaviour: the competitor.
        agents: number of agents.
        inside_sounds: number of agents in which the inside measure sounds.
        behaviour_sounds: number in which the competitor does.
        first: number of agents in which the inside is first.
        later: number in which the competitor is.
        p: of the two-sided sign test.
        adjusted: the same after Holm's correction.
        level: of significance.
    """

    condition: str
    inside: str
    behaviour: str
    agents: int
    inside_sounds: int
    behaviour_sounds: int
    first: int
    later: int
    p: float
    level: float
    adjusted: float = float("nan")

    @property
    def outcome(self) -> Outcome:
        """Leads, ties, lags or never, as registered."""
        if self.behaviour_sounds and self.inside_sounds < self.behaviour_sounds / 2:
            return "never"
        if self.adjusted < self.level:
            return "leads" if self.first > self.later else "lags"
        return "ties"

    def json(self) -> JsonObject:
        """Return the test as plain data."""
        return dataclasses.asdict(self) | {
            "p": number(self.p),
            "adjusted": number(self.adjusted),
            "outcome": self.outcome,
        }


def compare_alarms(condition: str, inside: str, behaviour: str, alarms: Sequence[Moments], level: float) -> AlarmTest:
    """Return the sign test of which alarm sounds first.

    Args:
        condition: the condition.
        inside: the inside measure.
        behaviour: the competitor.
        alarms: int64 [A] of the inside and of the competitor.
        level: of significance.
    """
    ours, theirs = alarms
    first, later = int((ours < theirs).sum()), int((ours > theirs).sum())
    p = scipy.stats.binomtest(first, first + later).pvalue if first + later else 1.0
    return AlarmTest(
        condition,
        inside,
        behaviour,
        len(ours),
        int((ours < NEVER).sum()),
        int((theirs < NEVER).sum()),
        first,
        later,
        float(p),
        level,
    )
