"""`goalmaze leakage`: how many evaluation levels of an agent occur among its training levels?"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from goalmaze.agents.loading import RECIPE, load_agent, run_folder
from goalmaze.agents.training.log import LOG, read_log
from goalmaze.agents.training.run import read_recipe
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import TRAINING, Family, LevelBatch
from goalmaze.experiments.catalogue.config import LeakageConfig
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted, number

CHUNK = 4096
"""Training levels compared at a time."""


@dataclasses.dataclass(frozen=True)
class LeakageReport(Record, Result):
    """The number of evaluation levels that occur in training.

    Attributes:
        header: run, family, size, evaluation levels and their seed.
        shift: of the evaluation levels.
        training_levels: number of levels in the range that training drew from.
        same_level: number of evaluation levels equal to one of them.
        same_observation: number of evaluation levels whose first observation equals that of one of them.
    """

    header: ResultHeader
    shift: str
    training_levels: int
    same_level: int
    same_observation: int

    def json(self) -> JsonObject:
        """Return the counts as plain data; the rate is that of equal first observations."""
        return super().json() | {"rate": number(self.same_observation / self.header.levels)}

    def blocks(self) -> list[str | Table]:
        """Return the counts and their rates."""
        header = self.header
        counts = {"same level": self.same_level, "same first observation": self.same_observation}
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
    seed, training_levels = _training_range(run_folder(config.agent))
    levels = agent.family.resized(config.size).levels(config.seed, count=config.levels, shift=config.shift)
    same_level, same_observation = count_leaks(levels, agent.family, seed, training_levels)
    header = ResultHeader(config.agent, agent.family.name, levels.height, config.levels, config.seed)
    return LeakageReport(header, config.shift, training_levels, same_level, same_observation)


def count_leaks(levels: LevelBatch, family: Family, seed: int, training_levels: int) -> tuple[int, int]:
    """Return how many evaluation levels equal a training level, and how many look like one at the first step.

    Args:
        levels: evaluation levels.
        family: trained on.
        seed: of the training levels.
        training_levels: number of training levels.
    """
    hashes, observations = levels.hashes(), _observation_hashes(levels)
    leaked_hashes: set[str] = set()
    leaked_observations: set[str] = set()
    # Levels of another size equal none of training.
    if levels.height == family.size:
        # In chunks: a range of millions of levels does not fit into memory.
        for first in tqdm(range(0, training_levels, CHUNK), desc="comparing", disable=None):
            batch = family.levels(seed, np.arange(first, min(first + CHUNK, training_levels)), split=TRAINING)
            leaked_hashes.update(set(hashes).intersection(batch.hashes()))
            leaked_observations.update(set(observations).intersection(_observation_hashes(batch)))
    return sum(one in leaked_hashes for one in hashes), sum(one in leaked_observations for one in observations)


def _observation_hashes(levels: LevelBatch) -> list[str]:
    """Return a hash of the first observation of every level."""
    # 16 bytes an observation instead of the observation: collisions of 128 bits do not occur.
    return [hashlib.blake2b(planes.tobytes(), digest_size=16).hexdigest() for planes in first_observations(levels)]


def _training_range(folder: Path) -> tuple[int, int]:
    """Return the seed of a run's training levels, and the number of levels from index 0 that training drew from."""
    # The highest index in the log, and not the settings: a run that was stopped early drew from a shorter range.
    try:
        return read_recipe(folder)[0].seed, max(int(line["levels"]) for line in read_log(folder))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise GoalmazeError(
            f"{folder} has no readable {RECIPE} and {LOG}, so its training levels are unknown ({error})"
        ) from None
