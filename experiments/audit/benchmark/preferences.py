"""What predictions are compared with: the measured preferences of agents under the distinguishing shift.

The preference of an agent is measured on levels whose wall layouts no audit uses. Forecasts of single levels are
compared with the *counterpart* of each level of the pool: the same walls, start and goal, with the cue elsewhere.
"""

from __future__ import annotations

import dataclasses
import functools

import msgspec
import numpy as np

from goalmaze.agents.loading import Agent
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.versions import installed_version
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache, digest
from goalmaze.experiments.audit.truth import (
    LEVELS,
    SEED,
    graded_preference,
    preference_label,
    preference_levels,
    shows_preference,
)
from goalmaze.experiments.evaluate.solved_levels import SolvedLevels
from goalmaze.probes.audit.pool import AuditPool

TRIES = 32
"""Cells that are tried for the cue of a counterpart."""


class MeasuredPreference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an agent did on distinguishing levels.

    Attributes:
        cue: number of levels on which it preferred the cue.
        levels: number of levels that count.
        outcomes: for each level of the pool, what it did on its counterpart: 1 the cue came first, 0 the goal, None the
            level does not count; empty where the pool has no counterparts.
    """

    cue: int
    levels: int
    outcomes: tuple[int | None, ...] = ()

    @property
    def value(self) -> float:
        """The preference for the cue; NaN where no level counts."""
        return self.cue / self.levels if self.levels else float("nan")

    @property
    def label(self) -> str:
        """Goal-follower, mixed or cue-follower, by the bounds of the package's labels."""
        return preference_label(self.value)


@dataclasses.dataclass(frozen=True, eq=False)
class PreferenceLevels:
    """The levels on which the agents of a population are measured.

    Attributes:
        facts: levels of the distinguishing shift that show a preference, with their shortest paths.
        counterparts: the counterparts of the pool; None where there are none.
    """

    facts: SolvedLevels
    counterparts: SolvedLevels | None

    @functools.cached_property
    def digest(self) -> str:
        """The digest of all levels."""
        batches = [self.facts, *([self.counterparts] if self.counterparts else [])]
        return digest([one.levels.hashes() for one in batches])


def make_preference_levels(family: Family, pool: AuditPool | None, count: int = LEVELS) -> PreferenceLevels:
    """Return the levels that measure preferences.

    Args:
        family: that of the agents.
        pool: their pool; None where their family cannot be audited.
        count: number of levels.
    """
    counterparts = None if pool is None or not pool.together else SolvedLevels.of(counterpart_levels(pool))
    return PreferenceLevels(SolvedLevels.of(preference_levels(family, count)), counterparts)


def counterpart_levels(pool: AuditPool) -> LevelBatch:
    """Return the counterparts of a pool: walls, start and goal of each level, with the cue on another cell.

    Where the cue is a place, the goal moves instead. Objects that stand beside goal or cue under the distinguishing
    shift are drawn there. The cell is the first of `TRIES` random ones on which the level shows a preference; levels
    that have none keep the last one and do not count.
    """
    moving, staying = (pool.goal, pool.cue) if pool.hidden_cue else (pool.cue, pool.goal)
    levels = pool.levels
    for kind in staying.companions:
        levels = levels.moved(kind, pool.goals)
    free = levels.free().copy()
    rows = np.arange(len(levels))
    free[rows, levels.start] = free[rows, pool.goals] = False
    # Every level has its free cells in a random order; those that are not free come last.
    order = np.argsort(np.where(free, np.random.default_rng(SEED).random(free.shape), 2.0), axis=1)
    counts = np.maximum(free.sum(axis=1), 1)

    def with_cell(choice: int) -> LevelBatch:
        cells = order[rows, np.minimum(choice, counts - 1)].astype(np.int32)
        result = levels
        for kind in moving.whole:
            result = result.moved(kind, cells)
        return result

    result = with_cell(0)
    for choice in range(1, TRIES):
        missing = ~shows_preference(result)
        if not missing.any():
            break
        objects = result.objects.copy()
        objects[missing] = with_cell(choice).objects[missing]
        result = dataclasses.replace(result, objects=objects)
    return result


def measured_preference(
    agent: Agent, weights: str, levels: PreferenceLevels, cache: MeasurementCache
) -> MeasuredPreference:
    """Return what an agent did on distinguishing levels, from the cache where it is there.

    Args:
        agent: the agent.
        weights: digest of its network.
        levels: the levels.
        cache: the cache.
    """
    settings = {
        "weights": weights,
        "levels": levels.digest,
        "actions": f"sampled with seed {SEED}",
        "goalmaze": installed_version("goalmaze"),
    }
    kept = cache.get("preference", settings, MeasuredPreference)
    if kept is None:
        kept = measure_preference(agent, levels)
        cache.put("preference", settings, kept)
    return kept


def measure_preference(agent: Agent, levels: PreferenceLevels) -> MeasuredPreference:
    """Return what an agent does on distinguishing levels, actions sampled."""
    preferred = graded_preference(agent, levels.facts).outcomes
    outcomes = () if levels.counterparts is None else graded_preference(agent, levels.counterparts).outcomes
    return MeasuredPreference(
        int(np.nansum(preferred)),
        int((~np.isnan(preferred)).sum()),
        tuple(None if np.isnan(one) else int(one) for one in outcomes),
    )
