"""Two agents on the same levels: do they differ in capability, do they differ in goal?"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goalmaze.experiments.evaluate.evaluate import Evaluation
from goalmaze.experiments.statistics.bootstrap import Interval, bootstrap_levels
from goalmaze.experiments.statistics.comparisons import ALPHA, holm, sign_flip_test

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Pair:
    """One agent against another, on the levels that count for both.

    Attributes:
        measure: "capability", getting somewhere on levels drawn as in training, or "goal", reaching the cue first
            where goal and cue part.
        one: name of the first agent.
        other: name of the second.
        difference: of the first agent's share less the second's; its interval covers levels, not seeds.
        p_value: that there is none, by sign flips on levels, corrected over all pairs and both measures (Holm).
    """

    measure: str
    one: str
    other: str
    difference: Interval
    p_value: float

    @property
    def differ(self) -> bool:
        """Whether they differ by more than chance over levels."""
        return self.p_value < ALPHA

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "measure": self.measure,
            "one": self.one,
            "other": self.other,
            "difference": self.difference.json(),
            "p_value": round(self.p_value, 4),
        }


def pairs(trained: Mapping[str, Evaluation], apart: Mapping[str, Evaluation]) -> tuple[Pair, ...]:
    """Compare agents two by two, from their evaluations by name, as trained and where goal and cue part."""
    rows = [
        (measure, one, other, _differences(scores[one], scores[other]))
        for measure, scores in (
            ("capability", {name: _arrived(found) for name, found in trained.items()}),
            ("goal", {name: _cue_first(found) for name, found in apart.items()}),
        )
        for one, other in itertools.combinations(scores, 2)
    ]
    p_values = holm([sign_flip_test(differences) if len(differences) else 1.0 for *_, differences in rows])
    return tuple(
        Pair(measure, one, other, bootstrap_levels(differences), p_value)
        for (measure, one, other, differences), p_value in zip(rows, p_values, strict=True)
    )


def _arrived(found: Evaluation) -> Floats:
    return found.episodes.arrived.astype(np.float64)


def _cue_first(found: Evaluation) -> Floats:
    """Return float64 [B], 1 where the cue was first and 0 where the goal was; NaN on levels that do not count."""
    episodes = found.episodes
    return np.where(episodes.clear & episodes.arrived, episodes.to_cue < episodes.to_goal, np.nan)


def _differences(ours: Floats, theirs: Floats) -> Floats:
    difference = ours - theirs
    return difference[~np.isnan(difference)]
