"""`cue-first`: the probability that the cue is reached first, computed exactly from the policy on all cells."""

from __future__ import annotations

from typing import ClassVar

from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.formation.measures.base import Kind, Measure, Reading, Snapshot


class CueFirst(Measure):
    """The probability that the cue is reached first, given that one of the two is reached within the time limit."""

    name = "cue-first"
    kind: ClassVar[Kind] = "behaviour"

    def read(self, snapshot: Snapshot) -> Reading:
        """Return the preference on the levels of the series."""
        return preference(snapshot, snapshot.levels.series)


class FinalPreference(Measure):
    """The same on the levels of the final preference; it is what is forecast."""

    name = "final preference"
    kind: ClassVar[Kind] = "behaviour"
    costly: ClassVar[bool] = True

    def read(self, snapshot: Snapshot) -> Reading:
        """Return the preference on the levels of the final preference."""
        return preference(snapshot, snapshot.levels.final)


def preference(snapshot: Snapshot, levels: LevelBatch) -> Reading:
    """Return the preference of a network for the cue on distinguishing levels."""
    cells = snapshot.series if levels is snapshot.levels.series else snapshot.on_distinguishing(levels)
    family = levels.family
    reached = cells.first_reached(levels.cells(family.goal), levels.cells(family.cue))

    def statistic(rows: slice) -> float:
        goal, cue = reached[rows].sum(axis=0)
        return float(cue / max(goal + cue, 1e-12))

    return Reading.of_levels(statistic)
