"""Levels for the page: evaluation levels as one character a cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.ascii import write_ascii
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, Family, LevelBatch
from goalmaze.experiments.evaluate.metrics import off_each_others_path
from goalmaze.probes.targets import draw_targets

SHIFTS = {
    "GreenExit": ("two-signs", "many-signs", "no-sign", "moved-exit", "apples", "red-sign"),
    "Sleeper": ("lit", "unlit"),
}
FEW = 12
"""Levels of each of `SHIFTS` of GreenExit, and of other sizes."""

SMALL = 7
"""The size of the mazes of the population."""

LARGE = 13
"""The size of the larger mazes, beside those that the agents were trained on."""

POOL = 5
"""Levels drawn for each that is kept off the path."""

SEED = 0


def level_sets(family: Family, count: int) -> list[JsonObject]:
    """Return level sets by shift and size; every set has one line a level, and a target cell for each.

    Args:
        family: GreenExit or Sleeper, at the size that the agents were trained on.
        count: levels of the training distribution, and of the distinguishing shift.
    """
    large = family.resized(LARGE)
    if family.name == "Sleeper":
        sizes = [(family, count), (large, min(count, FEW))]
        return [_level_set(one, shift, number) for one, number in sizes for shift in SHIFTS["Sleeper"]]
    return [
        _level_set(family, NO_SHIFT, count),
        _level_set(family, family.distinguishing_shift, count),
        *(_level_set(family, shift, min(count, FEW)) for shift in SHIFTS["GreenExit"]),
        *(_level_set(large, shift, min(count, FEW)) for shift in (NO_SHIFT, family.distinguishing_shift)),
        *small_level_sets(family.resized(SMALL), count),
    ]


def small_level_sets(family: Family, count: int) -> list[JsonObject]:
    """Return the two level sets that tell what the agents of a population pursue."""
    return [_level_set(family, shift, count) for shift in (NO_SHIFT, family.distinguishing_shift)]


def _level_set(family: Family, shift: str, count: int) -> JsonObject:
    # In the dark a sleeper's levels are those of the lit ones, so that the lamp alone differs.
    clear = family.name == "GreenExit" and shift == family.distinguishing_shift
    numbers = clear_levels(family, count) if clear else np.arange(count)
    levels = family.levels(SEED, numbers, shift, EVALUATION)
    return {
        "family": family.name,
        "shift": shift,
        "size": family.size,
        "limit": family.time_limit,
        "about": "what training levels look like" if shift == NO_SHIFT else family.shifts[shift],
        "numbers": numbers.tolist(),
        "levels": level_texts(levels),
        # As the server draws them: each level with a seed of its own.
        "targets": [int(draw_targets(levels.take([i]), SEED + number)[0]) for i, number in enumerate(numbers)],
    }


def clear_levels(family: Family, count: int) -> NDArray[np.intp]:
    """Return the indices of levels of the distinguishing shift whose goal and cue are not on the path to each other.

    On these the first of the two that an agent reaches says which it was going to.
    """
    levels = family.levels(SEED, np.arange(POOL * count), family.distinguishing_shift, EVALUATION)
    clear = off_each_others_path(levels, levels.cells(family.goal), levels.cells(family.cue))
    return np.flatnonzero(clear)[:count]


def level_texts(levels: LevelBatch) -> list[str]:
    """Return each level as its cells in one line."""
    return ["".join(picture.split()) for picture in write_ascii(levels).split("\n\n")]
