"""The report of `goalmaze plans`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import Trajectory
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.evaluate.fitted_results import FittedResult
from goalmaze.experiments.plans.readings import PlanReading, PlanRefinement
from goalmaze.experiments.plans.rerouting import RerouteRow
from goalmaze.experiments.plans.thinking import ThinkingRow


@dataclasses.dataclass(frozen=True, eq=False)
class PlanExamples:
    """Plans that a probe of single squares decodes in some held-out mazes, for a figure.

    Attributes:
        trajectory: what the agent does in them.
        decoded: tick → int64 [N, H*W], the class of `approaches` at every square.
        layer: that is read, from 1.
    """

    trajectory: Trajectory
    decoded: list[NDArray[np.int64]]
    layer: int


@dataclasses.dataclass(frozen=True)
class PlansReport(FittedResult):
    """An agent's plans: read, refined, changed, and the effect of thinking longer. Parts left out are empty.

    Attributes:
        readings: macro-F1 of probes at every layer and tick of the first step.
        refinements: macro-F1 of one probe along further ticks.
        edits: how often the agent takes the alternative route.
        thinking: how many levels it solves with extra passes.
        pictures: the figures drawn.
        examples: plans decoded in some mazes; None without readings.
    """

    readings: tuple[PlanReading, ...] = ()
    refinements: tuple[PlanRefinement, ...] = ()
    edits: tuple[RerouteRow, ...] = ()
    thinking: tuple[ThinkingRow, ...] = ()
    pictures: tuple[Path, ...] = ()
    examples: PlanExamples | None = dataclasses.field(default=None, repr=False, compare=False)

    def edit(self, condition: str, concept: str | None = None) -> RerouteRow:
        """Return the row of a condition, and of a concept where several have it."""
        return next(one for one in self.edits if one.condition == condition and concept in (None, one.concept))

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            **self.header_json(),
            "readings": [one.json() for one in self.readings],
            "refinement": [one.json() for one in self.refinements],
            "edits": [one.json() for one in self.edits],
            "thinking": [one.json() for one in self.thinking],
            "intervals_cover": "mazes",
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return a heading and the tables of the parts."""
        header = self.header
        heading = (
            f"{header.agent} on {header.family} {header.size}x{header.size}: {header.levels} held-out mazes whose "
            f"walls no probe was fitted on, {self.fit_levels} others to fit on; 95 % intervals cover mazes, not "
            f"training seeds\n{self.overlap.sentence}"
        )
        return [
            heading,
            *self._readings(),
            *self._edits(),
            *self._thinking(),
            *(f"picture: {p}" for p in self.pictures),
        ]

    def _readings(self) -> list[str | Table]:
        if not self.readings:
            return []
        columns = [
            "concept",
            "window",
            "layer",
            "tick",
            "macro-F1",
            "balanced accuracy",
            "observation",
            "untrained",
            "shuffled",
        ]
        rows: list[list[object]] = [
            [
                one.concept,
                f"{one.side}x{one.side}",
                one.layer,
                one.tick,
                one.score,
                f"{one.recall.value:.2f}",
                *(f"{baseline.value:.2f}" for baseline in (one.observation, one.untrained, one.shuffled)),
            ]
            for one in self.readings
        ]
        ticks = range(1, 1 + len(self.refinements[0].scores))
        refined: list[list[object]] = [
            [one.concept, one.layer, *(f"{score.value:.2f}" for score in one.scores)] for one in self.refinements
        ]
        return [
            Table(columns, rows, "what probes of a plan read"),
            Table(["concept", "layer", *(str(tick) for tick in ticks)], refined, "macro-F1 of one probe, by tick"),
        ]

    def _edits(self) -> list[str | Table]:
        if not self.edits:
            return []
        columns = ["condition", "concept", "layer", "strength", "alternative taken", "followed exactly", "arrived"]
        return [
            Table(columns, [one.row() for one in self.edits], "plans changed"),
            f"{self.edits[0].taken.levels} held-out mazes with a second, longer route; layer and strength are selected "
            "on fitting mazes; taken: arrives and enters no square that the alternative leaves out",
        ]

    def _thinking(self) -> list[str | Table]:
        if not self.thinking:
            return []
        columns = ["size", "extra passes", "solved", "gained", "lost", "p", "detour"]
        return [Table(columns, [one.row() for one in self.thinking], "thinking before the first action")]
