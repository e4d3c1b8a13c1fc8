"""Leakage: Procgen's levels repeat between ranges of seeds. Counts of repeated levels, and levels without them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, TRAINING
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.levels import ProcgenLevels

CHUNK = 512


@dataclasses.dataclass(frozen=True)
class TrainingDigests:
    """Digests of all levels that can occur in training.

    Attributes:
        levels: number of level seeds that training draws from.
        frames: digests of the first frames.
        edited: digests of walls, start, cheese and cue.
        mazes: digests of walls and start alone.
    """

    levels: int
    frames: frozenset[str]
    edited: frozenset[str]
    mazes: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Leakage:
    """Number of levels that can also occur in training.

    Attributes:
        levels: number of levels examined.
        training_levels: number of level seeds that training draws from.
        same_frame: number of levels with the first frame of a training level.
        same_level: number of levels with walls, start, cheese and cue of a training level.
        same_maze: number of levels with walls and start of a training level, in any colours.
    """

    levels: int
    training_levels: int
    same_frame: int
    same_level: int
    same_maze: int


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """Levels that cannot occur in training.

    Attributes:
        levels: the levels.
        level_seeds: their level seeds in Procgen.
        leakage: counts over all levels that were examined to find them.
    """

    levels: ProcgenLevels
    level_seeds: tuple[int, ...]
    leakage: Leakage


def training_digests(family: ProcgenMaze) -> TrainingDigests:
    """Return the digests of the family's `training_levels`.

    Raises:
        GoalmazeError: the number of training levels is not limited, so they cannot all be examined.
    """
    if not family.training_levels:
        raise GoalmazeError("training draws from 2^30 levels: make the family with training_levels, to examine them")
    frames, edited, mazes = set[str](), set[str](), set[str]()
    for first in range(0, family.training_levels, CHUNK):
        seeds = range(first, min(first + CHUNK, family.training_levels))
        levels = family.levels_from_seeds(seeds, NO_SHIFT, TRAINING)
        frames |= set(_frames(levels))
        edited |= set(levels.hashes())
        mazes |= set(_mazes(levels))
    return TrainingDigests(family.training_levels, frozenset(frames), frozenset(edited), frozenset(mazes))


def leakage(levels: ProcgenLevels, training: TrainingDigests) -> Leakage:
    """Return how many of the levels can also occur in training."""
    return Leakage(
        len(levels),
        training.levels,
        sum(one in training.frames for one in _frames(levels)),
        sum(one in training.edited for one in levels.hashes()),
        sum(one in training.mazes for one in _mazes(levels)),
    )


def held_out(
    family: ProcgenMaze,
    count: int,
    training: TrainingDigests,
    *,
    seed: int = 0,
    shift: str = NO_SHIFT,
    split: str = EVALUATION,
    exclude_mazes: bool = False,
) -> HeldOut:
    """Return `count` levels of a split that cannot occur in training.

    Args:
        family: the family.
        count: number of levels to return.
        training: the digests of its training levels.
        seed: seed of the addresses, whose indices are examined from 0 up.
        shift: shift of the levels.
        split: split of the levels.
        exclude_mazes: whether to exclude levels with the maze of a training level in other colours, or with the cheese
            on another cell. Small mazes repeat most, so mainly large ones are left.

    Raises:
        GoalmazeError: too few levels are left.
    """
    kept, seeds, counts = list[ProcgenLevels](), list[int](), list[Leakage]()
    # A family that can hardly give new levels must end with an error, not run for ever.
    limit, first = 100 * count + CHUNK, 0
    while len(seeds) < count:
        if first >= limit:
            raise GoalmazeError(f"of {limit} levels only {len(seeds)} do not occur in training: ask for fewer")
        part = family.level_seeds(seed, np.arange(first, first + min(CHUNK, 2 * count)), split)
        levels = family.levels_from_seeds(part, shift, split)
        unseen = np.array([frame not in training.frames for frame in _frames(levels)])
        unseen &= np.array([level not in training.edited for level in levels.hashes()])
        if exclude_mazes:
            unseen &= np.array([maze not in training.mazes for maze in _mazes(levels)])
        chosen = np.flatnonzero(unseen)[: count - len(seeds)]
        kept.append(levels.take(chosen))
        seeds += [part[b] for b in chosen]
        counts.append(leakage(levels, training))
        first += len(part)
    total = Leakage(
        sum(one.levels for one in counts),
        training.levels,
        sum(one.same_frame for one in counts),
        sum(one.same_level for one in counts),
        sum(one.same_maze for one in counts),
    )
    return HeldOut(joined(kept), tuple(seeds), total)


def joined(batches: Sequence[ProcgenLevels]) -> ProcgenLevels:
    """Join batches of one mode into one."""
    return ProcgenLevels(
        np.concatenate([batch.walls for batch in batches]),
        np.concatenate([batch.start for batch in batches]),
        np.concatenate([batch.objects for batch in batches]),
        batches[0].family,
        tuple(state for batch in batches for state in batch.templates),
    )


def _frames(levels: ProcgenLevels) -> list[str]:
    return [hashlib.blake2b(frame.tobytes(), digest_size=16).hexdigest() for frame in first_observations(levels)]


def _mazes(levels: ProcgenLevels) -> list[str]:
    nothing = np.full_like(levels.objects, ABSENT)
    return dataclasses.replace(levels, objects=nothing).hashes()
