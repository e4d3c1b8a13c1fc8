"""Random edits of levels, as curricula make new levels from old ones (ACCEL; Parker-Holder et al., 2022).

A level is *distinguishing* if its objects stand otherwise than the training placements put them, so that an agent that
follows the goal and one that follows the cue can behave differently.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import Bools
from goalmaze.envs.engine import level_edits
from goalmaze.envs.engine.level_generation import ONE_OF, LevelDistribution
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import NO_SHIFT, TRAINING, Family, LevelBatch

EDITS = ("identity", "constant", "binomial", "unrestricted")
"""The kinds of edits, which differ in what becomes of the class of a level, distinguishing or not:

* identity: it stays as it is;
* constant: it is drawn anew, distinguishing with the probability `Family.mixture`, as for a fresh level;
* binomial: each of the n elementary edits makes the level distinguishing with the probability `Family.mixture`; their
  number is binomial, and the level is distinguishing if it is above 0;
* unrestricted: an object may move to any free cell, and the class is what results.
"""


# Curricula ask at every step, and to encode the placements takes longer than to edit a level.
@functools.lru_cache(maxsize=8)
def _training_distribution(family: Family) -> LevelDistribution:
    """Return how the training levels of a family are generated."""
    return family.distribution(NO_SHIFT, TRAINING)


def is_distinguishing(levels: LevelBatch) -> Bools:
    """Return bool [B], the levels in which goal and cue do not stand as in training.

    Args:
        levels: of a family whose levels goalmaze's own engine generates.
    """
    out = np.empty(len(levels), np.bool_)
    distribution = _training_distribution(levels.family)
    level_edits.are_distinguishing(distribution, levels.walls, levels.start, levels.objects, out)
    return out


def has_distinguishing_levels(family: Family, count: int = 16) -> bool:
    """Return whether levels of the distinguishing shift differ from training levels, by the first `count` of them.

    They do not where the training levels include them even without a mixture, as those of Sleeper.
    """
    if dataclasses.replace(family, mixture=0.0).distribution(NO_SHIFT, TRAINING).mixture > 0:
        return False
    return bool(is_distinguishing(family.levels(0, count=count, shift=family.distinguishing_shift)).any())


def edited(levels: LevelBatch, edits: str, steps: int, seed: int, numbers: NDArray[np.int64]) -> LevelBatch:
    """Return levels after random edits: walls change, the agent's start and objects move.

    All free cells keep reaching each other, nothing stands in a wall, and the agent keeps a path around objects that
    must leave it one. An elementary edit that would break this is left out.

    Args:
        levels: B levels.
        edits: one of `EDITS`.
        steps: elementary edits of each level. Half of them change a wall, a quarter move the agent and a quarter an
            object.
        seed: seed of the random numbers.
        numbers: int64 [B], a number for each edited level, which fixes its random numbers with the seed.

    Raises:
        GoalmazeError: the mazes of the family depend on the shift, or which of its slots are filled is drawn.
    """
    family = levels.family
    distribution = _training_distribution(family)
    if (
        len({*distribution.braids}) > 1
        or len({*distribution.sides}) > 1
        or (distribution.placements[:, :, 1] == ONE_OF).any()
    ):
        raise GoalmazeError(
            f"levels of {family.name} with these parameters cannot be edited: their mazes or numbers say of which "
            "shift they are; choose other parameters, such as trigger=lamp"
        )
    walls, start, objects = levels.walls.copy(), levels.start.copy(), levels.objects.copy()
    names = sorted(set(family.slots))
    kinds = np.array([names.index(name) for name in family.slots], np.int64)
    if len(levels):
        level_edits.edit_many(
            distribution,
            kinds,
            EDITS.index(edits),
            steps,
            seed,
            numbers,
            is_distinguishing(levels),
            walls,
            start,
            objects,
        )
    return dataclasses.replace(levels, walls=walls, start=start, objects=objects)
