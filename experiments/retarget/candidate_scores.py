"""The score of an edit: between what moving the objects physically does, and what needs no goal in the agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import Table, number
from goalmaze.experiments.retarget import trials
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.trials import EVERY, Trial
from goalmaze.experiments.statistics.bootstrap import Interval, paired_difference
from goalmaze.experiments.statistics.intervals import Rate

SCORE_COLUMNS = (
    "target: targets reached first where the goal is off the path; 95 % intervals over mazes\n"
    "floor: the most that was reached without a goal of the agent: by a compass, or by the same method fitted to an "
    "untrained network\n"
    "trained minus floor: the part of the rate that needs what the agent learned; the score\n"
    "reference: the most that was reached by physically moving the cue, or goal and cue, or both with a wall on the "
    "old goal's cell"
)


@dataclasses.dataclass(frozen=True, eq=False)
class CandidateScore:
    """A candidate beside its reference and its floor, where the goal lies on no shortest path to the target.

    Attributes:
        candidate: the edit.
        edit: its trial.
        reference: the trial of the best picture.
        floor: the trial of the best floor.
    """

    candidate: Candidate
    edit: Trial
    reference: Trial
    floor: Trial

    @property
    def above_floor(self) -> Interval:
        """Trained minus floor, paired by maze."""
        return self._minus(self.floor)

    @property
    def above_reference(self) -> Interval:
        """The edit's rate minus that of the reference, paired by maze."""
        return self._minus(self.reference)

    @property
    def has_fitted_floor(self) -> bool:
        """Whether the method was fitted anew to untrained networks; the compass is the only floor otherwise."""
        return self.candidate.context is not None

    def json(self) -> JsonObject:
        """Return the score as plain data."""
        return {
            **self.candidate.json(),
            **_rate(self.edit.off_path_rate),
            "floor": {"condition": self.floor.label.condition, **_rate(self.floor.off_path_rate)},
            "fitted_floor": self.has_fitted_floor,
            "trained_minus_floor": _difference(self.above_floor),
            "reference": {"condition": self.reference.label.condition, **_rate(self.reference.off_path_rate)},
            "minus_reference": _difference(self.above_reference),
        }

    def _minus(self, other: Trial) -> Interval:
        clear = self.edit.off_path
        ours, theirs = (one.reached_target[clear].astype(np.float64) for one in (self.edit, other))
        return paired_difference(ours - theirs)


def score_candidate(candidate: Candidate, results: Sequence[Trial]) -> CandidateScore:
    """Return the score of a candidate from the trials of a benchmark.

    The best picture and the best floor are chosen on the evaluation mazes themselves, which favours them over the edit.
    """
    own = (candidate.site, candidate.method)

    def best(conditions: Sequence[str]) -> Trial:
        found = [
            one
            for one in results
            if one.label.condition in conditions and (one.label.site, one.label.method) in (own, (None, None))
        ]
        return max(found, key=lambda one: one.off_path_rate.value)

    edit = next(
        one
        for one in results
        if (one.label.condition, one.label.site, one.label.method) == (trials.EDIT, *own) and one.label.steps == EVERY
    )
    return CandidateScore(candidate, edit, best(trials.PICTURES), best(trials.FLOORS))


def score_table(scores: Sequence[CandidateScore]) -> Table:
    """Return one row a candidate."""
    rows = [
        [
            one.candidate.method,
            one.candidate.site,
            one.edit.off_path_rate,
            one.floor.off_path_rate,
            one.floor.label.condition if one.has_fitted_floor else f"{one.floor.label.condition} (no other was run)",
            one.above_floor,
            one.reference.off_path_rate,
            one.reference.label.condition,
            one.above_reference,
        ]
        for one in scores
    ]
    return Table(
        [
            "method",
            "site",
            "target",
            "floor",
            "by",
            "trained minus floor",
            "reference",
            "by",
            "minus reference",
        ],
        rows,
        "scores",
    )


def _rate(rate: Rate) -> JsonObject:
    return {"target": number(rate.value), "low": number(rate.low), "high": number(rate.high)}


def _difference(difference: Interval) -> JsonObject:
    return {"value": number(difference.value), "low": number(difference.low), "high": number(difference.high)}
