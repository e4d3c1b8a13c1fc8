"""`capability`: the probability that the goal is reached within the time limit on training levels."""

from __future__ import annotations

from typing import ClassVar

from goalmaze.experiments.formation.exact import cell_policy
from goalmaze.experiments.formation.measures.base import Kind, Measure, Reading, Snapshot


class Capability(Measure):
    """The probability that the goal is reached within the time limit on the levels of the pool, computed exactly."""

    name = "capability"
    kind: ClassVar[Kind] = "training"

    def read(self, snapshot: Snapshot) -> Reading:
        """Return the mean over levels."""
        pool = snapshot.levels.pool
        reached = cell_policy(snapshot.policy, pool.levels, pool.goals).first_reached(pool.goals)[:, 0]
        return Reading.of_levels(lambda rows: float(reached[rows].mean()))
