"""`goalmaze leakage`: how many evaluation levels of an agent occur among its training levels?"""

from __future__ import annotations

import dataclasses

from goalmaze.agents.loading import load_agent
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.catalogue.config import LeakageConfig
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.evaluate.training_overlap import compare_with_training


@dataclasses.dataclass(frozen=True)
class LeakageReport(Record, Result):
    """The number of evaluation levels that occur in training.

    Attributes:
        header: run, family, size, evaluation levels and their seed.
        shift: of the evaluation levels.
        training_levels: number of levels in the range that training drew from.
        same_level: number of evaluation levels equal to one of them.
        same_observation: number of evaluation levels whose first observation equals that of one of them.
        same_walls: number of evaluation levels whose walls equal those of one of them.
    """

    header: ResultHeader
    shift: str
    training_levels: int
    same_level: int
    same_observation: int
    same_walls: int

    def json(self) -> JsonObject:
        """Return the counts as plain data; the rate is that of equal first observations."""
        return super().json() | {"rate": number(self.same_observation / self.header.levels)}

    def blocks(self) -> list[str | Table]:
        """Return the counts and their rates."""
        header = self.header
        counts = {
            "same level": self.same_level,
            "same first observation": self.same_observation,
            "same walls": self.same_walls,
        }
        return [
            f"{header.agent}, shift {self.shift}: {header.levels} evaluation levels against the "
            f"{self.training_levels:,} levels of the training range",
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
    overlap = compare_with_training(agent, levels)
    return LeakageReport(
        header=ResultHeader(config.agent, agent.family.name, levels.height, config.levels, config.seed),
        shift=config.shift,
        training_levels=overlap.training_levels or 0,
        same_level=overlap.same_level,
        same_observation=overlap.same_observation,
        same_walls=overlap.same_walls,
    )
