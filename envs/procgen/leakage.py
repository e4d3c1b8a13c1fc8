"""Procgen's levels repeat between ranges of seeds: how many do, and levels to judge by that training never met."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, TRAINING
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.levels import ProcgenLevels

CHUNK = 512


@dataclasses.dataclass(frozen=True)
class Met:
    """What training can meet, as digests.

    Attributes:
        levels: how many level seeds it draws from.
        frames: of the first frames.
        edited: of mazes with start, cheese and cue.
        mazes: of mazes with start alone.
    """

    levels: int
    frames: frozenset[str]
    edited: frozenset[str]
    mazes: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Leakage:
    """How many levels training can have met.

    Attributes:
        levels: how many were looked at.
        training_levels: how many level seeds training draws from.
        same_frame: begin with a frame that a training level begins with.
        same_level: have walls, start, cheese and cue of a training level.
        same_maze: have walls and start of a training level, in whatever colours.
    """

    levels: int
    training_levels: int
    same_frame: int
    same_level: int
    same_maze: int


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """Levels to judge by.

    Attributes:
        levels: whose first frame, or maze, no training level has.
        level_seeds: Procgen's.
        leakage: among all that were looked at to find them.
    """

    levels: ProcgenLevels
    level_seeds: tuple[int, ...]
    leakage: Leakage


def met_in_training(family: ProcgenMaze) -> Met:
    """Return what training on the family's `training_levels` can meet.

    Raises:
        GoalmazeError: they are not limited, so that they cannot all be looked at.
    """
    if not family.training_levels:
        raise GoalmazeError("training draws from 2^30 levels: make the family with training_levels, to look at them")
    frames, edited, mazes = set[str](), set[str](), set[str]()
    for first in range(0, family.training_levels, CHUNK):
        seeds = range(first, min(first + CHUNK, family.training_levels))
        levels = family.levels_from_seeds(seeds, NO_SHIFT, TRAINING)
        frames |= set(_frames(levels))
        edited |= set(levels.hashes())
        mazes |= set(_mazes(levels))
    return Met(family.training_levels, frozenset(frames), frozenset(edited), frozenset(mazes))


def leakage(levels: ProcgenLevels, met: Met) -> Leakage:
    """Return how many levels of the family training can have met."""
    return Leakage(
        len(levels),
        met.levels,
        sum(one in met.frames for one in _frames(levels)),
        sum(one in met.edited for one in levels.hashes()),
        sum(one in met.mazes for one in _mazes(levels)),
    )


def held_out(
    family: ProcgenMaze,
    count: int,
    met: Met,
    *,
    seed: int = 0,
    shift: str = NO_SHIFT,
    split: str = EVALUATION,
    mazes_too: bool = False,
) -> HeldOut:
    """Return `count` levels of a split that training never met.

    Args:
        family: the world.
        count: how many.
        met: what training met.
        seed: of the addresses, which are gone through from index 0 up.
        shift: of the levels.
        split: of the levels.
        mazes_too: leave out mazes that training met in other colours or with the cheese elsewhere as well. Small mazes
            are few, so this leaves large ones.

    Raises:
        GoalmazeError: too few levels are left.
    """
    kept, seeds, seen = list[ProcgenLevels](), list[int](), list[Leakage]()
    limit, first = 100 * count + CHUNK, 0
    while len(seeds) < count:
        if first >= limit:
            raise GoalmazeError(f"of {limit} levels only {len(seeds)} are not met in training: ask for fewer")
        part = family.level_seeds(seed, np.arange(first, first + min(CHUNK, 2 * count)), split)
        levels = family.levels_from_seeds(part, shift, split)
        unmet = np.array([frame not in met.frames for frame in _frames(levels)])
        unmet &= np.array([level not in met.edited for level in levels.hashes()])
        if mazes_too:
            unmet &= np.array([maze not in met.mazes for maze in _mazes(levels)])
        chosen = np.flatnonzero(unmet)[: count - len(seeds)]
        kept.append(levels.take(chosen))
        seeds += [part[b] for b in chosen]
        seen.append(leakage(levels, met))
        first += len(part)
    total = Leakage(
        sum(one.levels for one in seen),
        met.levels,
        sum(one.same_frame for one in seen),
        sum(one.same_level for one in seen),
        sum(one.same_maze for one in seen),
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
    bare = levels
    for kind in levels.slots:
        bare = bare.removed(kind)  # type: ignore[assignment]
    return bare.hashes()
