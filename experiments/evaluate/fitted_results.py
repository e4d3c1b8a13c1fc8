"""Results of probes and edits, which are fitted on some levels and evaluated on held-out ones."""

from __future__ import annotations

import dataclasses

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.evaluate.training_overlap import TrainingOverlap


@dataclasses.dataclass(frozen=True)
class FittedResult(Result):
    """A result of probes or edits that were fitted on some levels and evaluated on others.

    Attributes:
        header: the agent and the held-out evaluation levels.
        fit_levels: number of levels that were fitted on.
        overlap: how many of the evaluation levels the agent has met in training.
    """

    header: ResultHeader
    fit_levels: int
    overlap: TrainingOverlap

    def header_json(self) -> JsonObject:
        """Return header, number of fitting levels and overlap as plain data, with which that of the result begins."""
        return {**self.header.json(), "fit_levels": self.fit_levels, "training_overlap": self.overlap.json()}
