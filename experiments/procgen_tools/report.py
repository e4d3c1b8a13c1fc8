"""The report of the measurements on Procgen's maze."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.procgen_tools.study import HeatRow, RegionRow, VectorRow
from goalmaze.probes.procgen_tools.retargetability import BINS


@dataclasses.dataclass(frozen=True)
class ProcgenReport(Result):
    """What one agent does by region, under vectors, and under edits of its goal.

    Attributes:
        header: agent and levels.
        site: of vectors and edits.
        regions: rows by region of the cheese.
        vectors: rows by vector.
        heat: rows by condition and distance.
    """

    header: ResultHeader
    site: str
    regions: tuple[RegionRow, ...]
    vectors: tuple[VectorRow, ...]
    heat: tuple[HeatRow, ...]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            **self.header.json(),
            "site": self.site,
            "regions": [dataclasses.asdict(row) for row in self.regions],
            "vectors": [dataclasses.asdict(row) for row in self.vectors],
            "heat": [dataclasses.asdict(row) for row in self.heat],
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return the three tables, each with what its numbers are."""
        agent = self.header.agent
        regions = Table(
            ["region", "solved"],
            [[f"{row.region}x{row.region}", row.solved] for row in self.regions],
            f"{agent}: solved levels by the region of the cheese, {self.header.levels} levels each",
        )
        counted = self.vectors[0].outcomes.goal.levels
        vectors = Table(
            ["vector", "factor", "cheese first", "corner first", "neither"],
            [
                [
                    row.vector,
                    formatted(row.strength, "+.0f"),
                    row.outcomes.goal,
                    row.outcomes.other,
                    row.outcomes.neither,
                ]
                for row in self.vectors
            ],
            f"vectors at {self.site}, {counted} levels in which neither cheese nor corner lies on the way to the other",
        )
        heat = Table(
            ["condition", "steps off the path", "cells", "path probability"],
            [["" if row.low else row.condition, _distance(row), row.cells, row.mean] for row in self.heat],
            f"path probability of every cell, cheese removed, edits at {self.site}",
        )
        return [regions, vectors, heat, "intervals cover levels; of path probabilities, means of levels"]


def _distance(row: HeatRow) -> str:
    if row.low is None:
        return "all"
    high = BINS[BINS.index(row.low) + 1] - 1
    return f"{row.low} or more" if high + 1 == BINS[-1] else f"{row.low} to {high}"
