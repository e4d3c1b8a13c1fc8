"""`goalmaze leakage`: how many evaluation levels of an agent occur among its training levels?"""

from __future__ import annotations

import dataclasses

from goalmaze.agents.loading import load_agent
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.catalogue.config import LeakageConfig
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.evaluate.training_overlap import TrainingOverlap, compare_with_training


@dataclasses.dataclass(frozen=True)
class LeakageReport(Result):
    """The number of evaluation levels that occur in training.

    Attributes:
        header: run, family, size, evaluation levels and their seed.
        shift: of the evaluation levels.
        overlap: with all levels of the range that training drew from.
    """

    header: ResultHeader
    shift: str
    overlap: TrainingOverlap

    def json(self) -> JsonObject:
        """Return the counts as plain data; the rate is that of equal first observations."""
        rate = number(self.overlap.same_observation / self.header.levels)
        return {**self.header.json(), "shift": self.shift, **self.overlap.json(), "rate": rate}

    def blocks(self) -> list[str | Table]:
        """Return the counts and their rates."""
        header, overlap = self.header, self.overlap
        counts = {
            "same level": overlap.same_level,
            "same first observation": overlap.same_observation,
            "same walls": overlap.same_walls,
        }
        return [
            f"{header.agent}, shift {self.shift}: {header.levels} evaluation levels against the "
            f"{overlap.compared:,} levels of the training range",
            Table(
                ["leakage", "levels", "rate"],
                [[name, count, formatted(count / header.levels, ".1%")] for name, count in counts.items()],
            ),
        ]


def run(config: LeakageConfig) -> LeakageReport:
    """Compare evaluation levels with all levels of the run's training range.

    Raises:
        GoalmazeError: no such agent or shift, or the run's recipe or log is missing.
    """
    agent = load_agent(config.agent)
    levels = agent.family.resized(config.size).levels(config.seed, count=config.levels, shift=config.shift)
    header = ResultHeader(config.agent, agent.family.name, levels.height, config.levels, config.seed)
    return LeakageReport(header, config.shift, compare_with_training(agent, levels))
