"""How many of the levels that judge an agent did it meet in training?"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from goalmaze.agents.loading import RECIPE, load_agent, run_folder
from goalmaze.agents.training.log import LOG, read_log
from goalmaze.agents.training.run import read_recipe
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, TRAINING, LevelBatch
from goalmaze.experiments.catalogue.config import LeakageConfig
from goalmaze.experiments.common.tables import number

CHUNK = 4096


@dataclasses.dataclass(frozen=True)
class LeakageReport:
    """How many evaluation levels occur in training.

    Attributes:
        agent: the run.
        shift: of the evaluation levels.
        levels: how many there are.
        training_levels: how many levels lie in the range that training drew from.
        same_level: evaluation levels equal to one of them.
        same_observation: evaluation levels whose first observation equals that of one of them.
    """

    agent: str
    shift: str
    levels: int
    training_levels: int
    same_level: int
    same_observation: int

    def json(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return dataclasses.asdict(self) | {"share": number(self.same_observation / self.levels)}

    def text(self) -> str:
        """Return the counts in a sentence each."""
        return (
            f"{self.agent}, shift {self.shift}: of {self.levels} evaluation levels, {self.same_level} are among the "
            f"{self.training_levels:,} levels of the training range;\n"
            f"{self.same_observation} look the same at the first step ({self.same_observation / self.levels:.1%})"
        )


def run(config: LeakageConfig) -> LeakageReport:
    """Compare evaluation levels with all levels of the run's training range.

    Raises:
        GoalmazeError: no such agent or shift, or the run's recipe or log is missing.
    """
    agent = load_agent(config.agent)
    seed, begun = _training_range(run_folder(config.agent))
    judged = agent.family.resized(config.size).levels(config.seed, np.arange(config.levels), config.shift, EVALUATION)
    family = agent.family
    levels, views = set(judged.hashes()), set(_views(judged))
    met_levels: set[str] = set()
    met_views: set[str] = set()
    if judged.height == family.size:
        for first in tqdm(range(0, begun, CHUNK), desc="comparing", disable=None):
            batch = family.levels(seed, np.arange(first, min(first + CHUNK, begun)), split=TRAINING)
            met_levels |= levels.intersection(batch.hashes())
            met_views |= views.intersection(_views(batch))
    same_level = sum(one in met_levels for one in judged.hashes())
    same_view = sum(one in met_views for one in _views(judged))
    return LeakageReport(config.agent, config.shift, config.levels, begun, same_level, same_view)


def _views(levels: LevelBatch) -> list[str]:
    return [hashlib.blake2b(planes.tobytes(), digest_size=16).hexdigest() for planes in first_observations(levels)]


def _training_range(folder: Path) -> tuple[int, int]:
    """Return the run's level seed, and one more than the highest level index it played."""
    try:
        return read_recipe(folder)[0].seed, max(int(line["levels"]) for line in read_log(folder))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise GoalmazeError(
            f"{folder} has no readable {RECIPE} and {LOG}, so its training levels are unknown ({error})"
        ) from None
