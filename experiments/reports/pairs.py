"""Tests of whether two agents differ in capability and in goal preference, on the same levels."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from goalmaze.experiments.common.records import Record
from goalmaze.experiments.evaluate.evaluation import Evaluation
from goalmaze.experiments.statistics.bootstrap import Interval, paired_difference
from goalmaze.experiments.statistics.comparisons import ALPHA, holm, sign_flip_test

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Pair(Record):
    """Two agents compared in one measure, on the levels that count for both.

    Attributes:
        measure: "capability", reaching goal or cue on the training distribution, or "goal", reaching the cue first
            under the distinguishing shift.
        one: name of the first agent.
        other: name of the second.
        difference: the first agent's rate minus the second's; its interval covers levels, not training seeds.
        p_value: of no difference, by sign flips on levels, Holm-adjusted over all pairs and both measures.
    """

    measure: str
    one: str
    other: str
    difference: Interval
    p_value: float

    @property
    def differ(self) -> bool:
        """Whether they differ significantly."""
        return self.p_value < ALPHA


def compare_pairs(
    in_distribution: Mapping[str, Evaluation], distinguishing: Mapping[str, Evaluation]
) -> tuple[Pair, ...]:
    """Compare all agents in pairs, from their evaluations by name on the two distributions."""
    scores: dict[str, dict[str, Floats]] = {
        "capability": {name: one.episodes.arrived.astype(np.float64) for name, one in in_distribution.items()},
        "goal": {name: one.episodes.cue_first for name, one in distinguishing.items()},
    }
    rows = [
        (measure, one, other, _differences(of[one], of[other]))
        for measure, of in scores.items()
        for one, other in itertools.combinations(of, 2)
    ]
    # One adjustment over all pairs and both measures, since a reader scans them as one table.
    p_values = holm([sign_flip_test(differences) if len(differences) else 1.0 for *_, differences in rows])
    return tuple(
        Pair(measure, one, other, paired_difference(differences), p_value)
        for (measure, one, other, differences), p_value in zip(rows, p_values, strict=True)
    )


def _differences(ours: Floats, theirs: Floats) -> Floats:
    """Return the differences on the levels that count for both; a level that does not count is NaN."""
    difference = ours - theirs
    return difference[~np.isnan(difference)]
