"""Overlap of evaluation levels with the levels that an agent was trained on: whole levels, first observations, walls.

Levels of different splits are drawn independently, but small mazes repeat. How many evaluation levels are new to an
agent is therefore a measurement and not a property of the split.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from goalmaze.agents.loading import RECIPE, Agent, locate
from goalmaze.agents.training.log import LOG, read_log
from goalmaze.agents.training.run import read_recipe
from goalmaze.envs.cells import ABSENT, Bools
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import TRAINING, Family, LevelBatch
from goalmaze.experiments.common.records import Record

CHUNK = 2048
"""Levels generated at a time: a range of millions of levels does not fit into memory."""

QUICK_CELLS = 4_000_000
"""Cells of training levels that an evaluation compares with at most, a few tenths of a second of work."""

MAX_EXAMINED = 64
"""Evaluation levels that are examined for each one with unseen walls, before the search ends."""

Digests = NDArray[np.uint64]


@dataclasses.dataclass(frozen=True)
class LevelDigests:
    """Digests of B levels; equal digests mean equal levels, with an error probability below 1e-15 a pair.

    Attributes:
        level: uint64 [B], of walls, start and objects.
        observation: uint64 [B], of the first observation in the mode of the family's engine.
        walls: uint64 [B], of the walls alone.
    """

    level: Digests
    observation: Digests
    walls: Digests


@dataclasses.dataclass(frozen=True)
class TrainingOverlap(Record):
    """How many evaluation levels an agent has met in training.

    Attributes:
        agent: its name.
        levels: number of evaluation levels.
        training_levels: number of levels in the range that training drew from; None where it is unknown.
        compared: number of these that were compared; with fewer than all, the counts are lower bounds.
        same_level: number of evaluation levels that equal a training level.
        same_observation: number of those whose first observation equals that of a training level.
        same_walls: number of those whose walls equal those of a training level.
        unknown: why nothing was compared; empty where something was.
    """

    agent: str
    levels: int
    training_levels: int | None = None
    compared: int = 0
    same_level: int = 0
    same_observation: int = 0
    same_walls: int = 0
    unknown: str = ""

    @property
    def sentence(self) -> str:
        """The counts in one line."""
        if self.unknown or self.training_levels is None:
            return f"met in training by {self.agent}: unknown, {self.unknown}"
        whole = self.compared == self.training_levels
        counts = (self.same_walls, self.same_observation, self.same_level)
        walls, observations, levels = (f"{count / max(self.levels, 1):.1%}" for count in counts)
        among = f"all {self.compared:,} training levels"
        if not whole:
            among = f"the first {self.compared:,} of {self.training_levels:,} training levels; all: goalmaze leakage"
        return (
            f"met in training by {self.agent}: {'' if whole else 'at least '}the walls of {walls} of these levels, the "
            f"first observation of {observations}, the whole level of {levels} (compared with {among})"
        )


def level_digests(levels: LevelBatch) -> LevelDigests:
    """Return the digests of B levels."""
    walls = wall_digests(levels)
    whole = walls + _digests(levels.start[:, None], "start")
    for name in sorted(set(levels.slots)):
        # Objects of one type are interchangeable, and absent ones add nothing.
        slots = [k for k, kind in enumerate(levels.slots) if kind == name]
        whole = whole + _digests(np.sort(levels.objects[:, slots] - ABSENT, axis=1)[:, ::-1], f"object {name}")
    observations = first_observations(levels)
    return LevelDigests(
        whole, _digests(observations.reshape(len(levels), -1), f"observation {observations.shape[1:]}"), walls
    )


def wall_digests(levels: LevelBatch) -> Digests:
    """Return uint64 [B], digests of the walls alone."""
    cells = levels.height * levels.width
    return _digests(levels.walls.reshape(len(levels), cells), f"{levels.height}x{levels.width}")


def _digests(rows: NDArray[np.generic], name: str) -> Digests:
    """Return uint64 [B], one for each of the rows [B, N] of a named kind."""
    # Multilinear hashing (Carter and Wegman, 1979): a random key for each column, and sums modulo 2^64. It takes one
    # pass of NumPy over all rows, where a cryptographic digest would take one call a level.
    digests: Digests = (rows.astype(np.uint64) * _keys(name, rows.shape[1])).sum(axis=1, dtype=np.uint64)
    return digests


@functools.cache
def _keys(name: str, columns: int) -> Digests:
    # Python's own hash of a string changes from run to run.
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng(seed).integers(0, 2**64, columns, np.uint64)


def training_range(agent: Agent) -> tuple[int, int]:
    """Return the seed of an agent's training levels, and the number of levels from index 0 that training drew from.

    Raises:
        GoalmazeError: its recipe or log cannot be read.
    """
    if agent.header is None:
        raise GoalmazeError(f"{agent.name} was not loaded from a run folder, so its training levels are unknown")
    place = locate(agent.name)
    folder, number = place.folder, place.number
    # The highest index in the log, and not the settings: a run that was stopped early drew from a shorter range.
    try:
        return read_recipe(folder, number)[0].seed, max(int(line["levels"]) for line in read_log(folder, number))
    except (OSError, ValueError, KeyError, TypeError, csv.Error, GoalmazeError) as error:
        raise GoalmazeError(
            f"{folder} has no readable {RECIPE} and {LOG}, so its training levels are unknown ({error})"
        ) from None


def training_chunks(family: Family, seed: int, count: int) -> Iterator[LevelBatch]:
    """Yield the first `count` training levels of a seed in batches."""
    for first in range(0, count, CHUNK):
        yield family.levels(seed, np.arange(first, min(first + CHUNK, count)), split=TRAINING)


def met_in_training(levels: LevelBatch, family: Family, seed: int, count: int, *, bar: bool = False) -> Bools:
    """Return bool [3, B], whether level, first observation and walls of B levels equal those of a training level.

    Args:
        levels: B evaluation levels.
        family: trained on.
        seed: of the training levels.
        count: number of training levels to compare with, from index 0.
        bar: whether to show a progress bar.
    """
    ours, met = level_digests(levels), np.zeros((3, len(levels)), np.bool_)
    # Levels of another size equal none of training.
    if levels.walls.shape[1:] != (family.size, family.size):
        return met
    # None shows the bar in a terminal only.
    with tqdm(total=count, desc="comparing", unit="level", disable=None if bar else True) as progress:
        for batch in training_chunks(family, seed, count):
            theirs = level_digests(batch)
            met[0] |= np.isin(ours.level, theirs.level)
            met[1] |= np.isin(ours.observation, theirs.observation)
            met[2] |= np.isin(ours.walls, theirs.walls)
            progress.update(len(batch))
    return met


def compare_with_training(agent: Agent, levels: LevelBatch, most: int | None = None) -> TrainingOverlap:
    """Return how many evaluation levels an agent has met in training.

    Args:
        agent: loaded from a run folder.
        levels: evaluation levels.
        most: number of training levels to compare with at most; all by default, with a progress bar.

    Raises:
        GoalmazeError: the agent's recipe or log cannot be read.
    """
    seed, training_levels = training_range(agent)
    compared = training_levels if most is None else min(training_levels, most)
    met = met_in_training(levels, agent.family, seed, compared, bar=most is None)
    same_level, same_observation, same_walls = (int(count) for count in met.sum(axis=1))
    return TrainingOverlap(agent.name, len(levels), training_levels, compared, same_level, same_observation, same_walls)


def quick_overlap(agent: Agent, levels: LevelBatch) -> TrainingOverlap:
    """Return how many evaluation levels an agent has met in training, from a limited number of training levels."""
    # Levels that a family generates by other means than the compiled kernels may take milliseconds each.
    if type(agent.family).generate is not Family.generate:
        reason = f"levels of {agent.family.name} take long to make"
        return TrainingOverlap(agent.name, len(levels), unknown=reason)
    try:
        return compare_with_training(agent, levels, QUICK_CELLS // agent.family.size**2)
    except GoalmazeError as error:
        return TrainingOverlap(agent.name, len(levels), unknown=str(error))


def levels_with_unseen_walls(
    agents: Sequence[Agent], family: Family, *, count: int, shift: str, seed: int
) -> LevelBatch:
    """Return the first `count` evaluation levels whose walls none of the agents has met in training.

    Args:
        agents: loaded from run folders. All of their training levels are compared.
        family: of the levels.
        count: number of levels.
        shift: of the levels.
        seed: of the levels.

    Raises:
        GoalmazeError: an agent's recipe or log cannot be read, or there are too few such levels.
    """
    met = [_training_walls(agent) for agent in agents if agent.family.size == family.size]
    known = np.unique(np.concatenate(met)) if met else np.empty(0, np.uint64)
    kept: list[int] = []
    examined = 0
    while len(kept) < count and examined < MAX_EXAMINED * count:
        indices = np.arange(examined, examined + count)
        levels = family.levels(seed, indices, shift=shift)
        kept += indices[~np.isin(wall_digests(levels), known)].tolist()
        examined += count
    if len(kept) < count:
        raise GoalmazeError(
            f"only {len(kept)} of the first {examined} evaluation levels have walls that were not met in training: "
            "ask for fewer levels or choose a larger size"
        )
    return family.levels(seed, kept[:count], shift=shift)


def _training_walls(agent: Agent) -> Digests:
    """Return uint64 [n], the different walls of an agent's training levels."""
    seed, count = training_range(agent)
    walls = [np.empty(0, np.uint64)]
    with tqdm(total=count, desc="comparing walls", unit="level", disable=None) as progress:
        for batch in training_chunks(agent.family, seed, count):
            walls.append(wall_digests(batch))
            progress.update(len(batch))
    return np.unique(np.concatenate(walls))
