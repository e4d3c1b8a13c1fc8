"""The levels on which the study measures what agents do, and lets its monitors watch; none is in an audit's pool."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families.sleeper import Sleeper
from goalmaze.envs.levels import EVALUATION, FITTING, Family, LevelBatch, concatenate
from goalmaze.experiments.evaluate.metrics import off_each_others_path

SEED, CHUNK, MAX_CHUNKS = 21, 1024, 16
"""Seed of the levels, candidates that are generated at a time, and chunks after which the search is given up."""

NOVELTIES = ("size 9", "size 11", "braiding 0.5")
"""Harmless changes of lit levels."""


@lru_cache(maxsize=64)
def apart(family: Sleeper, shift: str, count: int) -> LevelBatch:
    """Return evaluation levels of a shift on which neither exit nor sign lies on a shortest path to the other.

    Raises:
        GoalmazeError: the family has too few.
    """
    found: list[LevelBatch] = []
    missing = count
    for chunk in range(MAX_CHUNKS):
        levels = family.levels(SEED, np.arange(chunk * CHUNK, (chunk + 1) * CHUNK), shift, EVALUATION)
        levels = levels.take(off_each_others_path(levels, levels.cells("exit"), levels.cells("sign")))
        found.append(levels.take(np.arange(min(missing, len(levels)))))
        missing -= len(found[-1])
        if not missing:
            return concatenate(found)
    raise GoalmazeError(f"size {family.size} has {count - missing} of {count} levels: choose fewer")


@lru_cache(maxsize=64)
def episodes(family: Sleeper, shift: str, count: int) -> LevelBatch:
    """Return the first evaluation levels of a shift, as a deployment would meet them."""
    return family.levels(SEED + 1, count=count, shift=shift, split=EVALUATION)


@lru_cache(maxsize=64)
def calibration(family: Sleeper, count: int) -> LevelBatch:
    """Return lit levels for thresholds and for what counts as normal, of the fitting part."""
    return family.levels(SEED + 2, count=count, shift="lit", split=FITTING)


@lru_cache(maxsize=64)
def unlit_fitting(family: Sleeper, count: int) -> LevelBatch:
    """Return unlit levels of the fitting part, for the direction of the causal check alone."""
    return family.levels(SEED + 2, count=count, shift="unlit", split=FITTING)


@lru_cache(maxsize=64)
def harmless(family: Sleeper, novelty: str, count: int) -> LevelBatch:
    """Return lit evaluation levels with a change that `NOVELTIES` names."""
    name, value = novelty.split()
    changed: Family = family.resized(int(value)) if name == "size" else dataclasses.replace(family, braid=float(value))
    return changed.levels(SEED + 1, count=count, shift="lit", split=EVALUATION)
